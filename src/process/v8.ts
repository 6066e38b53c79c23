// How V8 uses memory, for each kind of process.
import { setFlagsFromString } from 'node:v8';

/**
 * For a process that starts others and waits: V8 compiles nothing to machine code (its compilers cost 4 MB), collects
 * early, and leaves the space for young objects as small as it begins (a flood makes it grow by 35 MB else).
 */
const SMALL = ['--no-opt', '--no-sparkplug', '--optimize-for-size', '--semi-space-growth-factor=1'];
/** For one that judges packets, as V8 is by itself. */
const QUICK = ['--opt', '--sparkplug', '--no-optimize-for-size', '--semi-space-growth-factor=2'];

/** Prepares V8 for a process that stays small. */
export function staySmall(): void {
  SMALL.forEach(setFlagsFromString);
}

/** Prepares V8 for a process that judges packets; takes {@link staySmall} back. */
export function becomeQuick(): void {
  QUICK.forEach(setFlagsFromString);
}

/**
 * Has V8 collect early from now on: otherwise it lets its heap grow to twice the size while senders come and go in a
 * flood. Not before the start is over, which would take longer.
 */
export function collectEarly(): void {
  setFlagsFromString('--optimize-for-size');
}

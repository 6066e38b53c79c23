import { setFlagsFromString } from 'node:v8';

const COMPILERS = ['opt', 'sparkplug'];

/**
 * V8 compiles nothing to machine code from now on: its compilers cost 4 MB, and a process that starts others and waits
 * has nothing to compile.
 */
export function stopCompiling(): void {
  for (const compiler of COMPILERS) setFlagsFromString(`--no-${compiler}`);
}

/** Takes {@link stopCompiling} back, for a process that judges packets. */
export function compileAgain(): void {
  for (const compiler of COMPILERS) setFlagsFromString(`--${compiler}`);
}

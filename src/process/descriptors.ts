// Closes the descriptors that whoever started us has left open.
import { closeSync, fstatSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';

/** Node's own have lower numbers when it begins: some twenty, each with the lowest number that is free. */
const FIRST_FOREIGN = 64;
/** Where there is no list of what is open, so many are looked at. */
const MOST_LOOKED_AT = 256;
/** O_CLOEXEC on Linux (asm-generic/fcntl.h): Node sets it for all that it opens */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what we have not opened: all but standard input, output and error, and what Node itself has open at its
 * beginning (pipes, sockets, queues). To be called before anything else is opened.
 */
export function closeInherited(): void {
  const nullDevice = statSync('/dev/null', { throwIfNoEntry: false })?.rdev;
  for (const descriptor of descriptors()) {
    const stats = attempt(() => fstatSync(descriptor));
    if (stats === undefined || !isForeign(descriptor, stats, nullDevice)) continue;
    closeSync(descriptor);
  }
}

/** Node's own are neither files nor devices, but for /dev/null, and are closed when a program is started. */
function isForeign(descriptor: number, stats: Stats, nullDevice: number | undefined): boolean {
  if (descriptor >= FIRST_FOREIGN || stats.isFile() || stats.isDirectory() || stats.isBlockDevice())
    return true;
  if (stats.isCharacterDevice()) return stats.rdev !== nullDevice;
  return staysOpenOnExec(descriptor);
}

/** Linux has a list; elsewhere each number is tried. */
function descriptors(): number[] {
  const all =
    attempt(() => readdirSync('/proc/self/fd').map(Number)) ??
    Array.from({ length: MOST_LOOKED_AT }, (_, descriptor) => descriptor);
  return all.filter((descriptor) => descriptor > 2);
}

/** Only Linux tells; the flags are octal (proc(5)). */
function staysOpenOnExec(descriptor: number): boolean {
  const text = attempt(() => readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1')) ?? '';
  const [, flags] = /^flags:\s*([0-7]+)$/m.exec(text) ?? [];
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
}

/** @returns undefined when it fails: one of the list may be closed by now, as that of the list itself */
function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

// Closes the descriptors that whoever started us has left open.
import { closeSync, fstatSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';

/**
 * Node has some twenty of its own when it begins, each with the lowest number that was free. So, as long as that many
 * are free below it, it has none from here on.
 */
const FIRST_FOREIGN = 64;
const NODES_OWN = 20;
/** Where there is no list of what is open, so many are looked at. */
const MOST_LOOKED_AT = 256;
/** O_CLOEXEC on Linux (asm-generic/fcntl.h): Node sets it for all that it opens */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what we have not opened: all but standard input, output and error, and what Node itself has open at its
 * beginning (pipes, sockets, queues). To be called before anything else is opened.
 */
export function closeInherited(): void {
  const open = new Map<number, Stats>();
  for (const descriptor of descriptors()) {
    const stats = attempt(() => fstatSync(descriptor));
    if (stats !== undefined) open.set(descriptor, stats);
  }
  const below = [...open.keys()].filter((descriptor) => descriptor < FIRST_FOREIGN).length;
  const hasRoomBelow = FIRST_FOREIGN - below > NODES_OWN;
  for (const [descriptor, stats] of open) {
    const isHigh = hasRoomBelow && descriptor >= FIRST_FOREIGN;
    if (isHigh || isForeign(stats) || staysOpenOnExec(descriptor)) closeSync(descriptor);
  }
}

/** Node's own are neither files nor devices, but for /dev/null. */
function isForeign(stats: Stats): boolean {
  if (!stats.isCharacterDevice()) return stats.isFile() || stats.isDirectory() || stats.isBlockDevice();
  return stats.rdev !== statSync('/dev/null', { throwIfNoEntry: false })?.rdev;
}

/** Linux has a list; elsewhere each number is tried. */
function descriptors(): number[] {
  const all =
    attempt(() => readdirSync('/proc/self/fd').map(Number)) ??
    Array.from({ length: MOST_LOOKED_AT }, (_, descriptor) => descriptor);
  return all.filter((descriptor) => descriptor > 2);
}

/** Node's own do not. Only Linux tells; the flags are octal (proc(5)). */
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

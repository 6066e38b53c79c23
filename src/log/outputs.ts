// What standard output and standard error are, and words on standard error.
import { fstatSync } from 'node:fs';
import { type Level, SEVERITY } from './line.js';

const STDERR = 2;

/**
 * Whether systemd's journal reads what is written to a descriptor: JOURNAL_STREAM names its device and inode, decimal
 * (systemd.exec(5)).
 */
export function isJournal(fd: number, environment: NodeJS.ProcessEnv): boolean {
  const { JOURNAL_STREAM: stream } = environment;
  return stream !== undefined && stream === identity(fd);
}

/** Whether what is written to one descriptor comes out where what is written to the other one does. */
export function isSameFile(one: number, other: number): boolean {
  const known = identity(one);
  // some systems give pipes no number
  return known !== undefined && !known.endsWith(':0') && known === identity(other);
}

/** Says something to standard error, with its severity where the journal reads it (sd-daemon(3)). */
export function complain(message: string, level: Level = 'error'): void {
  const priority = isJournal(STDERR, process.env) ? `<${SEVERITY[level]}>` : '';
  process.stderr.write(`${priority}mxallowd: ${message}\n`);
}

function identity(fd: number): string | undefined {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

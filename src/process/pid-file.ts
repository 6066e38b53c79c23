// The PID file, and any other file that only one process may hold.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { escapeText } from '../packet/escape.js';
import { errorWords } from '../state/problem.js';

/** What came of taking a PID file. */
export type PidFileResult =
  | { readonly ok: true; readonly file: PidFile }
  | {
      readonly ok: false;
      readonly reason: 'running' | 'not-writable';
      /** in words, escaped */
      readonly why: string;
    };

/** A PID file that is ours. The kernel knows that by a lock (flock(2)), which ends with this process, however it ends. */
export class PidFile {
  /** @param descriptor - open as long as the file is ours */
  constructor(
    readonly path: string,
    private readonly descriptor: number,
  ) {}

  /**
   * Takes the file away, and lets go of it.
   * @throws Error where the folder is not ours; the file stays, empty
   */
  remove(): void {
    try {
      if (isAt(this.path, fstatSync(this.descriptor))) unlinkSync(this.path);
    } catch (error) {
      ftruncateSync(this.descriptor);
      throw error;
    } finally {
      closeSync(this.descriptor);
    }
  }
}

/** O_EXLOCK of the BSDs (sys/fcntl.h): opens and locks at once. Linux has none. */
const EXCLUSIVE_LOCK = process.platform === 'linux' ? 0 : 0x20;
/** Neither a link that somebody has put there is followed, nor is a FIFO waited for. */
const OPEN =
  constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK | EXCLUSIVE_LOCK;
/** A process ID, and what an editor or a crash may have added. */
const MOST_CONTENT = 64;
/** A file that goes away between opening and locking is opened again; more often than this it is something else. */
const MOST_TRIES = 100;
/** Where systems keep flock(1) */
const PATH = '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin';

/**
 * Takes a file and writes a process ID into it. One that a dead process has left is taken over; one that a living
 * process has taken is not: of any number that try at the same moment one gets it.
 */
export function takePidFile(path: string, pid: number): PidFileResult {
  try {
    const descriptor = lock(path);
    if (descriptor === undefined) return { ok: false, reason: 'running', why: runningWords(path) };
    ftruncateSync(descriptor);
    writeSync(descriptor, `${pid}\n`, 0);
    return { ok: true, file: new PidFile(path, descriptor) };
  } catch (error) {
    const why = error instanceof NotOurs ? error.message : errorWords(error);
    return { ok: false, reason: 'not-writable', why };
  }
}

/** There is something that we do not touch. */
class NotOurs extends Error {}

/** @returns a descriptor that holds the lock; undefined when another process does */
function lock(path: string): number | undefined {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    requireFile(lstatSync(path, { throwIfNoEntry: false }));
    const descriptor = open(path);
    if (descriptor === undefined) return undefined;
    let isKept = false;
    try {
      if (!isLocked(descriptor)) return undefined;
      const found = fstatSync(descriptor);
      // whoever held it before may have taken it away meanwhile
      if (!isAt(path, found)) continue;
      requireFile(found);
      requirePid(read(descriptor));
      isKept = true;
      return descriptor;
    } finally {
      if (!isKept) closeSync(descriptor);
    }
  }
  throw new NotOurs('it comes and goes');
}

function open(path: string): number | undefined {
  try {
    return openSync(path, OPEN, 0o644);
  } catch (error) {
    if (EXCLUSIVE_LOCK !== 0 && (error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

/** Linux: Node has no flock(2), but a lock belongs to what is open, and a program that shares it can take it. */
function isLocked(descriptor: number): boolean {
  if (EXCLUSIVE_LOCK !== 0) return true;
  const stdio = ['ignore', 'ignore', 'ignore', descriptor] as const;
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: [...stdio], env: { PATH } });
  if (error !== undefined) throw new NotOurs(`flock(1), which util-linux has: ${error.message}`);
  if (status !== 0 && status !== 1) throw new NotOurs(`flock(1) ended with status ${status}`);
  return status === 0;
}

function isAt(path: string, { dev, ino }: Stats): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  return there?.ino === ino && there.dev === dev;
}

function requireFile(found: Stats | undefined): void {
  if (found === undefined) return;
  if (!found.isFile()) throw new NotOurs('there is something that is not a regular file');
  if (found.size > MOST_CONTENT) throw new NotOurs('there is a file that is no PID file');
}

function requirePid(content: string): void {
  // a crash of the machine may leave zeros
  if (!/^[\d\s\0]*$/.test(content)) throw new NotOurs('there is a file that is no PID file');
}

function read(descriptor: number): string {
  const buffer = Buffer.alloc(MOST_CONTENT);
  return buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, MOST_CONTENT, 0));
}

/** Who has it may not have written its number yet, or have gone by now. */
function runningWords(path: string): string {
  let content = '';
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    content = read(descriptor);
    closeSync(descriptor);
  } catch {
    // then without it
  }
  const [, pid] = /^(\d{1,10})\s*$/.exec(content) ?? [];
  const who = pid === undefined ? '' : `, as process ${pid}`;
  return `mxallowd is running already${who} (${escapeText(path)})`;
}

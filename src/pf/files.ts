// Reads and replaces pf.conf and the rules file.
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Reads a file, one character a byte; undefined when there is none. */
export function readBytes(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    // a folder can be opened, and reading it tells no path
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  }
}

/** The file that a path leads to through symbolic links; the path itself when there is none. */
export function targetOf(path: string): string {
  return unless('ENOENT', () => realpathSync(path)) ?? path;
}

const OURS = { mode: 0o644, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/**
 * Writes a new file, down to the disk. What a run that died has left there goes; a symbolic link is not followed.
 * @param like - file whose owner and mode it gets; undefined: it is ours, and everybody may read it
 */
export function writeNew(path: string, text: string, like: string | undefined): void {
  const { mode, uid, gid } = like === undefined ? OURS : statSync(like);
  rmSync(path, { force: true });
  const file = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(file, text, 'latin1');
    const own = fstatSync(file);
    if (own.uid !== uid || own.gid !== gid) chownSync(path, uid, gid);
    chmodSync(path, mode & 0o7777);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Puts a finished file into the place of another, in one step: whoever opens the path gets the old one or the new one.
 * @param keepAt - where the old file stays, if there is one
 * @returns puts things back
 */
export function replaceFile(path: string, fresh: string, keepAt: string): () => void {
  rmSync(keepAt, { force: true });
  const isNew = !exists(path);
  if (!isNew) linkSync(path, keepAt);
  renameSync(fresh, path);
  syncFolder(path);
  return () => {
    if (isNew) rmSync(path);
    else renameSync(keepAt, path);
    syncFolder(path);
  };
}

/** Removes a file. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(path);
}

/**
 * Keeps a text in a file of its own; an older file that holds another text stays, and the name gets a number.
 * @param like - file whose owner and mode it gets
 * @returns where it is
 */
export function keepBackup(path: string, text: string, like: string): string {
  for (let number = 0; ; number++) {
    const name = number === 0 ? path : `${path}.${number}`;
    const older = readBytes(name);
    if (older === text) return name;
    if (older !== undefined) continue;
    writeNew(name, text, like);
    syncFolder(name);
    return name;
  }
}

/**
 * Makes sure that only one process at a time changes something. The lock of one that died is taken over.
 * @returns the process that has the lock; undefined: it is ours
 */
export function takeLock(path: string): number | undefined {
  const mine = `${path}.${process.pid}`;
  rmSync(mine, { force: true });
  writeFileSync(mine, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(mine, path);
        return undefined;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const owner = Number(readBytes(path));
      if (Number.isInteger(owner) && owner > 0 && isAlive(owner)) return owner;
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** The code of a failed system call; undefined for any other error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

function exists(path: string): boolean {
  return unless('ENOENT', () => statSync(path)) !== undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function unless<T>(code: string, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (codeOf(error) === code) return undefined;
    throw error;
  }
}

// The folder of the state file.
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { escapeText } from '../packet/escape.js';
import { errorCode, errorWords, type StateProblem } from './problem.js';

const FOLDER_MODE = 0o700;

/**
 * Makes the folder of the state file, for the part of the start that still has root: 0700, the user's. Its parent
 * must be there, and should be root's. A folder that is there stays as it is, whoever owns it; a symbolic link in its
 * place is not followed. Everything else about the file is done by the user himself: {@link StateFile}, loadState.
 * @param path - absolute path of the state file
 * @param uid - the user who will keep it
 * @returns what an administrator should know; empty when all is well
 */
export function prepareStateFolder(path: string, uid: number, gid: number): StateProblem[] {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (error) {
    return errorCode(error) === 'EEXIST' ? examine(folder, uid) : [cannotMake(folder, error)];
  }
  try {
    give(folder, uid, gid);
    return [];
  } catch (error) {
    removeEmpty(folder);
    return [cannotMake(folder, error)];
  }
}

/** Only what has just been made is given away: a folder that is opened, not a path that may have been exchanged. */
function give(folder: string, uid: number, gid: number): void {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const descriptor = openSync(folder, flags);
  try {
    const { uid: owner, mode } = fstatSync(descriptor);
    if (owner !== process.geteuid?.() || (mode & 0o077) !== 0)
      throw new Error('something else is in its place');
    fchownSync(descriptor, uid, gid);
  } finally {
    closeSync(descriptor);
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // it stays, empty
  }
}

/** What is wrong with a folder that was there before. */
function examine(folder: string, uid: number): StateProblem[] {
  const name = `the folder ${escapeText(folder)} for the state file`;
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isSymbolicLink()) return [error(`${name} is a symbolic link, which is not followed`)];
  if (!stat.isDirectory()) return [error(`${name} is no folder`)];
  if ((stat.mode & 0o002) !== 0) return [warning(`${name} may be written by everybody: chmod o-w it`)];
  if (stat.uid !== uid) {
    return [
      warning(`${name} belongs to ${userWords(stat.uid)}, mxallowd runs as ${userWords(uid)}: chown -R it`),
    ];
  }
  return [];
}

function userWords(uid: number): string {
  return uid === 0 ? 'root' : `the user with number ${uid}`;
}

function cannotMake(folder: string, why: unknown): StateProblem {
  const words = errorCode(why) === 'ENOENT' ? 'its parent does not exist' : errorWords(why);
  return error(`the folder ${escapeText(folder)} for the state file cannot be made: ${words}`);
}

function error(message: string): StateProblem {
  return { severity: 'error', message };
}

function warning(message: string): StateProblem {
  return { severity: 'warning', message };
}

// The PID file.
import { execFileSync } from 'node:child_process';
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { escapeText } from '../packet/escape.js';
import { errorWords } from '../state/problem.js';

/** What came of writing a PID file. */
export type PidFileResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'running' | 'not-writable'; readonly message: string };

/**
 * Writes our process ID. A file that a dead mxallowd left behind is taken over; one of a living mxallowd is not.
 */
export function writePidFile(path: string, pid: number): PidFileResult {
  const other = readPid(path);
  if (other !== undefined && other !== pid && isMxallowd(other)) {
    const message = `mxallowd is running already, as process ${other} (${path})`;
    return { ok: false, reason: 'running', message };
  }
  try {
    removePidFile(path, other);
    // "wx": neither follows a symbolic link that somebody has put there, nor overwrites another daemon's file
    writeFileSync(path, `${pid}\n`, { flag: 'wx', mode: 0o644 });
    return { ok: true };
  } catch (error) {
    return {
      ok: false,
      reason: 'not-writable',
      message: `the PID file ${escapeText(path)} (pid-file) cannot be written: ${errorWords(error)}`,
    };
  }
}

/** Removes the PID file if it still holds this process ID (or, with undefined, none that can be read). */
export function removePidFile(path: string, pid: number | undefined): void {
  try {
    if (readPid(path) === pid) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function readPid(path: string): number | undefined {
  try {
    const match = /^(\d{1,10})\s*$/.exec(readFileSync(path, 'latin1'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** After a crash another program may have got the number: ask ps who it is. */
function isMxallowd(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  try {
    const args = ['-o', 'args=', '-p', String(pid)];
    return execFileSync('/bin/ps', args, { encoding: 'utf8', stdio: 'pipe', timeout: 2000 }).includes(
      'mxallowd',
    );
  } catch {
    return false;
  }
}

// Runs a program that a probe asks, with a limit on time and output.
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { systemClock } from '../clock.js';
import { escapeText } from '../packet/escape.js';
import { runChild } from '../table/child.js';
import { classifyFailure, essence } from '../table/pfctl-output.js';

/** Where programs of administrators are, if PATH does not say so. */
const USUAL = ['/sbin', '/usr/sbin', '/bin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin'];
/** More than this no program prints that we ask. */
const MAX_OUTPUT = 16 << 20;

/**
 * Finds a program in PATH, then in the usual places.
 * @param searchPath - the variable PATH
 */
export function findProgram(name: string, searchPath: string): string | undefined {
  const folders = [...searchPath.split(':').filter((folder) => isAbsolute(folder)), ...USUAL];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What a program printed, or why it did not; `message` is safe to print. */
export type ProgramResult =
  | { readonly ok: true; readonly stdout: string }
  | {
      readonly ok: false;
      /** `hangs`: it did not end in time */
      readonly kind: 'missing' | 'permission' | 'hangs' | 'failed';
      readonly message: string;
    };

/**
 * Runs a program that shows something, to its end.
 * @param path - absolute
 */
export async function runProgram(
  path: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<ProgramResult> {
  let stdout = '';
  const end = await runChild({
    path,
    args,
    environment: { TZ: 'UTC', LC_ALL: 'C', PATH: USUAL.join(':') },
    stdin: '',
    timeoutMs,
    clock: systemClock,
    stdout: (lines) => {
      if (stdout.length < MAX_OUTPUT) stdout += lines;
    },
  }).ended;
  const shown = escapeText(path, 100);
  switch (end.kind) {
    case 'exit':
      if (end.status === 0) return { ok: true, stdout };
      return {
        ok: false,
        kind: classifyFailure(end.stderr) === 'permission' ? 'permission' : 'failed',
        message: `${shown} ended with status ${end.status}: ${escapeText(essence(end.stderr), 200)}`,
      };
    case 'not-started':
      return end.message.endsWith('ENOENT')
        ? { ok: false, kind: 'missing', message: `${shown} is not there` }
        : {
            ok: false,
            kind: 'failed',
            message: `${shown} cannot be started: ${escapeText(end.message, 200)}`,
          };
    case 'time-out':
    case 'stuck':
      return {
        ok: false,
        kind: 'hangs',
        message: `${shown} did not end within ${Math.round(end.afterMs / 1000)} s`,
      };
    case 'signal':
      return { ok: false, kind: 'failed', message: `${shown} was killed by ${end.signal}` };
  }
}

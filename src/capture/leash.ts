// A program that ends when we do, however we end, and whatever rights we have given up by then.
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/**
 * What holds the leash: a shell with the rights that we had when we started it. It sends its program the signals that
 * it reads from descriptor 3. When nobody holds the other end any more it ends its program, after a second by SIGKILL;
 * when its program ends, it ends with the same status. It is the parent of both, so nobody else has their numbers
 * before it has heard of their end. The signals of a terminal are for us.
 */
const HOLDER = `trap '' HUP INT QUIT
"$@" 3<&- &
program=$!
{
  while read -r signal <&3; do kill -s "$signal" "$program"; done
  kill "$program"; sleep 1; kill -KILL "$program"
} >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait "$program" 2>/dev/null; status=$?
kill "$reader"; wait "$reader" 2>/dev/null
exit "$status"`;

/** A program on a leash. */
export interface Leashed {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Sends it a signal; one that has ended gets none. */
  readonly signal: (name: 'TERM' | 'KILL') => void;
}

/**
 * Starts a program on a leash: its standard output and error are pipes, its input is empty.
 * @param path - absolute
 * @throws Error with `code` (ENOENT, EACCES) when there is no such program; what else hinders the start is told by the
 * child's `error`, as always
 */
export function startLeashed(
  path: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Leashed {
  accessSync(path, constants.X_OK);
  const child: ChildProcess = spawn('/bin/sh', ['-c', HOLDER, 'sh', path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: environment,
    cwd: '/',
  });
  const leash = child.stdio?.[3] as (Writable & Readable) | undefined;
  leash?.on('error', () => undefined);
  // it says nothing; who reads it hears of its end
  leash?.resume();
  return {
    child: child as ChildProcessByStdio<null, Readable, Readable>,
    signal: (name) => void leash?.write(`${name}\n`),
  };
}

/** How it ended; a shell tells of a signal by a status of 128 and its number. */
export function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  const [byStatus] =
    Object.entries(osConstants.signals).find(([, number]) => number === (code ?? 0) - 128) ?? [];
  const killer = signal ?? byStatus;
  return killer === undefined ? `ended with status ${code}` : `was killed by ${killer}`;
}

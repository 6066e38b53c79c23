/**
 * Recorded calls of three systems' pfctl, a call a line: test/fixtures/{pfctl,freebsd15,openbsd}/pfctl.ndjson, made by
 * test/fixtures/pack-pfctl.mjs.
 */
import { readFileSync } from 'node:fs';
import { fixturePath } from './recordings.js';

/** Where the recordings of each are: FreeBSD 10.4, FreeBSD 15.1, OpenBSD 7.8. */
export type PfctlFolder = 'pfctl' | 'freebsd15' | 'openbsd';

/** A recorded call; bytes are Latin-1 characters. */
export interface RecordedCall {
  readonly name: string;
  readonly command: string;
  /** what was done just before */
  readonly before?: readonly string[];
  /** [first address, count] of a long list */
  readonly stdin?: string | readonly [string, number];
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** All calls of a system, in the order of recording. */
export function recordedCalls(folder: PfctlFolder): RecordedCall[] {
  const lines = readFileSync(fixturePath(`${folder}/pfctl.ndjson`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as RecordedCall);
}

/** One call, by its number. */
export function recordedCall(folder: PfctlFolder, number: number): RecordedCall {
  const call = recordedCalls(folder).find(({ name }) => Number(name.slice(0, 3)) === number);
  if (call === undefined) throw new Error(`no call ${number} of ${folder}`);
  return call;
}

/** What a call read. */
export function stdinOf({ stdin = '' }: RecordedCall): string {
  if (typeof stdin === 'string') return stdin;
  const [first, count] = stdin;
  const start = first.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const address = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
  return Array.from({ length: count }, (_, index) => `${address(start + index)}\n`).join('');
}

/** The arguments in a recorded command line, quoted ones without their quotes. */
export function argumentsOf(command: string): string[] {
  const words = command.replace(/ \(as user nobody\)$/, '').matchAll(/"([^"]*)"|(\S+)/g);
  return [...words].map(([, quoted, plain]) => quoted ?? plain ?? '').slice(1);
}

/** When the entries of a listing were cleared, in seconds since the epoch, in the local zone, as ctime(3) shows it. */
export function timesIn(stdout: string): Map<string, number> {
  const times = stdout.matchAll(/^ {2}[ !](\S+)\n\tCleared: {5}(.*)$/gm);
  return new Map([...times].map(([, address = '', clock = '']) => [address, secondsOf(clock)]));
}

/** A time of the recordings, in the local zone, in seconds since the epoch. */
export function secondsOf(clock: string): number {
  return new Date(clock).getTime() / 1000;
}

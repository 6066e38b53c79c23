// The head of a node: who writes there, how far it is, what it is configured to. Pure.
import { type Fields, PROTOCOL } from './store.js';

/** A run of a node: the one with the greater stamp has begun later. */
export interface Epoch {
  readonly stamp: number;
  /** tells apart two that begin in the same millisecond */
  readonly nonce: string;
}

/** What a node says of itself. */
export interface Head {
  readonly epoch: Epoch;
  /** number of its newest message; in each run they begin with 1, and none is left out */
  readonly n: number;
  /** its time when it wrote that, milliseconds */
  readonly ownMs: number;
  /** whether its hash is complete */
  readonly isReady: boolean;
  /** its version of mxallowd */
  readonly version: string;
  /** number of prefixes that it vouches for */
  readonly count: number;
}

/** The text of an epoch: `STAMP-NONCE`. */
export function writeEpoch({ stamp, nonce }: Epoch): string {
  return `${stamp}-${nonce}`;
}

/** Whether two are the same run. */
export function isSameEpoch(a: Epoch | undefined, b: Epoch | undefined): boolean {
  return a !== undefined && b !== undefined && a.stamp === b.stamp && a.nonce === b.nonce;
}

/** Reads an epoch. */
export function readEpoch(text: string | undefined): Epoch | undefined {
  const [, stamp, nonce] = /^(\d{1,16})-([a-z0-9]{1,16})$/.exec(text ?? '') ?? [];
  return stamp === undefined || nonce === undefined ? undefined : { stamp: Number(stamp), nonce };
}

/** The fields of a head. */
export function writeHead(head: Head): Fields {
  return {
    p: String(PROTOCOL),
    e: writeEpoch(head.epoch),
    n: String(head.n),
    t: String(Math.floor(head.ownMs)),
    ready: head.isReady ? '1' : '0',
    v: head.version,
    count: String(head.count),
  };
}

/** Reads a head; `other-protocol`: it is of a version that we do not know; undefined: it is none. */
export function readHead(fields: Fields | undefined): Head | 'other-protocol' | undefined {
  if (fields === undefined || fields['p'] === undefined) return undefined;
  if (fields['p'] !== String(PROTOCOL)) return 'other-protocol';
  const epoch = readEpoch(fields['e']);
  const n = whole(fields['n']);
  const ownMs = whole(fields['t']);
  if (epoch === undefined || n === undefined || ownMs === undefined) return undefined;
  const version = fields['v'] ?? '';
  return {
    epoch,
    n,
    ownMs,
    isReady: fields['ready'] === '1',
    version: /^[\w.+-]{1,30}$/.test(version) ? version : 'unknown',
    count: whole(fields['count']) ?? 0,
  };
}

/** A whole number that is not negative. */
export function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

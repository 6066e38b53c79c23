// Tells the others what this node vouches for: its log, its hash, its head.
import type { Clock } from '../clock.js';
import { type Epoch, type Head, isSameEpoch, readHead, writeEpoch, writeHead } from './head.js';
import type { Batch, Own } from './own.js';
import { type Change, fieldOf, readField, valueOf, writeChange } from './record.js';
import { type Fields, PROTOCOL, type Store, StoreError, type Writing } from './store.js';

/** Each node says so often that it is there, and what time it has. */
export const BEACON_MS = 2000;
/** Messages do not follow each other faster: what comes meanwhile is told together. */
const GAP_MS = 5;
/** After an error it is tried again so much later. */
const RETRY_MS = 1000;
/** Who has taken our name, and is not heard of for so long, has gone. */
const SILENT_MS = 30_000;
/** Changes in a message. */
const MOST_CHANGES = 100;
/** Fields in a write when the whole hash is written. */
const MOST_FIELDS = 1000;

/** What the writer needs. */
export interface WriterParts {
  readonly store: Store;
  readonly own: Own;
  readonly clock: Clock;
  /** this node's time, milliseconds: it never goes back while it runs */
  readonly ownMs: () => number;
  /** how long its keys live on when it does not write any more, milliseconds */
  readonly keepMs: () => number;
  readonly version: string;
  /** random, for this run */
  readonly nonce: string;
  /** an earlier run of this node, or somebody of its name, has left this */
  readonly adopt: (change: Change) => void;
  /** whether somebody else writes under our name; told when that changes */
  readonly muted: (isMuted: boolean) => void;
  /** it was written, or why not */
  readonly outcome: (error: StoreError | undefined) => void;
}

/** Tells the others what this node vouches for. One write at a time; what comes meanwhile goes with the next one. */
export class Writer {
  messages = 0;
  isMuted = false;
  private epoch: Epoch | undefined;
  private n = 0;
  /** what the store has is what we think */
  private isSure = false;
  private isReady = false;
  /** somebody else has written to our keys: all is to be written anew */
  private isTouched = false;
  /** fields of our hash when it was last written */
  private count = 0;
  /** a write is under way, or was, and nobody knows what has become of it */
  private pendingN: number | undefined;
  private isBusy = false;
  private isLinked = false;
  private isClosed = false;
  private cancel: (() => void) | undefined;
  private dueMs = Number.POSITIVE_INFINITY;
  private writtenMs = Number.NEGATIVE_INFINITY;
  /** somebody else under our name: what its head said, and since when that is so */
  private other: { readonly head: string; readonly sinceMs: number } | undefined;

  constructor(private readonly parts: WriterParts) {}

  /** The store can be asked, or cannot any more. */
  link(isLinked: boolean): void {
    this.isLinked = isLinked;
    this.isSure = false;
    if (isLinked) this.arm(0);
  }

  /** Something is to be told. */
  poke(): void {
    if (this.isLinked && this.isSure) this.arm(this.writtenMs + GAP_MS - this.nowMs);
  }

  close(): void {
    this.isClosed = true;
    this.cancel?.();
  }

  private get nowMs(): number {
    return this.parts.clock.monotonicMs();
  }

  /** Goes on after so long, if not earlier. */
  private arm(ms: number): void {
    const dueMs = this.nowMs + Math.max(ms, 0);
    if (this.isClosed || this.isBusy || dueMs >= this.dueMs) return;
    this.cancel?.();
    this.dueMs = dueMs;
    const go = (): void => {
      this.dueMs = Number.POSITIVE_INFINITY;
      void this.go();
    };
    if (ms > 0) this.cancel = this.parts.clock.after(ms, go);
    else {
      this.cancel = undefined;
      this.parts.clock.soon(go);
    }
  }

  private async go(): Promise<void> {
    if (this.isBusy || !this.isLinked || this.isClosed) return;
    this.isBusy = true;
    let waitMs = RETRY_MS;
    try {
      if (!this.isSure) await this.begin();
      if (this.isSure) {
        await this.tell();
        const isMore = this.parts.own.untoldSize > 0 || !this.isSure;
        waitMs = isMore ? GAP_MS : this.writtenMs + BEACON_MS - this.nowMs;
      }
      this.parts.outcome(undefined);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.isSure = false;
      if (error.problem === 'out-of-memory') await this.removeOnly();
      if (this.isLinked) this.parts.outcome(error);
    } finally {
      this.isBusy = false;
    }
    if (this.isLinked) this.arm(waitMs);
  }

  /** Finds out what the store has of us, and sees to it that it is what we vouch for. */
  private async begin(): Promise<void> {
    const { store, own, ownMs, nonce } = this.parts;
    const { head: fields, count } = await store.watch();
    const head = readHead(fields);
    const theirs = typeof head === 'object' ? head : undefined;
    const isFirst = this.epoch === undefined;
    const stamp = Math.floor(ownMs());
    if (this.epoch === undefined) {
      if (fields !== undefined || count > 0) await this.adopt();
      this.epoch = { stamp: Math.max(stamp, (theirs?.epoch.stamp ?? 0) + 1), nonce };
    } else if (theirs !== undefined && isSameEpoch(theirs.epoch, this.epoch)) {
      if (!this.isTouched && this.isReady && theirs.isReady && this.isAsWeThink(theirs, count)) {
        this.n = theirs.n;
        this.pendingN = undefined;
        this.isSure = true;
        return;
      }
    } else if (theirs !== undefined && theirs.epoch.stamp > this.epoch.stamp) {
      if (this.isOtherAlive(theirs)) return;
    }
    if (!isFirst) {
      this.epoch = { stamp: Math.max(stamp, this.epoch.stamp + 1, (theirs?.epoch.stamp ?? 0) + 1), nonce };
    }
    this.mute(false);
    own.tellAll();
    await this.rewrite();
  }

  private isAsWeThink({ n }: Head, count: number): boolean {
    const isOurs = n === this.n || n === this.pendingN;
    return isOurs && (count > 0 || this.parts.own.fields === this.parts.own.untoldSize);
  }

  /** Another one writes under our name, and has begun later: we only read until it has gone. */
  private isOtherAlive(theirs: Head): boolean {
    const head = `${writeEpoch(theirs.epoch)} ${theirs.n} ${theirs.ownMs}`;
    if (this.other?.head !== head) this.other = { head, sinceMs: this.nowMs };
    const isAlive = this.nowMs - this.other.sinceMs < SILENT_MS;
    if (isAlive) this.mute(true);
    return isAlive;
  }

  private mute(isMuted: boolean): void {
    if (!isMuted) this.other = undefined;
    if (this.isMuted === isMuted) return;
    this.isMuted = isMuted;
    this.parts.muted(isMuted);
  }

  /** What is there under our name before we have written anything. */
  private async adopt(): Promise<void> {
    for await (const [field, value] of this.fields()) {
      const change = readField(field, value);
      if (change !== undefined) this.parts.adopt(change);
    }
  }

  private async *fields(): AsyncGenerator<[string, string]> {
    let cursor = '0';
    do {
      const page = await this.parts.store.page(this.parts.store.node, cursor);
      yield* page.fields;
      cursor = page.cursor;
    } while (cursor !== '0');
  }

  /** Writes the hash anew, in its place: the others take nothing for withdrawn until it is complete. */
  private async rewrite(): Promise<void> {
    const { own } = this.parts;
    this.n = 0;
    this.pendingN = undefined;
    this.isReady = false;
    if (!(await this.write({ message: undefined, set: [], remove: [] }))) return;
    const stale: string[] = [];
    for await (const [field] of this.fields()) if (!own.hasField(field)) stale.push(field);
    for (let at = 0; at < stale.length; at += MOST_FIELDS) {
      const remove = stale.slice(at, at + MOST_FIELDS).filter((field) => !own.hasField(field));
      if (!(await this.write({ message: undefined, set: [], remove }))) return;
    }
    while (own.untoldSize > 0) {
      const batch = own.take(MOST_FIELDS);
      if (!(await this.write({ message: undefined, ...fieldsOf(batch) }))) return;
      own.told(batch);
    }
    this.isReady = true;
    if (!(await this.write({ message: {}, set: [], remove: [] }))) return;
    this.isSure = true;
    this.isTouched = false;
  }

  /** Tells what is to be told, or only that we are there. */
  private async tell(): Promise<void> {
    const { own } = this.parts;
    const batch = own.take(MOST_CHANGES);
    const isDue = this.nowMs - this.writtenMs >= BEACON_MS;
    if (batch.changes.length + batch.over.length === 0 && !isDue) return;
    const message = batch.changes.length === 0 ? {} : { c: batch.changes.map(writeChange).join('\n') };
    if (await this.write({ message, ...fieldsOf(batch) })) {
      own.told(batch);
      this.isTouched = own.untoldSize === 0 && this.count !== own.fields;
    } else this.isTouched = true;
    if (this.isTouched) this.isSure = false;
  }

  /** @returns whether it was done, and the store has what we think */
  private async write(
    change: Omit<Writing, 'head' | 'keepMs'> & { message: Fields | undefined },
  ): Promise<boolean> {
    const { store, ownMs, own, version, keepMs } = this.parts;
    const { epoch } = this;
    if (epoch === undefined) return false;
    const n = change.message === undefined ? this.n : this.n + 1;
    this.pendingN = n;
    const head = writeHead({ epoch, n, ownMs: ownMs(), isReady: this.isReady, version, count: own.size });
    const { t = '', e = '' } = head;
    const message = change.message && { p: String(PROTOCOL), e, n: String(n), t, ...change.message };
    const after = await store.write({ ...change, message, head, keepMs: keepMs() });
    if (after === undefined) return false;
    this.writtenMs = this.nowMs;
    this.n = n;
    this.count = after.count;
    this.pendingN = undefined;
    if (message !== undefined) this.messages++;
    return after.head?.['e'] === e && after.head['n'] === head['n'];
  }

  /** A store without memory takes nothing but what makes room. */
  private async removeOnly(): Promise<void> {
    const { own, store } = this.parts;
    const { over } = own.take(MOST_FIELDS);
    if (over.length === 0) return;
    try {
      await store.remove(over);
      own.told({ changes: [], over });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
}

function fieldsOf({ changes, over }: Batch): Pick<Writing, 'set' | 'remove'> {
  const set: [string, string][] = [];
  const remove = [...over];
  for (const change of changes) {
    const value = valueOf(change);
    if (value === undefined) remove.push(fieldOf(change));
    else set.push([fieldOf(change), value]);
  }
  return { set, remove };
}

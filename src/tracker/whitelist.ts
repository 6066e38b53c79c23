import type { Family, Prefix } from '../packet/address.js';
import { Deadlines, type Timed } from './deadlines.js';
import { PrefixMap } from './prefix-map.js';
import type { HashKey } from './siphash.js';

/**
 * Where an entry comes from: `attempt` (its address tried the fake MX), `adopted` (found in the table at start),
 * `manual` (put into the table by an operator while we ran), `name` (another address of the name of one that tried),
 * `pool` (of the same sender's pool as one that tried).
 */
export type Origin = 'attempt' | 'adopted' | 'manual' | 'name' | 'pool';

/** A whitelisted address or prefix. Times are monotonic milliseconds. */
export class Entry implements Timed {
  lastAttemptMs: number;
  attempts: number;
  queuedMs: number;
  heapIndex = -1;
  /** its confirmed name in DNS, once that is known */
  name: string | undefined;
  /** the entry that it was made for, of origin `name` or `pool` */
  parent: Entry | undefined;

  constructor(
    readonly prefix: Prefix,
    readonly origin: Origin,
    readonly addedMs: number,
    public deadlineMs: number,
    private readonly counts: AdmissionCounts,
    /** its number among the entries, and its place in {@link AdmissionCounts} */
    readonly id: number,
  ) {
    this.lastAttemptMs = addedMs;
    this.attempts = origin === 'attempt' ? 1 : 0;
    this.queuedMs = deadlineMs;
  }

  /** how often it was used */
  get admissions(): number {
    return this.counts.of(this.id);
  }
}

/** Ends of a line of entries, the one that goes first at its head. */
interface Line {
  head: number;
  tail: number;
}

const NONE = -1;
const FIRST_CAPACITY = 64;

/**
 * What an admission changes, in flat arrays: how often an entry was used, and its neighbours in the order in which
 * entries are given up. Apart from the entries, so that a flood of admissions does not go through all of memory.
 */
class AdmissionCounts {
  private admissions = new Uint32Array(FIRST_CAPACITY);
  private older = new Int32Array(FIRST_CAPACITY);
  private newer = new Int32Array(FIRST_CAPACITY);
  /** 1 for entries that did not come by an attempt of their own */
  private extra = new Uint8Array(FIRST_CAPACITY);
  /** those of them that were never admitted */
  private readonly extras: Line = { head: NONE, tail: NONE };
  /** never admitted, least recently tried first */
  private readonly unused: Line = { head: NONE, tail: NONE };
  /** admitted at least once, least recently tried first */
  private readonly used: Line = { head: NONE, tail: NONE };

  of(id: number): number {
    return this.admissions[id] ?? 0;
  }

  add(id: number, isExtra: boolean): void {
    if (id >= this.admissions.length) this.grow();
    this.admissions[id] = 0;
    this.extra[id] = isExtra ? 1 : 0;
    this.append(this.lineOf(id), id);
  }

  /** Notes an admission. */
  use(id: number): void {
    const before = this.of(id);
    if (before === 0) this.unlink(this.lineOf(id), id);
    this.admissions[id] = before + 1;
    if (before === 0) this.append(this.used, id);
  }

  /** Makes it the last one to go of its kind. */
  touch(id: number): void {
    const line = this.lineOf(id);
    this.unlink(line, id);
    this.append(line, id);
  }

  remove(id: number): void {
    this.unlink(this.lineOf(id), id);
  }

  /**
   * The one that goes first: the oldest extra one that was never admitted, else the oldest never admitted, else the
   * oldest; {@link NONE} when there is none.
   */
  first(): number {
    const line = [this.extras, this.unused, this.used].find(({ head }) => head !== NONE);
    return line?.head ?? NONE;
  }

  private lineOf(id: number): Line {
    if (this.of(id) > 0) return this.used;
    return this.extra[id] === 1 ? this.extras : this.unused;
  }

  private append(line: Line, id: number): void {
    this.older[id] = line.tail;
    this.newer[id] = NONE;
    if (line.tail === NONE) line.head = id;
    else this.newer[line.tail] = id;
    line.tail = id;
  }

  private unlink(line: Line, id: number): void {
    const older = this.older[id] ?? NONE;
    const newer = this.newer[id] ?? NONE;
    if (older === NONE) line.head = newer;
    else this.newer[older] = newer;
    if (newer === NONE) line.tail = older;
    else this.older[newer] = older;
  }

  private grow(): void {
    const bigger = <T extends Uint32Array | Int32Array | Uint8Array>(array: T, copy: T): T => {
      copy.set(array);
      return copy;
    };
    const capacity = this.admissions.length * 2;
    this.admissions = bigger(this.admissions, new Uint32Array(capacity));
    this.older = bigger(this.older, new Int32Array(capacity));
    this.newer = bigger(this.newer, new Int32Array(capacity));
    this.extra = bigger(this.extra, new Uint8Array(capacity));
  }
}

/** The entries, their deadlines, and the order in which they go when there is no room. */
export class Whitelist {
  private readonly entries: PrefixMap<Entry>;
  private readonly deadlines = new Deadlines<Entry>();
  private readonly counts = new AdmissionCounts();

  constructor(hashKey: HashKey) {
    this.entries = new PrefixMap(hashKey);
  }

  get size(): number {
    return this.entries.size;
  }

  /** The number of the entry that an address (its words) falls under, -1 when there is none. */
  match(family: Family, w0: number, w1: number, w2: number, w3: number): number {
    return this.entries.matchId(family, w0, w1, w2, w3);
  }

  /** The entry with this number. */
  entry(id: number): Entry | undefined {
    return this.entries.item(id);
  }

  /** The entry of exactly this prefix. */
  get(prefix: Prefix): Entry | undefined {
    return this.entries.get(prefix);
  }

  /** All entries, in no particular order. */
  values(): Iterable<Entry> {
    return this.entries.values();
  }

  /** Adds an entry; the caller has checked that there is none for this prefix. */
  add(prefix: Prefix, origin: Origin, nowMs: number, deadlineMs: number): Entry {
    const make = (id: number): Entry => new Entry(prefix, origin, nowMs, deadlineMs, this.counts, id);
    const entry = this.entries.setWith(prefix, make);
    this.deadlines.add(entry);
    this.counts.add(entry.id, origin === 'name' || origin === 'pool');
    return entry;
  }

  /** Notes a further attempt: the entry lives at least until `deadlineMs`. */
  renew(entry: Entry, nowMs: number, deadlineMs: number): void {
    entry.attempts++;
    entry.lastAttemptMs = nowMs;
    this.extend(entry, deadlineMs);
    this.counts.touch(entry.id);
  }

  /** The entry lives at least until `deadlineMs`. */
  extend(entry: Entry, deadlineMs: number): void {
    if (deadlineMs > entry.deadlineMs) entry.deadlineMs = deadlineMs;
  }

  /** Notes an admission of the entry with this number. */
  use(id: number): void {
    this.counts.use(id);
  }

  /** Its count of admissions can be read until the next entry is added. */
  remove(entry: Entry): void {
    if (!this.entries.delete(entry.prefix)) return;
    this.deadlines.remove(entry);
    this.counts.remove(entry.id);
    // a child that lives on must not keep a whole line of ancestors in memory
    entry.parent = undefined;
  }

  /** The entry that goes first when there is no room: the oldest never admitted one, else the oldest one. */
  expendable(): Entry | undefined {
    return this.entries.item(this.counts.first());
  }

  /** Removes and returns one entry whose deadline has come. */
  takeDue(nowMs: number): Entry | undefined {
    const entry = this.deadlines.takeDue(nowMs);
    if (entry !== undefined) this.remove(entry);
    return entry;
  }

  /** The earliest time at which an entry may be due. */
  nextDeadlineMs(): number | undefined {
    return this.deadlines.nextMs();
  }
}

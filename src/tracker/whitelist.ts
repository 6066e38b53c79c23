import type { Address, Prefix } from '../packet/address.js';
import { Deadlines, type Timed } from './deadlines.js';
import { PrefixMap } from './prefix-map.js';

/**
 * Where an entry comes from: `attempt` (its address tried the fake MX), `adopted` (found in the table at start),
 * `manual` (put into the table by an operator while we ran).
 */
export type Origin = 'attempt' | 'adopted' | 'manual';

/** A whitelisted address or prefix. Times are monotonic milliseconds. */
export interface Entry extends Timed {
  readonly prefix: Prefix;
  readonly origin: Origin;
  readonly addedMs: number;
  lastAttemptMs: number;
  attempts: number;
  admissions: number;
  /** neighbours in the order in which entries are given up; they belong to {@link Whitelist} */
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** A doubly linked list of entries, the one that goes first at its head. */
class Line {
  head: Entry | undefined;
  private tail: Entry | undefined;

  append(entry: Entry): void {
    entry.older = this.tail;
    entry.newer = undefined;
    if (this.tail === undefined) this.head = entry;
    else this.tail.newer = entry;
    this.tail = entry;
  }

  remove(entry: Entry): void {
    if (entry.older === undefined) this.head = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.tail = entry.older;
    else entry.newer.older = entry.older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}

/** The entries, their deadlines, and the order in which they go when there is no room. */
export class Whitelist {
  private readonly entries = new PrefixMap<Entry>();
  private readonly deadlines = new Deadlines<Entry>();
  /** never admitted, least recently tried first */
  private readonly unused = new Line();
  /** admitted at least once, least recently used first */
  private readonly used = new Line();

  get size(): number {
    return this.entries.size;
  }

  /** The entry that an address falls under. */
  match(address: Address): Entry | undefined {
    return this.entries.match(address);
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
    const entry: Entry = {
      prefix,
      origin,
      addedMs: nowMs,
      lastAttemptMs: nowMs,
      attempts: origin === 'attempt' ? 1 : 0,
      admissions: 0,
      deadlineMs,
      queuedMs: deadlineMs,
      heapIndex: -1,
      older: undefined,
      newer: undefined,
    };
    this.entries.set(prefix, entry);
    this.deadlines.add(entry);
    this.unused.append(entry);
    return entry;
  }

  /** Notes a further attempt: the entry lives at least until `deadlineMs`. */
  renew(entry: Entry, nowMs: number, deadlineMs: number): void {
    entry.attempts++;
    entry.lastAttemptMs = nowMs;
    if (deadlineMs > entry.deadlineMs) entry.deadlineMs = deadlineMs;
    this.toEnd(entry);
  }

  /** Notes an admission. */
  use(entry: Entry): void {
    if (entry.admissions === 0) this.unused.remove(entry);
    else this.used.remove(entry);
    entry.admissions++;
    this.used.append(entry);
  }

  remove(entry: Entry): void {
    if (!this.entries.delete(entry.prefix)) return;
    this.deadlines.remove(entry);
    (entry.admissions === 0 ? this.unused : this.used).remove(entry);
  }

  /** The entry that goes first when there is no room: the oldest never admitted one, else the longest unused one. */
  expendable(): Entry | undefined {
    return this.unused.head ?? this.used.head;
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

  private toEnd(entry: Entry): void {
    const line = entry.admissions === 0 ? this.unused : this.used;
    line.remove(entry);
    line.append(entry);
  }
}

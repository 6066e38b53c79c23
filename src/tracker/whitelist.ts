// The entries, by prefix and by rank.
import { type Address, type Family, formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';
import { Changes } from './changes.js';
import { Deadlines, type Timed } from './deadlines.js';
import { PrefixMap } from './prefix-map.js';
import type { HashKey } from './siphash.js';

/**
 * Where an entry comes from: `attempt` (its address tried the fake MX), `adopted` (found in the table at start),
 * `manual` (put into the table by an operator while we ran), `name` (another address of the name of one that tried),
 * `pool` (of the same sender's pool as one that tried).
 */
export type Origin = 'attempt' | 'adopted' | 'manual' | 'name' | 'pool';

/** Whether an entry came by somebody else's attempt. */
export function isCompanion(origin: Origin): origin is 'name' | 'pool' {
  return origin === 'name' || origin === 'pool';
}

/** A whitelisted address or prefix. Times are monotonic milliseconds. */
export class Entry implements Timed {
  lastAttemptMs: number;
  attempts: number;
  queuedMs: number;
  heapIndex = -1;
  /** its confirmed name in DNS, once that is known; set by {@link Whitelist.setName} */
  name: string | undefined;
  /** the entry that it was made for, of origin `name` or `pool` */
  parent: Entry | undefined;
  /** who of its network DNS was last asked about, and when (monotonic milliseconds); kept by whoever asks */
  asked: { readonly source: Address; readonly atMs: number } | undefined;
  private madeText: PrefixText | undefined;

  constructor(
    readonly prefix: Prefix,
    public origin: Origin,
    readonly addedMs: number,
    public deadlineMs: number,
    private readonly counts: AdmissionCounts,
    /** its number among the entries, and its place in {@link AdmissionCounts} */
    readonly id: number,
    text?: PrefixText,
  ) {
    this.madeText = text;
    this.lastAttemptMs = addedMs;
    this.attempts = origin === 'attempt' ? 1 : 0;
    this.queuedMs = deadlineMs;
  }

  /** canonical text of its prefix: one string, which table and state file share */
  get text(): PrefixText {
    return (this.madeText ??= formatPrefix(this.prefix));
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

/** Who goes first when there is no room. */
const Rank = {
  /** came by an attempt of its own, or was in the table */
  OWN: 0,
  /** came by somebody else's attempt */
  COMPANION: 1,
  /** an operator let it in */
  MANUAL: 2,
} as const;
type Rank = (typeof Rank)[keyof typeof Rank];

function rankOf(origin: Origin): Rank {
  if (origin === 'manual') return Rank.MANUAL;
  return isCompanion(origin) ? Rank.COMPANION : Rank.OWN;
}

/**
 * What an admission changes, in flat arrays: how often an entry was used, and its neighbours in the order in which
 * entries are given up. Apart from the entries, so that a flood of admissions does not go through all of memory.
 */
class AdmissionCounts {
  private admissions = new Uint32Array(FIRST_CAPACITY);
  private older = new Int32Array(FIRST_CAPACITY);
  private newer = new Int32Array(FIRST_CAPACITY);
  private ranks = new Uint8Array(FIRST_CAPACITY);
  /** companions that were never admitted */
  private readonly idleCompanions: Line = { head: NONE, tail: NONE };
  /** never admitted, least recently tried first */
  private readonly unused: Line = { head: NONE, tail: NONE };
  /** admitted at least once, or let in by hand; least recently tried first */
  private readonly used: Line = { head: NONE, tail: NONE };

  of(id: number): number {
    return this.admissions[id] ?? 0;
  }

  add(id: number, rank: Rank, admissions: number): void {
    if (id >= this.admissions.length) this.grow();
    this.admissions[id] = admissions;
    this.ranks[id] = rank;
    this.append(this.lineOf(id), id);
  }

  /** Gives it another rank, as the last of its kind. */
  rank(id: number, rank: Rank): void {
    this.unlink(this.lineOf(id), id);
    this.ranks[id] = rank;
    this.append(this.lineOf(id), id);
  }

  /** Notes so many admissions, at least one. */
  use(id: number, times: number): void {
    const before = this.of(id);
    if (before === 0) this.unlink(this.lineOf(id), id);
    this.admissions[id] = before + times;
    if (before === 0) this.append(this.lineOf(id), id);
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

  /** The oldest companion that was never admitted; {@link NONE} when there is none. */
  firstCompanion(): number {
    return this.idleCompanions.head;
  }

  /**
   * The one that goes first: the oldest companion that was never admitted, else the oldest never admitted, else the
   * oldest; {@link NONE} when there is none.
   */
  first(): number {
    const line = [this.idleCompanions, this.unused, this.used].find(({ head }) => head !== NONE);
    return line?.head ?? NONE;
  }

  private lineOf(id: number): Line {
    if (this.of(id) > 0 || this.ranks[id] === Rank.MANUAL) return this.used;
    return this.ranks[id] === Rank.COMPANION ? this.idleCompanions : this.unused;
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
    this.ranks = bigger(this.ranks, new Uint8Array(capacity));
  }
}

/** The entries, their deadlines, and the order in which they go when there is no room. */
export class Whitelist {
  private readonly entries: PrefixMap<Entry>;
  private readonly deadlines = new Deadlines<Entry>();
  private readonly counts = new AdmissionCounts();
  private readonly changes = new Changes();

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

  /**
   * Adds an entry; the caller has checked that there is none for this prefix.
   * @param admissions - how often it was used before, in an earlier run
   * @param text - of the prefix, if it is at hand
   */
  add(
    prefix: Prefix,
    origin: Origin,
    nowMs: number,
    deadlineMs: number,
    admissions = 0,
    text?: PrefixText,
  ): Entry {
    const make = (id: number): Entry => new Entry(prefix, origin, nowMs, deadlineMs, this.counts, id, text);
    const entry = this.entries.setWith(prefix, make);
    this.deadlines.add(entry);
    this.counts.add(entry.id, rankOf(origin), admissions);
    this.changes.added(entry.id);
    return entry;
  }

  /** It is there for another reason now, its own, and goes with others of that kind. */
  setOrigin(entry: Entry, origin: 'attempt' | 'manual'): void {
    entry.origin = origin;
    entry.parent = undefined;
    this.counts.rank(entry.id, rankOf(origin));
    this.changes.changed(entry.id);
  }

  /** Notes the name of an entry in DNS. */
  setName(entry: Entry, name: string): void {
    if (entry.name === name) return;
    entry.name = name;
    this.changes.changed(entry.id);
  }

  /** Begins to note what changes, for {@link takeChanges}. */
  keepChanges(): void {
    this.changes.begin();
  }

  /** All entries, for somebody who takes their changes, too. */
  tellAll(): Iterable<Entry> {
    this.changes.tellAll();
    return this.values();
  }

  /** number of changes that wait to be taken, about */
  get changeCount(): number {
    return this.changes.size;
  }

  /**
   * Takes the next changes: first prefixes that have gone, then entries that are new or another now.
   * @param most - how many at the most
   */
  takeChanges(most: number): { readonly gone: PrefixText[]; readonly entries: Entry[] } {
    const gone = this.changes.takeGone(most);
    const ids = this.changes.takeChanged(most - gone.length);
    const entries = ids.flatMap((id) => this.entries.item(id) ?? []);
    return { gone, entries };
  }

  /** Notes a further attempt: the entry lives at least until `deadlineMs`. */
  renew(entry: Entry, nowMs: number, deadlineMs: number): void {
    entry.attempts++;
    entry.lastAttemptMs = nowMs;
    this.extend(entry, deadlineMs);
    this.counts.touch(entry.id);
    this.changes.changed(entry.id);
  }

  /** The entry lives at least until `deadlineMs`. */
  extend(entry: Entry, deadlineMs: number): void {
    if (deadlineMs <= entry.deadlineMs) return;
    entry.deadlineMs = deadlineMs;
    this.changes.changed(entry.id);
  }

  /** Notes admissions of the entry with this number. */
  use(id: number, times = 1): void {
    this.counts.use(id, times);
    this.changes.changed(id);
  }

  /** Its count of admissions can be read until the next entry is added. */
  remove(entry: Entry): void {
    if (!this.entries.delete(entry.prefix)) return;
    this.deadlines.remove(entry);
    this.counts.remove(entry.id);
    this.changes.removed(entry.id, () => entry.text);
    // a child that lives on must not keep a whole line of ancestors in memory
    entry.parent = undefined;
  }

  /** The entry that goes first when there is no room: the oldest never admitted one, else the oldest one. */
  expendable(): Entry | undefined {
    return this.entries.item(this.counts.first());
  }

  /** The oldest entry of those that came by somebody else's attempt and were never admitted. */
  idleCompanion(): Entry | undefined {
    return this.entries.item(this.counts.firstCompanion());
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

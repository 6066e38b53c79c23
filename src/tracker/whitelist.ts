// The entries, by prefix and by rank.
import { type Address, type Family, formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';
import { Changes } from './changes.js';
import { Deadlines, type Timed } from './deadlines.js';
import { PrefixMap } from './prefix-map.js';
import type { HashKey } from './siphash.js';
import { NO_USE, Rank, type Use, Uses } from './uses.js';

/**
 * Where an entry comes from: `attempt` (its address tried the fake MX), `adopted` (found in the table at start),
 * `manual` (put into the table by an operator while we ran), `name` (another address of the name of one that tried),
 * `pool` (of the same sender's pool as one that tried), `dnswl` (a DNS allow list knows it), `peer` (another gateway has seen
 * it).
 */
export type Origin = 'attempt' | 'adopted' | 'manual' | 'outbound' | 'peer' | Companion;

/**
 * Those for whom DNS speaks: how they are counted, and whether they have come to the real MX and wait (then one that was
 * never used makes room, and what is stored is what is of any sender).
 */
export const COMPANIONS = {
  name: { counter: 'named', waits: false },
  pool: { counter: 'pooled', waits: true },
  dnswl: { counter: 'listed', waits: true },
} as const;

/** The origins of those. */
export type Companion = keyof typeof COMPANIONS;

/** Whether an entry came by something else than an attempt of its own, and not by hand. */
export function isCompanion(origin: Origin): origin is Companion | 'outbound' | 'peer' {
  return origin === 'outbound' || origin === 'peer' || Object.hasOwn(COMPANIONS, origin);
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
  /** until when the firewall's table has it by itself, as it was last written; 0: never. Kept by whoever writes. */
  heldUntilMs = 0;
  private madeText: PrefixText | undefined;

  constructor(
    readonly prefix: Prefix,
    public origin: Origin,
    readonly addedMs: number,
    /** until when it lives whether it is used or not, by its last attempt or by whoever let it in */
    public grantedMs: number,
    private readonly uses: Uses,
    /** its number among the entries, and its place in {@link Uses} */
    readonly id: number,
    text?: PrefixText,
  ) {
    this.madeText = text;
    this.lastAttemptMs = addedMs;
    this.attempts = origin === 'attempt' ? 1 : 0;
    this.queuedMs = this.deadlineMs;
  }

  /** until when it lives: by its last attempt, its last admission, or another gateway's word, whatever is latest */
  get deadlineMs(): number {
    return Math.max(this.ownDeadlineMs, this.uses.vouched(this.id));
  }

  /** until when it lives by what was seen here */
  get ownDeadlineMs(): number {
    return Math.max(this.grantedMs, this.uses.until(this.id));
  }

  /** until when other gateways let it live; minus infinity: they do not */
  get vouchedMs(): number {
    return this.uses.vouched(this.id);
  }

  /** canonical text of its prefix: one string, which table and state file share */
  get text(): PrefixText {
    return (this.madeText ??= formatPrefix(this.prefix));
  }

  /** how often it was used */
  get admissions(): number {
    return this.uses.count(this.id);
  }

  /** how often it was used, and when */
  get use(): Use {
    return this.uses.of(this.id);
  }
}

function rankOf(origin: Origin): Rank {
  if (origin === 'manual') return Rank.MANUAL;
  if (origin === 'peer') return Rank.PEER;
  return isCompanion(origin) ? Rank.COMPANION : Rank.OWN;
}

/** Of an entry that is new. */
const UNUSED = { use: NO_USE, untilMs: Number.NEGATIVE_INFINITY } as const;

/** The entries, their deadlines, and the order in which they go when there is no room. */
export class Whitelist {
  private readonly entries: PrefixMap<Entry>;
  private readonly deadlines = new Deadlines<Entry>();
  private readonly uses = new Uses();
  private readonly changes = new Changes();

  /** @param most - entries that there may be; may be changed at any time */
  constructor(
    hashKey: HashKey,
    public most: number,
  ) {
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

  /** number of entries that were admitted, regulars among them */
  get known(): number {
    return this.uses.known;
  }

  /** number of regulars */
  get regulars(): number {
    return this.uses.regulars;
  }

  /**
   * Adds an entry; the caller has checked that there is none for this prefix.
   * @param grantedMs - until when it lives without being used
   * @param before - what is known of an earlier run: its uses, until when they let it live, the text of its prefix
   */
  add(
    prefix: Prefix,
    origin: Origin,
    nowMs: number,
    grantedMs: number,
    before:
      { readonly use: Use; readonly untilMs: number; readonly text: PrefixText } | undefined = undefined,
  ): Entry {
    const entry = this.entries.setWith(prefix, (id) => {
      const { use, untilMs } = before ?? UNUSED;
      this.uses.add(id, rankOf(origin), use, untilMs, this.most);
      return new Entry(prefix, origin, nowMs, grantedMs, this.uses, id, before?.text);
    });
    this.deadlines.add(entry);
    this.changes.added(entry.id);
    return entry;
  }

  /** It is there for another reason now, its own, and goes with others of that kind. */
  setOrigin(entry: Entry, origin: 'attempt' | 'manual'): void {
    entry.origin = origin;
    entry.parent = undefined;
    this.uses.rank(entry.id, rankOf(origin));
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
    this.uses.touch(entry.id);
    this.changes.changed(entry.id);
  }

  /** The entry lives at least until `deadlineMs`. */
  extend(entry: Entry, deadlineMs: number): void {
    if (deadlineMs <= entry.grantedMs) return;
    entry.grantedMs = deadlineMs;
    this.changes.changed(entry.id);
  }

  /**
   * Notes an admission of the entry with this number.
   * @param lifeMs - how long it lets the entry live from now on; 0: it does not
   */
  use(id: number, nowMs: number, lifeMs: number): void {
    this.uses.use(id, nowMs, lifeMs, this.most);
    this.changes.changed(id);
  }

  /** Other gateways let an entry live until then; minus infinity: they do not. */
  vouch(entry: Entry, untilMs: number): void {
    if (this.uses.vouched(entry.id) === untilMs) return;
    // the heap does not find out by itself that something ends earlier
    const isEarlier = untilMs < this.uses.vouched(entry.id);
    if (isEarlier) this.deadlines.remove(entry);
    this.uses.vouch(entry.id, untilMs);
    if (isEarlier) this.deadlines.add(entry);
    this.changes.changed(entry.id);
  }

  /** One entry takes the place of another one, which is taken out: it has been used as both were. */
  replace(entry: Entry, old: Entry): void {
    this.uses.inherit(entry.id, old.id);
    this.changes.changed(entry.id);
    this.remove(old);
  }

  /** What is known of its admissions can be read until the next entry is added. */
  remove(entry: Entry): void {
    if (!this.entries.delete(entry.prefix)) return;
    this.deadlines.remove(entry);
    this.uses.remove(entry.id);
    this.changes.removed(entry.id, () => entry.text);
    // a child that lives on must not keep a whole line of ancestors in memory
    entry.parent = undefined;
  }

  /** The entry that goes first when there is no room: {@link Uses.first}. */
  expendable(): Entry | undefined {
    return this.entries.item(this.uses.first());
  }

  /** The oldest entry of those that only other gateways have seen. */
  idlePeer(): Entry | undefined {
    return this.entries.item(this.uses.firstPeer());
  }

  /** The same, else the oldest of those that came by somebody else's attempt and were never admitted. */
  idleCompanion(): Entry | undefined {
    return this.entries.item(this.uses.firstCompanion());
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

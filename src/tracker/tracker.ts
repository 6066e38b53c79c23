// From observations to decisions: the whitelist, its deadlines, its limits. Pure.
import {
  type Address,
  ADDRESS_BITS,
  addressWords,
  familyOf,
  isPossibleSource,
  type Prefix,
  prefixOf,
  type PrefixText,
  WIDEST_ENTRY,
} from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import { Action, Direction, PfReason } from '../packet/pflog.js';
import { type Counters, newCounters } from './counters.js';
import { type Decision, leave, type UnjudgedReason } from './decision.js';
import { PrefixMap } from './prefix-map.js';
import type { HashKey } from './siphash.js';
import { type Entry, type Origin, Whitelist } from './whitelist.js';

/** The two kinds of mail server address. */
export type Role = 'fake' | 'real';

/** What the tracker must know. May be exchanged while it runs. */
export interface TrackerConfig {
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  /** admitted at all times */
  readonly allow: readonly Prefix[];
  /** TCP port of the mail servers */
  readonly port: number;
  /** how long an entry lives after the last attempt */
  readonly whitelistTimeMs: number;
  /** length of the prefix that is stored for an IPv4 sender, 24 to 32 */
  readonly ipv4Prefix: number;
  /** length of the prefix that is stored for an IPv6 sender, 48 to 128 */
  readonly ipv6Prefix: number;
  /** entries at the most */
  readonly maxEntries: number;
  /**
   * Who decides whether a SYN to the real MX was admitted: `pf` (it has decided already: the record says what it
   * did) or `whitelist` (we do: a replay, or our own verdict).
   */
  readonly authority: 'pf' | 'whitelist';
}

/** Why an entry ceased to be: its time was over, it had to make room, or an operator took it out. */
export type RemovalReason = 'timeout' | 'no-room' | 'forgotten';

/** Who wants to know of entries that come and go: the table's side, and the log. */
export interface EntryListener {
  added(entry: Entry): void;
  removed(entry: Entry, reason: RemovalReason): void;
}

/** What outlives a run, of an entry. Times are monotonic milliseconds. */
export interface EntryFacts {
  readonly origin: Origin;
  readonly addedMs: number;
  readonly deadlineMs: number;
  readonly lastAttemptMs: number;
  readonly attempts: number;
  readonly admissions: number;
  /** its confirmed name in DNS */
  readonly name: string | undefined;
}

/** What is known of an entry from an earlier run, in the times of this one. */
export interface RestoredEntry extends EntryFacts {
  readonly prefix: Prefix;
  /** canonical text of `prefix` */
  readonly text: PrefixText;
}

/**
 * Decides what each observation means, and owns the whitelist. No I/O and no clock: the time comes with each call
 * (monotonic milliseconds, never going back).
 */
export class Tracker {
  readonly counters = newCounters();
  private readonly whitelist: Whitelist;
  private roles: PrefixMap<Role>;
  private allowed: PrefixMap<true>;

  constructor(
    private config: TrackerConfig,
    private readonly listener: EntryListener,
    private readonly hashKey: HashKey,
  ) {
    this.whitelist = new Whitelist(hashKey);
    this.roles = new PrefixMap(hashKey);
    this.allowed = new PrefixMap(hashKey);
    this.configure(config);
  }

  /** number of entries */
  get size(): number {
    return this.whitelist.size;
  }

  /**
   * Takes over another configuration. Entries stay as they are; a lower `maxEntries` takes effect at once.
   */
  configure(config: TrackerConfig): void {
    this.config = config;
    this.roles = new PrefixMap(this.hashKey);
    for (const address of config.fake) this.roles.set(single(address), 'fake');
    for (const address of config.real) this.roles.set(single(address), 'real');
    this.allowed = new PrefixMap(this.hashKey);
    for (const prefix of config.allow) this.allowed.set(prefix, true);
    while (this.whitelist.size > config.maxEntries && this.evict());
  }

  /** Judges an observation and acts on the whitelist. */
  observe(observation: Observation, nowMs: number): Decision {
    if (observation.direction !== Direction.IN) return leave('not-inbound');
    if (observation.destinationPort !== this.config.port) return leave('other-port');
    const role = this.role(observation);
    if (role === undefined) return leave('other-destination');
    if (!observation.isSyn) return leave('not-syn');
    const { action } = observation;
    const passed = action === Action.PASS || action === Action.RDR || action === Action.NONE;
    if (!passed && action !== Action.DROP) return leave('not-a-verdict');
    const dropped = role === 'real' ? droppedBesideRules(observation, passed) : undefined;
    if (dropped !== undefined) return leave(dropped);
    const { family, source0, source1, source2, source3 } = observation;
    if (!isPossibleSource(family, source0, source1, source2, source3)) return leave('impossible-source');
    const id = this.whitelist.match(family, source0, source1, source2, source3);
    return role === 'fake' ? this.attempt(observation, id, nowMs) : this.request(observation, id, passed);
  }

  /** pf has said something else of the same packet: what was counted for it is taken back. */
  takeBack(kind: 'refusal' | 'admission'): void {
    if (kind === 'refusal') this.counters.refusals--;
    else this.counters.admissions--;
  }

  /**
   * Whether a packet may pass of which only the addresses can be read: to a real MX only from somebody whitelisted.
   * A SYN behind headers that nobody can follow is not let through unjudged.
   */
  mayPassUnread(addresses: Observation): boolean {
    if (this.role(addresses) !== 'real') return true;
    const { family, source0, source1, source2, source3 } = addresses;
    return this.whitelist.match(family, source0, source1, source2, source3) >= 0 || this.isAllowed(addresses);
  }

  /** Takes out all entries whose time is over. */
  expire(nowMs: number): void {
    for (;;) {
      const entry = this.whitelist.takeDue(nowMs);
      if (entry === undefined) return;
      this.counters.expired++;
      if (entry.admissions > 0) this.counters.expiredUsed++;
      else this.counters.expiredUnused++;
      this.listener.removed(entry, 'timeout');
    }
  }

  /** The earliest time at which {@link expire} may have something to do. */
  nextDeadlineMs(): number | undefined {
    return this.whitelist.nextDeadlineMs();
  }

  /**
   * Takes in an entry that is in the table already. The listener hears of it as of any other.
   * @param remainingMs - how long it still lives; more than the whitelist time is cut to it
   * @returns whether the prefix is an entry of ours now
   */
  adopt(prefix: Prefix, origin: Origin, remainingMs: number, nowMs: number): boolean {
    if (remainingMs <= 0) return false;
    if (this.whitelist.get(prefix) !== undefined) return true;
    const deadlineMs = nowMs + Math.min(remainingMs, this.config.whitelistTimeMs);
    this.counters.adopted++;
    this.add(prefix, origin, nowMs, deadlineMs);
    return true;
  }

  /**
   * Takes in an address that has not tried the fake MX itself. The listener hears of it as of any other.
   * An address of a name is stored as that address alone: it has not come itself, and what else is in its network
   * nobody has confirmed. For these nobody has to make room.
   * @param deadlineMs - an entry that is there already lives at least as long
   * @param parent - the entry whose name or pool it shares
   * @returns the new entry; undefined when there was one, or none is needed
   */
  admit(
    address: Address,
    origin: 'name' | 'pool',
    nowMs: number,
    deadlineMs: number,
    parent?: Entry,
  ): Entry | undefined {
    const known = this.find(address);
    if (known !== undefined) {
      this.whitelist.extend(known, deadlineMs);
      return undefined;
    }
    if (this.allowed.match(address) !== undefined) return undefined;
    if (origin === 'name' && this.whitelist.size >= this.config.maxEntries) return undefined;
    if (origin === 'name') this.counters.named++;
    else this.counters.pooled++;
    const length = origin === 'name' ? ADDRESS_BITS[familyOf(address)] : this.prefixLength(address);
    const entry = this.add(prefixOf(address, length), origin, nowMs, deadlineMs);
    entry.parent = parent;
    return entry;
  }

  /**
   * Takes in an entry of an earlier run, with what was known of it. The listener hears of it as of any other.
   * @param saved - times are this run's monotonic milliseconds, and may be negative
   */
  restore(saved: RestoredEntry): void {
    while (this.whitelist.size >= this.config.maxEntries && this.evict());
    const { prefix, text, origin, addedMs, deadlineMs, admissions } = saved;
    const entry = this.whitelist.add(prefix, origin, addedMs, deadlineMs, admissions, text);
    entry.attempts = saved.attempts;
    entry.lastAttemptMs = saved.lastAttemptMs;
    entry.name = saved.name;
    this.listener.added(entry);
  }

  /** Takes over what was counted in earlier runs. */
  restoreCounters(counters: Counters): void {
    Object.assign(this.counters, counters);
  }

  /**
   * An operator lets an address in. If it is an entry already it becomes a manual one and lives at least as long.
   * @param prefix - no wider than what is stored of a sender
   */
  allow(
    prefix: Prefix,
    nowMs: number,
    deadlineMs: number,
  ): { readonly entry: Entry; readonly wasThere: boolean } {
    const known = this.whitelist.get(prefix);
    if (known !== undefined) {
      this.whitelist.makeManual(known, deadlineMs);
      return { entry: known, wasThere: true };
    }
    return { entry: this.add(prefix, 'manual', nowMs, deadlineMs), wasThere: false };
  }

  /** An operator takes an entry out. */
  forget(entry: Entry): void {
    this.whitelist.remove(entry);
    this.listener.removed(entry, 'forgotten');
  }

  /** Notes the confirmed name of an entry. */
  setName(entry: Entry, name: string): void {
    this.whitelist.setName(entry, name);
  }

  /** Whether a configured network admits an address at all times. */
  isAlwaysAllowed(address: Address): boolean {
    return this.allowed.match(address) !== undefined;
  }

  /** What an address is for us. */
  roleOf(address: Address): Role | undefined {
    return this.roles.match(address);
  }

  /** What is stored of a sender. */
  entryPrefix(address: Address): Prefix {
    return prefixOf(address, this.prefixLength(address));
  }

  /** Begins to note what changes, for {@link takeChanges}. */
  keepChanges(): void {
    this.whitelist.keepChanges();
  }

  /** All entries, in no particular order, for somebody who takes their changes, too. */
  tellAll(): Iterable<Entry> {
    return this.whitelist.tellAll();
  }

  /** number of changes that wait to be taken, about */
  get changeCount(): number {
    return this.whitelist.changeCount;
  }

  /** Takes the next changes: prefixes that have gone, and entries that are new or another now. */
  takeChanges(most: number): ReturnType<Whitelist['takeChanges']> {
    return this.whitelist.takeChanges(most);
  }

  /**
   * Whether a prefix can be an entry: no wider than any configuration stores. Not than this one does: what another
   * configuration has put into the table must expire, too.
   */
  isEntrySized(prefix: Prefix): boolean {
    return prefix.length >= WIDEST_ENTRY[familyOf(prefix.address)];
  }

  /** The entry that an address falls under. */
  find(address: Address): Entry | undefined {
    return this.whitelist.entry(this.whitelist.match(familyOf(address), ...addressWords(address)));
  }

  /** The entry of exactly this prefix. */
  get(prefix: Prefix): Entry | undefined {
    return this.whitelist.get(prefix);
  }

  /** All entries, in no particular order. */
  entries(): Iterable<Entry> {
    return this.whitelist.values();
  }

  private role(observation: Observation): Role | undefined {
    const { family, destination0, destination1, destination2, destination3 } = observation;
    return this.roles.matchWords(family, destination0, destination1, destination2, destination3);
  }

  private isAllowed(observation: Observation): boolean {
    const { family, source0, source1, source2, source3 } = observation;
    return this.allowed.matchId(family, source0, source1, source2, source3) >= 0;
  }

  private attempt(observation: Observation, id: number, nowMs: number): Decision {
    this.counters.attempts++;
    const deadlineMs = nowMs + this.config.whitelistTimeMs;
    const known = this.whitelist.entry(id);
    if (known !== undefined) {
      this.counters.renewals++;
      this.whitelist.renew(known, nowMs, deadlineMs);
      return { kind: 'attempt', reason: 'renewed', entry: known };
    }
    if (this.isAllowed(observation)) return { kind: 'attempt', reason: 'always-allowed', entry: undefined };
    const { source } = observation;
    const entry = this.add(this.entryPrefix(source), 'attempt', nowMs, deadlineMs);
    return { kind: 'attempt', reason: 'new-entry', entry };
  }

  private request(observation: Observation, id: number, passed: boolean): Decision {
    const allowed = id < 0 && this.isAllowed(observation);
    const known = id >= 0 || allowed;
    const entry = this.whitelist.entry(id);
    const admitted = this.config.authority === 'pf' ? passed : known;
    if (!admitted) {
      this.counters.refusals++;
      return { kind: 'refusal', reason: known ? 'not-yet-in-table' : 'not-whitelisted', entry };
    }
    this.counters.admissions++;
    if (id >= 0) this.whitelist.use(id);
    const reason = id >= 0 ? 'whitelisted' : allowed ? 'always-allowed' : 'passed-by-pf';
    return { kind: 'admission', reason, entry };
  }

  private add(prefix: Prefix, origin: Origin, nowMs: number, deadlineMs: number): Entry {
    while (this.whitelist.size >= this.config.maxEntries && this.evict());
    const entry = this.whitelist.add(prefix, origin, nowMs, deadlineMs);
    this.counters.added++;
    this.listener.added(entry);
    return entry;
  }

  private evict(): boolean {
    const entry = this.whitelist.expendable();
    if (entry === undefined) return false;
    this.whitelist.remove(entry);
    this.counters.evicted++;
    this.listener.removed(entry, 'no-room');
    return true;
  }

  private prefixLength(address: Address): number {
    const configured = familyOf(address) === 4 ? this.config.ipv4Prefix : this.config.ipv6Prefix;
    return Math.min(configured, ADDRESS_BITS[familyOf(address)]);
  }
}

/**
 * Why pf dropped a packet to the real MX whatever its rules said, or will drop it although they said pass: the rules
 * have not refused it, and it has not been admitted.
 */
function droppedBesideRules(observation: Observation, passed: boolean): UnjudgedReason | undefined {
  const { action, pfReason, hasIpOptions } = observation;
  if (pfReason === PfReason.IP_OPTION) return 'ip-options';
  if (pfReason !== PfReason.MATCH) return passed ? 'dropped-after-pass' : 'not-a-verdict';
  return passed && hasIpOptions && action !== Action.NONE ? 'ip-options' : undefined;
}

function single(address: Address): Prefix {
  return { address, length: ADDRESS_BITS[familyOf(address)] };
}

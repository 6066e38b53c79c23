// From observations to decisions: the whitelist, its deadlines, its limits. Pure.
import {
  type Address,
  ADDRESS_BITS,
  addressWords,
  familyOf,
  isPossibleSource,
  type Prefix,
  type PrefixText,
} from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import { NflogAction } from '../packet/nflog.js';
import { Action, Direction, PfReason } from '../packet/pflog.js';
import { type Counters, newCounters } from './counters.js';
import { type Decision, droppedBesideRules, leave } from './decision.js';
import { Roles, type RolesConfig } from './roles.js';
import type { HashKey } from './siphash.js';
import { NO_USE, type Use } from './uses.js';
import { type Companion, COMPANIONS, type Entry, isCompanion, type Origin, Whitelist } from './whitelist.js';

/** What the tracker must know. May be exchanged while it runs. */
export interface TrackerConfig extends RolesConfig {
  /** TCP port of the mail servers */
  readonly port: number;
  /** how long an entry lives after the last attempt */
  readonly whitelistTimeMs: number;
  /** how long it lives after its last admission at least; 0: an admission does not let it live longer */
  readonly knownTimeMs: number;
  /** whether those become entries to whom this network opens connections on `port` */
  readonly outbound: boolean;
  /** entries at the most */
  readonly maxEntries: number;
  /**
   * Who decides whether a SYN to the real MX was admitted: `pf` (it has decided already: the record says what it
   * did) or `whitelist` (we do: a replay, or our own verdict).
   */
  readonly authority: 'pf' | 'whitelist';
  /** strangers at the real MX are led elsewhere; undefined: they are dropped */
  readonly redirect?: Redirect | undefined;
}

/** Where strangers are led to. */
export interface Redirect {
  /** the port by which pf's log tells them; undefined: there is no such log */
  readonly port: number | undefined;
}

/**
 * Why an entry ceased to be: its time was over, it had to make room, an operator took it out, or what is stored of
 * its sender has taken its place, or the other gateways that had seen it have taken that back.
 */
export type RemovalReason = 'timeout' | 'no-room' | 'forgotten' | 'replaced' | 'withdrawn';

/** Who wants to know of entries that come and go: the table's side, and the log. */
export interface EntryListener {
  added(entry: Entry): void;
  removed(entry: Entry, reason: RemovalReason): void;
  /** its name is known now, or is another one */
  named?(entry: Entry): void;
}

/** What outlives a run, of an entry. Times are monotonic milliseconds. */
export interface EntryFacts extends Use {
  readonly origin: Origin;
  readonly addedMs: number;
  readonly deadlineMs: number;
  readonly lastAttemptMs: number;
  readonly attempts: number;
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
  /** what addresses are by the configuration that is in use */
  roles: Roles;

  constructor(
    private config: TrackerConfig,
    private readonly listener: EntryListener,
    private readonly hashKey: HashKey,
  ) {
    this.whitelist = new Whitelist(hashKey, config.maxEntries);
    this.roles = new Roles(config, hashKey);
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
    this.roles = new Roles(config, this.hashKey);
    this.whitelist.most = config.maxEntries;
    while (this.whitelist.size > config.maxEntries && this.evict(this.whitelist.expendable()));
  }

  /**
   * Judges an observation and acts on the whitelist.
   * @param isVouched - whether pf has let in a SYN to the real MX for what its table had of the sender: who comes again
   *   has an entry that is older than what we have seen
   */
  observe(observation: Observation, nowMs: number, isVouched = false): Decision {
    const { direction } = observation;
    const isInbound = direction === Direction.IN || direction === Direction.UNKNOWN;
    if (!isInbound) return this.leaving(observation, nowMs) ?? leave('not-inbound');
    const redirected = this.isRedirected(observation);
    if (observation.destinationPort !== this.config.port && !redirected) return leave('other-port');
    const role = this.roles.ofDestination(observation);
    if (role === undefined) return this.leaving(observation, nowMs) ?? leave('other-destination');
    if (!observation.isSyn) return leave('not-syn');
    const { action } = observation;
    const passed = isPassed(action);
    if (!passed && !isDropped(action)) return leave('not-a-verdict');
    // FreeBSD's "rdr pass log" writes the dialled port first; where strangers are led by it, the next record tells
    const isOfRdr = action === Action.RDR && this.config.redirect?.port !== undefined;
    if (isOfRdr && !redirected) return leave('not-a-verdict');
    const dropped = role === 'real' ? droppedBesideRules(observation, passed) : undefined;
    if (dropped !== undefined) return leave(dropped);
    const { family, source0, source1, source2, source3 } = observation;
    if (!isPossibleSource(family, source0, source1, source2, source3)) return leave('impossible-source');
    const id = this.whitelist.match(family, source0, source1, source2, source3);
    if (role === 'fake') {
      // nobody tries an MX by the port that strangers are led to
      if (observation.destinationPort !== this.config.port) return leave('other-port');
      return this.attempt(observation, id, nowMs);
    }
    return this.request(observation, id, this.said(passed, redirected, isVouched), nowMs);
  }

  /** Who has decided already about a SYN to the real MX, and what. */
  private said(passed: boolean, redirected: boolean, isVouched: boolean): Said {
    if (this.config.authority === 'whitelist') return isVouched && !redirected ? 'in' : 'nothing';
    return redirected ? 'elsewhere' : passed ? 'in' : 'out';
  }

  /**
   * Whether pf's record says that the packet was led to where strangers go: OpenBSD's has the dialled port and beside
   * it the new one, FreeBSD's has the new one only. Our rules for nftables say so by a word.
   */
  isRedirected({ action, destinationPort, translatedPort }: Observation): boolean {
    if (action === NflogAction.LED) return true;
    const port = this.config.redirect?.port;
    if (port === undefined || (action !== Action.PASS && action !== Action.RDR)) return false;
    return translatedPort === port || (destinationPort === port && port !== this.config.port);
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
    if (this.roles.ofDestination(addresses) !== 'real') return true;
    const { family, source0, source1, source2, source3 } = addresses;
    return (
      this.whitelist.match(family, source0, source1, source2, source3) >= 0 ||
      this.roles.allowsSource(addresses)
    );
  }

  /** Takes out all entries whose time is over. */
  expire(nowMs: number): void {
    for (;;) {
      const entry = this.whitelist.takeDue(nowMs);
      if (entry === undefined) return;
      this.counters.expired++;
      if (entry.admissions > 0) this.counters.expiredUsed++;
      // who has only been seen elsewhere is counted there
      else if (entry.origin !== 'peer') this.counters.expiredUnused++;
      this.listener.removed(entry, 'timeout');
    }
  }

  /** The earliest time at which {@link expire} may have something to do. */
  nextDeadlineMs(): number | undefined {
    return this.whitelist.nextDeadlineMs();
  }

  /**
   * Takes in an entry that is in the table already. The listener hears of it as of any other.
   * @param remainingMs - how long it still lives; an entry that is there already lives at least as long
   * @param mostMs - more is cut to this
   * @returns whether the prefix is an entry of ours now
   */
  adopt(
    prefix: Prefix,
    origin: Origin,
    remainingMs: number,
    nowMs: number,
    mostMs = this.config.whitelistTimeMs,
  ): boolean {
    if (remainingMs <= 0 || !this.roles.canBeEntry(prefix)) return false;
    const deadlineMs = nowMs + Math.min(remainingMs, mostMs);
    const known = this.whitelist.get(prefix);
    if (known !== undefined) {
      this.whitelist.extend(known, deadlineMs);
      return true;
    }
    this.counters.adopted++;
    this.add(prefix, origin, nowMs, deadlineMs);
    return true;
  }

  /**
   * Takes in an address that has not tried the fake MX itself. The listener hears of it as of any other.
   * An address of a name is stored as that address alone: it has not come itself, and what else is in its network
   * nobody has confirmed. Nobody who has tried the fake MX, or was let in before, has to make room.
   * @param deadlineMs - an entry that is there already lives at least as long
   * @param parent - the entry whose name or pool it shares
   * @returns the new entry; `not-needed`: there was one, or it is allowed at all times
   */
  admit(
    address: Address,
    origin: Companion,
    nowMs: number,
    deadlineMs: number,
    parent?: Entry,
  ): Entry | 'not-needed' | 'no-room' {
    const known = this.find(address);
    if (known !== undefined) {
      this.whitelist.extend(known, deadlineMs);
      return 'not-needed';
    }
    if (this.roles.allowing(address) !== undefined || !this.roles.canHaveEntry(address)) return 'not-needed';
    const { waits, counter } = COMPANIONS[origin];
    const hasRoom = waits
      ? this.makeRoom(this.whitelist.idleCompanion())
      : this.makeRoom(this.whitelist.idlePeer());
    if (!hasRoom) return 'no-room';
    this.counters[counter]++;
    const single = { address, length: ADDRESS_BITS[familyOf(address)] };
    const prefix = waits ? this.roles.entryPrefix(address) : single;
    const entry = this.add(prefix, origin, nowMs, deadlineMs);
    entry.parent = parent;
    return entry;
  }

  /**
   * Takes in an entry of an earlier run, with what was known of it. The listener hears of it as of any other.
   * @param saved - times are this run's monotonic milliseconds, and may be negative
   * @returns false when it is none: its prefix cannot be an entry, or there is no room for one of its rank
   */
  restore(saved: RestoredEntry): boolean {
    const { prefix, text, origin, addedMs, deadlineMs, admissions } = saved;
    if (!this.roles.canBeEntry(prefix)) return false;
    const isIdleCompanion = isCompanion(origin) && admissions === 0;
    if (!this.makeRoom(isIdleCompanion ? this.whitelist.idleCompanion() : this.whitelist.expendable())) {
      return false;
    }
    const before = { ...this.lifeByUse(saved), text };
    const entry = this.whitelist.add(prefix, origin, addedMs, deadlineMs, before);
    if (origin === 'peer') {
      entry.grantedMs = Number.NEGATIVE_INFINITY;
      this.whitelist.vouch(entry, deadlineMs);
    }
    entry.attempts = saved.attempts;
    entry.lastAttemptMs = saved.lastAttemptMs;
    entry.name = saved.name;
    this.listener.added(entry);
    return true;
  }

  /**
   * What an entry has from its admissions. Of one that an earlier version has written nobody knows when they were: it
   * has got its time by its last attempt, so that was not long before.
   */
  private lifeByUse(saved: RestoredEntry): { readonly use: Use; readonly untilMs: number } {
    const { admissions, deadlineMs, lastAttemptMs } = saved;
    if (admissions === 0) return { use: NO_USE, untilMs: Number.NEGATIVE_INFINITY };
    if (saved.lastAdmissionMs !== undefined) return { use: saved, untilMs: deadlineMs };
    const use = { ...saved, firstAdmissionMs: lastAttemptMs, lastAdmissionMs: lastAttemptMs };
    return { use, untilMs: lastAttemptMs + this.config.knownTimeMs };
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
      this.whitelist.setOrigin(known, 'manual');
      this.whitelist.extend(known, deadlineMs);
      return { entry: known, wasThere: true };
    }
    return { entry: this.add(prefix, 'manual', nowMs, deadlineMs), wasThere: false };
  }

  /**
   * Another gateway has seen a sender. Nobody whom we have seen has to make room.
   * @param text - canonical text of `prefix`
   * @param untilMs - until when all the other gateways let it live
   * @param isAtLeast - others may let it live longer already
   */
  vouch(
    prefix: Prefix,
    text: PrefixText,
    untilMs: number,
    isAtLeast: boolean,
    nowMs: number,
  ): Entry | 'no-room' | 'not-needed' {
    const known = this.whitelist.get(prefix);
    if (known !== undefined) {
      if (!isAtLeast || untilMs > known.vouchedMs) this.whitelist.vouch(known, untilMs);
      return known;
    }
    if (this.roles.allowing(prefix.address) !== undefined) return 'not-needed';
    if (!this.makeRoom(this.whitelist.idlePeer())) return 'no-room';
    const before = { use: NO_USE, untilMs: Number.NEGATIVE_INFINITY, text };
    const entry = this.whitelist.add(prefix, 'peer', nowMs, untilMs, before);
    entry.grantedMs = Number.NEGATIVE_INFINITY;
    this.whitelist.vouch(entry, untilMs);
    this.counters.vouched++;
    this.listener.added(entry);
    return entry;
  }

  /** No other gateway lets a sender live any more; it goes if we have not seen it ourselves. */
  unvouch(prefix: Prefix, nowMs: number): void {
    const entry = this.whitelist.get(prefix);
    if (entry === undefined) return;
    if (entry.ownDeadlineMs > nowMs) {
      this.whitelist.vouch(entry, Number.NEGATIVE_INFINITY);
      return;
    }
    this.whitelist.remove(entry);
    this.listener.removed(entry, entry.vouchedMs <= nowMs ? 'timeout' : 'withdrawn');
  }

  /** An operator takes an entry out. */
  forget(entry: Entry): void {
    this.whitelist.remove(entry);
    this.listener.removed(entry, 'forgotten');
  }

  /** Notes the confirmed name of an entry. */
  setName(entry: Entry, name: string): void {
    if (entry.name === name) return;
    this.whitelist.setName(entry, name);
    this.listener.named?.(entry);
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

  /** number of entries that were admitted, and of those the number of regulars */
  get known(): { readonly all: number; readonly regulars: number } {
    return { all: this.whitelist.known, regulars: this.whitelist.regulars };
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

  private attempt(observation: Observation, id: number, nowMs: number): Decision {
    this.counters.attempts++;
    const deadlineMs = nowMs + this.config.whitelistTimeMs;
    const known = this.whitelist.entry(id);
    if (known !== undefined) {
      this.counters.renewals++;
      if (isCompanion(known.origin)) return this.promote(known, observation.source, nowMs, deadlineMs);
      this.whitelist.renew(known, nowMs, deadlineMs);
      return { kind: 'attempt', reason: 'renewed', entry: known };
    }
    if (this.roles.allowsSource(observation))
      return { kind: 'attempt', reason: 'always-allowed', entry: undefined };
    const { source } = observation;
    if (!this.roles.canHaveEntry(source)) return { kind: 'attempt', reason: 'no-sender', entry: undefined };
    const entry = this.add(this.roles.entryPrefix(source), 'attempt', nowMs, deadlineMs);
    return { kind: 'attempt', reason: 'new-entry', entry };
  }

  /**
   * Who came by somebody else's attempt has tried the fake MX itself: its entry is its own from now on, with what is
   * stored of any sender, and with what is known of it.
   */
  private promote(known: Entry, source: Address, nowMs: number, deadlineMs: number): Decision {
    const prefix = this.roles.entryPrefix(source);
    const isOfSize = prefix.length >= known.prefix.length;
    const own = isOfSize ? known : this.whitelist.get(prefix);
    if (own !== undefined) {
      if (isCompanion(own.origin)) this.whitelist.setOrigin(own, 'attempt');
      this.whitelist.renew(own, nowMs, deadlineMs);
    }
    if (isOfSize) return { kind: 'attempt', reason: 'promoted', entry: known };
    const { name } = known;
    const entry = own ?? this.whitelist.add(prefix, 'attempt', nowMs, deadlineMs);
    this.whitelist.replace(entry, known);
    this.listener.removed(known, 'replaced');
    if (name !== undefined && entry.name === undefined) this.whitelist.setName(entry, name);
    if (own === undefined) this.listener.added(entry);
    return { kind: 'attempt', reason: 'promoted', entry };
  }

  /**
   * A packet that goes out, or may be one: a router, and a recording that does not tell, see a packet of ours on its way
   * in. A connection that this network opens to a mail server makes that one an entry, as spamlogd(8) does.
   * @returns undefined when it is no such connection, or nobody wants to know
   */
  private leaving(observation: Observation, nowMs: number): Decision | undefined {
    if (!this.config.outbound || !isOpening(observation, this.config.port)) return undefined;
    const { family, destination0, destination1, destination2, destination3 } = observation;
    // what pf has written down tells which way it goes
    const { action } = observation;
    const isOurs =
      (action === Action.NONE || action === NflogAction.SENT) && this.roles.of(observation.source) === 'real';
    if (observation.direction !== Direction.OUT && !isOurs) return undefined;
    const isPossible = isPossibleSource(family, destination0, destination1, destination2, destination3);
    if (!isPossible || this.roles.ofDestination(observation) !== undefined) return undefined;
    return this.connected(observation.destination, nowMs);
  }

  /** This network has opened a connection to somebody. Nobody who has come himself has to make room. */
  private connected(address: Address, nowMs: number): Decision {
    this.counters.outbound++;
    const kind = 'outbound';
    const deadlineMs = nowMs + this.config.whitelistTimeMs;
    const known = this.find(address);
    if (known !== undefined) {
      this.whitelist.extend(known, deadlineMs);
      return { kind, reason: 'renewed', entry: known };
    }
    if (this.roles.allowing(address) !== undefined)
      return { kind, reason: 'always-allowed', entry: undefined };
    if (!this.makeRoom(this.whitelist.idleCompanion())) return { kind, reason: 'no-room', entry: undefined };
    const single = { address, length: ADDRESS_BITS[familyOf(address)] };
    return { kind, reason: 'new-entry', entry: this.add(single, 'outbound', nowMs, deadlineMs) };
  }

  private request(observation: Observation, id: number, said: Said, nowMs: number): Decision {
    const allowed = id < 0 && this.roles.allowsSource(observation);
    const known = id >= 0 || allowed;
    const entry = this.whitelist.entry(id);
    const { redirect } = this.config;
    const admitted = said === 'in' || (said === 'nothing' && known);
    if (!admitted) {
      const redirected = said === 'elsewhere' || (said === 'nothing' && redirect !== undefined);
      if (redirected) this.counters.redirected++;
      else this.counters.refusals++;
      return { kind: 'refusal', reason: known ? 'not-yet-in-table' : 'not-whitelisted', entry, redirected };
    }
    this.counters.admissions++;
    if (id >= 0) this.whitelist.use(id, nowMs, this.config.knownTimeMs);
    else if (allowed) this.roles.countAdmission(observation);
    const reason = id >= 0 ? 'whitelisted' : allowed ? 'always-allowed' : 'passed-by-pf';
    return { kind: 'admission', reason, entry };
  }

  private add(prefix: Prefix, origin: Origin, nowMs: number, deadlineMs: number): Entry {
    this.makeRoom(this.whitelist.expendable());
    const entry = this.whitelist.add(prefix, origin, nowMs, deadlineMs);
    this.counters.added++;
    this.listener.added(entry);
    return entry;
  }

  private get isFull(): boolean {
    return this.whitelist.size >= this.config.maxEntries;
  }

  /**
   * Whether there is room for one more.
   * @param expendable - who has to go if there is none
   */
  private makeRoom(expendable: Entry | undefined): boolean {
    return !this.isFull || this.evict(expendable);
  }

  private evict(entry: Entry | undefined): boolean {
    if (entry === undefined) return false;
    this.whitelist.remove(entry);
    this.counters.evicted++;
    this.listener.removed(entry, 'no-room');
    return true;
  }
}

/** What has been decided about a packet before the whitelist is asked. */
type Said = 'in' | 'out' | 'elsewhere' | 'nothing';

/** Whether an action lets a packet in, as far as the rules go; where nobody has decided it counts as that. */
function isPassed(action: number): boolean {
  switch (action) {
    case Action.PASS:
    case Action.RDR:
    case Action.NONE:
    case NflogAction.PASS:
    case NflogAction.PASS_TRIED:
    case NflogAction.LEARN:
      return true;
    default:
      return false;
  }
}

/** Whether an action keeps a packet out. */
function isDropped(action: number): boolean {
  return (
    action === Action.DROP ||
    action === NflogAction.DROP ||
    action === NflogAction.FLOOD ||
    action === NflogAction.LED
  );
}

/** Whether a packet opens a connection to this port, and nothing has dropped it. */
function isOpening(observation: Observation, port: number): boolean {
  const { action, pfReason, destinationPort, isSyn } = observation;
  const passed = action === Action.PASS || action === Action.NONE || action === NflogAction.SENT;
  return isSyn && destinationPort === port && passed && pfReason === PfReason.MATCH;
}

// Packets in, decisions and log out.
import { type Config, needsRestart, takeOver } from '../config/config.js';
import type { HealthFinding, LogReport } from '../control/protocol.js';
import type { Log } from '../log/log.js';
import { levelOf } from '../log/settings.js';
import type { Observation, Undecoded } from '../packet/observation.js';
import type { HashKey } from '../tracker/siphash.js';
import { type ResolverCounters, sumOf } from '../names/resolver.js';
import type { Address, Prefix, PrefixText } from '../packet/address.js';
import type { TableEntry } from '../table/table.js';
import { type Decision, eventOf } from '../tracker/decision.js';
import type { EntryListener, Tracker, TrackerConfig } from '../tracker/tracker.js';
import type { Clock } from '../clock.js';
import { AllowList, type AllowListParts } from './allow-list.js';
import { Domains, type DomainsParts } from './domains.js';
import type { Core, Firewall, FirewallReport } from './firewall.js';
import type { History } from './history.js';
import { Judge, type Judgement, trackerConfig } from './judge.js';
import { Memory } from './memory.js';
import {
  countersLine,
  decisionLevel,
  decisionLine,
  isStrangeRefusal,
  knownTimeLine,
  type Line,
  namesLine,
  removalEvent,
  removalLine,
  statisticsLine,
  strangeEntriesLine,
  unjudgedLine,
} from './messages.js';
import { Namer } from './namer.js';
import { type Restored, takeIn } from './restored.js';
import { type OpenStore, Sharing } from './sharing.js';
import type { Happening } from './telling.js';
import { Voice } from './voice.js';
import { amount } from '../words.js';

/** What the engine works with. */
export interface EngineParts {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly hashKey: HashKey;
  readonly makeFirewall: (core: Core) => Firewall;
  /** the machine's addresses, as they are now; absent: none */
  readonly ownAddresses?: () => readonly Address[];
  /** is told whenever something has changed that a restart must find again: an entry, or no more than what was counted */
  readonly changed?: (what: 'entries' | 'counters') => void;
  /** how the networks of domains are found, and who has the last word on them; absent: in DNS, and nobody but us */
  readonly domains?: Partial<Pick<DomainsParts, 'grant' | 'interfaces' | 'lookUp'>>;
}

/** When what was last seen; monotonic milliseconds. */
export interface LastSeen {
  frame: number | undefined;
  attempt: number | undefined;
  /** redirected ones, too */
  refusal: number | undefined;
  redirected: number | undefined;
  admission: number | undefined;
  outbound: number | undefined;
}

/** Deadlines within this time are handled together. */
const EXPIRY_SLACK_MS = 1000;

/** Packets in, decisions and log out: wires tracker, firewall and log together. */
export class Engine implements Core {
  config: Config;
  readonly clock: Clock;
  readonly startedMs: number;
  /** who was refused, and entries that have ended */
  readonly memory: Memory;
  readonly lastSeen: LastSeen = {
    frame: undefined,
    attempt: undefined,
    refusal: undefined,
    redirected: undefined,
    admission: undefined,
    outbound: undefined,
  };
  /** of an earlier run: those whose time is over, those that are not taken in, and what is not allowed any more */
  readonly expired = new Set<PrefixText>();
  unallowed: readonly PrefixText[] = [];
  always: readonly Prefix[];
  /** the domains whose networks are admitted at all times */
  readonly domains: Domains;
  /** other gateways; undefined: nothing is shared */
  sharing: Sharing | undefined;
  private readonly allowList: AllowList;
  private isServing = false;
  private isRestoring = false;
  private readonly judgeOfFrames: Judge;
  private readonly firewall: Firewall;
  private readonly changed: (what: 'entries' | 'counters') => void;
  private cancelExpiry: (() => void) | undefined;
  private expiryAtMs = Number.POSITIVE_INFINITY;
  private roomForEntries = Number.POSITIVE_INFINITY;
  private stopping = false;
  /** undefined: DNS is not asked at all */
  private readonly namer: Namer | undefined;
  private readonly voice: Voice;

  constructor(private readonly parts: EngineParts) {
    this.config = parts.config;
    this.clock = parts.clock;
    this.startedMs = parts.clock.monotonicMs();
    this.changed = parts.changed ?? (() => undefined);
    this.voice = new Voice(parts.log, parts.clock, parts.hashKey);
    this.memory = new Memory({
      tracker: () => this.tracker,
      clock: parts.clock,
      isDry: () => this.config.dryRun,
      isForeign: (address) => this.foreignEntry(address) !== undefined,
    });
    this.always = this.config.allow;
    this.domains = new Domains({
      interfaces: () => [],
      ...parts.domains,
      config: () => this.config,
      clock: this.clock,
      changed: (what) => this.onDomains(what),
      say: (line) => this.say(line),
    });
    const listener: EntryListener = {
      added: (entry) => {
        this.firewall.added(entry);
        this.memory.added(entry);
      },
      removed: (entry, reason) => {
        this.firewall.removed(entry, reason);
        this.memory.removed(entry, reason);
        this.sharing?.removed(entry, reason);
        if (this.isRestoring) this.expired.add(entry.text);
        this.changed('entries');
        const level = reason === 'no-room' ? 'warn' : 'info';
        this.voice.sayOften({ level, kind: removalEvent(reason) }, () => removalLine(entry, reason));
      },
      named: (entry) => this.sharing?.named(entry),
    };
    this.firewall = parts.makeFirewall(this);
    this.judgeOfFrames = new Judge(this.trackerConfig(this.config.maxEntries), listener, parts.hashKey);
    const ofDns: AllowListParts = {
      config: () => this.config,
      tracker: this.tracker,
      clock: this.clock,
      admitted: () => {
        this.armExpiry();
        this.changed('entries');
      },
      say: (line) => this.voice.sayOften({ level: line.level, kind: line.fields.event }, () => line),
    };
    const { noRdnsWhitelist, noPool } = this.config;
    if (!noRdnsWhitelist || !noPool) {
      this.namer = new Namer({ ...ofDns, memory: this.memory });
    }
    this.allowList = new AllowList(ofDns);
  }

  /** the newest events */
  get history(): History {
    return this.voice.history;
  }

  get tracker(): Tracker {
    return this.judgeOfFrames.tracker;
  }

  /** Has it share what it sees with other gateways, and what they see. To be called before {@link start}. */
  share(access: OpenStore, version: string): void {
    this.sharing = new Sharing({
      access,
      version,
      config: () => this.config,
      tracker: this.tracker,
      clock: this.clock,
      namer: this.namer,
      changed: () => {
        this.armExpiry();
        this.changed('entries');
      },
      say: (line) => this.say(line),
    });
  }

  /**
   * Does what needs root; it can be given up then, if the firewall does not need it later.
   * @throws StartError when that cannot be done
   */
  prepare(): Promise<void> {
    return this.firewall.prepare();
  }

  /**
   * Gets the firewall ready and begins to judge.
   * @param restored - what an earlier run has left; it is there before anything is read from the table
   * @throws StartError when that cannot be done
   */
  async start(restored?: Restored): Promise<void> {
    await this.domains.restore(restored?.domains ?? []);
    if (restored !== undefined) this.restore(restored);
    try {
      await this.firewall.start();
    } catch (error) {
      this.stopping = true;
      this.domains.close();
      this.cancelExpiry?.();
      this.sharing?.close();
      this.voice.close();
      throw error;
    }
    this.isServing = true;
    this.sharing?.restore(this.memory.departures);
    this.sharing?.begin();
    this.domains.begin();
    this.allowList.begin();
    this.armExpiry();
  }

  /** Says that the start is complete. */
  sayReady(): void {
    const { size } = this.tracker;
    const dry = this.config.dryRun ? '; dry-run: everything is accepted' : '';
    const message = `mxallowd is ready: ${this.firewall.description} with ${amount(size, 'entry', 'entries')}${dry}`;
    this.say({ level: 'info', message, fields: { event: 'ready', entries: size } });
  }

  /**
   * Takes over another configuration, as far as a running daemon can.
   * @returns what it has logged about that
   */
  reload(config: Config): string[] {
    const restart = needsRestart(this.config, config);
    const needed = `a restart is needed for the change of ${restart.join(', ')}`;
    if (restart.length > 0) this.say({ level: 'warn', message: needed, fields: { event: 'restart-needed' } });
    const before = this.config;
    this.config = takeOver(this.config, config);
    // what was told with "Would drop" must not go on as its repeats
    if (before.dryRun !== this.config.dryRun) this.voice.tellRepeats();
    this.parts.log.setLevel(levelOf(config));
    this.namer?.renew();
    this.domains.reload();
    this.sharing?.reconfigured();
    this.allowList.begin();
    this.followAlways();
    const { fakeMailserver, realMailserver, allow, allowDomain } = config;
    const message =
      `configuration read again: ${fakeMailserver.length} fake and ${realMailserver.length} real addresses, ` +
      `${allow.length} allowed at all times${allowDomain.length === 0 ? '' : `, and ${amount(allowDomain.length, 'domain')}`}`;
    this.say({ level: 'info', message, fields: { event: 'reloaded' } });
    this.firewall.reconfigured(before);
    this.changed('entries');
    return restart.length > 0 ? [needed, message] : [message];
  }

  /** Logs the statistics. */
  logStatistics(): void {
    this.say(statisticsLine(this.tracker.counters, this.tracker.size));
    this.say(countersLine(this.tracker.counters, this.tracker.size));
    this.say(unjudgedLine(this.judgeOfFrames.unjudged));
    const asked = this.askedOfDns();
    if (asked !== undefined) this.say(namesLine(asked.counters, asked.skipped));
    this.firewall.logStatistics();
  }

  /** Lets go of the firewall, with what is pending written out, and ends. */
  async stop(withinMs: number): Promise<void> {
    this.stopping = true;
    this.cancelExpiry?.();
    this.namer?.close();
    this.domains.close();
    this.sharing?.close();
    this.allowList.close();
    await this.firewall.stop(withinMs);
    this.voice.close();
  }

  /** number of frames so far */
  get frames(): number {
    return this.judgeOfFrames.frames;
  }

  /** how many frames led to no decision, by reason */
  get unjudged(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.judgeOfFrames.unjudged);
  }

  /** What was asked of DNS; undefined when nothing is. */
  names():
    | {
        readonly asked: number;
        readonly fromCache: number;
        readonly failed: number;
        readonly notMade: number;
      }
    | undefined {
    const all = this.askedOfDns();
    if (all === undefined) return undefined;
    const { asked, fromCache, failed, dropped } = all.counters;
    return { asked, fromCache, failed, notMade: dropped + all.skipped };
  }

  private askedOfDns(): { readonly counters: ResolverCounters; readonly skipped: number } | undefined {
    const { namer, allowList } = this;
    if (namer === undefined) return this.config.dnswl === undefined ? undefined : allowList.asked();
    const asked = allowList.asked();
    return {
      counters: sumOf(namer.counters(), asked.counters),
      skipped: namer.skipped + asked.skipped,
    };
  }

  /** Asks DNS who somebody is, if it may be asked. */
  identify(address: Address): Promise<void> {
    return this.namer?.identify(address) ?? Promise.resolve();
  }

  /** How the log is doing. */
  logReport(): LogReport {
    const { description, lost } = this.parts.log;
    return { description, lost };
  }

  /** What an administrator should know of what DNS says. */
  dnsFindings(): HealthFinding[] {
    return [...this.domains.findings(), ...this.allowList.findings()];
  }

  /** How the firewall is doing. */
  firewallReport(): FirewallReport {
    return this.firewall.report();
  }

  /** The entry of the firewall's table that is not ours, and decides about an address. */
  foreignEntry(address: Address): TableEntry | undefined {
    return this.firewall.foreignEntry(address);
  }

  /** What `allow` has put into the firewall's table, as far as it may still be there. */
  allowedInTable(): readonly PrefixText[] {
    return this.firewall.allowedInTable();
  }

  /** Whether packets are taken as they come; for a watchdog that asks now and then. */
  goesOn(): boolean {
    return this.firewall.goesOn();
  }

  /** What the firewall says of itself. */
  inspect(): ReturnType<Firewall['inspect']> {
    return this.firewall.inspect();
  }

  /** An operator has let somebody in or taken somebody out. */
  entriesChanged(line: Line): void {
    this.firewall.entriesChanged();
    this.armExpiry();
    this.changed('entries');
    this.voice.sayAndRemember(line);
  }

  decide(decoded: Observation | Undecoded): Judgement {
    return this.judgeOfFrames.decide(decoded, this.clock.monotonicMs());
  }

  follow({ observation, decision }: Judgement): void {
    const nowMs = this.clock.monotonicMs();
    this.lastSeen.frame = nowMs;
    if (observation === undefined || decision.kind === 'unjudged') return;
    this.lastSeen[decision.kind] = this.lastSeen[eventOf(decision)] = nowMs;
    this.changed(decision.kind === 'refusal' ? 'counters' : 'entries');
    if (decision.kind === 'attempt' || decision.kind === 'outbound') this.armExpiry();
    this.voice.sayOften(happening(decision, observation, nowMs), () =>
      decisionLine(decision, observation, { isDry: this.config.dryRun, nowMs }),
    );
    if (decision.kind === 'attempt' && decision.entry !== undefined) {
      this.namer?.attempt(observation, decision.entry);
    }
    this.sharing?.decided(decision);
    const { isStranger, isWanted } = this.memory.follow({ observation, decision });
    if (!isStranger) return;
    this.namer?.refusal(observation, isWanted);
    this.allowList.refusal(observation);
  }

  limitEntries(maxEntries: number): void {
    this.roomForEntries = maxEntries;
    this.configureTracker();
  }

  entriesAdopted(): void {
    this.expired.clear();
    this.armExpiry();
    this.changed('entries');
  }

  say(line: Line): void {
    this.voice.say(line);
  }

  /** The networks of domains are others now, or are known for another time. */
  private onDomains(what: 'networks' | 'kept'): void {
    if (what === 'networks') {
      this.followAlways();
      if (this.isServing) this.firewall.alwaysChanged();
    }
    this.changed('entries');
  }

  private followAlways(): void {
    this.always = [...this.config.allow, ...this.domains.networks.map(({ network }) => network)];
    this.configureTracker();
  }

  /** The tracker gets no more room than the firewall has. */
  private configureTracker(): void {
    const maxEntries = Math.max(1, Math.min(this.config.maxEntries, this.roomForEntries));
    this.tracker.configure(this.trackerConfig(maxEntries));
  }

  private trackerConfig(maxEntries: number): TrackerConfig {
    const own = this.parts.ownAddresses?.() ?? [];
    return trackerConfig(this.config, this.firewall.authority, maxEntries, own, this.domains.networks);
  }

  private armExpiry(): void {
    const nextMs = this.tracker.nextDeadlineMs();
    if (nextMs === undefined || this.stopping || nextMs >= this.expiryAtMs - EXPIRY_SLACK_MS) return;
    this.cancelExpiry?.();
    this.expiryAtMs = nextMs + EXPIRY_SLACK_MS;
    this.cancelExpiry = this.clock.after(this.expiryAtMs - this.clock.monotonicMs(), () => {
      this.expiryAtMs = Number.POSITIVE_INFINITY;
      this.tracker.expire(this.clock.monotonicMs());
      this.armExpiry();
    });
  }

  private restore(restored: Restored): void {
    this.isRestoring = true;
    const { strange, unallowed } = takeIn(restored, this.tracker, this.always, this.expired);
    this.isRestoring = false;
    this.memory.restore(restored.notes);
    this.unallowed = unallowed;
    // netfilter has no table that they could be in
    if (this.firewall.authority !== 'pf') this.expired.clear();
    if (strange.length > 0) this.say(strangeEntriesLine(strange));
    const { isKnownTimeImplied, knownTime } = this.config;
    if (isKnownTimeImplied && knownTime > 0 && !restored.hasKnownTime) this.say(knownTimeLine(knownTime));
  }
}

/** What a decision is for the log, before there is a line about it. */
function happening(decision: Decision, seen: Observation, nowMs: number): Happening {
  const level = decisionLevel(decision);
  const kind = eventOf(decision);
  // who is seen there is our own mail server
  if (kind === 'outbound') return { level, kind };
  if (decision.kind !== 'refusal') return { level, kind, seen };
  const reason = isStrangeRefusal(decision, nowMs) ? 'strange' : decision.reason;
  return { level, kind, seen, reason: decision.redirected ? `redirected ${reason}` : reason };
}

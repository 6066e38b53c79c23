// Asks DNS about those who come, and admits more addresses.
import type { Config } from '../config/config.js';
import { identifyBy } from '../names/identify.js';
import { checkSpf, judgePool, LiveDomains, poolDomains } from '../names/pool.js';
import { companions, isPublic, reverse, type ReverseAnswer, type ReverseName } from '../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS, type ResolverCounters, sumOf } from '../names/resolver.js';
import type { Address } from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import type { Tracker } from '../tracker/tracker.js';
import { Entry } from '../tracker/whitelist.js';
import type { Clock } from '../clock.js';
import type { Memory } from './memory.js';
import {
  type Line,
  namedLine,
  namesFailedLine,
  noPlaceLine,
  noPoolLine,
  pooledLine,
  resolvedLine,
} from './messages.js';
import { RateLimit } from './rate-limit.js';

/** What the namer needs of the engine. */
export interface NamerParts {
  /** the configuration as it is now */
  readonly config: () => Config;
  readonly tracker: Tracker;
  readonly clock: Clock;
  /** entries were added: their time must end, too */
  readonly admitted: () => void;
  readonly say: (line: Line) => void;
  /** wants to know who was refused; absent: nobody does */
  readonly memory?: Pick<Memory, 'named' | 'domainTried'>;
  /** asks about both kinds of senders; absent: each has a resolver of its own, with the usual bounds */
  readonly resolver?: BoundedResolver;
}

/** Look-ups about those who try the fake MX, and about refused senders, that may be begun in a second. */
const ATTEMPTS_PER_SECOND = 200;
const POOL_CHECKS_PER_SECOND = 200;
/** The same about those who were refused, only to tell who they are. */
const IDENTITIES_PER_SECOND = 2;
/** A sender that tries again within this time is not looked up again. */
const ASK_AGAIN_MS = 60_000;
/** Domains that one attempt opens the door for at the most. */
const MOST_DOMAINS = 2;

/**
 * Asks DNS about those who come, and admits more addresses when the answers arrive. Nothing ever waits for it: names
 * only add.
 */
export class Namer {
  /** for those who try the fake MX; strangers who are refused must not take its turns */
  readonly resolver: BoundedResolver;
  /** for those who are refused */
  readonly poolResolver: BoundedResolver;
  private readonly live: LiveDomains;
  /** senders that are being asked about, because of an attempt and because of a refusal */
  private readonly naming = new Set<Address>();
  private readonly pooling = new Set<Address>();
  private readonly asking = new Set<Promise<void>>();
  private readonly attempts: RateLimit;
  private readonly poolChecks: RateLimit;
  private readonly identities: RateLimit;
  private closed = false;

  /** look-ups about senders that were not begun, because there were too many */
  skipped = 0;

  constructor(private readonly parts: NamerParts) {
    const { dnsServer, dnsTimeout, maxEntries } = parts.config();
    const settings = {
      ...RESOLVER_DEFAULTS,
      servers: dnsServer,
      timeoutMs: dnsTimeout * 1000,
      nowMs: parts.clock.monotonicMs,
    };
    this.resolver = parts.resolver ?? new BoundedResolver(settings);
    this.poolResolver = parts.resolver ?? new BoundedResolver(settings);
    this.live = new LiveDomains(maxEntries);
    this.attempts = new RateLimit(ATTEMPTS_PER_SECOND, parts.clock);
    this.poolChecks = new RateLimit(POOL_CHECKS_PER_SECOND, parts.clock);
    this.identities = new RateLimit(IDENTITIES_PER_SECOND, parts.clock);
  }

  /**
   * A sender has tried the fake MX.
   * @param observation - its source is not looked at when nothing is going to be asked: this may be a flood
   */
  attempt(observation: Pick<Observation, 'source'>, entry: Entry): void {
    const atMs = this.parts.clock.monotonicMs();
    const { asked: last } = entry;
    const isRecent = last !== undefined && atMs - last.atMs < ASK_AGAIN_MS;
    if (isRecent && last.source === observation.source) return;
    if (this.attempts.isFull) {
      this.skipped++;
      return;
    }
    const { source } = observation;
    if (this.naming.has(source) || !isPublic(source)) return;
    this.attempts.allows();
    entry.asked = { source, atMs };
    this.ask(this.resolver, this.naming, source, (answer) => {
      if (answer.status === 'failed' || answer.status === 'dropped') entry.asked = undefined;
      return this.onNames(source, answer);
    });
  }

  /**
   * A stranger was refused at the real MX: perhaps one of the pool of somebody who has tried the fake one.
   * @param observation - its source is not looked at when nothing is going to be asked: this may be a flood
   * @param isWanted - whether somebody wants to know who it is
   */
  refusal(observation: Pick<Observation, 'source'>, isWanted = false): void {
    const { config, clock } = this.parts;
    const isAsked = isWanted && !this.identities.isFull;
    const mayPool = !config().noPool && !this.live.isEmpty(clock.monotonicMs());
    if (!mayPool && !isAsked) return;
    if (this.poolChecks.isFull) {
      this.skipped++;
      return;
    }
    const { source } = observation;
    if (this.pooling.has(source) || !isPublic(source)) return;
    this.poolChecks.allows();
    if (isAsked) this.identities.allows();
    this.ask(this.poolResolver, this.pooling, source, async (answer) => {
      const isIn = mayPool && (await this.onRefused(source, answer));
      if (!isIn) await this.noteName(source, answer, isAsked);
    });
  }

  /** Asks who somebody is who was refused, for those who want to know. Never throws. */
  async identify(source: Address): Promise<void> {
    if (!isPublic(source)) return;
    const answer = await reverse(this.poolResolver, source);
    if (this.closed) return;
    await this.noteName(source, answer, true).catch((error: unknown) =>
      this.parts.say(namesFailedLine(error)),
    );
  }

  /** Done when nothing is being asked any more. */
  async settled(): Promise<void> {
    while (this.asking.size > 0) await Promise.all(this.asking);
  }

  /** Reads the system's DNS servers again. */
  renew(): void {
    this.resolver.renew();
    this.poolResolver.renew();
  }

  /** What was asked, of both. */
  counters(): ResolverCounters {
    return sumOf(this.resolver.counters, this.poolResolver.counters);
  }

  /** Gives up all that is under way. */
  close(): void {
    this.closed = true;
    this.resolver.close();
    this.poolResolver.close();
  }

  private ask(
    resolver: BoundedResolver,
    underWay: Set<Address>,
    source: Address,
    then: (answer: ReverseAnswer) => void | Promise<void>,
  ): void {
    underWay.add(source);
    const asking = reverse(resolver, source)
      .then((answer) => (this.closed ? undefined : then(answer)))
      // a package that cannot be loaded (any more) must not end the daemon: names only add
      .catch((error: unknown) => this.parts.say(namesFailedLine(error)))
      .finally(() => {
        underWay.delete(source);
        this.asking.delete(asking);
      });
    this.asking.add(asking);
  }

  private async onNames(source: Address, answer: ReverseAnswer): Promise<void> {
    const { tracker, say, clock } = this.parts;
    const config = this.parts.config();
    const names = answer.names.filter(({ confirmed }) => confirmed || config.rdnsUnconfirmed);
    const [first] = names;
    const entry = tracker.find(source);
    if (entry === undefined || first === undefined) return;
    if (entry.name !== first.name) say(resolvedLine(source, first.name));
    tracker.setName(entry, first.name);
    if (!config.noRdnsWhitelist) this.admitOthers(source, entry, names);
    if (config.noPool) return;
    const domains = [...(await poolDomains(answer, source)).keys()].slice(0, MOST_DOMAINS);
    for (const domain of domains) {
      // who may not send for the domain does not open the door for it
      if ((await checkSpf(this.resolver, domain, source)) !== 'pass') continue;
      this.live.note(domain, clock.monotonicMs() + config.poolWindow * 1000);
      this.parts.memory?.domainTried(domain);
    }
  }

  /** The other addresses of a sender's names have the same time as it has to reach the real MX. */
  private admitOthers(source: Address, entry: Entry, names: readonly ReverseName[]): void {
    const { tracker, say, admitted, clock } = this.parts;
    const { fakeMailserver, realMailserver, whitelistTime } = this.parts.config();
    const deadlineMs = entry.lastAttemptMs + whitelistTime * 1000;
    const ours = [...fakeMailserver, ...realMailserver];
    for (const [address, name] of companions(source, names, ours)) {
      const added = tracker.admit(address, 'name', clock.monotonicMs(), deadlineMs, entry);
      if (!(added instanceof Entry)) continue;
      tracker.setName(added, name);
      say(namedLine(added, name));
    }
    admitted();
  }

  /** @param isComplete - whether to ask what the SPF record says, too */
  private async noteName(source: Address, answer: ReverseAnswer, isComplete: boolean): Promise<void> {
    const { memory } = this.parts;
    if (memory === undefined || this.closed) return;
    const identity = await identifyBy(isComplete ? this.poolResolver : undefined, source, answer);
    memory.named(source, identity, isComplete);
  }

  /** @returns whether it has been let in */
  private async onRefused(source: Address, answer: ReverseAnswer): Promise<boolean> {
    const { clock, tracker, say, admitted } = this.parts;
    const isLive = (domain: string): boolean => this.live.has(domain, clock.monotonicMs());
    const verdict = await judgePool(this.poolResolver, source, answer, isLive);
    if (this.closed) return true;
    if (verdict.kind === 'no-pool') {
      say(noPoolLine(source, verdict));
      return false;
    }
    const nowMs = clock.monotonicMs();
    const added = tracker.admit(source, 'pool', nowMs, nowMs + this.parts.config().whitelistTime * 1000);
    const { name, domain } = verdict;
    this.parts.memory?.named(
      source,
      { name, isConfirmed: true, domain, spf: 'pass', isFailure: false },
      true,
    );
    if (added === 'no-room') say(noPlaceLine(source, domain));
    if (!(added instanceof Entry)) return true;
    tracker.setName(added, name);
    say(pooledLine(added, name, domain));
    admitted();
    return true;
  }
}

import type { Config } from '../config/config.js';
import { judgePool, LiveDomains, poolDomains } from '../names/pool.js';
import { companions, isPublic, reverse, type ReverseAnswer, type ReverseName } from '../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS } from '../names/resolver.js';
import type { Address } from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import type { Tracker } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import type { Clock } from './clock.js';
import { type Line, namedLine, namesFailedLine, noPoolLine, pooledLine, resolvedLine } from './messages.js';

/** What the namer needs of the engine. */
export interface NamerParts {
  /** the configuration as it is now */
  readonly config: () => Config;
  readonly tracker: Tracker;
  readonly clock: Clock;
  /** entries were added: their time must end, too */
  readonly admitted: () => void;
  readonly say: (line: Line) => void;
}

/** Look-ups about refused senders that may be begun in a second. */
const POOL_CHECKS_PER_SECOND = 200;
/** A sender that tries again within this time is not looked up again. */
const ASK_AGAIN_MS = 60_000;

/**
 * Asks DNS about those who come, and admits more addresses when the answers arrive. Nothing ever waits for it: names
 * only add.
 */
export class Namer {
  readonly resolver: BoundedResolver;
  private readonly live: LiveDomains;
  /** senders that are being asked about, because of an attempt and because of a refusal */
  private readonly naming = new Set<Address>();
  private readonly pooling = new Set<Address>();
  /** when an entry's name was last asked for */
  private readonly asked = new WeakMap<Entry, number>();
  private checksInSecond = 0;
  private secondMs = 0;
  private closed = false;

  /** look-ups about refused senders that were not begun, because there were too many */
  skipped = 0;

  constructor(private readonly parts: NamerParts) {
    const { dnsServer, dnsTimeout, maxEntries } = parts.config();
    this.resolver = new BoundedResolver({
      ...RESOLVER_DEFAULTS,
      servers: dnsServer,
      timeoutMs: dnsTimeout * 1000,
      nowMs: parts.clock.monotonicMs,
    });
    this.live = new LiveDomains(maxEntries);
  }

  /** A sender has tried the fake MX. */
  attempt(source: Address, entry: Entry): void {
    const nowMs = this.parts.clock.monotonicMs();
    if (this.naming.has(source) || nowMs - (this.asked.get(entry) ?? -ASK_AGAIN_MS) < ASK_AGAIN_MS) return;
    if (!isPublic(source)) return;
    this.asked.set(entry, nowMs);
    this.ask(this.naming, source, (answer) => this.onNames(source, answer));
  }

  /**
   * A stranger was refused at the real MX: perhaps one of the pool of somebody who has tried the fake one.
   * @param observation - its source is not looked at when nothing is going to be asked: this may be a flood
   */
  refusal(observation: Pick<Observation, 'source'>): void {
    const { config, clock } = this.parts;
    if (config().noPool || this.live.isEmpty(clock.monotonicMs())) return;
    if (this.isSecondFull()) {
      this.skipped++;
      return;
    }
    const { source } = observation;
    if (this.pooling.has(source) || !isPublic(source)) return;
    this.checksInSecond++;
    this.ask(this.pooling, source, (answer) => this.onRefused(source, answer));
  }

  /** Gives up all that is under way. */
  close(): void {
    this.closed = true;
    this.resolver.close();
  }

  private ask(
    underWay: Set<Address>,
    source: Address,
    then: (answer: ReverseAnswer) => void | Promise<void>,
  ): void {
    underWay.add(source);
    void reverse(this.resolver, source)
      .then((answer) => (this.closed ? undefined : then(answer)))
      // a package that cannot be loaded (any more) must not end the daemon: names only add
      .catch((error: unknown) => this.parts.say(namesFailedLine(error)))
      .finally(() => underWay.delete(source));
  }

  private async onNames(source: Address, answer: ReverseAnswer): Promise<void> {
    const { tracker, say, clock } = this.parts;
    const config = this.parts.config();
    const names = answer.names.filter(({ confirmed }) => confirmed || config.rdnsUnconfirmed);
    const [first] = names;
    const entry = tracker.find(source);
    if (entry === undefined || first === undefined) return;
    if (entry.name !== first.name) say(resolvedLine(source, first.name));
    entry.name = first.name;
    if (!config.noRdnsWhitelist) this.admitOthers(source, entry, names);
    if (config.noPool) return;
    for (const domain of (await poolDomains(answer, source)).keys()) {
      this.live.note(domain, clock.monotonicMs() + config.poolWindow * 1000);
    }
  }

  /** The other addresses of a sender's names live as long as it does. */
  private admitOthers(source: Address, entry: Entry, names: readonly ReverseName[]): void {
    const { tracker, say, admitted, clock } = this.parts;
    const { fakeMailserver, realMailserver } = this.parts.config();
    const ours = [...fakeMailserver, ...realMailserver];
    for (const [address, name] of companions(source, names, ours)) {
      const added = tracker.admit(address, 'name', clock.monotonicMs(), entry.deadlineMs, entry);
      if (added === undefined) continue;
      added.name = name;
      say(namedLine(added, name));
    }
    admitted();
  }

  private async onRefused(source: Address, answer: ReverseAnswer): Promise<void> {
    const { clock, tracker, say, admitted } = this.parts;
    const isLive = (domain: string): boolean => this.live.has(domain, clock.monotonicMs());
    const verdict = await judgePool(this.resolver, source, answer, isLive);
    if (this.closed) return;
    if (verdict.kind === 'no-pool') {
      say(noPoolLine(source, verdict));
      return;
    }
    const nowMs = clock.monotonicMs();
    const added = tracker.admit(source, 'pool', nowMs, nowMs + this.parts.config().whitelistTime * 1000);
    if (added === undefined) return;
    added.name = verdict.name;
    say(pooledLine(added, verdict.name, verdict.domain));
    admitted();
  }

  private isSecondFull(): boolean {
    const nowMs = this.parts.clock.monotonicMs();
    if (nowMs - this.secondMs >= 1000) {
      this.secondMs = nowMs;
      this.checksInSecond = 0;
    }
    return this.checksInSecond >= POOL_CHECKS_PER_SECOND;
  }
}

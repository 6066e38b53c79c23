// Asks a DNS allow list about those who are refused, and lets in whom it knows.
import { inWords, type Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { distrustReason, type ListAnswer, listName, NEVER_LISTED, readListAnswer } from '../names/dnswl.js';
import { isPublic } from '../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS, type ResolverCounters, sumOf } from '../names/resolver.js';
import type { Address } from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import type { Tracker } from '../tracker/tracker.js';
import { Entry } from '../tracker/whitelist.js';
import { type Line, listedLine, noPlaceForListedLine } from './messages.js';
import { RateLimit } from './rate-limit.js';

/** What it needs of the engine. */
export interface AllowListParts {
  /** the configuration as it is now */
  readonly config: () => Config;
  readonly tracker: Tracker;
  readonly clock: Clock;
  /** entries were added: their time must end, too */
  readonly admitted: () => void;
  readonly say: (line: Line) => void;
}

/** Senders that are asked about in a second. */
const CHECKS_PER_SECOND = 200;
/** It is looked this often whether the list can be believed, and one that cannot is not asked for so long. */
const TEST_EVERY_MS = 3_600_000;
/** When it did not answer. */
const TEST_AGAIN_MS = 60_000;

/** A list as the configuration names it now. */
interface Asked {
  readonly zone: string;
  readonly resolver: BoundedResolver;
}

/** A DNS allow list. Nothing is asked, and nobody let in, until it has been seen that it does not list everybody. */
export class AllowList {
  private list: Asked | undefined;
  private isTrusted = false;
  /** why it is not asked, and since when; another object each time */
  private wrong: { readonly why: string; readonly sinceMs: number } | undefined;
  private unanswered: string | undefined;
  /** the one that is being tested */
  private testing: Asked | undefined;
  private readonly asking = new Set<Address>();
  private readonly checks: RateLimit;
  private cancelTest: (() => void) | undefined;
  /** of the lists that were named before */
  private before = sumOf();
  /** look-ups about senders that were not begun, because there were too many */
  private skipped = 0;

  constructor(private readonly parts: AllowListParts) {
    this.checks = new RateLimit(CHECKS_PER_SECOND, parts.clock);
  }

  /** Takes over the configuration, and looks whether the list can be believed. */
  begin(): void {
    const { dnswl, dnsServer, dnsTimeout } = this.parts.config();
    this.end();
    if (dnswl === undefined) return;
    const resolver = new BoundedResolver({
      ...RESOLVER_DEFAULTS,
      servers: dnsServer,
      timeoutMs: dnsTimeout * 1000,
      nowMs: this.parts.clock.monotonicMs,
    });
    this.list = { zone: dnswl, resolver };
    void this.test(this.list);
  }

  /**
   * A stranger was refused at the real MX.
   * @param observation - its source is not looked at when nothing is going to be asked: this may be a flood
   */
  refusal(observation: Pick<Observation, 'source'>): void {
    const { list } = this;
    if (list === undefined || !this.isTrusted) return;
    if (this.checks.isFull) {
      this.skipped++;
      return;
    }
    const { source } = observation;
    if (this.asking.has(source) || !isPublic(source)) return;
    this.checks.allows();
    this.asking.add(source);
    void this.judge(list, source).finally(() => this.asking.delete(source));
  }

  /** What was asked of DNS, by all lists so far. */
  asked(): { readonly counters: ResolverCounters; readonly skipped: number } {
    const { list, before, skipped } = this;
    return { counters: list === undefined ? before : sumOf(before, list.resolver.counters), skipped };
  }

  /** What an administrator should know. */
  findings(): HealthFinding[] {
    const { list, wrong, unanswered } = this;
    const say = (id: string, text: string): HealthFinding[] => {
      return [{ severity: 'warning', id, message: `dnswl ${list?.zone ?? ''}: ${text}` }];
    };
    if (wrong !== undefined) {
      const forMs = this.parts.clock.monotonicMs() - wrong.sinceMs;
      return say(
        'dnswl-wrong',
        `${wrong.why}; it has not been asked for ${inWords(forMs)}, and is tried again each hour`,
      );
    }
    if (unanswered === undefined) return [];
    return say('dnswl-unanswered', `DNS does not answer (${unanswered}), so nobody is let in by it`);
  }

  close(): void {
    this.end();
    this.checks.close();
  }

  private end(): void {
    this.cancelTest?.();
    this.list?.resolver.close();
    this.before = this.asked().counters;
    this.list = undefined;
    this.isTrusted = false;
    this.wrong = this.unanswered = undefined;
  }

  private async ask({ resolver, zone }: Asked, address: Address): Promise<ListAnswer> {
    return readListAnswer(await resolver.lookup('A', listName(address, zone)));
  }

  /** Asks about one that no list has: until there is such an answer nobody is let in. */
  private async test(list: Asked): Promise<void> {
    if (this.testing === list) return;
    this.testing = list;
    const { wrong } = this;
    const answer = await this.ask(list, NEVER_LISTED);
    if (this.testing === list) this.testing = undefined;
    // what was seen meanwhile counts
    if (list !== this.list || this.wrong !== wrong) return;
    const why = distrustReason(NEVER_LISTED, answer);
    if (why !== undefined) {
      this.distrust(list, why);
      return;
    }
    if (answer.kind === 'failed') this.unanswered = answer.code;
    else {
      this.isTrusted = true;
      this.wrong = this.unanswered = undefined;
    }
    this.testAfter(list, answer.kind === 'failed' ? TEST_AGAIN_MS : TEST_EVERY_MS);
  }

  private testAfter(list: Asked, ms: number): void {
    this.cancelTest?.();
    this.cancelTest = this.parts.clock.after(ms, () => void this.test(list));
  }

  private distrust(list: Asked, why: string): void {
    const { clock, say } = this.parts;
    const { wrong } = this;
    this.isTrusted = false;
    this.unanswered = undefined;
    this.wrong = { why, sinceMs: wrong?.sinceMs ?? clock.monotonicMs() };
    this.testAfter(list, TEST_EVERY_MS);
    if (wrong?.why === why) return;
    const message = `dnswl ${list.zone}: ${why}; it is not asked for an hour, and nobody is let in by it`;
    say({ level: 'warn', message, fields: { event: 'dnswl-wrong' } });
  }

  private async judge(list: Asked, source: Address): Promise<void> {
    const answer = await this.ask(list, source);
    const isKnown = answer.kind === 'listed' && answer.trust >= this.parts.config().dnswlTrust;
    // from memory for the most part; a list that knows everybody all at once is seen before it lets in the first
    const control = isKnown ? await this.ask(list, NEVER_LISTED) : undefined;
    if (list !== this.list || !this.isTrusted) return;
    const why =
      distrustReason(source, answer) ??
      (control === undefined ? undefined : distrustReason(NEVER_LISTED, control));
    if (why !== undefined) this.distrust(list, why);
    else if (isKnown && control?.kind === 'not-listed') this.admit(list, source, answer.trust);
    else if (hasFailed(answer) || hasFailed(control)) void this.test(list);
  }

  private admit({ zone }: Asked, source: Address, trust: number): void {
    const { tracker, clock, say, admitted, config } = this.parts;
    const nowMs = clock.monotonicMs();
    const added = tracker.admit(source, 'dnswl', nowMs, nowMs + config().whitelistTime * 1000);
    if (added === 'no-room') say(noPlaceForListedLine(source, zone));
    if (!(added instanceof Entry)) return;
    say(listedLine(added, zone, trust));
    admitted();
  }
}

/** Whether DNS has not answered; what was not even asked, because of too many, says nothing about DNS. */
function hasFailed(answer: ListAnswer | undefined): boolean {
  return answer?.kind === 'failed' && answer.code !== 'dropped';
}

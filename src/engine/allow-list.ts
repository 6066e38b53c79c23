// Asks a DNS allow list about those who are refused, and lets in whom it knows.
import { inWords, type Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { type ListAnswer, listName, NEVER_LISTED, readListAnswer } from '../names/dnswl.js';
import { isPublic } from '../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS } from '../names/resolver.js';
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Observation } from '../packet/observation.js';
import type { Tracker } from '../tracker/tracker.js';
import { Entry } from '../tracker/whitelist.js';
import { type Line, listedLine } from './messages.js';
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

/** A DNS allow list. Nothing is asked, and nobody let in, until it has been seen that it does not list everybody. */
export class AllowList {
  private resolver: BoundedResolver | undefined;
  private zone: string | undefined;
  private isTrusted = false;
  /** why it is not asked, and since when */
  private wrong: { readonly why: string; readonly sinceMs: number } | undefined;
  private unanswered: string | undefined;
  private readonly asking = new Set<Address>();
  private readonly checks: RateLimit;
  private cancelTest: (() => void) | undefined;
  private closed = false;
  /** look-ups about senders that were not begun, because there were too many */
  skipped = 0;

  constructor(private readonly parts: AllowListParts) {
    this.checks = new RateLimit(CHECKS_PER_SECOND, parts.clock);
  }

  /** Takes over the configuration, and looks whether the list can be believed. */
  begin(): void {
    const { dnswl, dnsServer, dnsTimeout } = this.parts.config();
    this.cancelTest?.();
    this.resolver?.close();
    this.resolver = undefined;
    this.zone = dnswl;
    this.isTrusted = false;
    this.wrong = this.unanswered = undefined;
    if (dnswl === undefined) return;
    this.resolver = new BoundedResolver({
      ...RESOLVER_DEFAULTS,
      servers: dnsServer,
      timeoutMs: dnsTimeout * 1000,
      nowMs: this.parts.clock.monotonicMs,
    });
    void this.test(this.resolver, dnswl);
  }

  /**
   * A stranger was refused at the real MX.
   * @param observation - its source is not looked at when nothing is going to be asked: this may be a flood
   */
  refusal(observation: Pick<Observation, 'source'>): void {
    const { resolver, zone } = this;
    if (resolver === undefined || zone === undefined || !this.isTrusted) return;
    if (this.checks.isFull) {
      this.skipped++;
      return;
    }
    const { source } = observation;
    if (this.asking.has(source) || !isPublic(source)) return;
    this.checks.allows();
    this.asking.add(source);
    void this.ask(resolver, zone, source)
      .then((answer) => {
        if (resolver === this.resolver && this.isTrusted) this.onAnswer(source, zone, answer);
      })
      .finally(() => this.asking.delete(source));
  }

  /** What an administrator should know. */
  findings(): HealthFinding[] {
    const { zone, wrong, unanswered } = this;
    const say = (id: string, text: string): HealthFinding[] => {
      return [{ severity: 'warning', id, message: `dnswl ${zone ?? ''}: ${text}` }];
    };
    if (wrong !== undefined) {
      const forMs = this.parts.clock.monotonicMs() - wrong.sinceMs;
      return say(
        'dnswl-wrong',
        `${wrong.why}: it has not been asked for ${inWords(forMs)}, and is tried again each hour`,
      );
    }
    if (unanswered === undefined) return [];
    return say('dnswl-unanswered', `DNS does not answer (${unanswered}): nobody is let in by it`);
  }

  close(): void {
    this.closed = true;
    this.cancelTest?.();
    this.resolver?.close();
    this.checks.close();
  }

  private async ask(resolver: BoundedResolver, zone: string, address: Address): Promise<ListAnswer> {
    return readListAnswer(await resolver.lookup('A', listName(address, zone)));
  }

  /** An answer for somebody whom no list can have. */
  private async test(resolver: BoundedResolver, zone: string): Promise<void> {
    const answer = await this.ask(resolver, zone, NEVER_LISTED);
    if (this.closed || resolver !== this.resolver) return;
    if (answer.kind === 'not-listed') {
      this.isTrusted = true;
      this.wrong = this.unanswered = undefined;
    } else if (answer.kind === 'failed') this.unanswered = answer.code;
    else this.distrust(`it lists 127.0.0.1, as if a resolver had rewritten the answer`);
    this.testAfter(answer.kind === 'failed' ? TEST_AGAIN_MS : TEST_EVERY_MS);
  }

  private testAfter(ms: number): void {
    this.cancelTest?.();
    this.cancelTest = this.parts.clock.after(ms, () => {
      if (this.resolver !== undefined && this.zone !== undefined) void this.test(this.resolver, this.zone);
    });
  }

  private distrust(why: string): void {
    const { clock, say } = this.parts;
    this.isTrusted = false;
    this.unanswered = undefined;
    const isNew = this.wrong?.why !== why;
    this.wrong = { why, sinceMs: this.wrong?.sinceMs ?? clock.monotonicMs() };
    this.testAfter(TEST_EVERY_MS);
    if (!isNew) return;
    const message = `dnswl ${this.zone ?? ''}: ${why}: it is not asked for an hour, and nobody is let in by it`;
    say({ level: 'warn', message, fields: { event: 'dnswl-wrong' } });
  }

  private onAnswer(source: Address, zone: string, answer: ListAnswer): void {
    const { tracker, clock, say, admitted, config } = this.parts;
    if (answer.kind === 'wrong') {
      const record = escapeText(answer.record, 40);
      this.distrust(
        `${record} is its answer for ${formatAddress(source)}, and none of an allow list (query limit, or another kind of list?)`,
      );
    }
    if (answer.kind !== 'listed' || answer.trust < config().dnswlTrust) return;
    const nowMs = clock.monotonicMs();
    const added = tracker.admit(source, 'dnswl', nowMs, nowMs + config().whitelistTime * 1000);
    if (!(added instanceof Entry)) return;
    say(listedLine(added, zone, answer.trust));
    admitted();
  }
}

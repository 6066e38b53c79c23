// Answers who was refused, and what became of it.
import type { ControlResults, RefusedDomain, RefusedSender } from '../control/protocol.js';
import type { Answering } from '../control/server.js';
import { parseAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Stranger, StrangerDomain } from '../tracker/strangers.js';
import type { Engine } from './engine.js';

/** Senders that DNS is asked about when somebody wants the list, at the most, and how long that may take. */
const MOST_ASKED = 200;
const ASK_MS = 4000;
/** Domains that are told at the most. */
const MOST_DOMAINS = 300;

/** Lists who was refused. */
export class RefusedAnswers {
  constructor(private readonly engine: Engine) {}

  /** @param sinceMs - only those who were refused within this time; undefined: all that are remembered */
  async list(sinceMs: number | undefined, answering: Answering): Promise<ControlResults['refused']> {
    const { engine } = this;
    const { memory, config } = engine;
    const fromMs = sinceMs === undefined ? 0 : engine.clock.wallMs() - sinceMs;
    const listed = [...memory.strangers].filter(({ lastMs }) => lastMs >= fromMs);
    await this.askAbout(listed);
    for (const stranger of listed) {
      if (answering.signal.aborted) break;
      await answering.item(this.sender(stranger));
    }
    const domains = [...memory.strangers.domains()].filter(({ lastMs }) => lastMs >= fromMs);
    return {
      count: listed.length,
      domains: domains.slice(-MOST_DOMAINS).map((domain) => this.domain(domain)),
      dryRun: config.dryRun,
    };
  }

  /** Those who came again and are still kept out matter most. */
  private async askAbout(listed: readonly Stranger[]): Promise<void> {
    const { memory, clock } = this.engine;
    const unknown = listed.filter((one) => one.askedMs === 0 && memory.isKeptOut(one));
    const first = unknown.sort((a, b) => b.returns - a.returns || b.lastMs - a.lastMs).slice(0, MOST_ASKED);
    const addresses = first.flatMap(({ address }) => parseAddress(address) ?? []);
    if (addresses.length === 0) return;
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => (cancel = clock.after(ASK_MS, resolve)));
    const asked = Promise.all(addresses.map((address) => this.engine.identify(address)));
    await Promise.race([asked, late]);
    cancel();
  }

  private sender(stranger: Stranger): RefusedSender {
    const { memory, clock } = this.engine;
    const wallMs = clock.wallMs();
    const {
      prefix,
      address,
      count,
      passed,
      redirected,
      returns,
      firstMs,
      lastMs,
      letInMs,
      admittedMs,
      named,
    } = stranger;
    const inMs = admittedMs || letInMs;
    return {
      prefix,
      address,
      count,
      passed,
      redirected,
      returns,
      firstAgoMs: wallMs - firstMs,
      lastAgoMs: wallMs - lastMs,
      isIn: admittedMs > 0 ? 'yes' : memory.isKeptOut(stranger) ? 'no' : 'next',
      inAfterMs: inMs > 0 ? Math.max(0, inMs - lastMs) : undefined,
      name: named === undefined ? undefined : escapeText(named.name, 255),
      isConfirmed: named?.isConfirmed,
      domain: named?.domain === undefined ? undefined : escapeText(named.domain, 255),
      spf: named?.spf,
    };
  }

  private domain(domain: StrangerDomain): RefusedDomain {
    const wallMs = this.engine.clock.wallMs();
    const { count, addresses, firstMs, lastMs, letInMs } = domain;
    return {
      domain: escapeText(domain.domain, 255),
      count,
      addresses,
      firstAgoMs: wallMs - firstMs,
      lastAgoMs: wallMs - lastMs,
      isIn: letInMs >= lastMs,
    };
  }
}

// A replay that asks DNS for names, pools and SPF records, as the daemon does.
import type { Config } from '../../config/config.js';
import { Namer } from '../../engine/namer.js';
import { identify } from '../../names/identify.js';
import { isPublic, reverse } from '../../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS } from '../../names/resolver.js';
import { type Address, formatAddress } from '../../packet/address.js';
import type { Frame } from '../../packet/frame.js';
import { decode } from '../../packet/observation.js';
import { Direction } from '../../packet/pflog.js';
import type { Session } from './session.js';
import type { KeptOut, NamedStrangers, Strangers } from './statistics.js';

/** Frames that wait for their turn at the most; reading stops meanwhile. */
const MOST_WAITING = 10_000;
/** Senders that are asked about ahead of their turn, at the most. */
const MOST_AHEAD = 200;
/** What is kept of answers: all of what waits, and some more. */
const MOST_ANSWERS = 200_000;
/** The window bounds what waits, and nothing may be left out. */
const MOST_LOOKUPS = 1_000_000;

/** How far it is. */
export interface NamesProgress {
  readonly judged: number;
  /** look-ups that were made */
  readonly asked: number;
  readonly waiting: number;
}

/**
 * Judges frames one after the other, each when DNS has answered about the one before: as if answers took no time. The
 * names of those who come later are asked for ahead.
 */
export class NamedReplay {
  private readonly resolver: BoundedResolver;
  private readonly namer: Namer;
  private readonly waiting: Frame[] = [];
  private first = 0;
  /** the next one whose sender is asked about ahead */
  private ahead = 0;
  private readonly aheadOf = new Set<Promise<unknown>>();
  private readonly asked = new Set<Address>();
  private judgedCount = 0;
  private running: Promise<void> | undefined;

  /** @param flow - holds up whoever brings frames, and lets him go on */
  constructor(
    private readonly session: Session,
    private readonly flow: { readonly pause: () => void; readonly resume: () => void },
  ) {
    const { config, report } = session;
    this.resolver = makeResolver(config);
    const now = (): number => session.nowMs;
    this.namer = new Namer({
      config: () => config,
      tracker: session.judge.tracker,
      clock: { monotonicMs: now, wallMs: now, after: () => () => undefined, soon: setImmediate },
      admitted: () => undefined,
      say: (line) => report.named(session.nowMs, line),
      resolver: this.resolver,
    });
  }

  get progress(): NamesProgress {
    return {
      judged: this.judgedCount,
      asked: this.resolver.counters.asked,
      waiting: this.waiting.length - this.first,
    };
  }

  /** Takes a frame, to be judged when its turn comes; its bytes must stay as they are until then. */
  take(frame: Frame): void {
    this.waiting.push(frame);
    if (this.waiting.length - this.first >= MOST_WAITING) this.flow.pause();
    this.running ??= this.run();
  }

  /** Done when all that has come is judged. */
  async idle(): Promise<void> {
    await this.running;
  }

  /** What DNS says of those who would have been kept out. */
  async name(strangers: Strangers): Promise<NamedStrangers> {
    const named = await Promise.all(
      strangers.keptOut.map(async ({ address, refusals }): Promise<KeptOut> => {
        const { name, spf } = await identify(this.resolver, address);
        return { address: formatAddress(address), refusals, name, spf };
      }),
    );
    const { asked, failed } = this.resolver.counters;
    return { ...strangers, named, names: { asked, failed } };
  }

  close(): void {
    this.namer.close();
  }

  private async run(): Promise<void> {
    // what comes in one piece is looked at together
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (;;) {
      this.askAhead();
      const frame = this.waiting[this.first];
      if (frame === undefined) break;
      this.first++;
      await this.judge(frame);
      this.judgedCount++;
      this.tidy();
    }
    this.running = undefined;
  }

  private async judge(frame: Frame): Promise<void> {
    const { observation, decision } = this.session.take(frame);
    if (observation === undefined) return;
    if (decision.kind === 'attempt' && decision.entry !== undefined) {
      this.namer.attempt(observation, decision.entry);
    } else if (decision.reason === 'not-whitelisted') this.namer.refusal(observation);
    await this.namer.settled();
  }

  /** Those who come next are asked about now, so that the answer is there when their turn comes. */
  private askAhead(): void {
    this.ahead = Math.max(this.ahead, this.first);
    while (this.ahead < this.waiting.length && this.aheadOf.size < MOST_AHEAD) {
      const frame = this.waiting[this.ahead++];
      const source = frame === undefined ? undefined : this.senderOf(frame);
      if (source === undefined || this.asked.has(source)) continue;
      this.asked.add(source);
      const asking = reverse(this.resolver, source).finally(() => {
        this.aheadOf.delete(asking);
        this.askAhead();
      });
      this.aheadOf.add(asking);
    }
  }

  /** Who wants to connect to one of our mail servers by this frame. */
  private senderOf(frame: Frame): Address | undefined {
    const seen = decode(frame);
    if (!seen.ok || !seen.isSyn || seen.direction === Direction.OUT) return undefined;
    if (this.session.judge.tracker.roles.ofDestination(seen) === undefined) return undefined;
    return isPublic(seen.source) ? seen.source : undefined;
  }

  private tidy(): void {
    if (this.first < MOST_WAITING / 2) return;
    this.waiting.splice(0, this.first);
    this.ahead -= this.first;
    this.first = 0;
    this.flow.resume();
  }
}

/** Nothing is asked twice: no answer grows old while a recording is judged. */
function makeResolver({ dnsServer, dnsTimeout }: Config): BoundedResolver {
  return new BoundedResolver({
    ...RESOLVER_DEFAULTS,
    servers: dnsServer,
    timeoutMs: dnsTimeout * 1000,
    waiting: MOST_LOOKUPS,
    cached: MOST_ANSWERS,
    nowMs: () => 0,
  });
}

// From a frame to a decision.
import type { HashKey } from '../tracker/siphash.js';
import type { Config } from '../config/config.js';
import type { Address } from '../packet/address.js';
import type { Frame } from '../packet/frame.js';
import { decode, type Observation, type Undecoded, type UndecodedReason } from '../packet/observation.js';
import { isNflogAction } from '../packet/nflog.js';
import { Action } from '../packet/pflog.js';
import { type Decision, leave, type UnjudgedReason } from '../tracker/decision.js';
import type { DomainNetwork } from '../tracker/roles.js';
import { type EntryListener, type Redirect, Tracker, type TrackerConfig } from '../tracker/tracker.js';
import { Outcome, RecentPackets } from './recent-packets.js';

/** What became of a frame. */
export interface Judgement {
  /** undefined when the frame could not be decoded */
  readonly observation: Observation | undefined;
  readonly decision: Decision | { readonly kind: 'unjudged'; readonly reason: UndecodedReason };
}

/** From a frame to a decision: the way that live frames and recorded ones take. */
export class Judge {
  readonly tracker: Tracker;
  /** number of frames so far */
  frames = 0;
  /** how many frames led to no decision, by reason */
  readonly unjudged = new Map<UndecodedReason | UnjudgedReason, number>();
  private readonly recent = new RecentPackets();

  /** @param hashKey - random, so that senders cannot choose addresses that slow us down */
  constructor(config: TrackerConfig, listener: EntryListener, hashKey: HashKey) {
    this.tracker = new Tracker(config, listener, hashKey);
  }

  /**
   * Judges a frame. One SYN may be there more than once: pf writes a record for each rule that logs it, and a recording
   * of all interfaces has it for each that it came through.
   * @param nowMs - the tracker's time: monotonic milliseconds, or a recording's own time
   */
  judge(frame: Frame, nowMs: number): Judgement {
    return this.decide(decode(frame), nowMs, true);
  }

  /**
   * The same for what has been decoded already.
   * @param mayRepeat - whether the same packet may come again
   * @param isVouched - whether pf has let it in for what its table had of its sender
   */
  decide(decoded: Observation | Undecoded, nowMs: number, mayRepeat = false, isVouched = false): Judgement {
    this.frames++;
    if (!decoded.ok) {
      this.countUnjudged(decoded.reason);
      return { observation: undefined, decision: { kind: 'unjudged', reason: decoded.reason } };
    }
    const decision =
      decoded.isSyn && !isNflogAction(decoded.action) && (mayRepeat || decoded.action !== Action.NONE)
        ? this.once(decoded, nowMs, isVouched)
        : this.tracker.observe(decoded, nowMs);
    if (decision.kind === 'unjudged') this.countUnjudged(decision.reason);
    return { observation: decoded, decision };
  }

  /**
   * Judges a SYN that pf has written down, once: the first of its records counts. But where that said what nobody
   * expected, and another says the opposite, the last rule that matched has been another one: then that counts.
   */
  private once(observation: Observation, nowMs: number, isVouched: boolean): Decision {
    const before = this.recent.recall(observation);
    if (before !== undefined && !this.contradicts(observation, before)) return leave('same-packet');
    if (before !== undefined) {
      this.tracker.takeBack(before === Outcome.PASSED ? 'admission' : 'refusal');
      this.countUnjudged('same-packet');
    }
    const decision = this.tracker.observe(observation, nowMs, isVouched);
    const outcome = outcomeOf(decision) ?? (before && Outcome.SETTLED);
    if (outcome !== undefined) this.recent.keep(observation, outcome);
    return decision;
  }

  /** Whether a record says the opposite of what was made of an earlier one of its packet. */
  private contradicts(observation: Observation, before: Outcome): boolean {
    if (before === OPPOSITE[observation.action]) return true;
    return before === Outcome.PASSED && this.tracker.isRedirected(observation);
  }

  private countUnjudged(reason: UndecodedReason | UnjudgedReason): void {
    this.unjudged.set(reason, (this.unjudged.get(reason) ?? 0) + 1);
  }
}

/** What a record of each action contradicts. */
const OPPOSITE: Readonly<Record<number, Outcome>> = {
  [Action.PASS]: Outcome.DROPPED,
  [Action.RDR]: Outcome.DROPPED,
  [Action.DROP]: Outcome.PASSED,
};

/** What is remembered of a decision; undefined: it was none about the packet. */
function outcomeOf(decision: Decision): Outcome | undefined {
  const { kind, reason } = decision;
  if (reason === 'passed-by-pf') return Outcome.PASSED;
  if (reason === 'not-yet-in-table' && !decision.redirected) return Outcome.DROPPED;
  return kind !== 'unjudged' || reason === 'ip-options' || reason === 'dropped-after-pass'
    ? Outcome.SETTLED
    : undefined;
}

/**
 * What the tracker needs of the configuration.
 * @param maxEntries - entries at the most, when the firewall has less room than the configuration asks for
 * @param own - the machine's addresses
 * @param domains - networks of the domains that the configuration allows
 */
export function trackerConfig(
  config: Config,
  authority: TrackerConfig['authority'],
  maxEntries = config.maxEntries,
  own: readonly Address[] = [],
  domains: readonly DomainNetwork[] = [],
): TrackerConfig {
  return {
    fake: config.fakeMailserver,
    real: config.realMailserver,
    own,
    allow: config.allow,
    domains,
    port: config.port,
    whitelistTimeMs: config.whitelistTime * 1000,
    redirect: redirectOf(config),
    knownTimeMs: config.knownTime * 1000,
    outbound: config.outbound,
    ipv4Prefix: config.ipv4Prefix,
    ipv6Prefix: config.ipv6Prefix,
    maxEntries,
    authority,
  };
}

/** Only pf's log tells where a packet was led to. */
function redirectOf({ strangers }: Config): Redirect | undefined {
  if (strangers.kind === 'drop') return undefined;
  return { port: strangers.kind === 'redirect' ? strangers.port : undefined };
}

// From a frame to a decision.
import type { HashKey } from '../tracker/siphash.js';
import type { Config } from '../config/config.js';
import type { Frame } from '../packet/frame.js';
import { decode, type Observation, type Undecoded, type UndecodedReason } from '../packet/observation.js';
import { isNflogAction } from '../packet/nflog.js';
import { Action } from '../packet/pflog.js';
import { type Decision, leave, type UnjudgedReason } from '../tracker/decision.js';
import { type EntryListener, Tracker, type TrackerConfig } from '../tracker/tracker.js';
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

  /** @param nowMs - the tracker's time: monotonic milliseconds, or a recording's own time */
  judge(frame: Frame, nowMs: number): Judgement {
    return this.decide(decode(frame), nowMs);
  }

  /** The same for what has been decoded already. */
  decide(decoded: Observation | Undecoded, nowMs: number): Judgement {
    this.frames++;
    if (!decoded.ok) {
      this.countUnjudged(decoded.reason);
      return { observation: undefined, decision: { kind: 'unjudged', reason: decoded.reason } };
    }
    const decision =
      decoded.isSyn && decoded.action !== Action.NONE && !isNflogAction(decoded.action)
        ? this.once(decoded, nowMs)
        : this.tracker.observe(decoded, nowMs);
    if (decision.kind === 'unjudged') this.countUnjudged(decision.reason);
    return { observation: decoded, decision };
  }

  /**
   * Judges a SYN that pf has written down, once: the first of its records counts. But where that said what nobody
   * expected, and another says the opposite, the last rule that matched has been another one: then that counts.
   */
  private once(observation: Observation, nowMs: number): Decision {
    const before = this.recent.recall(observation);
    if (before !== undefined && before !== OPPOSITE[observation.action]) return leave('same-packet');
    if (before !== undefined) {
      this.tracker.takeBack(before === Outcome.PASSED ? 'admission' : 'refusal');
      this.countUnjudged('same-packet');
    }
    const decision = this.tracker.observe(observation, nowMs);
    const outcome = outcomeOf(decision) ?? (before && Outcome.SETTLED);
    if (outcome !== undefined) this.recent.keep(observation, outcome);
    return decision;
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
function outcomeOf({ kind, reason }: Decision): Outcome | undefined {
  if (reason === 'passed-by-pf') return Outcome.PASSED;
  if (reason === 'not-yet-in-table') return Outcome.DROPPED;
  return kind !== 'unjudged' || reason === 'ip-options' || reason === 'dropped-after-pass'
    ? Outcome.SETTLED
    : undefined;
}

/**
 * What the tracker needs of the configuration.
 * @param maxEntries - entries at the most, when the firewall has less room than the configuration asks for
 */
export function trackerConfig(
  config: Config,
  authority: TrackerConfig['authority'],
  maxEntries = config.maxEntries,
): TrackerConfig {
  return {
    fake: config.fakeMailserver,
    real: config.realMailserver,
    allow: config.allow,
    port: config.port,
    whitelistTimeMs: config.whitelistTime * 1000,
    knownTimeMs: config.knownTime * 1000,
    ipv4Prefix: config.ipv4Prefix,
    ipv6Prefix: config.ipv6Prefix,
    maxEntries,
    authority,
  };
}

// What loaded rules do with a SYN, as pf does it. Pure.
import { both, type Match } from './interfaces.js';
import { matchCriteria, type Packet, type Scene } from './match.js';
import type { AnchorRule, FilterRule, PfRule, ScrubRule } from './rule.js';

/** What may become of a packet. */
export interface Outcome {
  /** the rule that decides; undefined: none matches, and pf lets it pass */
  readonly rule: PfRule | undefined;
  /** `unknown`: what we cannot read decides */
  readonly action: 'pass' | 'block' | 'unknown';
  /** refused, not just dropped */
  readonly returns: boolean;
  /** log interfaces that it is written to */
  readonly logs: readonly string[];
}

/** What becomes of a packet, as far as it can be known. */
export interface Verdict {
  /** if nothing that is in doubt matches */
  readonly likely: Outcome;
  /** all that may come out, the likely one among them */
  readonly possible: readonly Outcome[];
  /** rules that may match or not, or that we cannot read, up to the one that ends it */
  readonly doubts: readonly PfRule[];
}

/** pf passes what no rule matches. */
const IMPLICIT_PASS: Outcome = { rule: undefined, action: 'pass', returns: false, logs: [] };
/** Stands in a walk for "no rule so far". */
const NOTHING: Outcome = { rule: undefined, action: 'unknown', returns: false, logs: [] };

/**
 * Judges a packet as pf does: the last rule that matches decides, or the first that is `quick`; the rules of an
 * anchor are judged where the anchor stands. Rules in doubt make more than one outcome possible.
 */
export function judgePacket(rules: readonly PfRule[], packet: Packet, scene: Scene): Verdict {
  const walk = new Walk(packet, scene, IMPLICIT_PASS);
  walk.through(rules, 'yes');
  const possible = [...new Set([walk.likely, ...walk.finals, ...walk.ongoing])];
  return { likely: walk.likely, possible, doubts: [...walk.doubts] };
}

/** Whether fragments are put together before the rules see them, by the first `scrub` that matches (FreeBSD). */
export function judgeReassembly(rules: readonly PfRule[], packet: Packet, scene: Scene): Match {
  const answers = new Set<boolean>();
  for (const rule of rules.filter((one): one is ScrubRule => one.kind === 'scrub')) {
    const match = matchCriteria(rule.criteria, packet, scene);
    if (match !== 'no') answers.add(rule.reassembles);
    if (match === 'yes') return summary(answers);
  }
  return summary(answers.add(false));
}

function summary(answers: ReadonlySet<boolean>): Match {
  return answers.size === 2 ? 'maybe' : answers.has(true) ? 'yes' : 'no';
}

class Walk {
  likely: Outcome;
  /** may have decided, by `quick` */
  readonly finals = new Set<Outcome>();
  /** the last that matched so far, one of these */
  ongoing: Set<Outcome>;
  readonly doubts = new Set<PfRule>();
  /** log interfaces that `log (matches)` has set */
  private readonly alsoLogs = new Set<string>();
  private ended = false;

  /** @param depth - number of anchors that we are in */
  constructor(
    private readonly packet: Packet,
    private readonly scene: Scene,
    start: Outcome,
    private depth = 0,
  ) {
    this.likely = start;
    this.ongoing = new Set([start]);
  }

  /** @param guard - whether the rules are looked at, at all */
  through(rules: readonly PfRule[], guard: Match): void {
    for (const rule of rules) {
      if (this.ended) return;
      if (rule.kind === 'unknown') this.take({ ...NOTHING, rule }, both(guard, 'maybe'), rule, true);
      else if (rule.kind === 'anchor') this.anchor(rule, both(guard, this.matchAnchor(rule)));
      else if (rule.kind !== 'scrub') this.filter(rule, both(guard, this.match(rule)));
    }
  }

  private match(rule: FilterRule | AnchorRule): Match {
    return matchCriteria(rule.criteria, this.packet, this.scene);
  }

  /** The recorded FreeBSD printed the rules of a named anchor in another one, and never looked at them. */
  private matchAnchor(rule: AnchorRule): Match {
    return both(this.match(rule), this.depth > 0 && rule.name !== '' ? 'maybe' : 'yes');
  }

  private filter(rule: FilterRule, match: Match): void {
    if (match === 'no') return;
    if (rule.kind !== 'match') {
      const own = rule.log === undefined ? [] : [rule.log.to];
      const logs = [...new Set([...own, ...this.alsoLogs])];
      this.take({ rule, action: rule.kind, returns: rule.returns, logs }, match, rule, rule.quick);
      return;
    }
    // what later rules see is another packet
    if (rule.translates) this.take({ ...NOTHING, rule }, 'maybe', rule, true);
    if (rule.log?.matches === true && match === 'yes') this.alsoLogs.add(rule.log.to);
  }

  private anchor(rule: AnchorRule, match: Match): void {
    if (match === 'no') return;
    if (rule.rules === undefined) {
      this.take({ ...NOTHING, rule }, 'maybe', rule, true);
      return;
    }
    if (!rule.quick) {
      this.depth++;
      this.through(rule.rules, match);
      this.depth--;
      return;
    }
    const inner = new Walk(this.packet, this.scene, NOTHING, this.depth + 1);
    inner.through(rule.rules, match);
    for (const doubt of inner.doubts) this.doubts.add(doubt);
    for (const outcome of [...inner.finals, ...inner.ongoing]) {
      if (outcome !== NOTHING) this.finals.add(outcome);
    }
    if (match === 'yes' && inner.likely !== NOTHING) this.likely = inner.likely;
    if (!inner.ongoing.has(NOTHING)) this.end();
  }

  private take(outcome: Outcome, match: Match, rule: PfRule, quick: boolean): void {
    if (match === 'maybe') this.doubts.add(rule);
    if (match === 'yes') {
      this.likely = outcome;
      this.ongoing = new Set();
    }
    if (!quick) this.ongoing.add(outcome);
    else this.finals.add(outcome);
    if (quick && match === 'yes') this.end();
  }

  private end(): void {
    this.ongoing = new Set();
    this.ended = true;
  }
}

/** Whether an outcome is written to a log interface. */
export function logsTo(outcome: Outcome, interfaceName: string): boolean {
  return outcome.logs.includes(interfaceName);
}

/** All rules in the order in which pf looks at them, those in anchors too. */
export function flatten(rules: readonly PfRule[]): PfRule[] {
  return rules.flatMap((rule) => (rule.kind === 'anchor' ? [rule, ...flatten(rule.rules ?? [])] : [rule]));
}

// What loaded rules do with a SYN, as pf does it. Pure.
import type { Address } from '../packet/address.js';
import { both, type Match } from './interfaces.js';
import { matchCriteria, type Packet, type Scene } from './match.js';
import type {
  AnchorRule,
  FilterRule,
  PfRule,
  Redirect,
  RedirectRule,
  ScrubRule,
  TranslationRule,
} from './rule.js';

/** What may become of a packet. */
export interface Outcome {
  /** the rule that decides; undefined: none matches, and pf lets it pass */
  readonly rule: PfRule | RedirectRule | undefined;
  /** `unknown`: what we cannot read decides */
  readonly action: 'pass' | 'block' | 'unknown';
  /** refused, not just dropped */
  readonly returns: boolean;
  /** log interfaces that it is written to */
  readonly logs: readonly string[];
  /** the destination that the log names */
  readonly logged: Destination | undefined;
  /** where it is sent on to, and by which rule */
  readonly redirected: { readonly to: Redirect; readonly by: FilterRule | RedirectRule } | undefined;
}

/** Where a packet goes. */
export interface Destination {
  readonly address: Address;
  readonly port: number;
}

/** What becomes of a packet, as far as it can be known. */
export interface Verdict {
  /** if nothing that is in doubt matches */
  readonly likely: Outcome;
  /** all that may come out, the likely one among them */
  readonly possible: readonly Outcome[];
  /** rules that may match or not, or that we cannot read, up to the one that ends it */
  readonly doubts: readonly (PfRule | RedirectRule)[];
}

/**
 * Judges a packet as pf does: the last rule that matches decides, or the first that is `quick`; the rules of an
 * anchor are judged where the anchor stands. Rules in doubt make more than one outcome possible.
 * @param translations - FreeBSD's, which come before all others
 */
export function judgePacket(
  rules: readonly PfRule[],
  packet: Packet,
  scene: Scene,
  translations: readonly TranslationRule[] = [],
): Verdict {
  const walk = new Walk(packet, scene);
  walk.translate(translations);
  walk.through(rules, 'yes');
  return walk.verdict();
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
  /** undefined: no rule has matched */
  likely: Outcome | undefined;
  /** may have decided, by `quick` */
  readonly finals = new Set<Outcome>();
  /** the last that matched so far, one of these; undefined: none */
  ongoing = new Set<Outcome | undefined>([undefined]);
  readonly doubts = new Set<PfRule | RedirectRule>();
  /** log interfaces that `log (matches)` has set */
  private readonly alsoLogs = new Set<string>();
  private ended = false;

  /** @param depth - number of anchors that we are in */
  constructor(
    private packet: Packet,
    private readonly scene: Scene,
    private readonly dialled: Destination = packetDestination(packet),
    private redirected: Outcome['redirected'] = undefined,
    private depth = 0,
  ) {}

  verdict(): Verdict {
    // pf passes what no rule matches
    const implicit = this.outcome(undefined, 'pass', []);
    // a match rule behind the rule that decides leads elsewhere, too
    const settled = new Map<Outcome, Outcome>();
    const settle = (outcome: Outcome | undefined): Outcome => {
      if (outcome === undefined) return implicit;
      const isOld = outcome.redirected === undefined && this.redirected !== undefined;
      const known = settled.get(outcome);
      if (known !== undefined || !isOld || this.finals.has(outcome)) return known ?? outcome;
      const { redirected } = this;
      const now = { ...outcome, redirected, logged: this.inLog(redirected) };
      settled.set(outcome, now);
      return now;
    };
    const likely = settle(this.likely);
    const possible = new Set([likely, ...this.finals, ...[...this.ongoing].map(settle)]);
    return { likely, possible: [...possible], doubts: [...this.doubts] };
  }

  /** The first that matches decides. */
  translate(rules: readonly TranslationRule[]): void {
    for (const rule of rules) {
      const match = rule.kind === 'unknown' ? 'maybe' : matchCriteria(rule.criteria, this.packet, this.scene);
      if (match === 'no') continue;
      if (rule.kind === 'unknown' || match === 'maybe') {
        this.take(unknownBy(rule), 'maybe', rule, true);
        continue;
      }
      if (rule.redirect === undefined) return;
      const isKnown = this.redirect(rule, rule.redirect);
      if (rule.passes) {
        const logs = rule.log === undefined ? [] : [rule.log.to];
        // of "rdr pass log" there is a record with the address as it was dialled, too
        this.take({ ...this.outcome(rule, 'pass', logs), logged: this.dialled }, 'yes', rule, true);
      } else if (!isKnown) this.take(unknownBy(rule), 'maybe', rule, true);
      return;
    }
  }

  /** @param guard - whether the rules are looked at, at all */
  through(rules: readonly PfRule[], guard: Match): void {
    for (const rule of rules) {
      if (this.ended) return;
      if (rule.kind === 'unknown') this.take(unknownBy(rule), both(guard, 'maybe'), rule, true);
      else if (rule.kind === 'anchor') this.anchor(rule, both(guard, this.matchAnchor(rule)));
      else if (rule.kind !== 'scrub') this.filter(rule, both(guard, this.match(rule)));
    }
  }

  private match(rule: FilterRule | AnchorRule): Match {
    return matchCriteria(rule.criteria, this.packet, this.scene);
  }

  /** The recorded FreeBSD printed the rules of a named anchor in another one, and never looked at them; OpenBSD does. */
  private matchAnchor(rule: AnchorRule): Match {
    const isLookedAt = this.depth === 0 || rule.name === '' || this.scene.os === 'openbsd';
    return both(this.match(rule), isLookedAt ? 'yes' : 'maybe');
  }

  private filter(rule: FilterRule, match: Match): void {
    if (match === 'no') return;
    const { kind, redirect, log } = rule;
    if (kind !== 'match') {
      const own = log === undefined ? [] : [log.to];
      const redirected = kind === 'pass' && redirect !== undefined ? { to: redirect, by: rule } : undefined;
      const logs = [...new Set([...own, ...this.alsoLogs])];
      this.take(this.outcome(rule, kind, logs, redirected), match, rule, rule.quick);
      return;
    }
    // what later rules see is another packet
    const isLost = match === 'yes' && redirect?.rewrites === true ? !this.redirect(rule, redirect) : redirect;
    if (rule.translates || isLost) this.take(unknownBy(rule), 'maybe', rule, true);
    if (log?.matches === true && match === 'yes') this.alsoLogs.add(log.to);
  }

  /** Goes on with the packet as it is then. @returns whether that is known */
  private redirect(by: FilterRule | RedirectRule, to: Redirect): boolean {
    this.redirected = { to, by };
    const destination = redirectedTo(to, this.packet.port);
    if (destination === undefined) return false;
    this.packet = { ...this.packet, destination: destination.address, port: destination.port };
    return true;
  }

  private outcome(
    rule: Outcome['rule'],
    action: 'pass' | 'block',
    logs: readonly string[],
    redirected = this.redirected,
  ): Outcome {
    const returns = rule?.kind === 'block' && rule.returns;
    return { rule, action, returns, logs, logged: this.inLog(redirected), redirected };
  }

  /** FreeBSD's log has the packet as it is sent on, OpenBSD's as it came. */
  private inLog(redirected: Outcome['redirected']): Destination | undefined {
    if (redirected?.to.rewrites !== true || this.scene.os !== 'freebsd') return this.dialled;
    return redirectedTo(redirected.to, this.packet.port);
  }

  private anchor(rule: AnchorRule, match: Match): void {
    if (match === 'no') return;
    if (rule.rules === undefined) {
      this.take(unknownBy(rule), 'maybe', rule, true);
      return;
    }
    if (!rule.quick) {
      this.depth++;
      this.through(rule.rules, match);
      this.depth--;
      return;
    }
    const inner = new Walk(this.packet, this.scene, this.dialled, this.redirected, this.depth + 1);
    inner.through(rule.rules, match);
    for (const doubt of inner.doubts) this.doubts.add(doubt);
    for (const outcome of [...inner.finals, ...inner.ongoing]) {
      if (outcome !== undefined) this.finals.add(outcome);
    }
    if (match === 'yes') {
      this.likely = inner.likely ?? this.likely;
      this.packet = inner.packet;
      this.redirected = inner.redirected;
    }
    if (!inner.ongoing.has(undefined)) this.end();
  }

  private take(outcome: Outcome, match: Match, rule: PfRule | RedirectRule, quick: boolean): void {
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

function packetDestination({ destination: address, port }: Packet): Destination {
  return { address, port };
}

function redirectedTo({ address, port }: Redirect, dialledPort: number): Destination | undefined {
  return address === undefined ? undefined : { address, port: port ?? dialledPort };
}

/** What a rule decides that cannot be read. */
function unknownBy(rule: PfRule | RedirectRule): Outcome {
  return { rule, action: 'unknown', returns: false, logs: [], logged: undefined, redirected: undefined };
}

/** All rules in the order in which pf looks at them, those in anchors too. */
export function flatten(rules: readonly PfRule[]): PfRule[] {
  return rules.flatMap((rule) => (rule.kind === 'anchor' ? [rule, ...flatten(rule.rules ?? [])] : [rule]));
}

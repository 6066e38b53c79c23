import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { findArrivals } from './arrivals.js';
import { flatten, judgePacket, type Outcome, type Verdict } from './evaluate.js';
import { type Finding, finding, SEVERITIES, type Severity } from './finding.js';
import { judgeFragments } from './fragments.js';
import type { Interfaces } from './interfaces.js';
import { matchCriteria, namesDestination, type Packet, type Scene } from './match.js';
import { parseRules } from './parse-rules.js';
import { type Question, QUESTIONS } from './questions.js';
import type { PfRule } from './rule.js';

/** What rules are judged for. */
export interface RulesSetup {
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  readonly port: number;
  /** name of our table */
  readonly table: string;
  /** where mxallowd listens */
  readonly pflogInterface: string;
  /** undefined: neither of the two */
  readonly os: 'openbsd' | 'freebsd' | undefined;
  /** of the machine that the rules are of; undefined: not known */
  readonly interfaces?: Interfaces | undefined;
}

/**
 * Judges whether pf's rules do what nolisting needs: for each address whether SYNs of strangers and of admitted
 * senders are logged, refused, dropped or let in. No I/O.
 * @param text - what `pfctl -s rules` prints; with `-a '*'` the rules in anchors are judged, too
 * @returns findings, safe to print; where a rule cannot be judged they say so instead of guessing
 */
export function judgeRules(text: string, setup: RulesSetup): Finding[] {
  const rules = parseRules(text);
  if (flatten(rules).every(({ kind }) => kind === 'scrub')) {
    const message = 'pf has no rules: everybody is let in, and nothing is logged';
    return [finding('error', 'rules-none', message, '"mxallowd pf-conf" prints the rules that are needed')];
  }
  const all = [...setup.fake, ...setup.real];
  const arrivals = findArrivals(rules, all, setup.port, setup.interfaces);
  const table = judgeTable(rules, setup);
  const scenes = arrivals.names.map((arrival) => {
    return { table: setup.table, arrival, interfaces: setup.interfaces };
  });
  return [
    ...arrivals.findings,
    ...table,
    ...(['fake', 'real'] as const).flatMap((role) => {
      return judgeRole(rules, setup, role, scenes, table.length > 0);
    }),
    ...judgeFragments(rules, setup, scenes),
  ];
}

/** The rules must let in those of our table, not of another. */
function judgeTable(rules: readonly PfRule[], { table }: RulesSetup): Finding[] {
  const all = flatten(rules);
  if (all.some((rule) => tablesOf(rule).includes(table))) return [];
  const others = all.flatMap((rule) => (rule.kind === 'pass' ? tablesOf(rule) : []));
  const other = others[0] === undefined ? '' : `; they let in <${escapeText(others[0], 31)}>`;
  const isHidden = all.some((rule) => rule.kind === 'anchor' && rule.rules === undefined);
  return [
    finding(
      isHidden ? 'warning' : 'error',
      'rules-table',
      `no rule names the table <${table}>, so nobody is let in by it${other}`,
      isHidden
        ? 'unless one in an anchor does: those are not shown here'
        : `write "from <${table}>" in the pass rule, or set table in mxallowd.conf`,
    ),
  ];
}

function tablesOf(rule: PfRule): string[] {
  if (rule.kind === 'unknown') return [...rule.text.matchAll(/<([^:>]+)/g)].map(([, name]) => name ?? '');
  const { address } = rule.criteria.from;
  return address.kind === 'table' ? [address.name] : [];
}

/** A question with its answer for one address that comes in by one interface. */
interface Answer {
  readonly question: Question;
  readonly who: string;
  readonly verdict: Verdict;
  readonly isGood: boolean;
  /** whether what is in doubt could make it the other way round */
  readonly isSure: boolean;
  readonly hint: string;
}

function judgeRole(
  rules: readonly PfRule[],
  setup: RulesSetup,
  role: 'fake' | 'real',
  scenes: readonly Scene[],
  isTableWrong: boolean,
): Finding[] {
  const answers: Answer[] = [];
  const well: string[] = [];
  const doubted = new Map<string, readonly PfRule[]>();
  for (const scene of scenes) {
    for (const address of setup[role]) {
      const by = scenes.length > 1 ? ` by ${escapeText(scene.arrival ?? '', 20)}` : '';
      const who = `${formatAddress(address)}${by}`;
      const own = askAll(rules, setup, role, address, scene, who).filter(
        ({ question }) => !isTableWrong || !question.listed,
      );
      answers.push(...own.filter(({ isGood }) => !isGood));
      if (own.some(({ isGood }) => !isGood)) continue;
      const doubts = own.filter(({ isSure }) => !isSure).flatMap(({ verdict }) => verdict.doubts);
      if (doubts.length > 0) doubted.set(who, [...new Set(doubts)]);
      else if (role === 'fake' || !isTableWrong) well.push(who);
    }
  }
  return [
    ...describeWell(role, well, setup),
    ...describeProblems(role, answers, setup),
    ...describeDoubts(role, doubted),
  ];
}

function askAll(
  rules: readonly PfRule[],
  setup: RulesSetup,
  role: 'fake' | 'real',
  destination: Address,
  scene: Scene,
  who: string,
): Answer[] {
  const answers: Answer[] = [];
  for (const question of QUESTIONS) {
    const isBlocked = question.after.some((id) =>
      answers.some((one) => one.question.id === id && !one.isGood),
    );
    if (question.role !== role || isBlocked) continue;
    const packet: Packet = { kind: 'syn', destination, port: setup.port, listed: question.listed };
    const verdict = judgePacket(rules, packet, scene);
    const isGood = (outcome: Outcome): boolean =>
      outcome.action !== 'unknown' && question.isGood(outcome, setup.pflogInterface);
    const isLikelyGood = isGood(verdict.likely);
    const isSure = verdict.possible.every((outcome) =>
      isLikelyGood ? isGood(outcome) : outcome.action !== 'unknown' && !isGood(outcome),
    );
    const hint = isLikelyGood ? '' : orderHint(rules, packet, scene, verdict.likely, isGood);
    answers.push({ question, who, verdict, isGood: isLikelyGood, isSure, hint });
  }
  return answers;
}

/** Says so when a rule that would do is there, but in the wrong place. */
function orderHint(
  rules: readonly PfRule[],
  packet: Packet,
  scene: Scene,
  decided: Outcome,
  isGood: (outcome: Outcome) => boolean,
): string {
  const all = flatten(rules);
  const good = all.find((rule) => {
    if ((rule.kind !== 'pass' && rule.kind !== 'block') || !namesDestination(rule.criteria)) return false;
    const { kind: action, returns, log } = rule;
    const logs = log === undefined ? [] : [log.to];
    return matchCriteria(rule.criteria, packet, scene) === 'yes' && isGood({ rule, action, returns, logs });
  });
  if (good === undefined || decided.rule === undefined) return '';
  return all.indexOf(good) < all.indexOf(decided.rule)
    ? `${quote(good)} comes earlier, but the last match decides: make it quick, or put it behind`
    : `${quote(good)} comes too late, behind a quick rule: put it first`;
}

function describeWell(role: 'fake' | 'real', who: readonly string[], setup: RulesSetup): Finding[] {
  if (who.length === 0) return [];
  const message =
    role === 'fake'
      ? `attempts are refused, and logged to ${setup.pflogInterface}`
      : 'admitted senders are let in, others dropped, both logged';
  return [finding('ok', `rules-${role}`, `rules, ${role} MX ${list(who)}: ${message}`)];
}

/** The same problem of several addresses is told once. */
function describeProblems(role: 'fake' | 'real', answers: readonly Answer[], setup: RulesSetup): Finding[] {
  const groups = new Map<string, Answer[]>();
  for (const answer of answers) {
    const { message } = answer.question.problem(answer.verdict.likely, setup.pflogInterface);
    const key = `${answer.question.id} ${answer.isSure} ${message}`;
    groups.set(key, [...(groups.get(key) ?? []), answer]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { question, verdict, isSure, hint } = first;
    const problem = question.problem(verdict.likely, setup.pflogInterface);
    const who = list(group.map((answer) => answer.who));
    const unsure = isSure ? '' : `, as far as the rules can be read (not: ${quoteAll(verdict.doubts)})`;
    return [
      finding(
        isSure ? problem.severity : lower(problem.severity),
        question.id,
        `rules, ${role} MX ${who}: ${problem.message}; ${decider(group)}${unsure}`,
        hint === '' ? problem.advice : hint,
      ),
    ];
  });
}

function describeDoubts(role: 'fake' | 'real', doubted: ReadonlyMap<string, readonly PfRule[]>): Finding[] {
  if (doubted.size === 0) return [];
  const rules = [...new Set([...doubted.values()].flat())];
  const message = `rules, ${role} MX ${list([...doubted.keys()])}: all is well, unless this says otherwise: `;
  const isAnchor = rules.some(({ kind }) => kind === 'anchor');
  const advice = isAnchor ? 'pfctl -a "*" -sr shows the rules in anchors' : 'it cannot be judged from here';
  return [finding('note', `rules-${role}-doubt`, message + quoteAll(rules), advice)];
}

function decider(group: readonly Answer[]): string {
  const rules = new Set(group.map(({ verdict }) => verdict.likely.rule));
  const [rule] = rules;
  if (rule === undefined) return 'no rule matches';
  return `${quote(rule)} decides${rules.size > 1 ? ', and the like' : ''}`;
}

function lower(severity: Severity): Severity {
  return SEVERITIES[Math.max(1, SEVERITIES.indexOf(severity) - 1)] ?? 'note';
}

const LONGEST_RULE = 120;
const MOST_QUOTED = 2;

function quote({ text }: PfRule): string {
  return `"${escapeText(text, LONGEST_RULE)}"`;
}

function quoteAll(rules: readonly PfRule[]): string {
  const more = rules.length > MOST_QUOTED ? ` and ${rules.length - MOST_QUOTED} more` : '';
  return rules.slice(0, MOST_QUOTED).map(quote).join(', ') + more;
}

function list(texts: readonly string[]): string {
  return [...new Set(texts)].join(', ');
}

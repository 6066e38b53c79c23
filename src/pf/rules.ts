// Loaded rules judged: findings for `check` and `status`. Pure.
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

/** An address, and the interface by which mail for it comes in. */
interface Way {
  readonly address: Address;
  readonly scene: Scene;
}

/** A question with its answer for one address. */
interface Answer {
  readonly question: Question;
  readonly way: Way;
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
  const well: Way[] = [];
  const doubted = new Map<Way, readonly PfRule[]>();
  const ways = setup[role].flatMap((address) => scenes.map((scene) => ({ address, scene })));
  for (const way of ways) {
    const own = askAll(rules, setup, role, way).filter(({ question }) => !isTableWrong || !question.listed);
    answers.push(...own.filter(({ isGood }) => !isGood));
    if (own.some(({ isGood }) => !isGood)) continue;
    const doubts = own.filter(({ isSure }) => !isSure).flatMap(({ verdict }) => verdict.doubts);
    if (doubts.length > 0) doubted.set(way, [...new Set(doubts)]);
    else if (role === 'fake' || !isTableWrong) well.push(way);
  }
  const who = (some: readonly Way[]): string => `rules, ${role} MX ${listWays(some, scenes.length)}`;
  return [
    ...describeWell(role, well, setup, who),
    ...describeProblems(answers, setup, who),
    ...describeDoubts(role, doubted, who),
  ];
}

/** Addresses; with their interface where it is not the same by all. */
function listWays(ways: readonly Way[], interfaces: number): string {
  const addresses = [...new Set(ways.map(({ address }) => address))];
  const texts = addresses.flatMap((address) => {
    const own = ways.filter((way) => way.address === address);
    if (own.length === interfaces) return [formatAddress(address)];
    return own.map(({ scene }) => `${formatAddress(address)} by ${escapeText(scene.arrival ?? '', 20)}`);
  });
  return texts.join(', ');
}

function askAll(rules: readonly PfRule[], setup: RulesSetup, role: 'fake' | 'real', way: Way): Answer[] {
  const { address: destination, scene } = way;
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
    answers.push({ question, way, verdict, isGood: isLikelyGood, isSure, hint });
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
    ? `${quote(good)} comes earlier, but the last match decides: make all of ours quick (pass first), or put them last`
    : `${quote(good)} comes too late, behind a quick rule: put it first`;
}

type Who = (ways: readonly Way[]) => string;

function describeWell(role: 'fake' | 'real', well: readonly Way[], setup: RulesSetup, who: Who): Finding[] {
  if (well.length === 0) return [];
  const message =
    role === 'fake'
      ? `attempts are refused, and logged to ${setup.pflogInterface}`
      : 'admitted senders are let in, others dropped, both logged';
  return [finding('ok', `rules-${role}`, `${who(well)}: ${message}`)];
}

/** The same problem of several addresses is told once. */
function describeProblems(answers: readonly Answer[], setup: RulesSetup, who: Who): Finding[] {
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
    const whose = who(group.map(({ way }) => way));
    const unsure = isSure ? '' : `, as far as the rules can be read (not: ${quoteAll(verdict.doubts)})`;
    return [
      finding(
        isSure ? problem.severity : lower(problem.severity),
        question.id,
        `${whose}: ${problem.message}; ${decider(group)}${unsure}`,
        hint === '' ? problem.advice : hint,
      ),
    ];
  });
}

function describeDoubts(
  role: 'fake' | 'real',
  doubted: ReadonlyMap<Way, readonly PfRule[]>,
  who: Who,
): Finding[] {
  if (doubted.size === 0) return [];
  const rules = [...new Set([...doubted.values()].flat())];
  const message = `${who([...doubted.keys()])}: all is well, unless this says otherwise: `;
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

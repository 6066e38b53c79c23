// Questions about the real and the fake MX, answered by loaded rules. Pure.
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { flatten, judgePacket, type Outcome, type Verdict } from './evaluate.js';
import { type Finding, finding, SEVERITIES, type Severity } from './finding.js';
import { matchCriteria, namesDestination, type Packet, type Scene } from './match.js';
import { type Listening, type Question, QUESTIONS } from './questions.js';
import { quote, quoteAll } from './quote.js';
import type { PfRule, TranslationRule } from './rule.js';

/** What is asked, and of which rules. */
export interface Asking {
  readonly rules: readonly PfRule[];
  /** FreeBSD's, which come before all others */
  readonly translations: readonly TranslationRule[];
  readonly role: 'fake' | 'real';
  /** of that role */
  readonly addresses: readonly Address[];
  readonly port: number;
  readonly pflogInterface: string;
  /** where strangers are to be led; undefined: they are to be dropped */
  readonly strangersPort: number | undefined;
  readonly knowsTranslations: boolean;
  /** one for each way by which mail comes in */
  readonly scenes: readonly Scene[];
  /** what is wrong with the table has been told: nothing is asked about those who are in it */
  readonly isTableWrong: boolean;
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

/** Judges what rules do with SYNs to one kind of mail server. */
export function judgeRole(asking: Asking): Finding[] {
  const { role, addresses, scenes, isTableWrong } = asking;
  const answers: Answer[] = [];
  const well: Way[] = [];
  const doubted = new Map<Way, Verdict['doubts']>();
  for (const way of addresses.flatMap((address) => scenes.map((scene) => ({ address, scene })))) {
    const own = askAll(asking, way).filter(({ question }) => !isTableWrong || !question.listed);
    answers.push(...own.filter(({ isGood }) => !isGood));
    if (own.some(({ isGood }) => !isGood)) continue;
    const doubts = own.filter(({ isSure }) => !isSure).flatMap(({ verdict }) => verdict.doubts);
    if (doubts.length > 0) doubted.set(way, [...new Set(doubts)]);
    else if (role === 'fake' || !isTableWrong) well.push(way);
  }
  const who = (some: readonly Way[]): string => `rules, ${role} MX ${listWays(some, scenes.length)}`;
  return [
    ...describeWell(asking, well, who),
    ...describeProblems(asking, answers, who),
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

function listeningOf(asking: Asking): Listening {
  const { pflogInterface, addresses, port, strangersPort, knowsTranslations } = asking;
  return { pflog: pflogInterface, addresses, port, strangersPort, knowsTranslations };
}

function askAll(asking: Asking, way: Way): Answer[] {
  const { rules, translations, role, port } = asking;
  const { address: destination, scene } = way;
  const listening = listeningOf(asking);
  const answers: Answer[] = [];
  for (const [index, question] of QUESTIONS.entries()) {
    const isBlocked = question.after.some((id) =>
      answers.some((one) => one.question.id === id && !one.isGood),
    );
    if (question.role !== role || isBlocked) continue;
    const { listed } = question;
    const packet: Packet = { kind: 'syn', destination, port, listed };
    const verdict = judgePacket(rules, packet, scene, translations);
    const isGood = (outcome: Outcome): boolean =>
      outcome.action !== 'unknown' && question.isGood(outcome, listening);
    const isLikelyGood = isGood(verdict.likely);
    const isSure = verdict.possible.every((outcome) =>
      isLikelyGood ? isGood(outcome) : outcome.action !== 'unknown' && !isGood(outcome),
    );
    // another rule must not make worse what has been answered about the same packet
    const same = QUESTIONS.filter((one, at) => at <= index && one.role === role && one.listed === listed);
    const wouldDo = (outcome: Outcome): boolean => same.every((one) => one.isGood(outcome, listening));
    const hint = isLikelyGood ? '' : orderHint(rules, packet, scene, verdict.likely, wouldDo);
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
  wouldDo: (outcome: Outcome) => boolean,
): string {
  const all = flatten(rules);
  const deciding = all.findIndex((rule) => rule === decided.rule);
  // who has been led elsewhere does not come to the rules for where he was going to
  if (deciding < 0 || decided.redirected !== undefined) return '';
  const good = all.findIndex((rule) => {
    if ((rule.kind !== 'pass' && rule.kind !== 'block') || !namesDestination(rule.criteria)) return false;
    if (matchCriteria(rule.criteria, packet, scene) !== 'yes') return false;
    return wouldDo(judgePacket([rule], packet, scene).likely);
  });
  const rule = all[good];
  if (rule === undefined) return '';
  if (good < deciding) {
    return `${quote(rule)} comes earlier, but the last match decides: make all of ours quick (pass first), or put them last`;
  }
  // a block rule alone would come ahead of the pass rule, too
  const what = rule.kind === 'pass' ? 'it first' : 'our rules ahead of it, those that pass first';
  return `${quote(rule)} comes too late, behind a quick rule: put ${what}`;
}

type Who = (ways: readonly Way[]) => string;

function describeWell(
  { role, pflogInterface, strangersPort }: Asking,
  well: readonly Way[],
  who: Who,
): Finding[] {
  if (well.length === 0) return [];
  const message =
    role === 'fake'
      ? `attempts are refused, and logged to ${pflogInterface}`
      : `admitted senders are let in, others ${strangersPort === undefined ? 'dropped' : `led to port ${strangersPort}`}, both logged`;
  return [finding('ok', `rules-${role}`, `${who(well)}: ${message}`)];
}

/** The same problem of several addresses is told once. */
function describeProblems(asking: Asking, answers: readonly Answer[], who: Who): Finding[] {
  const listening = listeningOf(asking);
  const groups = new Map<string, Answer[]>();
  for (const answer of answers) {
    const { message } = answer.question.problem(answer.verdict.likely, listening);
    const key = `${answer.question.id} ${answer.isSure} ${message}`;
    groups.set(key, [...(groups.get(key) ?? []), answer]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { question, verdict, isSure, hint } = first;
    const problem = question.problem(verdict.likely, listening);
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
  doubted: ReadonlyMap<Way, Verdict['doubts']>,
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

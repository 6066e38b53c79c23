// What is asked of loaded rules, and what the answers mean. Pure.
import type { Outcome } from './evaluate.js';
import type { Severity } from './finding.js';
import { namesDestination } from './match.js';

/** What should become of a SYN, and what it means when something else does. */
export interface Question {
  readonly id: string;
  readonly role: 'fake' | 'real';
  /** whether the sender is in our table */
  readonly listed: boolean;
  /** is asked only when those of these names are answered well */
  readonly after: readonly string[];
  readonly isGood: (outcome: Outcome, pflog: string) => boolean;
  /** how bad it is otherwise, what happens then, and what to do */
  readonly problem: (
    outcome: Outcome,
    pflog: string,
  ) => { readonly severity: Severity; readonly message: string; readonly advice: string };
}

const isLogged = (outcome: Outcome, pflog: string): boolean => outcome.logs.includes(pflog);

/** In the order of what hurts most. */
export const QUESTIONS: readonly Question[] = [
  {
    id: 'rules-fake-log',
    role: 'fake',
    listed: false,
    after: [],
    isGood: isLogged,
    problem: ({ logs }, pflog) => ({
      severity: 'error',
      message:
        logs[0] === undefined
          ? 'attempts are not logged, so nobody is ever admitted'
          : `attempts are logged to ${logs[0]}, but mxallowd listens on ${pflog}`,
      advice: logAdvice(
        logs,
        pflog,
        'the rule that decides needs "log"; "mxallowd pf-conf" prints rules that do it',
      ),
    }),
  },
  {
    id: 'rules-fake-renew',
    role: 'fake',
    listed: true,
    after: ['rules-fake-log'],
    isGood: isLogged,
    problem: () => ({
      severity: 'warning',
      message: 'attempts of admitted senders are not logged, so their time runs out all the same',
      advice: 'the rule that decides about them needs "log", too',
    }),
  },
  {
    id: 'rules-fake-refuse',
    role: 'fake',
    listed: false,
    after: ['rules-fake-log'],
    isGood: ({ action, returns }) => action === 'block' && returns,
    problem: ({ action }) => ({
      severity: 'note',
      message:
        action === 'block'
          ? 'attempts are dropped, not refused: senders wait before they try the real MX'
          : 'attempts are let through: that nothing listens there is all that refuses them',
      advice: 'write "block return" for the fake MX',
    }),
  },
  {
    id: 'rules-real-block',
    role: 'real',
    listed: false,
    after: [],
    isGood: ({ action }) => action === 'block',
    problem: (outcome) =>
      isLearning(outcome)
        ? {
            severity: 'warning',
            message: 'strangers are let in, and logged',
            advice: 'right while you go live; then write "block drop" for "pass" in that rule',
          }
        : {
            severity: 'error',
            message: 'strangers are let in',
            advice: 'block port 25 of the real MX; "mxallowd pf-conf" prints the rules',
          },
  },
  {
    id: 'rules-real-log',
    role: 'real',
    listed: false,
    after: ['rules-real-block'],
    isGood: isLogged,
    problem: ({ logs }, pflog) => ({
      severity: 'warning',
      message:
        logs[0] === undefined
          ? 'refused senders are not logged: they are not counted, and no pool gets in by them'
          : `refused senders are logged to ${logs[0]}, but mxallowd listens on ${pflog}`,
      advice: logAdvice(logs, pflog, 'the rule that decides needs "log"'),
    }),
  },
  {
    id: 'rules-real-drop',
    role: 'real',
    listed: false,
    after: ['rules-real-block'],
    isGood: ({ returns }) => !returns,
    problem: () => ({
      severity: 'note',
      message: 'strangers are refused, not dropped: one that is faster than mxallowd goes away',
      advice: 'write "block drop" for the real MX',
    }),
  },
  {
    id: 'rules-real-admit',
    role: 'real',
    listed: true,
    after: [],
    isGood: ({ action }) => action === 'pass',
    problem: () => ({
      severity: 'error',
      message: 'admitted senders are kept out',
      advice: 'a rule must pass them before others block; "mxallowd pf-conf" prints the rules',
    }),
  },
  {
    id: 'rules-real-admit-log',
    role: 'real',
    listed: true,
    after: ['rules-real-admit', 'rules-real-block'],
    isGood: isLogged,
    problem: ({ logs }, pflog) => ({
      severity: 'warning',
      message:
        logs[0] === undefined
          ? 'admitted senders are not logged: they are not counted, and are the first to go when it is full'
          : `admitted senders are logged to ${logs[0]}, but mxallowd listens on ${pflog}`,
      advice: logAdvice(logs, pflog, 'the rule that passes them needs "log"'),
    }),
  },
];

function logAdvice(logs: readonly string[], pflog: string, otherwise: string): string {
  return logs[0] === undefined ? otherwise : `set pflog-interface ${logs[0]}, or write "log (to ${pflog})"`;
}

/** A rule of one's own for the real MX that passes and logs: how one goes live. */
function isLearning({ action, rule, logs }: Outcome): boolean {
  return action === 'pass' && logs.length > 0 && rule?.kind === 'pass' && namesDestination(rule.criteria);
}

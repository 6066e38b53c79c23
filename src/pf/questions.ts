// What is asked of loaded rules, and what the answers mean. Pure.
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Outcome } from './evaluate.js';
import type { Severity } from './finding.js';
import { namesDestination } from './match.js';
import { quote } from './quote.js';

/** What mxallowd looks for in pf's log. */
export interface Listening {
  /** where it listens */
  readonly pflog: string;
  /** of the mail servers that the question is about */
  readonly addresses: readonly Address[];
  readonly port: number;
  /** where strangers are to be led (`strangers redirect`); undefined: they are to be dropped */
  readonly strangersPort: number | undefined;
  /** whether FreeBSD's `rdr` rules are known, which may lead strangers there, too */
  readonly knowsTranslations: boolean;
}

/** What is wrong, and what to do. */
interface Problem {
  readonly severity: Severity;
  readonly message: string;
  readonly advice: string;
}

/** What should become of a SYN, and what it means when something else does. */
export interface Question {
  readonly id: string;
  readonly role: 'fake' | 'real';
  /** whether the sender is in our table */
  readonly listed: boolean;
  /** is asked only when those of these names are answered well */
  readonly after: readonly string[];
  readonly isGood: (outcome: Outcome, listening: Listening) => boolean;
  /** how bad it is otherwise, what happens then, and what to do */
  readonly problem: (outcome: Outcome, listening: Listening) => Problem;
}

/** Whether mxallowd hears of it, as of somebody who came to one of these mail servers. */
function isLogged(outcome: Outcome, listening: Listening): boolean {
  const { logs, logged } = outcome;
  const { pflog, addresses, port, strangersPort } = listening;
  if (!logs.includes(pflog) || logged === undefined || !addresses.includes(logged.address)) return false;
  return logged.port === port || (isForStrangers(outcome, listening) && logged.port === strangersPort);
}

/** Whether somebody is led to where strangers are to be led, and the log tells it. */
function isForStrangers({ action, redirected }: Outcome, { port, strangersPort }: Listening): boolean {
  if (action !== 'pass' || redirected?.to.rewrites !== true || strangersPort === undefined) return false;
  return (redirected.to.port ?? port) === strangersPort;
}

/** Whether strangers go where they are to go. */
function areStrangersRight(outcome: Outcome, listening: Listening): boolean {
  if (listening.strangersPort === undefined) return outcome.action === 'block';
  return isForStrangers(outcome, listening) || (outcome.action === 'block' && !listening.knowsTranslations);
}

/** In the order of what hurts most. */
export const QUESTIONS: readonly Question[] = [
  {
    id: 'rules-fake-log',
    role: 'fake',
    listed: false,
    after: [],
    isGood: isLogged,
    problem: (outcome, listening) => ({
      severity: 'error',
      ...unlogged(outcome, listening, {
        who: 'attempts',
        so: ', so nobody is ever admitted',
        advice: 'the rule that decides needs "log"; "mxallowd pf-conf" prints rules that do it',
      }),
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
    isGood: areStrangersRight,
    problem: (outcome, listening) =>
      dropped(outcome, listening) ?? redirection(outcome, listening) ?? letIn(outcome),
  },
  {
    id: 'rules-real-log',
    role: 'real',
    listed: false,
    after: ['rules-real-block'],
    isGood: isLogged,
    problem: (outcome, listening) => ({
      severity: 'warning',
      ...unlogged(outcome, listening, {
        who: 'refused senders',
        so: ': they are not counted, and no pool gets in by them',
        advice: 'the rule that decides needs "log"',
      }),
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
    isGood: (outcome, listening) => outcome.action === 'pass' && !isForStrangers(outcome, listening),
    problem: (outcome, listening) =>
      isForStrangers(outcome, listening)
        ? {
            severity: 'error',
            message: `admitted senders are led to port ${listening.strangersPort} as strangers are, and never count as admitted`,
            advice: 'a rule must pass them first; "mxallowd pf-conf" prints the rules',
          }
        : {
            severity: 'error',
            message: `admitted senders are kept out${moved(outcome)}`,
            advice: 'a rule must pass them before others block; "mxallowd pf-conf" prints the rules',
          },
  },
  {
    id: 'rules-real-admit-log',
    role: 'real',
    listed: true,
    after: ['rules-real-admit', 'rules-real-block'],
    isGood: isLogged,
    problem: (outcome, listening) => ({
      severity: 'warning',
      ...unlogged(outcome, listening, {
        who: 'admitted senders',
        so: ': they are not counted, and are the first to go when it is full',
        advice: 'the rule that passes them needs "log"',
      }),
    }),
  },
];

/** Why mxallowd does not hear of somebody. */
function unlogged(
  { logs, logged }: Outcome,
  { pflog }: Listening,
  { who, so, advice }: { readonly who: string; readonly so: string; readonly advice: string },
): Pick<Problem, 'message' | 'advice'> {
  if (logs[0] === undefined) return { message: `${who} are not logged${so}`, advice };
  if (!logs.includes(pflog)) {
    return {
      message: `${who} are logged to ${logs[0]}, but mxallowd listens on ${pflog}`,
      advice: `set pflog-interface ${logs[0]}, or write "log (to ${pflog})"`,
    };
  }
  const where =
    logged === undefined ? 'another address' : `${formatAddress(logged.address)} port ${logged.port}`;
  return {
    message: `${who} are redirected, and logged as going to ${where}${so}`,
    advice: 'mxallowd.conf must name the address and port that pf logs',
  };
}

/** Strangers who are to be led elsewhere get no answer; undefined: they get one, or are to get none. */
function dropped({ action }: Outcome, { strangersPort }: Listening): Problem | undefined {
  if (action !== 'block' || strangersPort === undefined) return undefined;
  return {
    severity: 'warning',
    message: `strangers are dropped, though mxallowd.conf leads them to port ${strangersPort} (strangers)`,
    advice: '"mxallowd pf-conf" prints the rules that do it; or "strangers drop" in mxallowd.conf',
  };
}

/** What is done with strangers that do not stay where they have come to; undefined: they stay. */
function redirection(outcome: Outcome, listening: Listening): Problem | undefined {
  const { redirected, rule } = outcome;
  if (redirected === undefined) return undefined;
  const { to, by } = redirected;
  const target = escapeText(to.text, 60);
  // the rule that decides redirects, or one that is meant for strangers alone
  if ((rule === by && by.kind !== 'rdr') || by.criteria.from.address.kind === 'table') {
    const isHeard = isLogged(outcome, listening);
    return {
      severity: 'warning',
      message: `strangers are redirected to ${target}, ${isHeard ? 'which mxallowd takes for an admission' : 'and mxallowd does not see them'}`,
      advice: strangersAdvice(outcome, listening),
    };
  }
  return {
    severity: 'error',
    message: `strangers are let in: ${quote(by)} leads them to ${target} before the rules for the real MX are looked at`,
    advice:
      by.kind === 'rdr'
        ? 'write the rules for the address that it leads to, and no "pass" behind rdr'
        : 'write the rules for the address that it leads to, or let pass rules redirect, not match rules',
  };
}

/** What makes mxallowd see that strangers are redirected. */
function strangersAdvice({ redirected }: Outcome, { port, strangersPort }: Listening): string {
  if (redirected?.to.rewrites === false) {
    return 'pf\'s log does not tell "divert-to" from letting in: write "rdr-to", and strangers redirect (docs/strangers.md)';
  }
  const target = redirected?.to.port ?? port;
  return strangersPort === undefined
    ? `if what listens there is for strangers, as spamd is: "strangers redirect ${target}" in mxallowd.conf`
    : `mxallowd.conf says "strangers redirect ${strangersPort}": the two ports must be the same`;
}

function moved({ redirected }: Outcome): string {
  if (redirected === undefined) return '';
  const { to, by } = redirected;
  return `: ${quote(by)} leads them to ${escapeText(to.text, 60)} before the rules for the real MX are looked at`;
}

function letIn(outcome: Outcome): Problem {
  return isLearning(outcome)
    ? {
        severity: 'warning',
        message: 'strangers are let in, and logged',
        advice: 'right while you go live; then write "block drop" for "pass" in that rule',
      }
    : {
        severity: 'error',
        message: 'strangers are let in',
        advice: 'block port 25 of the real MX; "mxallowd pf-conf" prints the rules',
      };
}

/** A rule of one's own for the real MX that passes and logs: how one goes live. */
function isLearning({ action, rule, logs }: Outcome): boolean {
  return action === 'pass' && logs.length > 0 && rule?.kind === 'pass' && namesDestination(rule.criteria);
}

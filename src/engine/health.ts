// What is wrong, judged from figures. Pure.
import { inWords } from '../clock.js';
import type { FirewallName } from '../config/names.js';
import type { HealthFinding } from '../control/protocol.js';
import type { FirewallReport, OwnTableReport } from './firewall.js';
import type { PfState } from './pf-view.js';
import { amount } from '../words.js';

/** What is looked at to say whether a running daemon works. Times are milliseconds. */
export interface HealthFacts {
  readonly upMs: number;
  readonly entries: number;
  /** how long ago; undefined: none since the start */
  readonly lastFrameAgoMs: number | undefined;
  readonly lastAttemptAgoMs: number | undefined;
  readonly lastRefusalAgoMs: number | undefined;
  /** what decides */
  readonly kind: FirewallName;
  readonly firewall: FirewallReport;
  /** nothing is known where there is no pf */
  readonly pf: PfState;
  /** what there is to say of the configuration */
  readonly configuration: readonly HealthFinding[];
  /** what went wrong with the state file; undefined: nothing */
  readonly stateError: string | undefined;
  readonly isRoot: boolean;
}

/** So long without a frame is worth a word: a mail server is tried all the time. */
const SILENCE_MS = 60 * 60_000;
/** Changes that wait for the table for so long are trouble. */
const FAILING_MS = 5000;
/** A pfctl that takes so long to say something does not only take its time. */
const SILENT_MS = 30_000;

type Finding = HealthFinding | undefined | false;

/** What is said of each firewall. */
interface Words {
  /** where packets come from */
  readonly log: string;
  /** what it means that it cannot be read */
  readonly logLost: string;
  /** behind "there is no table" */
  readonly tableMissing: string;
  /** who is asked about foreign entries, and how room is made */
  readonly moreRoom: string;
}

const WORDS: Readonly<Record<FirewallName, Words>> = {
  pf: {
    log: "pf's log",
    logLost: 'nobody new is let in',
    tableMissing:
      'so it lets nobody in by it; it is made again with the next entry: is it in pf.conf, with "persist", and are the ' +
      'rules loaded?',
    moreRoom: 'raise "set limit table-entries" in pf.conf',
  },
  nft: {
    log: "netfilter's log",
    logLost: 'who tries the fake MX is let in by the kernel, but nobody stays known',
    tableMissing: 'so everybody gets in: mxallowd nft-conf --install',
    moreRoom: 'lower max-entries, or raise it and run mxallowd nft-conf --install',
  },
  queue: { log: 'the queue', logLost: '', tableMissing: '', moreRoom: '' },
};

/** What an administrator should know of a running daemon, the worst first. */
export function judgeHealth(facts: HealthFacts): HealthFinding[] {
  const { firewall } = facts;
  const findings: Finding[] = [
    ...pfFindings(facts),
    ...(firewall.table === undefined ? [] : tableFindings(firewall.table, facts)),
    ...(firewall.queue === undefined ? [] : queueFindings(facts)),
    ...silence(facts),
    ...facts.configuration,
    facts.stateError !== undefined && {
      severity: 'warning',
      id: 'state-not-written',
      message: `the state file cannot be written, so a restart would forget: ${facts.stateError}`,
    },
    facts.isRoot && {
      severity: 'warning',
      id: 'root',
      message:
        'it runs as root throughout: make the user _mxallowd, give it the state folder (chown -R), and restart it (docs/security.md)',
    },
  ];
  const order = { error: 0, warning: 1, note: 2 };
  return findings
    .filter((finding): finding is HealthFinding => finding !== undefined && finding !== false)
    .sort((a, b) => order[a.severity] - order[b.severity]);
}

function pfFindings({ firewall, pf, kind }: HealthFacts): Finding[] {
  if (firewall.capture === undefined) return [];
  const { enabled, rules } = pf;
  const { description, dropped = 0 } = firewall.capture;
  return [
    silenceOfPf(pf),
    enabled === false && {
      severity: 'error',
      id: 'pf-disabled',
      message: 'pf is disabled: nothing is filtered and nothing is logged (pfctl -e)',
    },
    !firewall.isOpen && {
      severity: 'error',
      id: 'capture-lost',
      message: `${WORDS[kind].log} cannot be read (${description}): ${WORDS[kind].logLost}`,
    },
    ...(enabled === false ? [] : rules),
    dropped > 0 && {
      severity: 'warning',
      id: 'frames-dropped',
      message: `${amount(dropped, 'frame was', 'frames were')} dropped unread`,
    },
  ];
}

function silenceOfPf({ unanswered, agoMs }: PfState): Finding {
  if (unanswered === undefined) return undefined;
  const { forMs, why } = unanswered;
  const words = why === undefined ? '' : `: ${why}`;
  const known =
    agoMs === undefined ? 'what pf does is not known' : `what is said of pf is ${inWords(agoMs)} old`;
  return {
    severity: forMs > SILENT_MS ? 'error' : 'warning',
    id: 'pf-silent',
    message: `pfctl has not answered for ${inWords(forMs)}, so ${known}${words}`,
  };
}

function tableFindings(table: OwnTableReport, { entries, pf, kind }: HealthFacts): Finding[] {
  const { description, failingForMs = 0, lastError = 'unknown', pending } = table;
  const there = pf.entries ?? table.entries;
  return [
    failingForMs > 0 && {
      severity: failingForMs > FAILING_MS ? 'error' : 'warning',
      id: 'table-failing',
      message: `the table ${description} cannot be written, ${amount(pending, 'change waits', 'changes wait')}: ${lastError}`,
    },
    there === 'missing' && {
      severity: 'error',
      id: 'table-missing',
      message: `${kind === 'pf' ? 'pf has' : 'there is'} no table ${description}, ${WORDS[kind].tableMissing}`,
    },
    entries > 0 &&
      there === 0 &&
      failingForMs === 0 && {
        severity: 'warning',
        id: 'table-empty',
        message: `the table ${description} is empty, though ${amount(entries, 'entry', 'entries')} should be in it: it is filled again at once`,
      },
    table.foreign.count > 0 && {
      severity: 'note',
      id: 'table-foreign',
      message:
        `the table ${description} has ${table.foreign.count} networks or exceptions that are not mxallowd's and never ` +
        `expire: ${table.foreign.some.join(', ')}${table.foreign.count > table.foreign.some.length ? ', ...' : ''}`,
    },
    table.room !== undefined &&
      table.room <= table.entries && {
        severity: 'error',
        id: 'table-full',
        message: `the table ${description} has no room: ${WORDS[kind].moreRoom}`,
      },
  ];
}

function queueFindings({ firewall }: HealthFacts): Finding[] {
  const { description = '', lost = 0, full = 0 } = firewall.queue ?? {};
  return [
    !firewall.isOpen && {
      severity: 'error',
      id: 'queue-lost',
      message: `${description} is not open: its packets are dropped, or pass (bypass)`,
    },
    packetsLost(lost + full),
  ];
}

/**
 * What there is to say of packets that nobody judged.
 * @param count - how many they are, as far as known
 */
export function packetsLost(count: number): HealthFinding | undefined {
  if (count === 0) return undefined;
  const message = `${amount(count, 'packet was', 'packets were')} not judged, for they came too fast`;
  return { severity: 'warning', id: 'packets-lost', message };
}

/** Silence is no proof of health. */
function silence(facts: HealthFacts): Finding[] {
  const { upMs, lastFrameAgoMs, lastAttemptAgoMs, lastRefusalAgoMs } = facts;
  const quietMs = lastFrameAgoMs ?? upMs;
  if (quietMs > SILENCE_MS) {
    const message =
      `nothing has come from ${WORDS[facts.kind].log} for ${Math.floor(quietMs / 60_000)} minutes: ` +
      'is it the right interface, do the rules have "log"? (mxallowd check)';
    return [{ severity: 'warning', id: 'silence', message }];
  }
  const isRefusedOnly = lastRefusalAgoMs !== undefined && lastAttemptAgoMs === undefined && upMs > SILENCE_MS;
  if (!isRefusedOnly) return [];
  const message =
    'senders are refused, but nobody has tried the fake MX since the start: is it in DNS, with the lower ' +
    'preference number, and does its rule have "log"? (mxallowd check)';
  return [{ severity: 'warning', id: 'no-attempts', message }];
}

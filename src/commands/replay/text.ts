// A replay for people.
import { formatAddress } from '../../packet/address.js';
import { escapeText } from '../../packet/escape.js';
import type { Frame } from '../../packet/frame.js';
import { isPflog } from '../../packet/observation.js';
import { readPflogHeader } from '../../packet/pflog.js';
import { linkTypeName } from '../../capture/source.js';
import type { Judgement } from '../../engine/judge.js';
import type { Line } from '../../engine/messages.js';
import { type Column, formatTable, PLAIN_WIDTH } from '../../terminal/table.js';
import { eventOf } from '../../tracker/decision.js';
import type { RemovalReason } from '../../tracker/tracker.js';
import type { Entry } from '../../tracker/whitelist.js';
import type { Verbosity } from './json.js';
import type { Report } from './session.js';
import { isoTime, type KeptOut, type ReplaySummary } from './statistics.js';
import { amount } from '../../words.js';

/** Words for a person, by the reasons of decisions. */
const REASONS: Readonly<Record<string, string>> = {
  'new-entry': 'new entry',
  renewed: 'entry renewed',
  'always-allowed': 'allowed at all times',
  'no-sender': 'an address of ours, or link-local: never let in',
  'not-whitelisted': 'did not try the fake MX before',
  whitelisted: 'tried the fake MX before',
  'passed-by-pf': 'let in by pf, no attempt recorded',
  timeout: 'time over',
  'no-room': 'no room (max-entries)',
};

/** Prints a replay for people. */
export class TextReport implements Report {
  constructor(
    private readonly write: (line: string) => void,
    private readonly verbosity: Verbosity,
    /** whether strangers are led elsewhere: `redirected` is the longest word for what happens */
    private readonly redirects: boolean,
  ) {}

  judged(frame: Frame, { observation, decision }: Judgement): void {
    if (this.verbosity === 'summary' || (decision.kind === 'unjudged' && this.verbosity !== 'all')) return;
    const addresses =
      observation === undefined
        ? ''
        : `${formatAddress(observation.source)} > ${formatAddress(observation.destination)}`;
    const detail = this.verbosity === 'all' ? frameWords(frame) : '';
    this.line(
      frame.timeMs,
      eventOf(decision),
      `${addresses}${addresses === '' ? '' : ': '}`,
      decision.reason,
      detail,
    );
  }

  removed(atMs: number, entry: Entry, reason: RemovalReason): void {
    if (this.verbosity === 'summary') return;
    const kind = reason === 'timeout' ? 'expiry' : 'eviction';
    const { admissions } = entry;
    const used = admissions === 0 ? ', never used' : `, ${amount(admissions, 'admission')}`;
    this.line(atMs, kind, `${entry.text}: `, reason, used);
  }

  named(atMs: number, { level, fields, brief }: Line): void {
    if (this.verbosity === 'summary' || (level === 'debug' && this.verbosity !== 'all')) return;
    this.line(atMs, fields.event, `${String(fields['source'] ?? '')}: `, brief ?? '', '');
  }

  /** What is in the table at the end, and since when. */
  entry(prefix: string, sinceMs: number): void {
    this.line(sinceMs, 'entry', prefix, '', '');
  }

  summary(summary: ReplaySummary): void {
    const { senders, delay } = summary;
    const period = summary.from === null ? 'no frames' : `${summary.from} to ${summary.to ?? ''}`;
    const rows: [string, string][] = [
      ['period', period],
      ['frames', count(summary.frames)],
      ['attempts', `${count(summary.attempts)} to a fake MX`],
      ['refusals', `${count(summary.refusals)} to a real MX`],
      ...redirectedRows(summary),
      ['admissions', `${count(summary.admissions)} to a real MX`],
      ...(summary.admissionsByPf === 0
        ? []
        : [['  by pf alone', `${count(summary.admissionsByPf)} (no attempt recorded)`] as [string, string]]),
      ...(summary.outbound === 0
        ? []
        : [['connections to others', `${count(summary.outbound)} (outbound)`] as [string, string]]),
      ['senders seen', count(senders.seen)],
      ['  admitted', count(senders.admitted)],
      ['  refused', count(senders.refused)],
      ...(senders.nextTime === 0
        ? []
        : [
            ['  let in since', `${count(senders.nextTime)} (refused, then by their next SYN)`] as [
              string,
              string,
            ],
          ]),
      ['  direct to fake', `${count(senders.directToFake)} (never came to the real MX)`],
      ['entries', entriesText(summary)],
      ...namesRows(summary),
      ['attempt to admission', delayText(delay)],
      ['not judged', count(Object.values(summary.unjudged).reduce((sum, value) => sum + value, 0))],
      ...Object.entries(summary.unjudged).map(([reason, value]): [string, string] => [
        `  ${reason}`,
        count(value),
      ]),
    ];
    if (this.verbosity !== 'summary') this.write('');
    for (const [name, value] of rows) this.write(`${name.padEnd(25)} ${value}`);
    this.keptOut(summary);
    this.letInByPf(summary);
  }

  /** Whom an administrator may want to let in: `allow`. */
  private keptOut({ keptOut, keptOutCount }: ReplaySummary): void {
    if (keptOutCount === 0) return;
    this.write('');
    const isNamed = keptOut.some((one) => 'name' in one);
    if (isNamed)
      for (const line of formatTable(NAMED_COLUMNS, keptOut.map(namedCells), PLAIN_WIDTH)) this.write(line);
    else {
      this.write(`${'REFUSED, NEVER ADMITTED'.padEnd(41)} REFUSALS`);
      for (const { address, refusals } of keptOut)
        this.write(`${address.padEnd(41)} ${String(refusals).padStart(8)}`);
    }
    const more = keptOutCount - keptOut.length;
    if (more > 0) this.write(`and ${more} more`);
  }

  /** In pf's table before the recordings begin; or all are let in. */
  private letInByPf({ letInByPf, letInByPfCount, refusals }: ReplaySummary): void {
    if (letInByPfCount === 0) return;
    this.write('');
    this.write(`${'LET IN BY PF, NO ATTEMPT RECORDED'.padEnd(41)} ADMISSIONS`);
    for (const { address, admissions } of letInByPf)
      this.write(`${address.padEnd(41)} ${String(admissions).padStart(10)}`);
    const more = letInByPfCount - letInByPf.length;
    if (more > 0) this.write(`and ${more} more`);
    this.write('They were in its table before, or other rules let them in.');
    if (refusals > 0) return;
    this.write('If rules let everybody in for now, these are who would be kept out.');
  }

  private line(timeMs: number, kind: string, subject: string, reason: string, detail: string): void {
    this.write(
      `${isoTime(timeMs)} ${kind.padEnd(this.redirects ? 10 : 9)} ${subject}${REASONS[reason] ?? reason}${detail}`,
    );
  }
}

/** Nothing where there are none, as with `strangers drop`. */
function redirectedRows({ redirected }: ReplaySummary): [string, string][] {
  return redirected === 0 ? [] : [['redirected', `${count(redirected)} at a real MX`]];
}

const NAMED_COLUMNS: readonly Column[] = [
  { title: 'REFUSED, NEVER ADMITTED', align: 'left' },
  { title: 'REFUSALS', align: 'right' },
  { title: 'SPF', align: 'left' },
  { title: 'NAME', align: 'left' },
];

function namedCells({ address, refusals, spf, name }: KeptOut): string[] {
  return [address, count(refusals), spf ?? '', name ?? ''];
}

function namesRows({ named, pooled, names }: ReplaySummary): [string, string][] {
  if (names === undefined) return [];
  const { asked, failed } = names;
  return [
    ['  by name, by pool', `${count(named)}, ${count(pooled)}`],
    ['DNS look-ups', failed === 0 ? count(asked) : `${count(asked)}, ${count(failed)} of them failed`],
  ];
}

function count(value: number): string {
  return String(value);
}

function entriesText(summary: ReplaySummary): string {
  const evicted = summary.evicted === 0 ? '' : `, ${summary.evicted} given up for room`;
  return `${summary.entriesAdded} made, ${summary.expired} expired${evicted}, ${summary.entries} at the end`;
}

function delayText({ median, longest }: ReplaySummary['delay']): string {
  if (median === null || longest === null) return 'none came';
  return `median ${median.toFixed(3)} s, longest ${longest.toFixed(3)} s`;
}

/** What stands before the packet, in the manner of tcpdump -e. */
function frameWords(frame: Frame): string {
  const bytes = `${frame.captureLength} of ${frame.originalLength} bytes`;
  if (!isPflog(frame.linkType)) return ` (${linkTypeName(frame.linkType)}, ${bytes})`;
  const header = readPflogHeader(frame);
  if (typeof header === 'string') return ` (${bytes})`;
  const anchor = header.ruleset === '' ? '' : `.${escapeText(header.ruleset, 20)}.${header.subruleNumber}`;
  const direction = ['in/out', 'in', 'out', 'forward'][header.direction] ?? `direction ${header.direction}`;
  const action = ['pass', 'block'][header.action] ?? `action ${header.action}`;
  const reason = header.reason === 0 ? 'match' : `reason ${header.reason}`;
  const cut = frame.captureLength < frame.originalLength ? `, ${bytes}` : '';
  return ` (rule ${header.ruleNumber}${anchor} ${reason}: ${action} ${direction} on ${escapeText(header.interfaceName, 20)}${cut})`;
}

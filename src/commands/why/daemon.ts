// What a running daemon knows of an address, for people. Pure.
import type { EndedEntry, HistoryEvent, ListedEntry, WhyReport } from '../../control/protocol.js';
import { ago, counted, duration, localTime } from '../../terminal/human.js';
import type { Row } from '../../terminal/table.js';

/** What the daemon knows of an address, for people. */
export function whyRows(report: WhyReport): Row[] {
  return [
    ['now', report.text],
    ...(report.entry === undefined ? [] : entryRows(report.entry)),
    ...(report.before === undefined ? [] : [beforeRow(report.before, report.lastRefusedAtMs)]),
    ...(report.refusals === undefined ? [] : [refusalRow(report.refusals)]),
    ...(report.pool === undefined ? [] : [['pool', report.pool] as const]),
    ...eventRows(report),
  ];
}

/** A network has not come itself. */
function networkRows({ prefix, name = '', ageMs, expiresInMs, admissions }: ListedEntry): Row[] {
  const used =
    admissions === 0 ? 'not used since the start' : `used ${counted(admissions, 'time')} since the start`;
  return [
    ['network', `${prefix}, by the SPF record of ${name}: named ${ago(ageMs)}`],
    ['', `${duration(expiresInMs)} left if DNS does not answer; ${used}`],
  ];
}

function entryRows(entry: ListedEntry): Row[] {
  if (entry.origin === 'domain') return networkRows(entry);
  const { prefix, origin, ageMs, expiresInMs, attempts, lastAttemptAgoMs, name, parent } = entry;
  const age = `${duration(ageMs)} old, ${duration(expiresInMs)} left`;
  const tries = attempts === 0 ? 'never tried the fake MX' : `${counted(attempts, 'try', 'tries')}`;
  const last = attempts === 0 ? '' : `, the last ${ago(lastAttemptAgoMs)}`;
  return [
    ['entry', `${prefix}, by ${origin}: ${age}`],
    ['', `${tries}${last}`],
    ['', usedText(entry)],
    ...(name === undefined ? [] : [['its name', name] as const]),
    ...(parent === undefined ? [] : [['came in with', parent] as const]),
  ];
}

function usedText({ admissions, lastAdmissionAgoMs, isRegular }: ListedEntry): string {
  if (admissions === 0) return 'never reached the real MX';
  const last = lastAdmissionAgoMs === undefined ? '' : `, the last ${ago(lastAdmissionAgoMs)}`;
  return `reached the real MX ${counted(admissions, 'time')}${last}${isRegular === true ? ' (a regular)' : ''}`;
}

function refusalRow(refusals: NonNullable<WhyReport['refusals']>): Row {
  const { count, passed = 0, redirected, firstAgoMs, lastAgoMs } = refusals;
  const when = count === 1 ? ago(lastAgoMs) : `the first ${ago(firstAgoMs)}, the last ${ago(lastAgoMs)}`;
  if (passed >= count) return ['would have been kept out', `${counted(count, 'time')}, ${when}`];
  if (redirected >= count) return ['redirected', `${counted(count, 'time')}, ${when}`];
  const parts = [
    ...(passed === 0 ? [] : [`${counted(passed, 'time')} let in all the same`]),
    ...(redirected === 0 ? [] : [`redirected ${counted(redirected, 'time')}`]),
  ];
  const some = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  return ['refused', `${counted(count, 'time')}${some}, ${when}`];
}

/** How the entry came that it had before. */
const CAME: Readonly<Record<EndedEntry['origin'], string>> = {
  attempt: 'tried the fake MX',
  name: 'came in by the name of one that had tried the fake MX',
  pool: 'came in by its pool',
  dnswl: 'came in by a DNS allow list',
  adopted: 'was found in the table',
  manual: 'was let in by hand',
  outbound: 'was connected to by this network',
};

const ENDED: Readonly<Record<EndedEntry['reason'], string>> = {
  timeout: 'let in until',
  forgotten: 'taken out by hand at',
  'no-room': 'let in until it made room for another at',
};

/** `tried the fake MX at 18:33, let in until 19:33 (never used), came at 20:41` */
function beforeRow(before: EndedEntry, cameMs: number | undefined): Row {
  const { prefix, origin, addedAtMs, triedAtMs, endedAtMs, reason, admissions } = before;
  const cameLater = cameMs !== undefined && cameMs >= endedAtMs ? cameMs : undefined;
  const times = [triedAtMs ?? addedAtMs, endedAtMs, ...(cameLater === undefined ? [] : [cameLater])];
  const [came = '', ended = '', again] = timesOfOneDay(times);
  const used = admissions === 0 ? 'never used' : `used ${counted(admissions, 'time')}`;
  const later = again === undefined ? '' : `, came at ${again}`;
  const words = `${CAME[triedAtMs === undefined ? origin : 'attempt']} at ${came}, ${ENDED[reason]} ${ended} (${used})${later}`;
  return ['before', `${prefix}: ${words}`];
}

/** Times in order; the day is told when it is another one than that of the time before. */
function timesOfOneDay(times: readonly number[]): string[] {
  let day = '';
  return times.map((ms) => {
    const text = localTime(ms);
    const isSame = text.startsWith(day) && day !== '';
    day = text.slice(0, DAY_LENGTH);
    return isSame ? text.slice(DAY_LENGTH + 1) : text;
  });
}

/** `2026-11-26` */
const DAY_LENGTH = 10;

/** Events of an entry may be another address's. Where nobody is refused none says so. */
function eventRows({ events, address, now }: WhyReport): Row[] {
  return events.map((event: HistoryEvent, index): Row => {
    const whose = event.address === address ? '' : `${event.address}: `;
    const kind = now === 'let-in-anyway' && event.kind === 'refusal' ? 'stranger' : event.kind;
    return [index === 0 ? 'events' : '', `${localTime(event.atMs)} ${kind}: ${whose}${event.text}`];
  });
}

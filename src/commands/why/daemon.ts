// What a running daemon knows of an address, for people. Pure.
import type { HistoryEvent, ListedEntry, WhyReport } from '../../control/protocol.js';
import { ago, counted, duration, localTime } from '../../terminal/human.js';
import type { Row } from '../../terminal/table.js';

/** What the daemon knows of an address, for people. */
export function whyRows(report: WhyReport): Row[] {
  return [
    ['now', report.text],
    ...(report.entry === undefined ? [] : entryRows(report.entry)),
    ...(report.refusals === undefined ? [] : [refusalRow(report.refusals)]),
    ...(report.pool === undefined ? [] : [['pool', report.pool] as const]),
    ...eventRows(report.events, report.address),
  ];
}

function entryRows(entry: ListedEntry): Row[] {
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

function refusalRow({ count, firstAgoMs, lastAgoMs }: NonNullable<WhyReport['refusals']>): Row {
  const when = count === 1 ? ago(lastAgoMs) : `the first ${ago(firstAgoMs)}, the last ${ago(lastAgoMs)}`;
  return ['refused', `${counted(count, 'time')}, ${when}`];
}

/** Events of an entry may be another address's. */
function eventRows(events: readonly HistoryEvent[], address: string): Row[] {
  return events.map((event, index): Row => {
    const whose = event.address === address ? '' : `${event.address}: `;
    return [index === 0 ? 'events' : '', `${localTime(event.atMs)} ${event.kind}: ${whose}${event.text}`];
  });
}

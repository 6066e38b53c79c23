// Statistics for people. Pure.
import type { StatisticsReport } from '../../control/protocol.js';
import { duration, grouped } from '../../terminal/human.js';
import { captureRows, logRow, queueRows, tableRows } from '../status/text.js';
import { formatRows } from '../../terminal/table.js';

/** A number, with what it counts; indented when it is a part of the one above. */
type Count = readonly [title: string, value: number];

/** A heading and the numbers under it. */
type Group = readonly [heading: string, counts: readonly Count[]];

const TITLE_WIDTH = 14;

/** What was counted, for people: numbers under headings, aligned on the right. */
export function statisticsLines(report: StatisticsReport): string[] {
  const groups = groupsOf(report).filter(([, counts]) => counts.length > 0);
  const all = groups.flatMap(([, counts]) => counts);
  const titleWidth = Math.max(...all.map(([title]) => title.length)) + 2;
  const valueWidth = Math.max(...all.map(([, value]) => grouped(value).length));
  const lines = groups.flatMap(([heading, counts]) => [
    '',
    heading,
    ...counts.map(([title, value]) => {
      return `  ${title.padEnd(titleWidth)}${grouped(value).padStart(valueWidth)}`;
    }),
  ]);
  const rows = [
    ...(report.capture === undefined ? [] : captureRows(report.capture)),
    ...(report.table === undefined ? [] : tableRows(report.table)),
    ...(report.queue === undefined ? [] : queueRows(report.queue)),
    logRow(report.log),
  ];
  return [`up ${duration(report.upMs)}`, ...lines, '', ...formatRows(rows, TITLE_WIDTH)];
}

function redirectedCount(value: number): Count[] {
  return value === 0 ? [] : [['redirected at a real MX', value]];
}

function groupsOf({ counters, frames, entries, unjudged, names }: StatisticsReport): Group[] {
  const reasons = Object.entries(unjudged).sort(([a], [b]) => (a < b ? -1 : 1));
  const notJudged = reasons.reduce((sum, [, value]) => sum + value, 0);
  return [
    [
      'connections',
      [
        ['attempts at a fake MX', counters.attempts],
        ['refusals at a real MX', counters.refusals],
        // where there are any: with `strangers drop` there are none
        ...redirectedCount(counters.redirected),
        ['admissions at a real MX', counters.admissions],
        ...(counters.outbound === 0 ? [] : [['opened by this network', counters.outbound] as const]),
      ],
    ],
    [
      'entries',
      [
        ['now', entries],
        ['made', counters.added],
        ['  for another address of a name', counters.named],
        ['  for a member of a pool', counters.pooled],
        ...(counters.listed === 0 ? [] : [['  for one of a DNS allow list', counters.listed] as const]),
        ['  adopted from the table', counters.adopted],
        ['renewed', counters.renewals],
        ['expired', counters.expired],
        ['  used', counters.expiredUsed],
        ['  never used', counters.expiredUnused],
        ['gone for want of room', counters.evicted],
      ],
    ],
    [
      'frames since the start',
      [
        ['all', frames],
        ['not judged', notJudged],
        ...reasons.map(([reason, value]): Count => [`  ${reason}`, value]),
      ],
    ],
    [
      'names',
      names === undefined
        ? []
        : [
            ['asked of DNS', names.asked],
            ['known from before', names.fromCache],
            ['failed', names.failed],
            ['not asked, for want of turns', names.notMade],
          ],
    ],
  ];
}

// Entries as a table. Pure.
import type { ListedEntry } from '../../control/protocol.js';
import { counted, duration, grouped } from '../../terminal/human.js';
import { type Column, formatTable } from '../../terminal/table.js';

const COLUMNS: readonly Column[] = [
  { title: 'PREFIX', align: 'left' },
  { title: 'ORIGIN', align: 'left' },
  { title: 'AGE', align: 'right' },
  { title: 'LEFT', align: 'right' },
  { title: 'TRIES', align: 'right' },
  { title: 'USED', align: 'right' },
  { title: 'LAST', align: 'right' },
  { title: 'NAME', align: 'left' },
];

/**
 * A table of entries, and how many they are.
 * @param total - entries that there are, listed or not
 * @param width - columns of the output
 */
export function entryTable(entries: readonly ListedEntry[], total: number, width: number): string[] {
  if (entries.length === 0) {
    return [total === 0 ? 'no entries' : `no entry matches (of ${grouped(total)})`];
  }
  const isAll = entries.length === total;
  const footer = isAll ? '' : `${grouped(entries.length)} of `;
  return [
    ...formatTable(COLUMNS, entries.map(cells), width),
    `${footer}${counted(total, 'entry', 'entries')}`,
  ];
}

function cells(entry: ListedEntry): string[] {
  return [
    entry.prefix,
    entry.origin,
    duration(entry.ageMs),
    duration(entry.expiresInMs),
    String(entry.attempts),
    `${entry.admissions}${entry.isRegular === true ? '+' : ''}`,
    entry.lastAdmissionAgoMs === undefined ? '' : duration(entry.lastAdmissionAgoMs),
    entry.name ?? '',
  ];
}

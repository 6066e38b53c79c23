// Who was refused, as tables. Pure.
import type { RefusedDomain, RefusedSender } from '../../control/protocol.js';
import { counted, duration } from '../../terminal/human.js';
import { type Column, formatTable, wrap } from '../../terminal/table.js';

const SENDER_COLUMNS: readonly Column[] = [
  { title: 'ADDRESS', align: 'left' },
  { title: 'TIMES', align: 'right' },
  { title: 'LED', align: 'right' },
  { title: 'FIRST', align: 'right' },
  { title: 'LAST', align: 'right' },
  { title: 'IN', align: 'left' },
  { title: 'SPF', align: 'left' },
  { title: 'NAME', align: 'left' },
];

const DOMAIN_COLUMNS: readonly Column[] = [
  { title: 'DOMAIN', align: 'left' },
  { title: 'TIMES', align: 'right' },
  { title: 'ADDRESSES', align: 'right' },
  { title: 'FIRST', align: 'right' },
  { title: 'LAST', align: 'right' },
  { title: 'IN', align: 'left' },
];

const LEGEND = 'FIRST, LAST: how long ago. IN since then: yes; next: its next SYN would get in; no.';
const DRY = 'Nobody is refused for now (dry-run): this is who would have been.';
const LED =
  'LED: how many of them were redirected (strangers); what became of those, the log of that mail server tells.';
const LEARNING =
  'Some got in all the same (dry-run, or rules that let everybody in): they would have been refused.';

/**
 * Those who are kept out first, the most refused of them first; then domains with more than one address.
 * @param isDry - nothing is dropped
 * @param width - columns of the output
 */
export function refusedTable(
  senders: readonly RefusedSender[],
  domains: readonly RefusedDomain[],
  isDry: boolean,
  width: number,
): string[] {
  if (senders.length === 0) return ['nobody', ...(isDry ? wrap(DRY, width) : [])];
  const sorted = [...senders].sort(
    (a, b) => order(a) - order(b) || b.count - a.count || a.lastAgoMs - b.lastAgoMs,
  );
  const many = domains
    .filter(({ addresses }) => addresses > 1)
    .sort((a, b) => Number(a.isIn) - Number(b.isIn) || b.count - a.count);
  const hasPassed = senders.some(({ passed }) => passed > 0);
  const hasLed = senders.some(({ redirected }) => redirected > 0);
  const isShown = (_: unknown, index: number): boolean => hasLed || SENDER_COLUMNS[index]?.title !== 'LED';
  const cells = sorted.map((sender) => senderCells(sender).filter(isShown));
  const lost = senders.filter(({ isIn }) => isIn === 'no').length;
  return [
    ...formatTable(SENDER_COLUMNS.filter(isShown), cells, width),
    `${counted(senders.length, 'sender')}, ${lost} of them not in since`,
    ...(many.length === 0 ? [] : ['', ...formatTable(DOMAIN_COLUMNS, many.map(domainCells), width)]),
    '',
    ...wrap(LEGEND, width),
    ...(hasLed ? wrap(LED, width) : []),
    ...(isDry ? wrap(DRY, width) : hasPassed ? wrap(LEARNING, width) : []),
  ];
}

function order({ isIn }: RefusedSender): number {
  return isIn === 'no' ? 0 : 1;
}

function senderCells(sender: RefusedSender): string[] {
  const { prefix, count, redirected, firstAgoMs, lastAgoMs, isIn, spf, name, isConfirmed } = sender;
  const shownName = name === undefined ? '' : isConfirmed === true ? name : `${name} (?)`;
  const times = [String(count), String(redirected), duration(firstAgoMs), duration(lastAgoMs)];
  return [prefix, ...times, isIn, spf ?? '', shownName];
}

function domainCells({ domain, count, addresses, firstAgoMs, lastAgoMs, isIn }: RefusedDomain): string[] {
  return [
    domain,
    String(count),
    String(addresses),
    duration(firstAgoMs),
    duration(lastAgoMs),
    isIn ? 'yes' : 'no',
  ];
}

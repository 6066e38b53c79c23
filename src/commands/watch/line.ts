// A second as one line, where there is no screen. Pure.
import { grouped, timeOfDay } from '../../terminal/human.js';
import { healthWords } from './health.js';
import type { WatchView } from './model.js';
import { rateText } from './screen.js';

function line(cells: readonly [string, string, string, string, string, string, string, string]): string {
  const widths = [8, 10, 10, 12, 9, 9, 9];
  return cells.map((cell, index) => cell.padStart(widths[index] ?? 0)).join(' ');
}

/** Titles over {@link watchLine}. */
export const WATCH_TITLES = line([
  'TIME',
  'ATTEMPTS/s',
  'REFUSALS/s',
  'ADMISSIONS/s',
  'OTHERS/s',
  'ENTRIES',
  'PENDING',
  'HEALTH',
]);

/** A second in one line, for where there is no screen. */
export function watchLine({ tick, rates }: WatchView): string {
  return line([
    timeOfDay(tick.atMs),
    rateText(rates?.attempts),
    rateText(rates?.refusals),
    rateText(rates?.admissions),
    rateText(rates?.others),
    grouped(tick.entries),
    grouped(tick.pending),
    healthWords(tick.findings),
  ]);
}

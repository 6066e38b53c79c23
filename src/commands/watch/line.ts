// A second as one line, where there is no screen. Pure.
import type { WatchTick } from '../../control/protocol.js';
import { grouped, timeOfDay } from '../../terminal/human.js';
import { healthWords } from './health.js';
import { redirects, type WatchView } from './model.js';
import { rateText } from './screen.js';

interface Column {
  readonly title: string;
  readonly width: number;
  readonly text: (view: WatchView) => string;
}

const REDIRECTED: Column = {
  title: 'REDIRECTED/s',
  width: 12,
  text: ({ rates }) => rateText(rates?.redirected),
};

const COLUMNS: readonly Column[] = [
  { title: 'TIME', width: 8, text: ({ tick }) => timeOfDay(tick.atMs) },
  { title: 'ATTEMPTS/s', width: 10, text: ({ rates }) => rateText(rates?.attempts) },
  { title: 'REFUSALS/s', width: 10, text: ({ rates }) => rateText(rates?.refusals) },
  REDIRECTED,
  { title: 'ADMISSIONS/s', width: 12, text: ({ rates }) => rateText(rates?.admissions) },
  { title: 'OTHERS/s', width: 9, text: ({ rates }) => rateText(rates?.others) },
  { title: 'ENTRIES', width: 9, text: ({ tick }) => grouped(tick.entries) },
  { title: 'PENDING', width: 9, text: ({ tick }) => grouped(tick.pending) },
  { title: 'HEALTH', width: 0, text: ({ tick }) => healthWords(tick.findings) },
];

function line(tick: WatchTick, text: (column: Column) => string): string {
  const shown = redirects(tick) ? COLUMNS : COLUMNS.filter((column) => column !== REDIRECTED);
  return shown.map((column) => text(column).padStart(column.width)).join(' ');
}

/** Titles over the {@link watchLine} of a tick. */
export function watchTitles(tick: WatchTick): string {
  return line(tick, ({ title }) => title);
}

/** A second in one line, for where there is no screen. */
export function watchLine(view: WatchView): string {
  return line(view.tick, ({ text }) => text(view));
}

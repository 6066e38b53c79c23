// The lines of watch's screen. Pure.
import type { HistoryEvent, WatchTick } from '../../control/protocol.js';
import { ago, duration, grouped, timeOfDay } from '../../terminal/human.js';
import { cut } from '../../terminal/table.js';
import type { ScreenLine, ScreenSize } from '../../terminal/terminal.js';
import { healthWords, troubles } from './health.js';
import { redirects, type WatchView } from './model.js';

/** On a lower screen there are no empty lines, and no list of who is refused most. */
const FULL_ROWS = 16;
/** Findings that are shown at the most, and less on a low screen. */
const MOST_FINDINGS = 3;
/** Of what is left for the two lists, the part for who is refused most. */
const PART_OF_TOP = 2 / 5;

/**
 * What `mxallowd watch` shows: a header, what is wrong, rates, who is refused most, and as many of the newest events
 * as there is room for.
 * @param host - the name of this machine
 * @returns at most `size.rows` lines
 */
export function screenLines(view: WatchView, host: string, size: ScreenSize): ScreenLine[] {
  const isFull = size.rows >= FULL_ROWS;
  const gap: ScreenLine[] = isFull ? [plain('')] : [];
  const head = [
    header(view.tick, host, size.columns),
    ...findingLines(view.tick, isFull ? MOST_FINDINGS : 1),
    plain(stateText(view.tick)),
    ...gap,
    ...rateLines(view, size.columns),
    ...gap,
  ];
  const room = Math.max(size.rows - head.length, 0);
  const top = isFull ? topLines(view.tick, Math.floor(room * PART_OF_TOP)) : [];
  const events = eventLines(view.events, room - top.length);
  return [...head, ...top, ...events]
    .slice(0, size.rows)
    .map(({ text, style }) => ({ text: cut(text, size.columns), style }));
}

function plain(text: string): ScreenLine {
  return { text, style: 'plain' };
}

function bold(text: string): ScreenLine {
  return { text, style: 'bold' };
}

function header({ upMs, atMs, findings }: WatchTick, host: string, columns: number): ScreenLine {
  const left = ` mxallowd on ${host}, up ${duration(upMs)}: ${healthWords(findings)}`;
  const right = `${timeOfDay(atMs)}  q quits `;
  const space = columns - left.length - right.length;
  const text = space > 0 ? `${left}${' '.repeat(space)}${right}` : left.padEnd(columns);
  return { text, style: 'reverse' };
}

function findingLines({ findings }: WatchTick, most: number): ScreenLine[] {
  const all = troubles(findings);
  const shown = all.slice(0, most).map(({ severity, message }) => bold(`${severity}: ${message}`));
  const last = shown.at(-1);
  if (all.length <= most || last === undefined) return shown;
  return [...shown.slice(0, -1), bold(`and ${all.length - most + 1} more: mxallowd status`)];
}

function stateText({ entries, pending, lastFrameAgoMs }: WatchTick): string {
  return `entries ${grouped(entries)}   pending ${grouped(pending)}   last frame ${ago(lastFrameAgoMs)}`;
}

const TITLE_WIDTH = 10;
const COUNT_WIDTH = { least: 11, most: 15 };
/** Less is too narrow for the long title. */
const WIDE_COUNT = 13;

/** What is counted: its title, in all, and in a second. */
interface Rated {
  readonly title: string;
  readonly total: number | undefined;
  readonly rate: number | undefined;
}

function ratedOf({ tick, rates }: WatchView): Rated[] {
  const { attempts, refusals, redirected, admissions } = tick.counters;
  const led = { title: 'REDIRECTED', total: redirected, rate: rates?.redirected };
  return [
    { title: 'ATTEMPTS', total: attempts, rate: rates?.attempts },
    { title: 'REFUSALS', total: refusals, rate: rates?.refusals },
    ...(redirects(tick) ? [led] : []),
    { title: 'ADMISSIONS', total: admissions, rate: rates?.admissions },
    { title: 'OTHER FRAMES', total: tick.unjudged, rate: rates?.others },
  ];
}

function rateLines(view: WatchView, columns: number): ScreenLine[] {
  const rated = ratedOf(view);
  const part = Math.floor((columns - TITLE_WIDTH) / rated.length);
  const width = Math.min(Math.max(part, COUNT_WIDTH.least), COUNT_WIDTH.most);
  const line = (title: string, cells: readonly string[]): string =>
    title.padEnd(TITLE_WIDTH) + cells.map((cell) => cell.padStart(width)).join('');
  const titleOf = (title: string): string =>
    width < WIDE_COUNT ? title.replace('OTHER FRAMES', 'OTHERS') : title;
  const totals = rated.map(({ total }) => (total === undefined ? '' : grouped(total)));
  return [
    bold(
      line(
        '',
        rated.map(({ title }) => titleOf(title)),
      ),
    ),
    plain(
      line(
        'per second',
        rated.map(({ rate }) => rateText(rate)),
      ),
    ),
    plain(line('in all', totals).trimEnd()),
  ];
}

/** Many a second: `1,234`; few: `0.3`; not known: `-`. */
export function rateText(rate: number | undefined): string {
  if (rate === undefined) return '-';
  return rate < 100 ? rate.toFixed(1) : grouped(rate);
}

const LEAST_ADDRESS = 15;

function addressWidth(addresses: readonly string[]): number {
  return addresses.reduce((most, { length }) => Math.max(most, length), LEAST_ADDRESS);
}

/** @param room - lines at the most, with the title and an empty line behind */
function topLines({ topRefused }: WatchTick, room: number): ScreenLine[] {
  const shown = topRefused.slice(0, Math.max(room - 2, 0));
  if (shown.length === 0) return [];
  const width = addressWidth(shown.map(({ address }) => address));
  const line = (address: string, count: string, last: string): string =>
    `${address.padEnd(width)}  ${count.padStart(8)}  ${last}`;
  return [
    bold(line('MOST REFUSED', 'REFUSALS', 'THE LAST')),
    ...shown.map(({ address, count, lastAgoMs }) => plain(line(address, grouped(count), ago(lastAgoMs)))),
    plain(''),
  ];
}

/** Of most words for what happens; a longer one makes the column wider while it is there. */
const LEAST_KIND = 9;

/** @param room - lines at the most, with the title */
function eventLines(events: readonly HistoryEvent[], room: number): ScreenLine[] {
  const shown = events.slice(0, Math.max(room - 1, 0));
  const width = addressWidth(shown.map(({ address }) => address));
  const kindWidth = shown.reduce((most, { kind }) => Math.max(most, kind.length), LEAST_KIND);
  const line = (time: string, kind: string, address: string, text: string): string =>
    `${time.padEnd(8)}  ${kind.padEnd(kindWidth)}  ${address.padEnd(width)}  ${text}`.trimEnd();
  const title = bold(line('TIME', 'EVENT', 'ADDRESS', ''));
  if (shown.length === 0) return [title, plain('nothing yet')].slice(0, room);
  return [
    title,
    ...shown.map(({ atMs, kind, address, text }) => plain(line(timeOfDay(atMs), kind, address, text))),
  ];
}

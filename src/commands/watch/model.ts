// Ticks of the daemon as rates and newest events. Pure.
import type { HistoryEvent, WatchTick } from '../../control/protocol.js';

/** Events that are kept at the most; no terminal shows more. */
const MOST_EVENTS = 500;

/** A second. */
export interface Rates {
  readonly attempts: number;
  readonly refusals: number;
  readonly redirected: number;
  readonly admissions: number;
  /** frames that were none of these */
  readonly others: number;
}

/** What there is to show. */
export interface WatchView {
  readonly tick: WatchTick;
  /** undefined: it takes two ticks to know */
  readonly rates: Rates | undefined;
  /** the newest first */
  readonly events: readonly HistoryEvent[];
}

/** Whether strangers are led elsewhere, or have been: where they are not, nothing is shown of it. */
export function redirects({ strangers, counters }: WatchTick): boolean {
  return strangers !== 'drop' || counters.redirected > 0;
}

/** Makes of ticks what there is to show. */
export class WatchModel {
  private last: WatchTick | undefined;
  private events: readonly HistoryEvent[] = [];

  /** Takes the next tick. */
  add(tick: WatchTick): WatchView {
    const rates = this.last === undefined ? undefined : ratesBetween(this.last, tick);
    this.last = tick;
    this.events = [...[...tick.events].reverse(), ...this.events].slice(0, MOST_EVENTS);
    return { tick, rates, events: this.events };
  }

  /** Forgets everything: the next tick is the first one of another connection, and brings what was before. */
  reset(): void {
    this.last = undefined;
    this.events = [];
  }
}

/** What happened between two ticks, for each second by the daemon's own clock. */
function ratesBetween(before: WatchTick, after: WatchTick): Rates | undefined {
  const seconds = (after.upMs - before.upMs) / 1000;
  if (seconds <= 0) return undefined;
  const grown = (count: (tick: WatchTick) => number): number =>
    Math.max(count(after) - count(before), 0) / seconds;
  const judged = ({ counters }: WatchTick): number =>
    counters.attempts + counters.refusals + counters.redirected + counters.admissions;
  return {
    attempts: grown(({ counters }) => counters.attempts),
    refusals: grown(({ counters }) => counters.refusals),
    redirected: grown(({ counters }) => counters.redirected),
    admissions: grown(({ counters }) => counters.admissions),
    others: grown((tick) => tick.frames - judged(tick)),
  };
}

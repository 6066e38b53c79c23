// Time, passed in wherever it is needed.

/** Time, as the service needs it; a parameter everywhere, so that tests own it. */
export interface Clock {
  /** monotonic milliseconds: for deadlines and durations */
  readonly monotonicMs: () => number;
  /** milliseconds since 1970 */
  readonly wallMs: () => number;
  /** runs a callback after a delay; returns what cancels it */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** runs a callback when the events at hand have been handled */
  readonly soon: (callback: () => void) => void;
}

/** setTimeout's limit, in milliseconds; a longer delay would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The real time. */
export const systemClock: Clock = {
  // whole numbers: V8 keeps them in the entries themselves
  monotonicMs: () => Math.floor(performance.now()),
  wallMs: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(Math.max(ms, 0), MAX_DELAY_MS));
    return () => clearTimeout(timer);
  },
  soon: (callback) => void setImmediate(callback),
};

/** A time in words, for a sentence: `40 s`, `3 min`, `5 h`. */
export function inWords(ms: number): string {
  if (ms < 2 * 60_000) return `${Math.round(ms / 1000)} s`;
  return ms < 2 * 3_600_000 ? `${Math.floor(ms / 60_000)} min` : `${Math.floor(ms / 3_600_000)} h`;
}

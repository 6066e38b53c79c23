import type { Clock } from '../../src/clock.js';

/** Time that stands still until a test moves it. */
export class HandClock implements Clock {
  private nowMs = 1_000_000;
  /** what the wall clock is ahead */
  wallAheadMs = 0;
  private timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  readonly monotonicMs = (): number => this.nowMs;
  readonly wallMs = (): number => this.nowMs + this.wallAheadMs;
  readonly soon = (callback: () => void): void => void this.after(0, callback);
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + ms, callback };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((other) => other !== timer));
  };

  /** How long each timer still runs. */
  get timersMs(): number[] {
    return this.timers.map(({ atMs }) => atMs - this.nowMs);
  }

  /** Time goes by, and what is due begins. */
  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { callback } of due) callback();
  }
}

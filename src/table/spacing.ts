// Something that may be done only so often.
import type { Clock } from '../clock.js';

/** Keeps two of something apart, and calls when the next one may be. */
export class Spacing {
  private lastMs = Number.NEGATIVE_INFINITY;
  private cancel: (() => void) | undefined;

  /**
   * @param gapMs - between two
   * @param clock - monotonic milliseconds, and what runs a callback later and returns what cancels it
   * @param due - is called when one may be that came too early
   */
  constructor(
    private readonly gapMs: number,
    private readonly clock: { readonly nowMs: () => number; readonly after: Clock['after'] },
    private readonly due: () => void,
  ) {}

  /** Whether one may be now; if it is too early, it is said when it is not any more. */
  allows(): boolean {
    const waitMs = this.lastMs + this.gapMs - this.clock.nowMs();
    if (waitMs <= 0) return true;
    this.cancel ??= this.clock.after(waitMs, () => {
      this.cancel = undefined;
      this.due();
    });
    return false;
  }

  /** One is made. */
  note(): void {
    this.lastMs = this.clock.nowMs();
  }

  /** There will be no more. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }
}

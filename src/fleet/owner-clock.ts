// What another node's time is in ours. Pure.

/** Samples older than one to two of these do not count any more: clocks drift, and machines sleep. */
const WINDOW_MS = 30_000;

/**
 * Translates the times of a node, which are in its own clock, into ours. Each message says what time it was there when
 * it was sent. A delay only makes the difference look larger, so the smallest of the last minute is the best.
 */
export class OwnerClock {
  private current = Number.POSITIVE_INFINITY;
  private before = Number.POSITIVE_INFINITY;
  private sinceMs = Number.NEGATIVE_INFINITY;
  private estimatedMs: number | undefined;

  /** our time minus its time; undefined: not known yet */
  get aheadMs(): number | undefined {
    const best = Math.min(this.current, this.before);
    return best === Number.POSITIVE_INFINITY ? this.estimatedMs : best;
  }

  /**
   * A message says what time it was there. What an old one said still counts until there are enough new ones: the first
   * ones after a stillness may have waited through it.
   * @param nowMs - our monotonic time when it came
   * @param theirMs - its owner's time when it was sent
   */
  sample(nowMs: number, theirMs: number): void {
    if (nowMs - this.sinceMs >= WINDOW_MS) {
      if (this.current !== Number.POSITIVE_INFINITY) this.before = this.current;
      this.current = Number.POSITIVE_INFINITY;
      this.sinceMs = nowMs;
    }
    this.current = Math.min(this.current, nowMs - theirMs);
  }

  /** What others make of it counts until it has said something itself. */
  estimate(aheadMs: number): void {
    this.estimatedMs = aheadMs;
  }

  /** The node has started anew: its clock is another one. */
  reset(): void {
    this.current = this.before = Number.POSITIVE_INFINITY;
    this.sinceMs = Number.NEGATIVE_INFINITY;
    this.estimatedMs = undefined;
  }
}

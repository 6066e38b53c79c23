// So much in a second, with a reserve. Pure: the time comes with each call.

/**
 * A bucket of tokens: it fills at a steady rate up to its brim, and whoever takes out more than is in it waits until it
 * would have been there. So a burst goes through at once, and what goes on for long has a rate.
 */
export class Bucket {
  private tokens: number;
  private filledMs = Number.NEGATIVE_INFINITY;

  /**
   * @param brim - tokens that it holds at the most, and at first
   * @param perSecond - tokens that come in a second
   */
  constructor(
    private readonly brim: number,
    private readonly perSecond: number,
  ) {
    this.tokens = brim;
  }

  /**
   * Takes tokens, also those that are still to come.
   * @param nowMs - monotonic milliseconds
   * @returns after how many milliseconds they are there; 0: they are
   */
  take(tokens: number, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.filledMs);
    this.tokens = Math.min(this.brim, this.tokens + (passedMs / 1000) * this.perSecond) - tokens;
    this.filledMs = nowMs;
    return Math.max(0, Math.ceil((-this.tokens / this.perSecond) * 1000));
  }
}

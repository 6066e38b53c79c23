// Stamps: what is newer, across nodes whose clocks differ. Pure.

/** A stamp may be so far ahead of our clock; one that is further is a mistake or a lie, and is not followed. */
export const MOST_AHEAD_MS = 2 * 3_600_000;

/**
 * A hybrid clock: milliseconds since 1970 by our own clock, but always after every stamp that was seen. So what an
 * operator does after he has seen something is newer than that, whatever the clocks say.
 */
export class Stamps {
  private last = 0;

  /** Whether a stamp of somebody else can be believed. */
  isCredible(stamp: number, nowMs: number): boolean {
    return stamp <= nowMs + MOST_AHEAD_MS;
  }

  /** A stamp has been seen; the next ones of ours are after it. */
  follow(stamp: number, nowMs: number): void {
    if (stamp > this.last && this.isCredible(stamp, nowMs)) this.last = stamp;
  }

  /**
   * A stamp for what happens now.
   * @param nowMs - milliseconds since 1970 by our clock
   * @param after - it comes after this one, too
   */
  next(nowMs: number, after = 0): number {
    this.last = Math.max(Math.floor(nowMs), this.last + 1, after + 1);
    return this.last;
  }
}

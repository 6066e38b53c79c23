// When a command that has failed is tried again.

/** Delay before the first retry, and the longest one. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Counts commands that fail one after the other, and waits longer after each. */
export class Retries {
  private failures = 0;
  private sinceMs = 0;
  private cancel: (() => void) | undefined;

  /**
   * @param clock - monotonic milliseconds, and what runs a callback later and returns what cancels it
   * @param again - is called when it is time to try again
   */
  constructor(
    private readonly clock: {
      readonly nowMs: () => number;
      readonly after: (ms: number, callback: () => void) => () => void;
    },
    private readonly again: () => void,
  ) {}

  /** since when commands fail, monotonic milliseconds; undefined when the last one succeeded */
  get failingSince(): number | undefined {
    return this.failures === 0 ? undefined : this.sinceMs;
  }

  /** whether the next try is still to come */
  get isWaiting(): boolean {
    return this.cancel !== undefined;
  }

  /** A command has failed. @returns in how many milliseconds it is tried again */
  fail(): number {
    if (this.failures === 0) this.sinceMs = this.clock.nowMs();
    const retryInMs = Math.min(FIRST_RETRY_MS * 2 ** this.failures, MAX_RETRY_MS);
    this.failures++;
    this.cancel = this.clock.after(retryInMs, () => {
      this.cancel = undefined;
      this.again();
    });
    return retryInMs;
  }

  /** A command has succeeded. @returns undefined when the one before had, too */
  succeed(): { readonly afterMs: number; readonly failures: number } | undefined {
    const { failures } = this;
    if (failures === 0) return undefined;
    this.failures = 0;
    return { afterMs: this.clock.nowMs() - this.sinceMs, failures };
  }

  /** The next try is not waited for any more. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }
}

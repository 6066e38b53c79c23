// So many events a second.
import type { Clock } from '../clock.js';

/** Lets through so many events in a second, and tells how many it kept back. */
export class RateLimit {
  private allowed = 0;
  private suppressed = 0;
  private cancel: (() => void) | undefined;

  /** @param report - called at the end of a second in which events were kept back */
  constructor(
    private readonly perSecond: number,
    private readonly clock: Pick<Clock, 'after'>,
    private readonly report: (suppressed: number) => void,
  ) {}

  /** Whether one more event may pass now. */
  allows(): boolean {
    this.cancel ??= this.clock.after(1000, () => this.endSecond());
    if (this.allowed < this.perSecond) {
      this.allowed++;
      return true;
    }
    this.suppressed++;
    return false;
  }

  /** Ends the running second. */
  close(): void {
    this.cancel?.();
    this.endSecond();
  }

  private endSecond(): void {
    const { suppressed } = this;
    this.cancel = undefined;
    this.allowed = 0;
    this.suppressed = 0;
    if (suppressed > 0) this.report(suppressed);
  }
}

// So many events a second.
import type { Clock } from '../clock.js';

const SECOND_MS = 1000;

/** Lets through so many events in a second, and tells how many it kept back. Needs a timer only when it has some to tell. */
export class RateLimit {
  private secondMs = Number.NEGATIVE_INFINITY;
  private allowed = 0;
  private suppressed = 0;
  private cancel: (() => void) | undefined;

  /** @param report - called at the end of a second in which events were kept back; nobody wants to know, without it */
  constructor(
    private readonly perSecond: number,
    private readonly clock: Pick<Clock, 'after' | 'monotonicMs'>,
    private readonly report?: (suppressed: number) => void,
  ) {}

  /** Whether one more event may pass now; it is counted. */
  allows(): boolean {
    const nowMs = this.clock.monotonicMs();
    if (this.isOver(nowMs)) {
      this.endSecond();
      this.secondMs = nowMs;
    }
    if (this.allowed < this.perSecond) {
      this.allowed++;
      return true;
    }
    this.suppressed++;
    if (this.report !== undefined)
      this.cancel ??= this.clock.after(this.secondMs + SECOND_MS - nowMs, () => this.endSecond());
    return false;
  }

  /** Whether none may pass any more in the running second. */
  get isFull(): boolean {
    return this.allowed >= this.perSecond && !this.isOver(this.clock.monotonicMs());
  }

  /** Ends the running second. */
  close(): void {
    this.endSecond();
  }

  private isOver(nowMs: number): boolean {
    return nowMs - this.secondMs >= SECOND_MS;
  }

  private endSecond(): void {
    const { suppressed } = this;
    this.cancel?.();
    this.cancel = undefined;
    this.secondMs = Number.NEGATIVE_INFINITY;
    this.allowed = 0;
    this.suppressed = 0;
    if (suppressed > 0) this.report?.(suppressed);
  }
}

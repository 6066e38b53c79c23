// When the table is looked at: now and then, and when there is a doubt.
import type { Clock } from '../clock.js';
import { isOther } from '../table/reader.js';
import { COMPARE_EVERY_MS, type TableCount } from '../table/table.js';

/** The entries are counted so often: a table that was emptied is full again in 15 seconds, whoever comes. */
export const COUNT_EVERY_MS = 10_000;
/** A doubt has them counted at once, but no sooner than this after the last count that nothing came of. */
const COUNT_AGAIN_MS = 1000;
/** A doubt that counting cannot settle has the table compared, no sooner than this after the last comparison. */
const COMPARE_AGAIN_MS = 10_000;

/** What is asked for when it is time. */
export interface WatchActions {
  /** Has the entries counted. */
  count(): void;
  /** Has the table compared with what is wanted. */
  compare(): void;
}

/**
 * Decides when the table is counted and when it is compared. To count costs a call or two of pfctl whatever the table
 * has; to compare lists it. No doubt is dropped: what comes too early is looked into when its time has come. Doubts
 * and counts that turn out to be wrong come less and less often, for then something else is wrong.
 */
export class TableWatch {
  private countAtMs = Number.POSITIVE_INFINITY;
  private compareAtMs = Number.POSITIVE_INFINITY;
  /** when a doubt has it compared */
  private doubtAtMs = Number.POSITIVE_INFINITY;
  private countedMs = Number.NEGATIVE_INFINITY;
  private comparedMs = Number.NEGATIVE_INFINITY;
  private countGapMs = COUNT_EVERY_MS;
  private compareGapMs = COMPARE_AGAIN_MS;
  private doubtGapMs = COUNT_AGAIN_MS;
  /** the last count was not as expected, and is being looked into */
  private isAlarmed = false;
  /** the comparison that is asked for is because of a doubt */
  private isDoubted = false;
  /** a doubt waits for the count */
  private isUncertain = false;
  private cancel: (() => void) | undefined;
  private isOver = false;

  constructor(
    private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>,
    private readonly actions: WatchActions,
  ) {}

  /** From now on it is looked at. */
  start(): void {
    const nowMs = this.clock.monotonicMs();
    this.countAtMs = nowMs + this.countGapMs;
    this.compareAtMs = nowMs + COMPARE_EVERY_MS;
    this.arm();
  }

  stop(): void {
    this.isOver = true;
    this.cancel?.();
  }

  /**
   * Somebody was refused who should be in the table.
   * @param settledMs - monotonic milliseconds: from when on there is no other reason for that; may be to come
   */
  doubt(settledMs: number): void {
    const nowMs = this.clock.monotonicMs();
    this.isUncertain = true;
    this.countAtMs = Math.min(this.countAtMs, Math.max(nowMs, settledMs, this.countedMs + this.doubtGapMs));
    if (settledMs <= nowMs) this.compareSoon();
    this.arm();
  }

  /** The entries have been counted. */
  counted(count: TableCount, expected: number): void {
    const nowMs = this.clock.monotonicMs();
    this.countedMs = nowMs;
    this.isAlarmed = isOther(count, expected);
    if (count !== undefined && !this.isAlarmed) this.countGapMs = COUNT_EVERY_MS;
    if (count === undefined && this.isUncertain) this.compareSoon();
    if (this.isUncertain) this.doubtGapMs = Math.min(2 * this.doubtGapMs, COUNT_EVERY_MS);
    this.isUncertain = false;
    this.countAtMs = nowMs + this.countGapMs;
    this.arm();
  }

  /**
   * The table has been compared.
   * @param isNews - something was otherwise than thought
   */
  compared(isNews: boolean): void {
    const nowMs = this.clock.monotonicMs();
    this.comparedMs = this.countedMs = nowMs;
    if (this.isAlarmed) this.countGapMs = isNews ? COUNT_EVERY_MS : later(this.countGapMs);
    if (isNews) {
      this.compareGapMs = COMPARE_AGAIN_MS;
      this.doubtGapMs = COUNT_AGAIN_MS;
    } else if (this.isDoubted) this.compareGapMs = later(this.compareGapMs);
    this.isAlarmed = this.isDoubted = false;
    this.countAtMs = nowMs + this.countGapMs;
    this.compareAtMs = nowMs + COMPARE_EVERY_MS;
    this.arm();
  }

  private compareSoon(): void {
    const atMs = Math.max(this.clock.monotonicMs(), this.comparedMs + this.compareGapMs);
    this.doubtAtMs = Math.min(this.doubtAtMs, atMs);
  }

  private arm(): void {
    this.cancel?.();
    const atMs = Math.min(this.countAtMs, this.compareAtMs, this.doubtAtMs);
    if (this.isOver || !Number.isFinite(atMs)) return;
    this.cancel = this.clock.after(Math.max(0, atMs - this.clock.monotonicMs()), () => this.act());
  }

  private act(): void {
    const nowMs = this.clock.monotonicMs();
    const isDoubtDue = this.doubtAtMs <= nowMs;
    if (isDoubtDue || this.compareAtMs <= nowMs) {
      this.isDoubted ||= isDoubtDue;
      this.doubtAtMs = Number.POSITIVE_INFINITY;
      this.compareAtMs = nowMs + COMPARE_EVERY_MS;
      // what comes while it runs is for the next one
      this.comparedMs = nowMs;
      this.actions.compare();
    } else if (this.countAtMs <= nowMs) {
      this.countAtMs = nowMs + this.countGapMs;
      this.actions.count();
    }
    this.arm();
  }
}

function later(gapMs: number): number {
  return Math.min(2 * gapMs, COMPARE_EVERY_MS);
}

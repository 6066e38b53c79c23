// Lines that were lost: counted, and told once lines can be written again.

/** How it is told that lines were lost. */
export interface LossReport {
  /** a log line about so many lost ones */
  readonly line: (count: number, why: string) => string;
  /** is told at once, beside the log */
  readonly trouble: (message: string) => void;
}

/** A line about lost ones, on its way. */
export interface LossNotice {
  readonly line: string;
  /** It was written. */
  readonly told: () => void;
  /** It was lost itself. */
  readonly lost: () => void;
}

/** `3 log lines were lost` */
export function linesLost(count: number): string {
  return count === 1 ? '1 log line was lost' : `${count} log lines were lost`;
}

/** Counts the lines that one writer has lost. */
export class Losses {
  /** all of them */
  total = 0;
  private untold = 0;
  private why = '';
  private isTroubled = false;

  constructor(private readonly report: LossReport) {}

  /** Counts lost lines; the first of many is told beside the log. */
  add(count: number, why: string): void {
    if (count === 0) return;
    this.total += count;
    this.untold += count;
    this.why = why;
    if (!this.isTroubled) this.report.trouble(`log lines are lost: ${why}`);
    this.isTroubled = true;
  }

  /** The line about those of which nobody has been told; undefined: there are none. */
  take(): LossNotice | undefined {
    const { untold: count, why } = this;
    if (count === 0) return undefined;
    this.untold = 0;
    return {
      line: this.report.line(count, why),
      told: () => {
        this.isTroubled = false;
        this.report.trouble(`log lines can be written again: ${linesLost(count)}`);
      },
      lost: () => void (this.untold += count),
    };
  }
}

// A line on a terminal that says how far something is.

const ESC = '\x1b';
const TO_END_OF_LINE = `${ESC}[K`;
/** No more often than so: who looks sees no more. */
const REDRAW_MS = 100;
/** What is done sooner needs no line. */
const FIRST_MS = 500;
const BAR_WIDTH = 20;

/** What a progress line is written to. */
export interface ProgressTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * How far something is, as `[########            ]  42 % 12,345 frames`.
 * @param part - from 0 to 1; undefined: nobody knows, and there is no bar
 * @param width - columns of the terminal
 */
export function progressLine(part: number | undefined, text: string, width: number): string {
  if (part === undefined) return text.slice(0, width - 1);
  const filled = Math.floor(part * BAR_WIDTH);
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH);
  const percent = String(Math.floor(part * 100)).padStart(3);
  // a line that fills the last column goes on in the next row on some terminals
  return `[${bar}] ${percent} % ${text}`.slice(0, width - 1);
}

/** The line itself: drawn over and over in one place, and gone at the end. Nothing happens without a terminal. */
export class Progress {
  private readonly isUsable: boolean;
  private readonly startedMs: number;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private isShown = false;

  /**
   * @param nowMs - monotonic milliseconds
   * @param environment - TERM says what the terminal can do
   */
  constructor(
    private readonly terminal: ProgressTerminal,
    private readonly nowMs: () => number,
    environment: Readonly<Record<string, string | undefined>>,
  ) {
    const term = environment['TERM'] ?? '';
    this.isUsable = terminal.isTTY === true && term !== '' && term !== 'dumb';
    this.startedMs = nowMs();
  }

  /** Shows how far it is, unless it has just done so. @param what - is called when it is shown */
  show(what: () => { readonly part: number | undefined; readonly text: string }): void {
    const nowMs = this.nowMs();
    if (!this.isUsable || nowMs - this.startedMs < FIRST_MS || nowMs - this.drawnMs < REDRAW_MS) return;
    this.drawnMs = nowMs;
    this.isShown = true;
    const { part, text } = what();
    const line = progressLine(part, text, this.terminal.columns ?? 80);
    this.terminal.write(`\r${line}${TO_END_OF_LINE}`);
  }

  /** Takes the line away, for something else is going to be written; the next {@link show} draws it again. */
  hide(): void {
    if (!this.isShown) return;
    this.isShown = false;
    this.terminal.write(`\r${TO_END_OF_LINE}`);
  }
}

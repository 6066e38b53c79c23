import { CaptureError, type CaptureStatistics, type FrameSink, type FrameSource } from '../capture/source.js';
import { escapeText } from '../packet/escape.js';
import type { Frame } from '../packet/frame.js';
import type { Clock } from './clock.js';
import type { Line } from './messages.js';

/** What the keeper needs. */
export interface CaptureParts {
  /** makes a source, not yet opened */
  readonly makeSource: () => Promise<FrameSource>;
  readonly frame: (frame: Frame) => void;
  readonly say: (line: Line) => void;
  readonly clock: Clock;
}

const FIRST_REOPEN_MS = 1000;
const MAX_REOPEN_MS = 30_000;

/** Keeps a live capture open: one that dies is opened again, later and later. */
export class CaptureKeeper {
  private source: FrameSource | undefined;
  private cancelReopen: (() => void) | undefined;
  private reopenMs = FIRST_REOPEN_MS;
  private openedMs = 0;
  private droppedBefore = 0;
  private closed = false;

  constructor(private readonly parts: CaptureParts) {}

  /** for people: which source, on what */
  get description(): string {
    return this.source?.description ?? 'no capture';
  }

  statistics(): CaptureStatistics {
    return this.source?.statistics() ?? { received: 0, dropped: undefined };
  }

  /** @throws CaptureError when it cannot be opened */
  async open(): Promise<void> {
    const source = await this.parts.makeSource();
    this.source = source;
    this.droppedBefore = 0;
    await source.open(this.sink());
    this.openedMs = this.parts.clock.monotonicMs();
    if (this.closed) await source.close();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelReopen?.();
    await this.source?.close();
  }

  /** Warns when frames were dropped since the last call. */
  checkDrops(): void {
    const dropped = this.statistics().dropped ?? 0;
    const more = dropped - this.droppedBefore;
    this.droppedBefore = dropped;
    if (more <= 0) return;
    const message = `the kernel dropped ${more} frames before they could be read`;
    this.parts.say({ level: 'warn', message, fields: { event: 'frames-dropped', dropped: more } });
  }

  private sink(): FrameSink {
    return {
      frame: this.parts.frame,
      notice: (text, severity) => {
        const level = severity === 'warning' ? 'warn' : 'info';
        this.parts.say({ level, message: escapeText(text), fields: { event: 'capture-notice' } });
      },
      error: (error) => this.reopenLater(error.message),
      end: () => this.reopenLater('it has ended'),
    };
  }

  private reopenLater(why: string): void {
    if (this.closed || this.cancelReopen !== undefined) return;
    const { monotonicMs } = this.parts.clock;
    // one that has lived for long has earned a quick try
    if (monotonicMs() - this.openedMs > MAX_REOPEN_MS) this.reopenMs = FIRST_REOPEN_MS;
    const waitMs = this.reopenMs;
    this.reopenMs = Math.min(this.reopenMs * 2, MAX_REOPEN_MS);
    const message = `capture lost: ${escapeText(why)}; nobody new is let in meanwhile; next try in ${waitMs / 1000} s`;
    this.parts.say({ level: 'error', message, fields: { event: 'capture-lost', retryInMs: waitMs } });
    this.cancelReopen = this.parts.clock.after(waitMs, () => void this.reopen());
  }

  private async reopen(): Promise<void> {
    this.cancelReopen = undefined;
    await this.source?.close();
    try {
      await this.open();
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      this.reopenLater(error.message);
      return;
    }
    if (this.closed) return;
    const message = `capture open again: ${this.description}`;
    this.parts.say({ level: 'warn', message, fields: { event: 'capture-open' } });
  }
}

// Keeps something open that the outside world can take away.
import { escapeText } from '../packet/escape.js';
import type { Clock } from '../clock.js';
import type { Line } from '../engine/messages.js';

/** Something that is open, and may be lost. */
export interface Kept {
  /** for people */
  readonly description: string;
  close(): void | Promise<void>;
}

/** What the keeper needs. */
export interface KeeperParts<T extends Kept> {
  /**
   * Opens it.
   * @param lost - to be called when it is lost, with the reason
   * @param made - to be called as soon as there is something to close
   */
  readonly open: (lost: (why: string) => void, made: (thing: T) => void) => Promise<void>;
  /** what is said of an error that may pass by itself; undefined for a bug */
  readonly explain: (error: unknown) => string | undefined;
  /** what it is called in the log, and for events */
  readonly name: string;
  /** what it means that it is not open */
  readonly meanwhile: string;
  readonly say: (line: Line) => void;
  readonly clock: Clock;
  /** is told when it is lost, where it cannot be opened again; absent: it is opened again */
  readonly giveUp?: (why: string) => void;
}

const FIRST_REOPEN_MS = 1000;
const MAX_REOPEN_MS = 30_000;

/** Keeps something open that the outside world can take away: what is lost is opened again, later and later. */
export class Keeper<T extends Kept> {
  private thing: T | undefined;
  private cancelReopen: (() => void) | undefined;
  private reopenMs = FIRST_REOPEN_MS;
  /** since when it is open; undefined when it is not */
  private openedMs: number | undefined;
  private closed = false;

  constructor(private readonly parts: KeeperParts<T>) {}

  /** what is open, or was last */
  get current(): T | undefined {
    return this.thing;
  }

  get description(): string {
    return this.thing?.description ?? `no ${this.parts.name}`;
  }

  /** whether it is open now, as far as known */
  get isOpen(): boolean {
    return this.openedMs !== undefined && !this.closed;
  }

  /** Opens it for the first time; what goes wrong is thrown. */
  async open(): Promise<void> {
    await this.parts.open(
      (why) => this.reopenLater(why),
      (thing) => (this.thing = thing),
    );
    this.openedMs = this.parts.clock.monotonicMs();
    if (this.closed) await this.thing?.close();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelReopen?.();
    await this.thing?.close();
  }

  private reopenLater(why: string): void {
    if (this.closed || this.cancelReopen !== undefined) return;
    if (this.parts.giveUp !== undefined) {
      this.closed = true;
      this.openedMs = undefined;
      this.parts.giveUp(why);
      return;
    }
    const { clock, name, meanwhile, say } = this.parts;
    // one that has lived for long has earned a quick try
    const livedMs = this.openedMs === undefined ? 0 : clock.monotonicMs() - this.openedMs;
    if (livedMs > MAX_REOPEN_MS) this.reopenMs = FIRST_REOPEN_MS;
    this.openedMs = undefined;
    const waitMs = this.reopenMs;
    this.reopenMs = Math.min(this.reopenMs * 2, MAX_REOPEN_MS);
    const message = `${name} lost: ${escapeText(why)}; ${meanwhile} meanwhile; next try in ${waitMs / 1000} s`;
    say({ level: 'error', message, fields: { event: `${name}-lost`, retryInMs: waitMs } });
    this.cancelReopen = clock.after(waitMs, () => void this.reopen());
  }

  private async reopen(): Promise<void> {
    this.cancelReopen = undefined;
    await this.thing?.close();
    if (this.closed) return;
    try {
      await this.open();
    } catch (error) {
      const why = this.parts.explain(error);
      if (why === undefined) throw error;
      this.reopenLater(why);
      return;
    }
    if (this.closed) return;
    const { name, say } = this.parts;
    const message = `${name} open again: ${this.description}`;
    say({ level: 'warn', message, fields: { event: `${name}-open` } });
  }
}

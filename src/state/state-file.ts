// Keeps a state file: when to write what.
import { escapeText } from '../packet/escape.js';
import type { Clock } from '../clock.js';
import { errorWords } from './problem.js';
import type { StateSource } from './source.js';
import { SLICE, StateWriter } from './writer.js';

/** Something that the administrator should know: writing has failed, or works again. Each is told once. */
export interface StateEvent {
  readonly kind: 'failed' | 'recovered';
  /** a sentence for people, escaped */
  readonly message: string;
}

/** What a {@link StateFile} needs. */
export interface StateFileParts {
  /** absolute path of the file */
  readonly path: string;
  readonly source: StateSource;
  readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs' | 'after'>;
  readonly report: (event: StateEvent) => void;
}

/** How the state file does, for `status`. */
export interface StateFileReport {
  readonly path: string;
  /** how long ago it was last written; undefined: not yet */
  readonly writtenAgoMs: number | undefined;
  /** what went wrong with the last write; undefined: nothing */
  readonly error: string | undefined;
}

/** A change is written so long after it was made, and as much later as the disk takes. */
export const FLUSH_MS = 500;
/** The same for what was only counted: refusals come all the time, and a write costs more than one of them. */
export const COUNTERS_MS = 10_000;

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

/** So many changes may wait while one write is under way, or twice the entries if that is more. */
const MOST_WAITING = 20_000;

const TOO_SLOW = 'the changes come faster than the disk takes them';

/**
 * Keeps a state file up with its source. Idle, it has no timer. Nothing is thrown, and nothing here ends the daemon:
 * what goes wrong is reported, and tried again.
 *
 * Everything is done with the rights of the process, after root has been given up: the folder belongs to an
 * unprivileged user, who may put anything in the file's place. (Symbolic links are not followed, all the same.)
 */
export class StateFile {
  private readonly writer: StateWriter;
  private started = false;
  private closing: Promise<void> | undefined;
  private cancelTimer: (() => void) | undefined;
  /** the timer waits for {@link COUNTERS_MS} */
  private isLeisurely = false;
  private writing: Promise<void> | undefined;
  /** something has changed since the write under way began */
  private again: 'entries' | 'counters' | undefined;
  /** the file no longer adds up to what the source has handed out: only a snapshot can follow */
  private incomplete = true;
  private error: string | undefined;
  private retryMs = FIRST_RETRY_MS;
  private writtenMs: number | undefined;

  constructor(private readonly parts: StateFileParts) {
    this.writer = new StateWriter(parts.path, parts.source, parts.clock);
  }

  /**
   * Writes the first snapshot. To be called when the source has taken in all that was loaded: before that nothing is
   * written, and what is on the disk stays.
   */
  async start(): Promise<void> {
    this.started = true;
    await this.flush();
  }

  /** To be called whenever anything has changed: an entry, or no more than what was counted. */
  changed(what: 'entries' | 'counters' = 'entries'): void {
    if (!this.started || this.isClosed) return;
    if (what === 'counters') {
      if (this.writing !== undefined) this.again ??= what;
      else if (this.cancelTimer === undefined) this.armLeisurely();
      return;
    }
    if (this.parts.source.changes > this.mostWaiting()) {
      this.parts.source.takeChanges(SLICE);
      this.incomplete = true;
    }
    if (this.writing !== undefined) this.again = what;
    else {
      if (this.isLeisurely) this.disarm();
      // while it fails there is a timer for the next try
      this.arm(FLUSH_MS);
    }
  }

  /** Writes now what has changed until now; done when it is on the disk, or has failed. */
  async flush(): Promise<void> {
    await this.writing;
    if (this.started && !this.isClosed) await this.write(false);
  }

  /** Done when no write is under way. */
  async idle(): Promise<void> {
    await this.writing;
  }

  /** Writes what is left, lets go of the file, and does nothing any more. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  report(): StateFileReport {
    const { writtenMs, error } = this;
    const writtenAgoMs = writtenMs === undefined ? undefined : this.parts.clock.monotonicMs() - writtenMs;
    return { path: this.parts.path, writtenAgoMs, error };
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  private async finish(): Promise<void> {
    this.disarm();
    await this.writing;
    if (this.started) await this.write(true);
    await this.writer.close();
  }

  /** What waits in memory is bounded, however long the disk takes; after a failure it is of no use at all. */
  private mostWaiting(): number {
    const isUseless = this.error !== undefined && this.writing === undefined;
    return isUseless ? SLICE : Math.max(MOST_WAITING, 2 * this.parts.source.size);
  }

  private arm(ms: number): void {
    this.cancelTimer ??= this.parts.clock.after(ms, () => {
      this.cancelTimer = undefined;
      void this.write(false);
    });
  }

  private armLeisurely(): void {
    this.arm(COUNTERS_MS);
    this.isLeisurely = true;
  }

  private disarm(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.isLeisurely = false;
  }

  /** @param last - the daemon ends: leave the time */
  private write(last: boolean): Promise<void> {
    this.writing ??= this.writeOnce(last);
    return this.writing;
  }

  private async writeOnce(last: boolean): Promise<void> {
    const startMs = this.parts.clock.monotonicMs();
    this.disarm();
    this.again = undefined;
    try {
      if (this.incomplete || (await this.writer.needsSnapshot())) await this.snapshot();
      else await this.writer.append(last);
      this.succeeded();
    } catch (error) {
      await this.writer.close();
      this.incomplete = true;
      this.failed(error);
    }
    this.writing = undefined;
    if (this.isClosed) return;
    if (this.error !== undefined) this.arm(this.retryMs);
    else if (this.again === 'entries' || this.parts.source.changes > 0) {
      this.arm(Math.max(0, FLUSH_MS - (this.parts.clock.monotonicMs() - startMs)));
    } else if (this.again === 'counters') this.armLeisurely();
  }

  private async snapshot(): Promise<void> {
    this.incomplete = false;
    if (!(await this.writer.snapshot(() => this.incomplete))) throw new Error(TOO_SLOW);
  }

  private succeeded(): void {
    this.writtenMs = this.parts.clock.monotonicMs();
    this.retryMs = FIRST_RETRY_MS;
    if (this.error === undefined) return;
    this.error = undefined;
    const message = `state file ${escapeText(this.parts.path)} is written again`;
    this.parts.report({ kind: 'recovered', message });
  }

  private failed(error: unknown): void {
    const isFirst = this.error === undefined;
    this.error = errorWords(error);
    if (!isFirst) {
      this.retryMs = Math.min(this.retryMs * 2, MAX_RETRY_MS);
      return;
    }
    const file = `state file ${escapeText(this.parts.path)}`;
    const message = `${file} cannot be written: ${this.error}; a restart finds it as it was last written; trying again`;
    this.parts.report({ kind: 'failed', message });
  }
}

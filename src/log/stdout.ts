// Lines to standard output, bounded.
import { writeSync } from 'node:fs';
import { Losses, type LossReport } from './losses.js';
import type { LineWriter } from './writer.js';

/** Bytes that wait for a reader at the most; what comes beyond that is lost, and counted. */
const MOST_WAITING = 1 << 20;
/** At the end a reader has so long to read what waits for it. */
const CLOSE_MS = 500;

/** Is told what became of a line: undefined when the system has taken it. */
type Written = (error: string | undefined) => void;

interface TtyHandle {
  readonly _handle?: { setBlocking?: (blocking: boolean) => void };
}

/**
 * Writes lines to a terminal, a pipe or a socket, and never waits for whoever reads it: a terminal that is stopped
 * (Ctrl-S), or a pipe that nobody empties, must not hold up the mail. What the system has taken counts as written,
 * whether somebody reads it or not.
 */
export class StreamLines implements LineWriter {
  private readonly losses: Losses;
  /** what is to be told about each line that the stream has and the system has not taken yet */
  private readonly waiting = new Set<Written>();
  private idle: (() => void) | undefined;
  private isClosed = false;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    readonly description: string,
    report: LossReport,
  ) {
    this.losses = new Losses(report);
    // Node writes to terminals synchronously, unless it is told not to
    if (stream.isTTY) (stream as TtyHandle)._handle?.setBlocking?.(false);
    // each write is told of its own error
    stream.on('error', () => undefined);
  }

  get lost(): number {
    return this.losses.total;
  }

  write(_level: string, line: string): void {
    if (this.isClosed) return;
    if (this.stream.writableLength > MOST_WAITING) this.losses.add(1, 'nobody reads them');
    else this.hand(line, (error) => this.written(error));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.waiting.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_MS);
        this.idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const written of this.waiting) written('nobody has read them');
    this.waiting.clear();
  }

  private hand(line: string, written: Written): void {
    this.waiting.add(written);
    this.stream.write(`${line}\n`, (error) => {
      if (!this.waiting.delete(written)) return;
      written(error?.message);
      if (this.waiting.size === 0) this.idle?.();
    });
  }

  private written(error: string | undefined): void {
    if (error !== undefined) this.losses.add(1, error);
    else if (this.stream.writableLength <= MOST_WAITING / 2) this.tell();
  }

  /** Lines go through again: says how many did not. */
  private tell(): void {
    const notice = this.losses.take();
    if (notice === undefined) return;
    this.hand(notice.line, (error) => (error === undefined ? notice.told() : notice.lost()));
  }
}

/**
 * Writes lines to a file, one system call each. A full disk loses lines, and nothing else: once it has room again a
 * line says how many.
 */
export class FileLines implements LineWriter {
  private readonly losses: Losses;
  /** a line was written in part only, so the next one must not go on behind it */
  private isTorn = false;

  constructor(
    private readonly fd: number,
    readonly description: string,
    report: LossReport,
  ) {
    this.losses = new Losses(report);
  }

  get lost(): number {
    return this.losses.total;
  }

  write(_level: string, line: string): void {
    const error = this.put(line);
    if (error === undefined) this.tell();
    else this.losses.add(1, error);
  }

  close(): Promise<void> {
    this.tell();
    return Promise.resolve();
  }

  private tell(): void {
    const notice = this.losses.take();
    if (notice === undefined) return;
    if (this.put(notice.line) === undefined) notice.told();
    else notice.lost();
  }

  /** @returns what went wrong */
  private put(line: string): string | undefined {
    const data = Buffer.from(`${this.isTorn ? '\n' : ''}${line}\n`);
    let done = 0;
    try {
      // a disk that has just become full takes a part
      while (done < data.length) done += writeSync(this.fd, data, done);
    } catch (error) {
      if (done > 0) this.isTorn = done > 1 || !this.isTorn;
      return (error as Error).message;
    }
    this.isTorn = false;
    return undefined;
  }
}

// Lines to standard output, bounded.

/** Bytes that wait for a reader at the most; what comes beyond that is dropped, and counted. */
const MOST_WAITING = 1 << 20;

interface TtyHandle {
  readonly _handle?: { setBlocking?: (blocking: boolean) => void };
}

/**
 * Writes lines to standard output, and never waits for whoever reads it: a terminal that is stopped (Ctrl-S), or a
 * pipe that nobody empties, must not hold up the mail.
 */
export class StdoutLines {
  private dropped = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {
    // Node writes to terminals synchronously, unless it is told not to
    if (stream.isTTY) (stream as TtyHandle)._handle?.setBlocking?.(false);
  }

  /** Writes a line, given without its end. */
  write(_level: string, line: string): void {
    if (this.stream.writableLength > MOST_WAITING) {
      this.dropped++;
      return;
    }
    if (this.dropped > 0) {
      this.stream.write(`${this.dropped} log lines were dropped: nobody read them\n`);
      this.dropped = 0;
    }
    this.stream.write(`${line}\n`);
  }

  /** Nothing can be done for a reader that does not read. */
  drain(): Promise<void> {
    return Promise.resolve();
  }
}

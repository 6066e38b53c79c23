import Transport from 'winston-transport';

/** Where winston puts the finished line (documented by winston-transport). */
const MESSAGE = Symbol.for('message');

/** Bytes that wait for a reader at the most; what comes beyond that is dropped, and counted. */
const MOST_WAITING = 1 << 20;

interface TtyHandle {
  readonly _handle?: { setBlocking?: (blocking: boolean) => void };
}

/**
 * Writes lines to standard output, and never waits for whoever reads it: a terminal that is stopped (Ctrl-S), or a
 * pipe that nobody empties, must not hold up the mail.
 */
export class StdoutTransport extends Transport {
  private dropped = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {
    super();
    // Node writes to terminals synchronously, unless it is told not to
    if (stream.isTTY) (stream as TtyHandle)._handle?.setBlocking?.(false);
  }

  override log(info: Record<string | symbol, unknown>, next: () => void): void {
    if (this.stream.writableLength > MOST_WAITING) this.dropped++;
    else {
      if (this.dropped > 0) {
        this.stream.write(`${this.dropped} log lines were dropped: nobody read them\n`);
        this.dropped = 0;
      }
      this.stream.write(`${String(info[MESSAGE])}\n`);
    }
    next();
  }
}

// Many lines to standard output, no faster than they are read.
import { once } from 'node:events';
import type { Writable } from 'node:stream';

const PIECE = 65_536;

/** Writes many lines in few pieces, and no faster than they are read. */
export class LineOutput {
  private waiting: string[] = [];
  private size = 0;
  private drained: Promise<void> | undefined;

  constructor(private readonly stream: Writable) {}

  /** @returns a promise when the reader is behind: nothing more should come before it is resolved */
  line(text: string): Promise<void> | undefined {
    this.waiting.push(text, '\n');
    this.size += text.length + 1;
    return this.size < PIECE ? undefined : this.flush();
  }

  /** Writes out what is waiting. */
  flush(): Promise<void> | undefined {
    const text = this.waiting.join('');
    this.waiting = [];
    this.size = 0;
    if (this.stream.write(text)) return undefined;
    this.drained ??= once(this.stream, 'drain').then(() => void (this.drained = undefined));
    return this.drained;
  }
}

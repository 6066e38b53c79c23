// winston's transport over a bounded writer.
import Transport from 'winston-transport';
import type { Level } from './line.js';
import type { LineWriter } from './writer.js';

/** Where winston's formats put the finished line: its documented symbol (the package triple-beam). */
const MESSAGE = Symbol.for('message');

/** What a transport is given. */
interface Info {
  readonly level: Level;
  readonly [MESSAGE]: string;
}

/**
 * Hands lines to a writer, which never waits. So the next line may come at once: a transport that is slow to say so halts
 * winston. No `logged` event for each line, as winston's own transports have: nobody listens, and in a flood it costs
 * memory.
 */
export class LineTransport extends Transport {
  constructor(private readonly writer: LineWriter) {
    super();
  }

  override log(info: Info, next: () => void): void {
    this.writer.write(info.level, info[MESSAGE]);
    next();
  }
}

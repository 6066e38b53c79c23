// Which of the lines that senders cause are written.
import type { Clock } from '../clock.js';
import type { Level } from '../log/line.js';
import type { Log } from '../log/log.js';
import type { HashKey } from '../tracker/siphash.js';
import { Flood } from './flood.js';
import type { Line } from './messages.js';
import { RateLimit } from './rate-limit.js';
import { Repeats, type Seen } from './repeats.js';

/** Log lines about packets and entries in a second, at the most; then one about all that were too many. */
const LINES_PER_SECOND = 500;

/** Something that happened, before there is a line about it. */
export interface Happening {
  readonly level: Level;
  /** the `event` of its line */
  readonly kind: string;
  /** who has come, if somebody has */
  readonly seen?: Seen;
  /** of a refusal: those with the same reason are told together */
  readonly reason?: string;
}

/** Writes the lines that senders can cause at will: not too many, and none is left out without being counted. */
export class Telling {
  private readonly repeats: Repeats;
  private readonly flood: Flood;
  private readonly lines: RateLimit;

  constructor(
    private readonly log: Log,
    clock: Clock,
    hashKey: HashKey,
  ) {
    this.flood = new Flood(hashKey);
    this.lines = new RateLimit(LINES_PER_SECOND, clock, () => this.tellFlood());
    this.repeats = new Repeats(clock, hashKey, (line, count, seen) => {
      if (this.lines.allows()) this.write(line);
      else this.flood.add(line.level, line.fields.event, seen, count);
    });
  }

  /**
   * Writes a line, or counts what it would have said.
   * @param makeLine - is called only when the line is written
   * @returns the line when it was written, or was within the last minute
   */
  tell({ level, kind, seen, reason }: Happening, makeLine: () => Line): Line | undefined {
    if (!this.log.isEnabled(level)) return undefined;
    if (seen !== undefined) {
      if (reason === undefined) this.repeats.interrupt(seen);
      else {
        const told = this.repeats.count(seen, reason);
        if (told !== undefined) return told;
      }
    }
    if (!this.lines.allows()) {
      this.flood.add(level, kind, seen);
      return undefined;
    }
    const line = makeLine();
    this.write(line);
    if (seen !== undefined && reason !== undefined) this.repeats.begin(seen, reason, line);
    return line;
  }

  /** Tells the repeats that are to be told later: from here on the same refusal is another line. */
  tellRepeats(): void {
    this.repeats.close();
  }

  /** Tells what there is to tell. */
  close(): void {
    this.repeats.close();
    this.lines.close();
  }

  private tellFlood(): void {
    const line = this.flood.take();
    if (line !== undefined) this.write(line);
  }

  private write({ level, message, fields }: Line): void {
    this.log.write(level, message, fields);
  }
}

// What the engine says: to the log, and to the history that people ask for.
import type { Clock } from '../clock.js';
import type { Log } from '../log/log.js';
import type { HashKey } from '../tracker/siphash.js';
import { History } from './history.js';
import type { Line } from './messages.js';
import { RateLimit } from './rate-limit.js';
import { type Happening, Telling } from './telling.js';

/** Events that are remembered in a second, at the most. */
const EVENTS_PER_SECOND = 500;

/** Writes lines, and remembers them for those who ask. */
export class Voice {
  readonly history = new History();
  private readonly telling: Telling;
  private readonly remembered: RateLimit;

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
    hashKey: HashKey,
  ) {
    this.telling = new Telling(log, clock, hashKey);
    this.remembered = new RateLimit(EVENTS_PER_SECOND, clock);
  }

  say(line: Line): void {
    this.log.write(line.level, line.message, line.fields);
  }

  /** The same, and whoever asks hears of it. */
  sayAndRemember(line: Line): void {
    this.say(line);
    this.remember(line);
  }

  /** For lines that a sender can cause at will: made only when they are wanted, and not too many. */
  sayOften(what: Happening, makeLine: () => Line): void {
    const said = this.telling.tell(what, makeLine);
    if (this.remembered.allows()) this.remember(said ?? makeLine());
  }

  /** Tells the repeats that are to be told later: from here on the same refusal is another line. */
  tellRepeats(): void {
    this.telling.tellRepeats();
  }

  /** Tells what there is to tell. */
  close(): void {
    this.telling.close();
    this.remembered.close();
  }

  private remember({ fields, brief }: Line): void {
    const { event, source } = fields;
    if (typeof source !== 'string' || brief === undefined) return;
    if (event === 'no-pool' || event === 'pooled') this.history.notePool(source, brief);
    this.history.note({ atMs: this.clock.wallMs(), kind: event, address: source, text: brief });
  }
}

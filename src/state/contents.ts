import { hostName } from '../names/name.js';
import {
  familyOf,
  formatPrefix,
  parsePrefix,
  type Prefix,
  type PrefixText,
  WIDEST_ENTRY,
} from '../packet/address.js';
import type { Counters } from '../tracker/tracker.js';
import type { Origin } from '../tracker/whitelist.js';
import { Words } from './words.js';

/** Nothing lives longer than the longest whitelist time that can be configured, whatever a file says: 366 days. */
export const MOST_REMAINING_MS = 31_622_400_000;

/** Now, on the monotonic clock of the process that wrote the file. */
interface FileClock {
  nowMs: number;
}

/** An entry of a file; its own times are monotonic milliseconds of the process that wrote it. */
class RecordedEntry {
  constructor(
    private readonly clock: FileClock,
    readonly prefix: PrefixText,
    readonly origin: Origin,
    private readonly addedMs: number,
    private readonly deadlineMs: number,
    private readonly lastAttemptMs: number,
    readonly attempts: number,
    readonly admissions: number,
    readonly name: string | undefined,
  ) {}

  /** what `prefix` is the text of; read each time, because keeping a hundred thousand of them takes longer */
  get network(): Prefix {
    const parsed = parsePrefix(this.prefix);
    if (!parsed.ok) throw new Error('unchecked prefix');
    return parsed.prefix;
  }

  /** how long it still lives; nothing of it is left at 0 and less */
  get remainingMs(): number {
    return Math.min(this.deadlineMs - this.clock.nowMs, MOST_REMAINING_MS);
  }

  get ageMs(): number {
    return Math.max(0, this.clock.nowMs - this.addedMs);
  }

  get lastAttemptAgoMs(): number {
    return Math.max(0, this.clock.nowMs - this.lastAttemptMs);
  }
}

/** What the time was. */
export interface RecordedTime {
  /** milliseconds since 1970 */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** What became of a line; `unknown`: a kind of line that a later version has added. */
export type Reception = 'taken' | 'unknown' | 'invalid';

const ORIGINS: readonly Origin[] = Object.keys({
  attempt: true,
  adopted: true,
  manual: true,
  name: true,
  pool: true,
} satisfies Record<Origin, true>) as Origin[];
const ORIGIN_WORDS = ORIGINS.map((origin) => Buffer.from(origin));

/** Kinds of lines, by their first word. */
const KINDS = ['+', '-', 'T', 'C'] as const;
const KIND_WORDS = KINDS.map((kind) => Buffer.from(kind));

const NO_COUNTERS: Readonly<Counters> = {
  attempts: 0,
  renewals: 0,
  refusals: 0,
  admissions: 0,
  added: 0,
  expired: 0,
  expiredUsed: 0,
  expiredUnused: 0,
  evicted: 0,
  adopted: 0,
  named: 0,
  pooled: 0,
};

/** What the lines of a file add up to. Each line is checked as if a stranger had written it. */
export class Contents {
  readonly entries = new Map<PrefixText, RecordedEntry>();
  /** those that were entries, and no longer are */
  readonly removed = new Set<PrefixText>();
  time: RecordedTime | undefined;
  counters: Counters | undefined;
  private readonly words = new Words();
  private readonly clock: FileClock = { nowMs: 0 };

  /** Says what time it is, for the entries. @param monotonicMs - on the clock of the process that wrote the file */
  setNow(monotonicMs: number): void {
    this.clock.nowMs = monotonicMs;
  }

  /** Takes a line without its checksum: the bytes from `start` on, before `end`. */
  take(bytes: Buffer, start: number, end: number): Reception {
    this.words.begin(bytes, start, end);
    const kind = KINDS[this.words.oneOf(KIND_WORDS)];
    if (kind === undefined) return 'unknown';
    switch (kind) {
      case '+':
        return this.takeEntry();
      case '-':
        return this.takeRemoval();
      case 'T':
        return this.takeTime();
      case 'C':
        return this.takeCounters();
    }
  }

  private takeEntry(): Reception {
    const { words } = this;
    const prefix = words.text();
    const origin = ORIGINS[words.oneOf(ORIGIN_WORDS)];
    const addedMs = words.number();
    const deadlineMs = words.number();
    const lastAttemptMs = words.number();
    const attempts = words.count();
    const admissions = words.count();
    // NaN, of any of them, makes the sum NaN
    const areNumbers = !Number.isNaN(addedMs + deadlineMs + lastAttemptMs + attempts + admissions);
    if (!this.isPrefix(prefix) || origin === undefined || !areNumbers) return 'invalid';
    const name = words.done ? undefined : words.text();
    if (!words.done || (name !== undefined && hostName(name) !== name)) return 'invalid';
    this.entries.set(
      prefix,
      new RecordedEntry(
        this.clock,
        prefix,
        origin,
        addedMs,
        deadlineMs,
        lastAttemptMs,
        attempts,
        admissions,
        name,
      ),
    );
    this.removed.delete(prefix);
    return 'taken';
  }

  private takeRemoval(): Reception {
    const prefix = this.words.text();
    if (!this.words.done || !this.isPrefix(prefix)) return 'invalid';
    this.entries.delete(prefix);
    this.removed.add(prefix);
    return 'taken';
  }

  private takeTime(): Reception {
    const wallMs = this.words.count();
    const monotonicMs = this.words.number();
    if (!this.words.done || Number.isNaN(wallMs + monotonicMs)) return 'invalid';
    this.time = { wallMs, monotonicMs };
    return 'taken';
  }

  /** Counters that we do not know are another version's, and passed over. */
  private takeCounters(): Reception {
    const counters = { ...NO_COUNTERS };
    while (!this.words.done) {
      const match = /^([A-Za-z]+)=(\d{1,15})$/.exec(this.words.text());
      if (match === null) return 'invalid';
      const [, name = '', value] = match;
      if (Object.hasOwn(counters, name)) counters[name as keyof Counters] = Number(value);
    }
    this.counters = counters;
    return 'taken';
  }

  /** Whether a text is the canonical one of a prefix that may be an entry. */
  private isPrefix(text: string): text is PrefixText {
    if (this.entries.has(text as PrefixText)) return true;
    const parsed = parsePrefix(text);
    if (!parsed.ok || parsed.prefix.length < WIDEST_ENTRY[familyOf(parsed.prefix.address)]) return false;
    return formatPrefix(parsed.prefix) === text;
  }
}

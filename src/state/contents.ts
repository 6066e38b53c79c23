// What a state file says, line by line. Pure.
import { hostName } from '../names/name.js';
import {
  familyOf,
  parseCanonical,
  type PrefixText,
  WIDEST_ENTRY,
  WIDEST_NETWORK,
} from '../packet/address.js';
import { type Counters, newCounters } from '../tracker/counters.js';
import { RecordedDomains } from './domains.js';
import { KNOWN_TIME, REGULAR } from './format.js';
import { RecordedNotes } from './notes.js';
import { ORIGINS, RecordedEntries } from './recorded-entries.js';
import { Words } from './words.js';

/** What the time was. */
export interface RecordedTime {
  /** milliseconds since 1970 */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** What became of a line; `unknown`: a kind of line that a later version has added. */
export type Reception = 'taken' | 'unknown' | 'invalid';

const ORIGIN_WORDS = ORIGINS.map((origin) => Buffer.from(origin));

/** Kinds of lines, by their first word. */
const KINDS = ['+', '-', 'T', 'C', 'A', 'K', 'O', 'S', 'R', 'D', 'X', 'N'] as const;
const KIND_WORDS = KINDS.map((kind) => Buffer.from(kind));
const REGULAR_WORD = [Buffer.from(REGULAR)];

/** More networks than a configuration file can name. */
const MOST_ALLOWED = 100_000;

/** What the lines of a file add up to. Each line is checked as if a stranger had written it. */
export class Contents {
  readonly entries = new RecordedEntries();
  /** those that were entries, and no longer are */
  readonly removed = new Set<PrefixText>();
  /** what `allow` had put into the table */
  readonly allowed = new Set<PrefixText>();
  /** who was refused, and entries that have ended */
  readonly notes = new RecordedNotes();
  readonly domains = new RecordedDomains();
  time: RecordedTime | undefined;
  counters: Counters | undefined;
  /** whether it was written by a version that has a time for those who have reached the real MX */
  hasKnownTime = false;
  /** lines about entries for which there was no room */
  entriesLeftOut = 0;
  private readonly words = new Words();

  /** @param most - entries, and removals, that are kept at the most; of more the first ones */
  constructor(private readonly most: number) {}

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
      case 'A':
        return this.takeAllowed();
      case 'N':
        return this.domains.take(this.words) ? 'taken' : 'invalid';
      case 'K':
        return this.takeUse();
      case 'O':
        return this.takeOrigin();
      case 'S':
        return this.takeSaid();
      case 'R':
        return this.notes.takeStranger(this.words) ? 'taken' : 'invalid';
      case 'D':
        return this.notes.takeDomain(this.words) ? 'taken' : 'invalid';
      case 'X':
        return this.notes.takeDeparture(this.words) ? 'taken' : 'invalid';
    }
  }

  private takeEntry(): Reception {
    const { words } = this;
    const prefix = words.text();
    if (this.entries.size >= this.most && !this.entries.has(prefix as PrefixText)) {
      this.entriesLeftOut++;
      return 'taken';
    }
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
    // written out, for each line: spreading other objects would take longer than all the reading
    this.entries.set(prefix, {
      origin,
      addedMs,
      deadlineMs,
      lastAttemptMs,
      attempts,
      admissions,
      // until another line tells it
      firstAdmissionMs: undefined,
      lastAdmissionMs: undefined,
      isRegular: false,
      name,
    });
    this.removed.delete(prefix);
    return 'taken';
  }

  /** When the entry of the line before was admitted. */
  private takeUse(): Reception {
    const { words } = this;
    const prefix = words.text();
    const firstMs = words.number();
    const lastMs = words.number();
    if (!this.isPrefix(prefix) || Number.isNaN(firstMs + lastMs) || lastMs < firstMs) return 'invalid';
    const isRegular = !words.done;
    if (isRegular && words.oneOf(REGULAR_WORD) !== 0) return 'invalid';
    if (!words.done) return 'invalid';
    this.entries.setUse(prefix, firstMs, lastMs, isRegular);
    return 'taken';
  }

  /** Where the entry of the line before comes from, in a word that 2.0.0 does not know. */
  private takeOrigin(): Reception {
    const { words } = this;
    const prefix = words.text();
    const origin = ORIGINS[words.oneOf(ORIGIN_WORDS)];
    if (!this.isPrefix(prefix) || origin === undefined || !words.done) return 'invalid';
    this.entries.setOrigin(prefix, origin);
    return 'taken';
  }

  /** What has been said to the administrator; words that we do not know are a later version's. */
  private takeSaid(): Reception {
    while (!this.words.done) if (this.words.text() === KNOWN_TIME) this.hasKnownTime = true;
    return 'taken';
  }

  private takeRemoval(): Reception {
    const prefix = this.words.text();
    if (!this.words.done || !this.isPrefix(prefix)) return 'invalid';
    this.entries.delete(prefix);
    if (this.removed.size < this.most) this.removed.add(prefix);
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
    const counters = newCounters();
    while (!this.words.done) {
      const match = /^([A-Za-z]+)=(\d{1,15})$/.exec(this.words.text());
      if (match === null) return 'invalid';
      const [, name = '', value] = match;
      if (Object.hasOwn(counters, name)) counters[name as keyof Counters] = Number(value);
    }
    this.counters = counters;
    return 'taken';
  }

  /** A line without networks begins the list anew. */
  private takeAllowed(): Reception {
    if (this.words.done) this.allowed.clear();
    while (!this.words.done) {
      const text = this.words.text();
      if (!isCanonical(text, WIDEST_NETWORK)) return 'invalid';
      if (this.allowed.size < MOST_ALLOWED) this.allowed.add(text);
    }
    return 'taken';
  }

  /** Whether a text is the canonical one of a prefix that may be an entry. */
  private isPrefix(text: string): text is PrefixText {
    return this.entries.has(text as PrefixText) || isCanonical(text, WIDEST_ENTRY);
  }
}

/** Whether a text is the canonical one of a prefix that is no wider than that. */
function isCanonical(text: string, widest: Readonly<Record<4 | 6, number>>): text is PrefixText {
  const prefix = parseCanonical(text);
  return prefix !== undefined && prefix.length >= widest[familyOf(prefix.address)];
}

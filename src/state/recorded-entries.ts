// Entries of a state file until they are taken in, in flat arrays.
import type { PrefixText } from '../packet/address.js';
import type { EntryFacts } from '../tracker/tracker.js';
import type { Origin } from '../tracker/whitelist.js';

/** Where entries come from, as numbers for the table below. */
export const ORIGINS: readonly Origin[] = Object.keys({
  attempt: true,
  adopted: true,
  manual: true,
  name: true,
  pool: true,
  dnswl: true,
  outbound: true,
} satisfies Record<Origin, true>) as Origin[];

const FIRST_CAPACITY = 1024;
/** Numbers of an entry. */
const COLUMNS = 7;

/**
 * The entries of a file, their times those of the process that wrote it, in flat arrays: a hundred thousand objects, which live until the start is over, would cost
 * more to make and to collect than all the reading.
 */
export class RecordedEntries {
  private readonly places = new Map<PrefixText, number>();
  private readonly free: number[] = [];
  private readonly names = new Map<number, string>();
  private numbers = new Float64Array(FIRST_CAPACITY * COLUMNS);
  private origins = new Uint8Array(FIRST_CAPACITY);
  private regulars = new Uint8Array(FIRST_CAPACITY);

  get size(): number {
    return this.places.size;
  }

  has(prefix: PrefixText): boolean {
    return this.places.has(prefix);
  }

  /** Sets what is known of a prefix; the last word counts. */
  set(prefix: PrefixText, entry: EntryFacts): void {
    const known = this.places.get(prefix);
    const place = known ?? this.free.pop() ?? this.places.size;
    if (known === undefined) this.places.set(prefix, place);
    if (place >= this.origins.length) this.grow();
    const { numbers } = this;
    const at = place * COLUMNS;
    numbers[at] = entry.addedMs;
    numbers[at + 1] = entry.deadlineMs;
    numbers[at + 2] = entry.lastAttemptMs;
    numbers[at + 3] = entry.attempts;
    numbers[at + 4] = entry.admissions;
    numbers[at + 5] = entry.firstAdmissionMs ?? NaN;
    numbers[at + 6] = entry.lastAdmissionMs ?? NaN;
    this.regulars[place] = entry.isRegular ? 1 : 0;
    this.origins[place] = ORIGINS.indexOf(entry.origin);
    if (entry.name !== undefined) this.names.set(place, entry.name);
    else if (this.names.size > 0) this.names.delete(place);
  }

  /** Sets where an entry comes from; nothing happens when it is not there. */
  setOrigin(prefix: PrefixText, origin: Origin): void {
    const place = this.places.get(prefix);
    if (place !== undefined) this.origins[place] = ORIGINS.indexOf(origin);
  }

  /** Sets when an entry was admitted; nothing happens when it is not there. */
  setUse(prefix: PrefixText, firstMs: number, lastMs: number, isRegular: boolean): void {
    const place = this.places.get(prefix);
    if (place === undefined) return;
    this.numbers[place * COLUMNS + 5] = firstMs;
    this.numbers[place * COLUMNS + 6] = lastMs;
    this.regulars[place] = isRegular ? 1 : 0;
  }

  delete(prefix: PrefixText): void {
    const place = this.places.get(prefix);
    if (place === undefined) return;
    this.places.delete(prefix);
    this.names.delete(place);
    this.free.push(place);
  }

  /** Those whose time is over. */
  expired(nowMs: number): PrefixText[] {
    const expired: PrefixText[] = [];
    for (const [prefix, place] of this.places) {
      if ((this.numbers[place * COLUMNS + 1] ?? 0) <= nowMs) expired.push(prefix);
    }
    return expired;
  }

  /** All that is known, one at a time. */
  *[Symbol.iterator](): Generator<readonly [PrefixText, EntryFacts]> {
    for (const [prefix, place] of this.places) yield [prefix, this.at(place)];
  }

  private at(place: number): EntryFacts {
    const number = (column: number): number => this.numbers[place * COLUMNS + column] ?? NaN;
    const time = (column: number): number | undefined => {
      const value = number(column);
      return Number.isNaN(value) ? undefined : value;
    };
    return {
      origin: ORIGINS[this.origins[place] ?? 0] ?? 'adopted',
      addedMs: number(0),
      deadlineMs: number(1),
      lastAttemptMs: number(2),
      attempts: number(3),
      admissions: number(4),
      firstAdmissionMs: time(5),
      lastAdmissionMs: time(6),
      isRegular: this.regulars[place] === 1,
      name: this.names.get(place),
    };
  }

  private grow(): void {
    const numbers = new Float64Array(this.numbers.length * 2);
    numbers.set(this.numbers);
    this.numbers = numbers;
    const origins = new Uint8Array(this.origins.length * 2);
    origins.set(this.origins);
    this.origins = origins;
    const regulars = new Uint8Array(this.regulars.length * 2);
    regulars.set(this.regulars);
    this.regulars = regulars;
  }
}

// Entries that have ended, bounded: for those who ask why somebody was refused. Pure.
import type { PrefixText } from '../packet/address.js';
import type { Origin } from './whitelist.js';

/** Why an entry has ended: its time was over, an operator has taken it out, or it has made room. */
export const DEPARTURE_REASONS = ['timeout', 'forgotten', 'no-room'] as const;

/** One of {@link DEPARTURE_REASONS}. */
export type DepartureReason = (typeof DEPARTURE_REASONS)[number];

/** An entry that has ended. Times are milliseconds since 1970. */
export interface Departure {
  readonly prefix: PrefixText;
  readonly origin: Origin;
  readonly addedMs: number;
  /** when it last tried the fake MX; 0: it never has */
  readonly triedMs: number;
  /** how often it was admitted */
  readonly admissions: number;
  readonly endedMs: number;
  readonly reason: DepartureReason;
}

/** So many, those that ended last. */
export const MOST_DEPARTED = 5000;

/** The entries that have ended last, one for each prefix. */
export class Departed {
  private readonly byPrefix = new Map<PrefixText, Departure>();
  /** those that are not written yet */
  private readonly changed = new Set<PrefixText>();

  note(departure: Departure): void {
    this.restore(departure);
    this.changed.add(departure.prefix);
  }

  /** Takes in what an earlier run has left; the oldest should come first. */
  restore(departure: Departure): void {
    const { prefix } = departure;
    this.byPrefix.delete(prefix);
    this.byPrefix.set(prefix, departure);
    if (this.byPrefix.size <= MOST_DEPARTED) return;
    const [oldest] = this.byPrefix.keys();
    if (oldest === undefined) return;
    this.byPrefix.delete(oldest);
    this.changed.delete(oldest);
  }

  of(prefix: PrefixText): Departure | undefined {
    return this.byPrefix.get(prefix);
  }

  /** The one that ended last comes last. */
  [Symbol.iterator](): Iterator<Departure> {
    return this.byPrefix.values();
  }

  /** Takes what has not been taken yet. */
  takeChanges(most: number): Departure[] {
    const taken: Departure[] = [];
    for (const prefix of this.changed) {
      if (taken.length >= most) break;
      this.changed.delete(prefix);
      const departure = this.byPrefix.get(prefix);
      if (departure !== undefined) taken.push(departure);
    }
    return taken;
  }
}

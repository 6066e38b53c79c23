// What a state file is written from.
import type { PrefixText } from '../packet/address.js';
import type { KeptDomain } from '../names/domain-networks.js';
import type { Counters } from '../tracker/counters.js';
import type { EntryFacts } from '../tracker/tracker.js';
import type { Departure } from '../tracker/departed.js';
import type { Stranger, StrangerDomain } from '../tracker/strangers.js';

/** An entry as it is kept. Times are monotonic milliseconds of the process that keeps it. */
export interface SavedEntry extends EntryFacts {
  readonly prefix: PrefixText;
}

/** What has changed: an entry is new or another one now, or has gone. */
export type StateChange =
  | { readonly kind: 'entry'; readonly entry: SavedEntry }
  | { readonly kind: 'removed'; readonly prefix: PrefixText };

/** Something that is kept. */
export type Note =
  | { readonly kind: 'stranger'; readonly stranger: Stranger }
  | { readonly kind: 'domain'; readonly domain: StrangerDomain }
  | { readonly kind: 'departure'; readonly departure: Departure };

/** Where notes come from. */
export interface NoteSource {
  /** All of them. */
  all(): readonly Note[];
  /**
   * Takes those that have changed since.
   * @param most - how many at the most
   * @param isAll - also those that a crash may take away
   */
  takeChanges(most: number, isAll: boolean): Note[];
}

/** Whose state is kept. */
export interface StateSource {
  /**
   * Takes the next changes, each prefix once, as it is now.
   * @param most - how many at the most
   * @returns empty when there are no more
   */
  takeChanges(most: number): StateChange[];
  /** number of changes that {@link takeChanges} would return, about */
  readonly changes: number;
  /**
   * All entries; entries may come and go between two steps. One that is there from the first step to the last is
   * returned, as it is when its turn comes; the steps come to an end, however many entries come meanwhile.
   */
  entries(): Iterable<SavedEntry>;
  readonly size: number;
  counters(): Counters;
  /** What is told to those who ask. */
  readonly notes: NoteSource;
  /** What `allow` has put into the table, as far as it may still be there: the same array until that changes. */
  allowed(): readonly PrefixText[];
  /** The networks of domains, likewise. */
  domains(): readonly KeptDomain[];
}

// What is in the table, as far as known, beside what is wanted.
import type { PrefixText } from '../packet/address.js';
import { PartedMap } from './parted-map.js';

/** What is known of one prefix: whether it should be in the table, and whether it is. */
const WANTED = 1;
const PRESENT = 2;
/** a command about it failed or is under way */
const UNSURE = 4;
/** seen by the comparison that is under way */
const SEEN = 8;

/** What is wanted of the table, what is in it as far as known, and so what is to be added and deleted. */
export class Ledger {
  /** Flags per prefix; a prefix that is neither wanted nor held is not in here. */
  private readonly cells = new PartedMap<PrefixText, number>();
  private readonly toAdd = new Set<PrefixText>();
  private readonly toDelete = new Set<PrefixText>();
  /** of those that are there as wanted: what is to be written once more */
  private readonly toAssure = new Set<PrefixText>();
  private heldCount = 0;

  /** number of prefixes that are, or may be, in the table */
  get held(): number {
    return this.heldCount;
  }

  /** number of prefixes that still have to be added */
  get additions(): number {
    return this.toAdd.size;
  }

  /** number of prefixes that still have to be deleted */
  get deletions(): number {
    return this.toDelete.size;
  }

  /** number of prefixes that are to be added though they are there */
  get assurances(): number {
    return this.toAssure.size;
  }

  /** The prefix should be in the table. */
  want(prefix: PrefixText): void {
    const flags = (this.cells.get(prefix) ?? 0) | WANTED;
    this.cells.set(prefix, flags);
    this.toDelete.delete(prefix);
    if ((flags & PRESENT) === 0) this.toAdd.add(prefix);
  }

  /** A prefix that is in the table as wanted is to be added once more, in case that it is not. */
  assure(prefix: PrefixText): void {
    const flags = this.cells.get(prefix) ?? 0;
    if ((flags & (WANTED | PRESENT)) === (WANTED | PRESENT)) this.toAssure.add(prefix);
  }

  /** The prefix should not be in the table. */
  unwant(prefix: PrefixText): void {
    const flags = (this.cells.get(prefix) ?? 0) & ~WANTED;
    this.toAdd.delete(prefix);
    this.toAssure.delete(prefix);
    if ((flags & (PRESENT | UNSURE | SEEN)) === 0) {
      this.cells.delete(prefix);
      return;
    }
    this.cells.set(prefix, flags);
    this.toDelete.add(prefix);
  }

  /** The prefix should not be in the table, and goes from there by itself: what nothing is under way about is forgotten. */
  lapse(prefix: PrefixText): void {
    const flags = this.cells.get(prefix) ?? 0;
    if ((flags & (UNSURE | SEEN)) !== 0) {
      this.unwant(prefix);
      return;
    }
    this.cells.set(prefix, flags & ~WANTED);
    this.conclude(prefix, false);
  }

  /** Whether a prefix is to be taken out. */
  isLeaving(prefix: PrefixText): boolean {
    return this.toDelete.has(prefix);
  }

  /** Whether a prefix is in the table, or may be. */
  holds(prefix: PrefixText): boolean {
    return ((this.cells.get(prefix) ?? 0) & (PRESENT | UNSURE)) !== 0;
  }

  isWanted(prefix: PrefixText): boolean {
    return ((this.cells.get(prefix) ?? 0) & WANTED) !== 0;
  }

  /** The next prefixes to be added, so many at the most. */
  nextAdditions(most: number): PrefixText[] {
    return first(this.toAdd, most);
  }

  /** Takes the next prefixes that are to be added though they are there, so many at the most. */
  takeAssurances(most: number): PrefixText[] {
    const batch = first(this.toAssure, most);
    for (const prefix of batch) this.toAssure.delete(prefix);
    return batch;
  }

  /** The next prefixes to be deleted, so many at the most. */
  nextDeletions(most: number): PrefixText[] {
    return first(this.toDelete, most);
  }

  /** A command about these prefixes begins: nobody knows for a while. */
  begin(batch: readonly PrefixText[]): void {
    for (const prefix of batch) this.setState(prefix, UNSURE);
  }

  /** Notes whether a prefix is in the table, and what is still to be done about it. */
  conclude(prefix: PrefixText, isPresent: boolean): void {
    this.toAssure.delete(prefix);
    const wanted = this.isWanted(prefix);
    this.setState(prefix, isPresent ? PRESENT : 0);
    if (wanted && !isPresent) this.toAdd.add(prefix);
    else this.toAdd.delete(prefix);
    if (!wanted && isPresent) this.toDelete.add(prefix);
    else this.toDelete.delete(prefix);
  }

  /** A prefix is in the table; what is to be done about it will be decided. */
  find(prefix: PrefixText): void {
    this.setState(prefix, PRESENT);
  }

  /** A prefix of the table is not ours. */
  leave(prefix: PrefixText): void {
    this.toDelete.delete(prefix);
    this.setState(prefix, 0);
  }

  /** Nothing is in the table any more. @returns how many prefixes that were */
  lose(): number {
    let lost = 0;
    for (const [prefix, flags] of this.cells) {
      if ((flags & PRESENT) !== 0) lost++;
      this.conclude(prefix, false);
    }
    return lost;
  }

  /** Notes that the list of the table has a prefix. @returns false when nothing is known of it */
  see(prefix: PrefixText): boolean {
    const flags = this.cells.get(prefix);
    if (flags === undefined) return false;
    this.cells.set(prefix, flags | SEEN);
    return true;
  }

  /** The list could not be read to its end: what was seen counts for nothing. */
  forgetSeen(): void {
    for (const [prefix, flags] of this.cells) this.cells.set(prefix, flags & ~SEEN);
  }

  /** Takes over which prefixes were seen. @returns how many that should be in the table were not */
  compare(): number {
    let missing = 0;
    for (const [prefix, flags] of this.cells) {
      const seen = (flags & SEEN) !== 0;
      if ((flags & ~PRESENT) === (SEEN | WANTED)) {
        // as it should be, as nearly all are
        this.cells.set(prefix, WANTED | PRESENT);
        this.heldCount += Number((flags & PRESENT) === 0);
        this.toAdd.delete(prefix);
        continue;
      }
      if (!seen && (flags & (PRESENT | WANTED)) === (PRESENT | WANTED)) missing++;
      this.conclude(prefix, seen);
    }
    return missing;
  }

  /** Notes what the table has of a prefix. Forgets a prefix that is neither held nor wanted. */
  private setState(prefix: PrefixText, state: typeof PRESENT | typeof UNSURE | 0): void {
    const flags = this.cells.get(prefix) ?? 0;
    const wasHeld = (flags & (PRESENT | UNSURE)) !== 0;
    const next = (flags & WANTED) | state;
    if (next === 0) this.cells.delete(prefix);
    else this.cells.set(prefix, next);
    this.heldCount += Number(state !== 0) - Number(wasHeld);
  }
}

function first<T>(set: ReadonlySet<T>, count: number): T[] {
  const items: T[] = [];
  for (const item of set) {
    if (items.length >= count) break;
    items.push(item);
  }
  return items;
}

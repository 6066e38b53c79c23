// What this node vouches for, and what of it is still to be told. Pure.
import type { PrefixText } from '../packet/address.js';
import { type Change, fieldOf, type Forgetting, type Sighting } from './record.js';

/** A longer end is worth a message when it adds more than this part of what an entry lives. */
const WORTH_TELLING = 1 / 32;

interface Kept {
  now: Sighting;
  /** what the store has of it; undefined: nothing, or nobody knows */
  told: Sighting | undefined;
}

/** What is told at a time. */
export interface Batch {
  readonly changes: readonly Change[];
  /** fields of the hash that go without a word: their time is over, and everybody knows when that is */
  readonly over: readonly string[];
}

/**
 * The sightings and forgettings of this node. Nothing is queued: each knows whether it has been told. So memory is
 * bounded by what there is, however long nobody can be told.
 */
export class Own {
  private readonly seen = new Map<PrefixText, Kept>();
  private readonly forgotten = new Map<PrefixText, Forgetting>();
  /** fields of the hash that are not in the store as they are here, and whether to say so */
  private readonly untold = new Map<string, 'say' | 'over'>();

  /** number of prefixes that it vouches for */
  get size(): number {
    return this.seen.size;
  }

  /** number of fields that its hash has when all is told */
  get fields(): number {
    return this.seen.size + this.forgotten.size;
  }

  /** number of fields that are still to be told */
  get untoldSize(): number {
    return this.untold.size;
  }

  get(prefix: PrefixText): Sighting | undefined {
    return this.seen.get(prefix)?.now;
  }

  forgottenAt(prefix: PrefixText): number {
    return this.forgotten.get(prefix)?.stamp ?? 0;
  }

  /** Whether its hash should have a field. */
  hasField(field: string): boolean {
    return field.startsWith('!')
      ? this.forgotten.has(field.slice(1) as PrefixText)
      : this.seen.has(field as PrefixText);
  }

  /** All that it vouches for. */
  *sightings(): Generator<readonly [PrefixText, Sighting]> {
    for (const [prefix, { now }] of this.seen) yield [prefix, now];
  }

  /** What it remembers as forgotten. */
  forgettings(): Iterable<readonly [PrefixText, Forgetting]> {
    return this.forgotten;
  }

  /**
   * It vouches for a prefix; told when that is new, or says more than what was told.
   * @param lifeMs - how long such an entry lives
   */
  see(prefix: PrefixText, sighting: Sighting, lifeMs: number): void {
    const kept = this.seen.get(prefix);
    if (kept === undefined) this.seen.set(prefix, { now: sighting, told: undefined });
    else kept.now = sighting;
    const told = kept?.told;
    const isSame =
      told !== undefined &&
      told.isKnown === sighting.isKnown &&
      told.isManual === sighting.isManual &&
      told.name === sighting.name &&
      sighting.endMs - told.endMs <= lifeMs * WORTH_TELLING &&
      told.endMs <= sighting.endMs;
    if (!isSame) this.untold.set(prefix, 'say');
  }

  /**
   * It does not vouch for a prefix any more.
   * @param isOver - because its time is over: nobody need be told
   */
  lose(prefix: PrefixText, isOver: boolean): void {
    if (this.seen.delete(prefix)) this.untold.set(prefix, isOver ? 'over' : 'say');
  }

  /** A prefix is forgotten: what is stamped before does not count. */
  forget(prefix: PrefixText, forgetting: Forgetting): void {
    if (this.forgottenAt(prefix) >= forgetting.stamp) return;
    this.forgotten.set(prefix, forgetting);
    this.untold.set(`!${prefix}`, 'say');
    const kept = this.seen.get(prefix);
    if (kept === undefined) return;
    if (kept.now.stamp <= forgetting.stamp) this.lose(prefix, true);
    // the others have dropped what they were told of it
    else if (kept.told === undefined || kept.told.stamp <= forgetting.stamp) this.untold.set(prefix, 'say');
  }

  /** Drops what has ended, and what need not be remembered as forgotten any more. @param ownMs - the time of this node */
  sweep(ownMs: number): void {
    for (const [prefix, { now }] of this.seen) if (now.endMs < ownMs) this.lose(prefix, true);
    for (const [prefix, { endMs }] of this.forgotten) {
      if (endMs >= ownMs) continue;
      this.forgotten.delete(prefix);
      this.untold.set(`!${prefix}`, 'over');
    }
  }

  /** Nobody knows what the store has: all is to be told again. */
  tellAll(): void {
    this.untold.clear();
    for (const [prefix, kept] of this.seen) {
      kept.told = undefined;
      this.untold.set(prefix, 'say');
    }
    for (const prefix of this.forgotten.keys()) this.untold.set(`!${prefix}`, 'say');
  }

  /** What is to be told next; it counts as told when {@link told} is called with it. Forgettings come first. */
  take(most: number): Batch {
    const changes: Change[] = [];
    const over: string[] = [];
    for (const [field, how] of this.untold) {
      if (changes.length + over.length >= most) break;
      const change = this.change(field);
      if (change.kind === 'gone' && (how === 'over' || field.startsWith('!'))) over.push(field);
      else changes.push(change);
    }
    return { changes: [...changes.filter(isForgotten), ...changes.filter((one) => !isForgotten(one))], over };
  }

  /** The store has it now. */
  told({ changes, over }: Batch): void {
    for (const change of changes) {
      const field = fieldOf(change);
      if (change.kind === 'forgotten') {
        if (this.forgotten.get(change.prefix) === change.forgetting) this.untold.delete(field);
        continue;
      }
      const kept = this.seen.get(change.prefix);
      if (change.kind === 'gone') {
        if (kept === undefined) this.untold.delete(field);
        continue;
      }
      if (kept === undefined) continue;
      kept.told = change.sighting;
      if (kept.now === change.sighting) this.untold.delete(field);
    }
    for (const field of over) if (!this.hasField(field)) this.untold.delete(field);
  }

  private change(field: string): Change {
    const prefix = (field.startsWith('!') ? field.slice(1) : field) as PrefixText;
    const forgetting = field.startsWith('!') ? this.forgotten.get(prefix) : undefined;
    if (forgetting !== undefined) return { kind: 'forgotten', prefix, forgetting };
    const kept = field.startsWith('!') ? undefined : this.seen.get(prefix);
    return kept === undefined ? { kind: 'gone', prefix } : { kind: 'seen', prefix, sighting: kept.now };
  }
}

function isForgotten({ kind }: Change): boolean {
  return kind === 'forgotten';
}

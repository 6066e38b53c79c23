// A table of prefixes that senders cannot slow down.
import {
  type Address,
  ADDRESS_BITS,
  addressWords,
  type Family,
  familyOf,
  type Prefix,
  wordMask,
  type Words,
} from '../packet/address.js';
import { type HashKey, halfSipHash } from './siphash.js';

const NONE = -1;
const FIRST_SLOTS = 16;
/** Full at four fifths: a smaller table costs less in cache misses than longer searches cost in steps. */
const MAX_LOAD = 0.8;

/**
 * All prefixes of one family and length: a hash table with open addressing in one flat array, so that a look-up
 * touches one or two cache lines however many prefixes there are. A slot is the words of a key, then its number
 * plus one; 0 there means that the slot is empty.
 */
class Level {
  count = 0;
  /** words of a key that this length needs */
  private readonly words: number;
  private readonly masks: Words;
  private slots = FIRST_SLOTS;
  private table: Int32Array;

  constructor(
    readonly length: number,
    private readonly hashKey: HashKey,
  ) {
    this.words = Math.max(1, Math.ceil(length / 32));
    this.masks = [wordMask(length), wordMask(length - 32), wordMask(length - 64), wordMask(length - 96)];
    this.table = new Int32Array(FIRST_SLOTS * (this.words + 1));
  }

  /** The number that belongs to a key, {@link NONE} when it is not there. */
  find(w0: number, w1: number, w2: number, w3: number): number {
    return (this.table[this.locate(w0, w1, w2, w3) + this.words] as number) - 1;
  }

  set(key: Words, id: number): void {
    if (this.count + 1 > this.slots * MAX_LOAD) this.grow();
    const at = this.locate(...key);
    if (this.table[at + this.words] === 0) this.count++;
    this.put(at, key, id + 1);
  }

  /** Removes a key and closes the gap, so that no search stops too early. */
  delete(key: Words): boolean {
    const { table, words, slots } = this;
    const size = words + 1;
    let gap = this.locate(...key) / size;
    if (table[gap * size + words] === 0) return false;
    const last = slots - 1;
    for (let slot = (gap + 1) & last; table[slot * size + words] !== 0; slot = (slot + 1) & last) {
      const home = this.home(...this.keyAt(slot * size));
      // stays when its home lies between the gap and its place
      if (((slot - home) & last) < ((slot - gap) & last)) continue;
      table.copyWithin(gap * size, slot * size, (slot + 1) * size);
      gap = slot;
    }
    table[gap * size + words] = 0;
    this.count--;
    return true;
  }

  /** Where in the table a key is, or the empty slot where it would be. */
  private locate(w0: number, w1: number, w2: number, w3: number): number {
    const { table, words, masks } = this;
    const k0 = w0 & masks[0];
    const k1 = w1 & masks[1];
    const k2 = w2 & masks[2];
    const k3 = w3 & masks[3];
    const last = this.slots - 1;
    const size = words + 1;
    let slot = halfSipHash(this.hashKey, words, k0, k1, k2, k3) & last;
    for (;;) {
      const at = slot * size;
      if (table[at + words] === 0) return at;
      if (
        table[at] === k0 &&
        (words < 2 || table[at + 1] === k1) &&
        (words < 3 || table[at + 2] === k2) &&
        (words < 4 || table[at + 3] === k3)
      ) {
        return at;
      }
      slot = (slot + 1) & last;
    }
  }

  private home(k0: number, k1: number, k2: number, k3: number): number {
    return halfSipHash(this.hashKey, this.words, k0, k1, k2, k3) & (this.slots - 1);
  }

  private keyAt(at: number): Words {
    const word = (index: number): number => (index < this.words ? (this.table[at + index] as number) : 0);
    return [word(0), word(1), word(2), word(3)];
  }

  private put(at: number, key: Words, value: number): void {
    for (let word = 0; word < this.words; word++) {
      this.table[at + word] = (key[word] as number) & (this.masks[word] as number);
    }
    this.table[at + this.words] = value;
  }

  private grow(): void {
    const { table: old, words } = this;
    this.slots *= 2;
    this.table = new Int32Array(old.length * 2);
    for (let at = 0; at < old.length; at += words + 1) {
      const value = old[at + words] as number;
      if (value === 0) continue;
      const word = (index: number): number => (index < words ? (old[at + index] as number) : 0);
      const key: Words = [word(0), word(1), word(2), word(3)];
      this.put(this.locate(...key), key, value);
    }
  }
}

/**
 * A map from prefixes to values that is asked with addresses: a table for each prefix length in use (nearly always
 * one or two), the longest first. Keys are hashed with a secret: a sender cannot choose addresses that collide.
 */
export class PrefixMap<V> {
  private readonly levels: Record<Family, Level[]> = { 4: [], 6: [] };
  private readonly items: (V | undefined)[] = [];
  private readonly free: number[] = [];

  constructor(private readonly hashKey: HashKey) {}

  /** number of prefixes */
  get size(): number {
    return this.items.length - this.free.length;
  }

  /** The value of the longest prefix that contains the address. */
  match(address: Address): V | undefined {
    return this.matchWords(familyOf(address), ...addressWords(address));
  }

  /** The same for an address as {@link addressWords} has it. */
  matchWords(family: Family, w0: number, w1: number, w2: number, w3: number): V | undefined {
    return this.items[this.matchId(family, w0, w1, w2, w3)];
  }

  /**
   * The number of the longest prefix that contains the address: small, dense, its own as long as it is in the map.
   * @returns -1 when no prefix contains it
   */
  matchId(family: Family, w0: number, w1: number, w2: number, w3: number): number {
    const levels = this.levels[family];
    for (let index = 0; index < levels.length; index++) {
      const id = (levels[index] as Level).find(w0, w1, w2, w3);
      if (id !== NONE) return id;
    }
    return NONE;
  }

  /** The value with this number. */
  item(id: number): V | undefined {
    return this.items[id];
  }

  /** The value of exactly this prefix. */
  get(prefix: Prefix): V | undefined {
    const id = this.level(prefix)?.find(...addressWords(prefix.address)) ?? NONE;
    return id === NONE ? undefined : this.items[id];
  }

  /**
   * Sets the value of a prefix.
   * @param make - gets the prefix's number and returns the value
   */
  setWith(prefix: Prefix, make: (id: number) => V): V {
    const words = addressWords(prefix.address);
    const level = this.level(prefix) ?? this.addLevel(prefix);
    const known = level.find(...words);
    const id = known === NONE ? (this.free.pop() ?? this.items.length) : known;
    const value = make(id);
    this.items[id] = value;
    if (known === NONE) level.set(words, id);
    return value;
  }

  /** Sets the value of a prefix. */
  set(prefix: Prefix, value: V): void {
    this.setWith(prefix, () => value);
  }

  /** Removes a prefix; false when it was not there. */
  delete(prefix: Prefix): boolean {
    const level = this.level(prefix);
    const words = addressWords(prefix.address);
    const id = level?.find(...words) ?? NONE;
    if (level === undefined || id === NONE) return false;
    level.delete(words);
    this.items[id] = undefined;
    this.free.push(id);
    if (level.count === 0) {
      const levels = this.levels[familyOf(prefix.address)];
      levels.splice(levels.indexOf(level), 1);
    }
    return true;
  }

  /** All values, in no particular order. */
  *values(): Generator<V> {
    for (const item of this.items) if (item !== undefined) yield item;
  }

  private level(prefix: Prefix): Level | undefined {
    return this.levels[familyOf(prefix.address)].find((level) => level.length === prefix.length);
  }

  private addLevel(prefix: Prefix): Level {
    const family = familyOf(prefix.address);
    if (prefix.length < 0 || prefix.length > ADDRESS_BITS[family]) throw new RangeError('prefix length');
    const level = new Level(prefix.length, this.hashKey);
    this.levels[family].push(level);
    this.levels[family].sort((a, b) => b.length - a.length);
    return level;
  }
}

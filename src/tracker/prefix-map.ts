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

const EMPTY = -1;
const FIRST_SLOTS = 16;

/**
 * All prefixes of one family and length: a hash table with open addressing in two flat arrays, so that a look-up
 * touches one or two cache lines however many prefixes there are.
 */
class Level {
  count = 0;
  /** words of a key that this length needs */
  private readonly stride: number;
  private readonly masks: Words;
  private keys: Int32Array;
  /** the number that belongs to a key, {@link EMPTY} where there is none */
  private ids: Int32Array;

  constructor(
    readonly length: number,
    private readonly hashKey: HashKey,
  ) {
    this.stride = Math.max(1, Math.ceil(length / 32));
    this.masks = [0, 1, 2, 3].map((word) => wordMask(length - 32 * word)) as unknown as Words;
    this.keys = new Int32Array(FIRST_SLOTS * this.stride);
    this.ids = new Int32Array(FIRST_SLOTS).fill(EMPTY);
  }

  find(w0: number, w1: number, w2: number, w3: number): number {
    return this.ids[this.slot(w0, w1, w2, w3)] as number;
  }

  set(words: Words, id: number): void {
    if ((this.count + 1) * 2 > this.ids.length) this.grow();
    const slot = this.slot(...words);
    if (this.ids[slot] === EMPTY) this.count++;
    this.put(slot, words, id);
  }

  /** Removes a key and closes the gap, so that no search stops too early. */
  delete(words: Words): boolean {
    let gap = this.slot(...words);
    if (this.ids[gap] === EMPTY) return false;
    const last = this.ids.length - 1;
    for (let slot = (gap + 1) & last; this.ids[slot] !== EMPTY; slot = (slot + 1) & last) {
      const home = this.home(...this.keyAt(slot));
      // stays when its home lies between the gap and its place
      if (((slot - home) & last) < ((slot - gap) & last)) continue;
      this.put(gap, this.keyAt(slot), this.ids[slot] as number);
      gap = slot;
    }
    this.ids[gap] = EMPTY;
    this.count--;
    return true;
  }

  /** Where a key is, or the empty slot where it would be. */
  private slot(w0: number, w1: number, w2: number, w3: number): number {
    const { keys, ids, stride, masks } = this;
    const k0 = w0 & masks[0];
    const k1 = w1 & masks[1];
    const k2 = w2 & masks[2];
    const k3 = w3 & masks[3];
    const last = ids.length - 1;
    let slot = halfSipHash(this.hashKey, stride, k0, k1, k2, k3) & last;
    while (ids[slot] !== EMPTY) {
      const at = slot * stride;
      if (
        keys[at] === k0 &&
        (stride < 2 || keys[at + 1] === k1) &&
        (stride < 3 || keys[at + 2] === k2) &&
        (stride < 4 || keys[at + 3] === k3)
      ) {
        return slot;
      }
      slot = (slot + 1) & last;
    }
    return slot;
  }

  private home(w0: number, w1: number, w2: number, w3: number): number {
    return halfSipHash(this.hashKey, this.stride, w0, w1, w2, w3) & (this.ids.length - 1);
  }

  private keyAt(slot: number): Words {
    const word = (index: number): number =>
      index < this.stride ? (this.keys[slot * this.stride + index] as number) : 0;
    return [word(0), word(1), word(2), word(3)];
  }

  private put(slot: number, words: Words, id: number): void {
    for (let word = 0; word < this.stride; word++) {
      this.keys[slot * this.stride + word] = (words[word] as number) & (this.masks[word] as number);
    }
    this.ids[slot] = id;
  }

  private grow(): void {
    const { ids, keys, stride } = this;
    this.ids = new Int32Array(ids.length * 2).fill(EMPTY);
    this.keys = new Int32Array(keys.length * 2);
    for (let slot = 0; slot < ids.length; slot++) {
      if (ids[slot] === EMPTY) continue;
      const at = slot * stride;
      const words: Words = [keys[at] ?? 0, keys[at + 1] ?? 0, keys[at + 2] ?? 0, keys[at + 3] ?? 0];
      this.put(this.slot(...words), words, ids[slot] as number);
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
      if (id !== EMPTY) return id;
    }
    return EMPTY;
  }

  /** The value with this number. */
  item(id: number): V | undefined {
    return this.items[id];
  }

  /** The value of exactly this prefix. */
  get(prefix: Prefix): V | undefined {
    const id = this.level(prefix)?.find(...addressWords(prefix.address)) ?? EMPTY;
    return id === EMPTY ? undefined : this.items[id];
  }

  /**
   * Sets the value of a prefix.
   * @param make - gets the prefix's number and returns the value
   */
  setWith(prefix: Prefix, make: (id: number) => V): V {
    const words = addressWords(prefix.address);
    const level = this.level(prefix) ?? this.addLevel(prefix);
    const known = level.find(...words);
    const id = known === EMPTY ? (this.free.pop() ?? this.items.length) : known;
    const value = make(id);
    this.items[id] = value;
    if (known === EMPTY) level.set(words, id);
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
    const id = level?.find(...words) ?? EMPTY;
    if (level === undefined || id === EMPTY) return false;
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

import {
  type Address,
  ADDRESS_BITS,
  type Family,
  familyOf,
  type Prefix,
  prefixKey,
} from '../packet/address.js';

/** All prefixes of one length. */
interface Level<V> {
  readonly length: number;
  readonly values: Map<number | string, V>;
}

/**
 * A map from prefixes to values that is asked with addresses: one Map for each prefix length in use (nearly always
 * one or two), so that a look-up costs the same with 100,000 prefixes as with none.
 */
export class PrefixMap<V> {
  private readonly levels: Record<Family, Level<V>[]> = { 4: [], 6: [] };
  private count = 0;

  /** number of prefixes */
  get size(): number {
    return this.count;
  }

  /** The value of the longest prefix that contains the address. */
  match(address: Address): V | undefined {
    for (const level of this.levels[typeof address === 'number' ? 4 : 6]) {
      const value = level.values.get(prefixKey(address, level.length));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** The value of exactly this prefix. */
  get(prefix: Prefix): V | undefined {
    return this.level(prefix)?.values.get(prefixKey(prefix.address, prefix.length));
  }

  /** Sets the value of a prefix. */
  set(prefix: Prefix, value: V): void {
    const level = this.level(prefix) ?? this.addLevel(prefix);
    const before = level.values.size;
    level.values.set(prefixKey(prefix.address, prefix.length), value);
    this.count += level.values.size - before;
  }

  /** Removes a prefix; false when it was not there. */
  delete(prefix: Prefix): boolean {
    const level = this.level(prefix);
    if (level?.values.delete(prefixKey(prefix.address, prefix.length)) !== true) return false;
    this.count--;
    if (level.values.size === 0) {
      const levels = this.levels[familyOf(prefix.address)];
      levels.splice(levels.indexOf(level), 1);
    }
    return true;
  }

  /** All values, IPv4 first. */
  *values(): Generator<V> {
    for (const level of [...this.levels[4], ...this.levels[6]]) yield* level.values.values();
  }

  private level(prefix: Prefix): Level<V> | undefined {
    return this.levels[familyOf(prefix.address)].find((level) => level.length === prefix.length);
  }

  private addLevel(prefix: Prefix): Level<V> {
    const family = familyOf(prefix.address);
    if (prefix.length < 0 || prefix.length > ADDRESS_BITS[family]) throw new RangeError('prefix length');
    const level = { length: prefix.length, values: new Map<number | string, V>() };
    this.levels[family].push(level);
    this.levels[family].sort((a, b) => b.length - a.length);
    return level;
  }
}

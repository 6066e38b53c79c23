/** A power of two. */
const PARTS = 64;
/** Characters at the end of a key that choose its part: there addresses differ. */
const SIGNIFICANT = 6;

/**
 * A Map from texts, in parts. V8 copies a Map as a whole when it grows, and now and then when keys come and go: with a
 * hundred thousand keys everything else waits 50 ms for that, with a part of them one.
 */
export class PartedMap<K extends string, V> {
  private readonly parts: readonly Map<K, V>[] = Array.from({ length: PARTS }, () => new Map<K, V>());

  get(key: K): V | undefined {
    return this.part(key).get(key);
  }

  has(key: K): boolean {
    return this.part(key).has(key);
  }

  set(key: K, value: V): void {
    this.part(key).set(key, value);
  }

  delete(key: K): void {
    this.part(key).delete(key);
  }

  /** All keys with their values, in no particular order; values may be set meanwhile, and keys deleted. */
  *[Symbol.iterator](): Generator<readonly [K, V]> {
    for (const part of this.parts) yield* part;
  }

  private part(key: K): Map<K, V> {
    let sum = 0;
    for (let at = Math.max(0, key.length - SIGNIFICANT); at < key.length; at++) {
      sum = sum * 31 + key.charCodeAt(at);
    }
    return this.parts[sum & (PARTS - 1)] as Map<K, V>;
  }
}

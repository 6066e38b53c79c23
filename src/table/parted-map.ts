// A map in parts: growing one does not copy all.

/** A power of two. */
const PARTS = 64;
/** FNV-1a, 32 bits (Fowler, Noll, Vo; RFC 9923). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * A Map from texts, in parts. V8 copies a Map as a whole when it grows, and now and then when keys come and go: with a
 * hundred thousand keys everything else waits 50 ms for that, with a part of them one. Whoever chooses keys that all go to
 * one part has a Map as it would be without parts, no worse.
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

  /** number of keys in each part */
  sizes(): number[] {
    return this.parts.map(({ size }) => size);
  }

  /** All keys with their values, in no particular order; values may be set meanwhile, and keys deleted. */
  *[Symbol.iterator](): Generator<readonly [K, V]> {
    for (const part of this.parts) yield* part;
  }

  private part(key: K): Map<K, V> {
    let sum = FNV_OFFSET;
    for (let at = 0; at < key.length; at++) sum = Math.imul(sum ^ key.charCodeAt(at), FNV_PRIME);
    // the upper bits differ more
    return this.parts[(sum ^ (sum >>> 16)) & (PARTS - 1)] as Map<K, V>;
  }
}

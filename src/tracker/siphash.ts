// HalfSipHash-1-3 with a random key.

/** The secret of a hash: 64 random bits as two 32-bit numbers. Who knows it can make keys that collide. */
export type HashKey = readonly [number, number];

/**
 * HalfSipHash-1-3, the keyed hash that Linux uses for its tables (J.-P. Aumasson and D. J. Bernstein, "SipHash: a
 * fast short-input PRF"; the variant with 32-bit words). Without the key nobody can choose addresses that fall into
 * one place of a table.
 * @param count - how many of the words count, 1 to 4
 * @returns 32 bits, signed
 */
export function halfSipHash(
  key: HashKey,
  count: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  let v0 = key[0] | 0;
  let v1 = key[1] | 0;
  let v2 = 0x6c796765 ^ key[0];
  let v3 = 0x74656462 ^ key[1];
  // the words, then the length in bytes in the top byte, then three rounds to finish
  for (let step = 0; step < count + 4; step++) {
    const isWord = step <= count;
    const word = step === 0 ? w0 : step === 1 ? w1 : step === 2 ? w2 : w3;
    const block = isWord ? (step === count ? count << 26 : word) : 0;
    v3 ^= block;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= block;
    if (step === count) v2 ^= 0xff;
  }
  return v1 ^ v3;
}

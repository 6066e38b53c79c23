import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HashKey, halfSipHash } from '../../src/tracker/siphash.js';

// Key 00 01 .. 07, input 00 01 02 ..: the test vectors of Linux' lib/test_siphash.c (hsiphash on 32-bit machines),
// those for inputs of 4, 8 and 16 bytes.
const KEY: HashKey = [0x03020100, 0x07060504];
const INPUT = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c] as const;

describe('HalfSipHash-1-3', () => {
  for (const [words, expected] of [
    [1, 2114297510],
    [2, 1467586993],
    [4, -1959668479],
  ] as const) {
    it(`gives the published value for ${words * 4} bytes`, () => {
      assert.equal(halfSipHash(KEY, words, ...INPUT), expected);
    });
  }

  it('does not look at words beyond the count', () => {
    assert.equal(halfSipHash(KEY, 2, 1, 2, 3, 4), halfSipHash(KEY, 2, 1, 2, 5, 6));
  });

  it('depends on both words of the key', () => {
    const values = new Set([
      halfSipHash([1, 2], 1, 7, 0, 0, 0),
      halfSipHash([3, 2], 1, 7, 0, 0, 0),
      halfSipHash([1, 4], 1, 7, 0, 0, 0),
    ]);
    assert.equal(values.size, 3);
  });
});

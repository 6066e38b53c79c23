import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PartedMap } from '../../src/table/parted-map.js';

/** Few different keys, so that they come again; short ones and empty ones among them. */
const key = fc.string({ maxLength: 2 });
const operation = fc.oneof(fc.record({ set: key, value: fc.integer() }), fc.record({ delete: key }));

describe('a map in parts', () => {
  it('does what a Map does', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const parted = new PartedMap<string, number>();
        const map = new Map<string, number>();
        for (const each of operations) {
          if ('set' in each) {
            parted.set(each.set, each.value);
            map.set(each.set, each.value);
          } else {
            parted.delete(each.delete);
            map.delete(each.delete);
          }
          const asked = 'set' in each ? each.set : each.delete;
          assert.deepEqual([parted.get(asked), parted.has(asked)], [map.get(asked), map.has(asked)]);
        }
        assert.deepEqual(new Map(parted), map);
      }),
    );
  });

  it('may be changed while it is read', () => {
    const parted = new PartedMap<string, number>();
    for (let number = 0; number < 1000; number++) parted.set(`10.0.0.${number}`, number);
    for (const [each, value] of parted) {
      if (value % 2 === 0) parted.delete(each);
      else parted.set(each, -value);
    }
    const left = [...parted].map(([, value]) => value);
    assert.equal(left.length, 500);
    assert.ok(left.every((value) => value < 0 && value % 2 !== 0));
  });

  for (const [what, makeKey] of [
    ['IPv4 addresses', (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`],
    ['IPv4 networks', (n: number) => `10.${n >> 8}.${n & 255}.0/24`],
    ['IPv6 networks', (n: number) => `2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::/64`],
    ['IPv6 networks that end alike', (n: number) => `2001:db8:${n.toString(16)}:100::/64`],
  ] as const) {
    it(`has ${what} in parts of about the same size`, () => {
      const parted = new PartedMap<string, number>();
      for (let number = 0; number < 64_000; number++) parted.set(makeKey(number), number);
      const sizes = parted.sizes();
      assert.equal(sizes.length, 64);
      assert.ok(Math.min(...sizes) > 500 && Math.max(...sizes) < 2000, sizes.join(' '));
    });
  }
});

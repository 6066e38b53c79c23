import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressWords, familyOf, formatPrefix, type Prefix, prefixOf } from '../../src/packet/address.js';
import { PrefixMap } from '../../src/tracker/prefix-map.js';
import type { HashKey } from '../../src/tracker/siphash.js';
import { address, prefix } from '../support/observations.js';

const KEY: HashKey = [0x01234567, 0x089abcde];

function mapOf(entries: Readonly<Record<string, string>>): PrefixMap<string> {
  const map = new PrefixMap<string>(KEY);
  for (const [text, value] of Object.entries(entries)) map.set(prefix(text), value);
  return map;
}

describe('a prefix map', () => {
  it('gives the value of the longest prefix that contains the address', () => {
    const map = mapOf({ '10.0.0.0/8': 'net', '10.1.0.0/16': 'campus', '10.1.2.3': 'host' });
    assert.equal(map.match(address('10.1.2.3')), 'host');
    assert.equal(map.match(address('10.1.2.4')), 'campus');
    assert.equal(map.match(address('10.2.2.3')), 'net');
    assert.equal(map.match(address('11.1.2.3')), undefined);
  });

  it('finds the longest prefix whatever the order in which they were set', () => {
    const map = mapOf({ '10.1.2.3': 'host', '10.0.0.0/8': 'net', '10.1.0.0/16': 'campus' });
    assert.equal(map.match(address('10.1.2.3')), 'host');
    assert.equal(map.match(address('10.1.9.9')), 'campus');
  });

  it('compares the bits on both sides of a word of 32 bits', () => {
    for (const length of [1, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128]) {
      const inside = address('2001:db8:1:2:3:4:5:7');
      const map = new PrefixMap<number>(KEY);
      map.set(prefixOf(inside, length), length);
      const words = addressWords(inside);
      const lastBit = length - 1;
      const flipped = words.map((word, index) =>
        index === lastBit >> 5 ? word ^ (1 << (31 - (lastBit & 31))) : word,
      );
      const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = flipped;
      assert.equal(map.match(inside), length);
      assert.equal(map.matchWords(6, w0, w1, w2, w3), undefined, `bit ${length} counts`);
    }
  });

  it('ignores the bits behind the length', () => {
    const map = mapOf({ '2001:db8:0:1::/64': 'net' });
    assert.equal(map.match(address('2001:db8:0:1:ffff:ffff:ffff:ffff')), 'net');
    assert.equal(map.match(address('2001:db8:0:2::')), undefined);
  });

  it('takes a length of 0 for everybody of its family', () => {
    const map = mapOf({ '0.0.0.0/0': 'all' });
    assert.equal(map.match(address('255.255.255.255')), 'all');
    assert.equal(map.match(address('::1')), undefined);
  });

  it('keeps the families apart', () => {
    // the first word of 10.1.2.3 is that of a01:203::
    const map = mapOf({ 'a01:203::/32': 'six' });
    assert.equal(map.match(address('10.1.2.3')), undefined);
    assert.equal(map.match(address('a01:203::1')), 'six');
  });

  it('gives the value of exactly a prefix, and of no shorter or longer one', () => {
    const map = mapOf({ '10.0.0.0/8': 'net' });
    assert.equal(map.get(prefix('10.0.0.0/8')), 'net');
    assert.equal(map.get(prefix('10.0.0.0/16')), undefined);
    assert.equal(map.get(prefix('10.0.0.0')), undefined);
  });

  it('replaces the value of a prefix that is there', () => {
    const map = mapOf({ '10.0.0.0/8': 'old' });
    map.set(prefix('10.0.0.0/8'), 'new');
    assert.equal(map.size, 1);
    assert.equal(map.match(address('10.9.9.9')), 'new');
    assert.deepEqual([...map.values()], ['new']);
  });

  it('falls back to the shorter prefix when the longer one is deleted', () => {
    const map = mapOf({ '10.0.0.0/8': 'net', '10.1.2.3': 'host' });
    assert.equal(map.delete(prefix('10.1.2.3')), true);
    assert.equal(map.match(address('10.1.2.3')), 'net');
    assert.equal(map.size, 1);
  });

  it('deletes nothing when the prefix is not there', () => {
    const map = mapOf({ '10.0.0.0/8': 'net' });
    assert.equal(map.delete(prefix('10.0.0.0/9')), false);
    assert.equal(map.delete(prefix('11.0.0.0/8')), false);
    assert.equal(map.size, 1);
  });

  it('does not look at a length any more when its last prefix is gone', () => {
    const map = mapOf({ '10.0.0.0/8': 'net' });
    for (const length of [16, 20, 24, 28, 32]) {
      const one = prefixOf(address('10.1.2.3'), length);
      map.set(one, 'more');
      map.delete(one);
    }
    // the levels are private; how many there are decides what a look-up costs
    const { levels } = map as unknown as { levels: Record<4 | 6, { length: number }[]> };
    assert.deepEqual(
      levels[4].map((level) => level.length),
      [8],
    );
    assert.equal(map.match(address('10.1.2.3')), 'net');
  });

  it('gives each prefix a number of its own, and takes the number of a deleted one again', () => {
    const map = new PrefixMap<string>(KEY);
    const ids: number[] = [];
    const add = (text: string): string =>
      map.setWith(prefix(text), (id) => {
        ids.push(id);
        return text;
      });
    add('10.0.0.1');
    add('10.0.0.2');
    map.delete(prefix('10.0.0.1'));
    add('2001:db8::/64');
    assert.deepEqual(ids, [0, 1, 0]);
    assert.equal(map.matchId(6, ...addressWords(address('2001:db8::5'))), 0);
    assert.equal(map.item(0), '2001:db8::/64');
    assert.equal(map.matchId(4, ...addressWords(address('10.0.0.1'))), -1);
  });

  it('refuses a length that the family does not have', () => {
    const map = new PrefixMap<string>(KEY);
    assert.throws(() => map.set({ address: address('10.0.0.0'), length: 33 }, 'x'), RangeError);
    assert.throws(() => map.set({ address: address('10.0.0.0'), length: -1 }, 'x'), RangeError);
  });

  it('finds all of 5,000 prefixes after every second one was deleted', () => {
    const map = new PrefixMap<number>(KEY);
    const nth = (n: number): Prefix => prefixOf(address(`10.${n >> 8}.${n & 255}.1`), 24);
    for (let n = 0; n < 5000; n++) map.set(nth(n), n);
    for (let n = 0; n < 5000; n += 2) assert.equal(map.delete(nth(n)), true);
    assert.equal(map.size, 2500);
    for (let n = 0; n < 5000; n++) assert.equal(map.get(nth(n)), n % 2 === 0 ? undefined : n);
  });

  it('does what a plain list does', () => {
    // few distinct bits, so that prefixes contain each other and keys meet in one place of the table
    const anyAddress = fc.oneof(
      fc.tuple(fc.constantFrom(10, 11), fc.nat(3), fc.nat(1), fc.nat(3)).map((parts) => parts.join('.')),
      fc.tuple(fc.nat(1), fc.nat(2), fc.nat(2)).map(([a, b, c]) => `2001:db8:${a}:${b}::${c.toString(16)}`),
    );
    const length = { 4: fc.constantFrom(7, 8, 15, 24, 31, 32), 6: fc.constantFrom(32, 48, 63, 64, 127, 128) };
    const anyPrefix = anyAddress.chain((text) => {
      const at = address(text);
      return length[familyOf(at)].map((bits) => prefixOf(at, bits));
    });
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ does: fc.constant('set' as const), prefix: anyPrefix }) },
      { weight: 2, arbitrary: fc.record({ does: fc.constant('delete' as const), prefix: anyPrefix }) },
      { weight: 3, arbitrary: fc.record({ does: fc.constant('match' as const), text: anyAddress }) },
    );
    fc.assert(
      fc.property(fc.tuple(fc.integer(), fc.integer()), fc.array(step, { maxLength: 120 }), (key, steps) => {
        const map = new PrefixMap<number>(key);
        let list: { prefix: Prefix; value: number }[] = [];
        const without = (gone: Prefix): typeof list =>
          list.filter((item) => formatPrefix(item.prefix) !== formatPrefix(gone));
        for (const [value, one] of steps.entries()) {
          if (one.does === 'set') {
            map.set(one.prefix, value);
            list = [...without(one.prefix), { prefix: one.prefix, value }];
          } else if (one.does === 'delete') {
            const rest = without(one.prefix);
            assert.equal(map.delete(one.prefix), rest.length < list.length);
            list = rest;
          } else {
            const at = address(one.text);
            const containing = list
              .filter(
                ({ prefix: { address: first, length: bits } }) =>
                  familyOf(first) === familyOf(at) && prefixOf(at, bits).address === first,
              )
              .sort((a, b) => b.prefix.length - a.prefix.length);
            assert.equal(map.match(at), containing[0]?.value);
          }
          assert.equal(map.size, list.length);
        }
        assert.deepEqual(
          [...map.values()].sort((a, b) => a - b),
          list.map((item) => item.value).sort((a, b) => a - b),
        );
      }),
      { numRuns: 300 },
    );
  });
});

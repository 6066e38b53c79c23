import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Merged, MOST_FORGOTTEN } from '../../src/fleet/merged.js';
import type { Forgetting, Sighting } from '../../src/fleet/record.js';
import { sender } from '../support/fleet-site.js';

const quiet = { raised: () => undefined, changed: () => undefined };

function sighting(stamp: number, endMs: number, isKnown = false): Sighting {
  return { stamp, endMs, isKnown, isManual: false, source: undefined, name: undefined };
}

function merged(most = 1000, nodes = ['mx1', 'mx2', 'mx3']): Merged {
  const all = new Merged(most, quiet);
  for (const node of nodes) all.node(node).clock.estimate(0);
  return all;
}

it('of a prefix that several vouch for the longest word counts, and the next one when that is taken back', () => {
  const all = merged();
  all.put('mx1', sender(1), sighting(10, 100));
  all.put('mx2', sender(1), sighting(5, 300));
  assert.deepEqual(all.best(sender(1)), { node: 'mx2', untilMs: 300, sighting: sighting(5, 300) });
  all.withdraw('mx2', sender(1));
  assert.equal(all.best(sender(1))?.node, 'mx1');
  all.withdraw('mx1', sender(1));
  assert.equal(all.best(sender(1)), undefined);
  assert.equal(all.size, 0);
});

it('what was forgotten does not count, whether that is heard before or after, and at the same stamp neither', () => {
  const all = merged();
  all.put('mx1', sender(1), sighting(10, 100));
  all.forget(sender(1), { stamp: 10, endMs: 1000 });
  all.put('mx2', sender(1), sighting(9, 500));
  assert.equal(all.best(sender(1)), undefined);
  all.put('mx2', sender(1), sighting(11, 50));
  assert.equal(all.best(sender(1))?.node, 'mx2');
});

/** What the three nodes say, each in an order of its own. */
const word = fc.record({
  node: fc.constantFrom('mx1', 'mx2', 'mx3'),
  who: fc.nat(3),
  stamp: fc.nat(20),
  end: fc.nat(20),
});

it('whatever order the nodes are heard in, and however often, it comes to the same', () => {
  const forgetting = fc.record({ who: fc.nat(3), stamp: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(word), fc.array(forgetting), fc.func(fc.nat(2)), (words, forgettings, pick) => {
      const plain = merged();
      for (const { node, who, stamp, end } of words) plain.put(node, sender(who), sighting(stamp, end));
      for (const { who, stamp } of forgettings) plain.forget(sender(who), { stamp, endMs: 99 });
      // each node's own words keep their order: its log has one; the last one may be heard again
      const mixed = merged();
      const left = new Map(
        ['mx1', 'mx2', 'mx3'].map((name) => [name, words.filter(({ node }) => node === name)]),
      );
      const rest: { who: number; stamp: number }[] = [...forgettings, ...forgettings].reverse();
      for (let turn = 0; [...left.values()].some((own) => own.length > 0); turn++) {
        const some = [...left.values()].filter(({ length }) => length > 0);
        const next = some[pick(turn) % some.length]?.shift();
        const lost = rest.pop();
        if (lost !== undefined) mixed.forget(sender(lost.who), { stamp: lost.stamp, endMs: 99 });
        for (let again = 0; again <= pick(turn) && next !== undefined; again++) {
          mixed.put(next.node, sender(next.who), sighting(next.stamp, next.end));
        }
      }
      for (const { who, stamp } of rest) mixed.forget(sender(who), { stamp, endMs: 99 });
      for (let who = 0; who < 4; who++) {
        const untilMs = plain.best(sender(who))?.untilMs;
        assert.equal(mixed.best(sender(who))?.untilMs, untilMs);
        assert.equal(mixed.forgottenAt(sender(who)), plain.forgottenAt(sender(who)));
      }
      assert.equal(mixed.size, plain.size);
    }),
  );
});

it('one that tells too much pushes out what it has told itself, and nothing of the others', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 1, max: 200 }), (most, flood) => {
      const all = merged(most);
      for (let n = 0; n < most / 4; n++) all.put('mx1', sender(n), sighting(1, 100));
      for (let n = 0; n < flood; n++) all.put('mx2', sender(1000 + n), sighting(1, 100, n % 2 === 0));
      assert.ok(all.size <= most);
      for (let n = 0; n < most / 4; n++) assert.notEqual(all.best(sender(n)), undefined);
      assert.equal(all.leftOut, Math.max(0, Math.ceil(most / 4) + flood - most));
    }),
  );
});

it('of the largest node go those first that were never admitted there', () => {
  const all = merged(3);
  all.put('mx1', sender(1), sighting(1, 100, true));
  all.put('mx1', sender(2), sighting(2, 100));
  all.put('mx1', sender(3), sighting(3, 100));
  all.put('mx2', sender(4), sighting(4, 100));
  assert.equal(all.best(sender(2)), undefined);
  assert.notEqual(all.best(sender(1)), undefined);
  assert.notEqual(all.best(sender(4)), undefined);
});

it('what is forgotten is bounded: the oldest stamp goes', () => {
  const all = merged();
  const forgetting = (stamp: number): Forgetting => ({ stamp, endMs: 1 });
  for (let n = 0; n <= MOST_FORGOTTEN; n++) all.forget(sender(n), forgetting(n + 1));
  assert.equal(all.forgottenSize, MOST_FORGOTTEN);
  assert.equal(all.forgottenAt(sender(0)), 0);
  assert.equal(all.forgottenAt(sender(1)), 2);
});

it('what has long ended is dropped, and what is forgotten when it need not be remembered', () => {
  const all = merged();
  all.put('mx1', sender(1), sighting(1, 100));
  all.forget(sender(2), { stamp: 1, endMs: 100 });
  all.sweep(500_000);
  assert.equal(all.size, 1);
  assert.equal(all.forgottenSize, 0);
  all.sweep(700_000);
  assert.equal(all.size, 0);
});

it('nothing of a node counts before its time is known', () => {
  const all = new Merged(10, quiet);
  all.put('mx1', sender(1), sighting(1, 100));
  assert.equal(all.best(sender(1)), undefined);
  all.node('mx1').clock.sample(50, 20);
  assert.equal(all.best(sender(1))?.untilMs, 130);
});

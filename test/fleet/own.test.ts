import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Own } from '../../src/fleet/own.js';
import { type Sighting, writeChange } from '../../src/fleet/record.js';
import { sender } from '../support/fleet-site.js';

function sighting(stamp: number, endMs: number, more: Partial<Sighting> = {}): Sighting {
  return { stamp, endMs, isKnown: false, isManual: false, source: undefined, name: undefined, ...more };
}

function tell(own: Own): string[] {
  const batch = own.take(100);
  own.told(batch);
  return [...batch.changes.map(writeChange), ...batch.over];
}

it('a longer end is told when it is worth it: a thirty-second of what an entry lives', () => {
  const own = new Own();
  own.see(sender(1), sighting(1, 3200), 3200);
  assert.deepEqual(tell(own), ['+192.0.2.1 1 3200 -']);
  own.see(sender(1), sighting(2, 3300), 3200);
  assert.deepEqual(tell(own), []);
  own.see(sender(1), sighting(3, 3301), 3200);
  assert.deepEqual(tell(own), ['+192.0.2.1 3 3301 -']);
  own.see(sender(1), sighting(3, 3301, { isKnown: true }), 3200);
  assert.deepEqual(tell(own), ['+192.0.2.1 3 3301 k']);
});

it('what changes while it is being told is told again', () => {
  const own = new Own();
  own.see(sender(1), sighting(1, 10), 0);
  const batch = own.take(100);
  own.see(sender(1), sighting(2, 20), 0);
  own.told(batch);
  assert.deepEqual(tell(own), ['+192.0.2.1 2 20 -']);
  assert.equal(own.untoldSize, 0);
});

it('what has not arrived stays to be told', () => {
  const own = new Own();
  own.see(sender(1), sighting(1, 10), 0);
  own.take(100);
  assert.deepEqual(tell(own), ['+192.0.2.1 1 10 -']);
});

it('who is over goes without a word, who is gone with one', () => {
  const own = new Own();
  for (const n of [1, 2]) own.see(sender(n), sighting(1, 10), 0);
  tell(own);
  own.lose(sender(1), true);
  own.lose(sender(2), false);
  assert.deepEqual(tell(own), ['-192.0.2.2', '192.0.2.1']);
});

it('what is forgotten goes with what was seen before, and what was seen since is told once more', () => {
  const own = new Own();
  own.see(sender(1), sighting(5, 100), 3200);
  own.see(sender(2), sighting(5, 100), 3200);
  tell(own);
  // a newer attempt, not worth a message
  own.see(sender(2), sighting(9, 101), 3200);
  assert.deepEqual(tell(own), []);
  for (const n of [1, 2]) own.forget(sender(n), { stamp: 7, endMs: 1000 });
  assert.deepEqual(tell(own), ['!192.0.2.1 7 1000', '!192.0.2.2 7 1000', '+192.0.2.2 9 101 -', '192.0.2.1']);
  assert.equal(own.get(sender(1)), undefined);
});

it('after a time what was forgotten need not be remembered', () => {
  const own = new Own();
  own.forget(sender(1), { stamp: 7, endMs: 1000 });
  tell(own);
  own.sweep(1001);
  assert.deepEqual(tell(own), ['!192.0.2.1']);
  assert.equal(own.hasField('!192.0.2.1'), false);
});

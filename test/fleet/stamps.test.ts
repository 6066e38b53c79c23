import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MOST_AHEAD_MS, Stamps } from '../../src/fleet/stamps.js';

it('a stamp is after all that were seen, whatever the clock says', () => {
  const stamps = new Stamps();
  assert.equal(stamps.next(1000), 1000);
  assert.equal(stamps.next(1000), 1001);
  stamps.follow(5000, 1000);
  assert.equal(stamps.next(1000), 5001);
  assert.equal(stamps.next(1000, 9000), 9001);
  assert.equal(stamps.next(20_000), 20_000);
});

it('one that is more than two hours ahead is not followed', () => {
  const stamps = new Stamps();
  assert.equal(stamps.isCredible(1000 + MOST_AHEAD_MS, 1000), true);
  assert.equal(stamps.isCredible(1001 + MOST_AHEAD_MS, 1000), false);
  stamps.follow(1001 + MOST_AHEAD_MS, 1000);
  assert.equal(stamps.next(1000), 1000);
});

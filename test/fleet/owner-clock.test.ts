import assert from 'node:assert/strict';
import { it } from 'node:test';
import { OwnerClock } from '../../src/fleet/owner-clock.js';

it('a delay makes the difference look larger, so the smallest counts', () => {
  const clock = new OwnerClock();
  assert.equal(clock.aheadMs, undefined);
  clock.sample(1500, 1000);
  clock.sample(3020, 3000);
  clock.sample(5100, 5000);
  assert.equal(clock.aheadMs, 20);
});

it('what others make of it counts until it has said something itself', () => {
  const clock = new OwnerClock();
  clock.estimate(-3_600_000);
  assert.equal(clock.aheadMs, -3_600_000);
  clock.sample(1010, 1000);
  assert.equal(clock.aheadMs, 10);
});

it('the first messages after a stillness, which may have waited through it, do not count for more than a moment', () => {
  const clock = new OwnerClock();
  clock.sample(1010, 1000);
  clock.sample(200_000, 3000);
  assert.equal(clock.aheadMs, 10);
  clock.sample(200_020, 200_000);
  assert.equal(clock.aheadMs, 10);
});

it('a node that has slept is believed again when a minute of its messages says so', () => {
  const clock = new OwnerClock();
  clock.sample(10, 0);
  for (let ms = 2000; ms < 70_000; ms += 2000) clock.sample(ms + 5_000_000, ms);
  assert.equal(clock.aheadMs, 5_000_000);
});

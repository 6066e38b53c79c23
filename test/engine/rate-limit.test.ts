import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RateLimit } from '../../src/engine/rate-limit.js';
import { HandClock } from '../support/hand-clock.js';

describe('so many events a second', () => {
  const clock = new HandClock();
  const told: number[] = [];
  const limit = new RateLimit(3, clock, (suppressed) => told.push(suppressed));
  /** Events one after the other; how many of them may pass. */
  const come = (count: number): number =>
    Array.from({ length: count }, () => limit.allows()).filter(Boolean).length;

  it('pass without a timer', () => {
    assert.equal(come(2), 2);
    assert.equal(limit.isFull, false);
    assert.equal(come(1), 1);
    assert.deepEqual([limit.isFull, clock.timersMs], [true, []]);
  });

  it('and no more: the others are told of at the end of the second that the first one began', () => {
    clock.pass(400);
    assert.equal(come(5), 0);
    assert.deepEqual(clock.timersMs, [600]);
    clock.pass(599);
    assert.deepEqual(told, []);
    clock.pass(1);
    assert.deepEqual([told, limit.isFull, clock.timersMs], [[5], false, []]);
  });

  it('begin anew with the next one, also when the timer is late', () => {
    assert.equal(come(4), 3);
    // time has gone by, and nobody has looked after the timers
    const late = new RateLimit(1, { ...clock, after: () => () => undefined }, (count) => told.push(-count));
    assert.deepEqual([late.allows(), late.allows()], [true, false]);
    clock.pass(1000);
    assert.equal(late.isFull, false);
    assert.equal(late.allows(), true);
    assert.deepEqual(told, [5, 1, -1]);
  });

  it('are told of at the end, too', () => {
    assert.equal(come(10), 3);
    limit.close();
    assert.deepEqual([told.at(-1), clock.timersMs], [7, []]);
  });

  it('need nobody who wants to know', () => {
    const silent = new RateLimit(1, clock);
    assert.deepEqual([silent.allows(), silent.allows()], [true, false]);
    assert.deepEqual(clock.timersMs, []);
  });
});

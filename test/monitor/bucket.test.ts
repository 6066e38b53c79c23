import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bucket } from '../../src/monitor/bucket.js';

describe('a bucket of tokens', () => {
  it('lets a burst through at once, and what comes after it at its rate', () => {
    const bucket = new Bucket(5, 10);
    const waits = Array.from({ length: 8 }, () => bucket.take(1, 1000));
    assert.deepEqual(waits, [0, 0, 0, 0, 0, 100, 200, 300]);
  });

  it('fills while nobody takes anything, but not beyond its brim', () => {
    const bucket = new Bucket(5, 10);
    bucket.take(5, 1000);
    assert.equal(bucket.take(2, 1200), 0);
    assert.equal(bucket.take(1, 1200), 100);
    assert.equal(bucket.take(5, 60_000), 0);
    assert.equal(bucket.take(1, 60_000), 100);
  });

  it('gives more than it holds to who waits', () => {
    assert.equal(new Bucket(5, 10).take(25, 1000), 2000);
  });
});

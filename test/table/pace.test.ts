import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Pace } from '../../src/table/pace.js';

/** The sizes of deletions of so many addresses, where calls take `callMs` and `addressMs` for each address. */
function sizes(count: number, callMs: number, addressMs: number, isAwaited = false): number[] {
  const pace = new Pace();
  const found: number[] = [];
  for (let left = count; left > 0;) {
    const size = Math.min(left, pace.deletions(isAwaited));
    pace.note(size, callMs + addressMs * size);
    found.push(size);
    left -= size;
  }
  return found;
}

describe('the size of deletions', () => {
  it('grows to the largest batch where calls take long whatever they do', () => {
    assert.deepEqual(sizes(50_000, 2000, 0), [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 5000]);
    assert.deepEqual(sizes(50_000, 2000, 0.04), sizes(50_000, 2000, 0));
  });

  it('grows as well where addresses cost next to nothing', () => {
    // OpenBSD on an emulated CPU: 50,000 in 1.9 s
    assert.deepEqual(sizes(30_000, 8, 0.038).slice(0, 4), [1000, 2000, 4000, 6578]);
  });

  it('stays small where each address takes its time: no addition is to wait for long', () => {
    const found = sizes(20_000, 5, 1);
    assert.deepEqual(found.slice(0, 3), [1000, 2000, 1000]);
    // now and then a larger one, to see whether that still holds
    assert.ok(found.filter((size) => size > 1000).length <= 3, found.join());
  });

  it('is small while an addition waits, unless a call takes as long anyway', () => {
    assert.deepEqual(new Set(sizes(20_000, 8, 0.038, true)), new Set([1000]));
    const pace = new Pace();
    pace.note(10, 2000);
    pace.note(2000, 2040);
    assert.equal(pace.deletions(true), 4000);
  });

  it('falls when addresses begin to cost, and grows again when they no longer do', () => {
    const pace = new Pace();
    const after = (calls: number, callMs: number, addressMs: number): number[] =>
      Array.from({ length: calls }, () => {
        const size = pace.deletions(false);
        pace.note(size, callMs + addressMs * size);
        return size;
      });
    assert.equal(after(20, 5, 0.01).at(-1), 10_000);
    assert.equal(after(6, 5, 1).at(-1), 1000);
    assert.ok(after(20, 5, 0.01).includes(10_000));
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Deadlines, type Timed } from '../../src/tracker/deadlines.js';

interface Item extends Timed {
  readonly name: string;
}

function item(name: string, deadlineMs: number): Item {
  return { name, deadlineMs, queuedMs: Number.NaN, heapIndex: -1 };
}

/** The names of all that are due, in the order in which they are taken. */
function takeAll(deadlines: Deadlines<Item>, nowMs: number): string[] {
  const names: string[] = [];
  for (;;) {
    const taken = deadlines.takeDue(nowMs);
    if (taken === undefined) return names;
    names.push(taken.name);
  }
}

describe('deadlines', () => {
  it('are taken the earliest first', () => {
    const deadlines = new Deadlines<Item>();
    for (const ms of [50, 10, 40, 20, 30, 60, 5]) deadlines.add(item(String(ms), ms));
    assert.deepEqual(takeAll(deadlines, 40), ['5', '10', '20', '30', '40']);
    assert.equal(deadlines.size, 2);
  });

  it('are due at their time, not a moment before', () => {
    const deadlines = new Deadlines<Item>();
    deadlines.add(item('a', 100));
    assert.equal(deadlines.takeDue(99.999), undefined);
    assert.equal(deadlines.takeDue(100)?.name, 'a');
    assert.equal(deadlines.takeDue(100), undefined);
  });

  it('that were moved to a later time are taken at that time', () => {
    const deadlines = new Deadlines<Item>();
    const renewed = item('renewed', 100);
    deadlines.add(renewed);
    deadlines.add(item('other', 150));
    renewed.deadlineMs = 200;
    assert.deepEqual(takeAll(deadlines, 199), ['other']);
    assert.deepEqual(takeAll(deadlines, 200), ['renewed']);
  });

  it('that were moved while another one moved too come in their new order', () => {
    const deadlines = new Deadlines<Item>();
    const [first, second] = [item('first', 100), item('second', 101)];
    deadlines.add(first);
    deadlines.add(second);
    first.deadlineMs = 300;
    second.deadlineMs = 299;
    assert.deepEqual(takeAll(deadlines, 1000), ['second', 'first']);
  });

  it('tell a next time that is never too late', () => {
    const deadlines = new Deadlines<Item>();
    assert.equal(deadlines.nextMs(), undefined);
    const renewed = item('renewed', 100);
    deadlines.add(renewed);
    deadlines.add(item('other', 150));
    renewed.deadlineMs = 200;
    assert.equal(deadlines.nextMs(), 100);
    assert.equal(deadlines.takeDue(100), undefined);
    assert.equal(deadlines.nextMs(), 150);
  });

  it('that were removed are not taken, and can be added again', () => {
    const deadlines = new Deadlines<Item>();
    const items = [10, 20, 30, 40, 50].map((ms) => item(String(ms), ms));
    for (const one of items) deadlines.add(one);
    const [, second] = items;
    assert.ok(second);
    deadlines.remove(second);
    deadlines.remove(second);
    assert.equal(deadlines.size, 4);
    second.deadlineMs = 45;
    deadlines.add(second);
    assert.deepEqual(takeAll(deadlines, 100), ['10', '30', '40', '20', '50']);
  });

  it('are found when the one that fills a gap is earlier than what stands above the gap', () => {
    // in this order they lie in the heap as they are; 101 is below 100, and the last one, 8, takes its place
    const deadlines = new Deadlines<Item>();
    const times = [1, 100, 2, 101, 102, 3, 4, 103, 104, 105, 106, 5, 6, 7, 8];
    const items = times.map((ms) => item(String(ms), ms));
    for (const one of items) deadlines.add(one);
    const [, , , gone] = items;
    assert.ok(gone);
    deadlines.remove(gone);
    assert.deepEqual(takeAll(deadlines, 50), ['1', '2', '3', '4', '5', '6', '7', '8']);
    assert.deepEqual(takeAll(deadlines, 1000), ['100', '102', '103', '104', '105', '106']);
  });

  it('do what a plain list does', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ does: fc.constant('add' as const), ms: fc.nat(100) }) },
      { weight: 2, arbitrary: fc.record({ does: fc.constant('remove' as const), which: fc.nat(40) }) },
      {
        weight: 3,
        arbitrary: fc.record({ does: fc.constant('renew' as const), which: fc.nat(40), ms: fc.nat(60) }),
      },
      { weight: 2, arbitrary: fc.record({ does: fc.constant('take' as const), ms: fc.nat(30) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const deadlines = new Deadlines<Item>();
        let list: Item[] = [];
        let nowMs = 0;
        for (const [index, one] of steps.entries()) {
          const chosen = 'which' in one ? list[one.which % Math.max(1, list.length)] : undefined;
          if (one.does === 'add') {
            const added = item(String(index), nowMs + one.ms);
            deadlines.add(added);
            list.push(added);
          } else if (one.does === 'take') {
            nowMs += one.ms;
            const due = list.filter(({ deadlineMs }) => deadlineMs <= nowMs);
            const next = deadlines.nextMs();
            if (due.length > 0) assert.ok(next !== undefined && next <= nowMs);
            list = list.filter(({ deadlineMs }) => deadlineMs > nowMs);
            const taken: Item[] = [];
            for (let got = deadlines.takeDue(nowMs); got !== undefined; got = deadlines.takeDue(nowMs)) {
              taken.push(got);
            }
            // which of two equal ones comes first is open
            assert.deepEqual(new Set(taken), new Set(due));
            assert.equal(taken.length, due.length);
            const times = taken.map(({ deadlineMs }) => deadlineMs);
            assert.deepEqual(
              times,
              [...times].sort((a, b) => a - b),
            );
          } else if (chosen !== undefined && one.does === 'renew') {
            chosen.deadlineMs += one.ms;
          } else if (chosen !== undefined) {
            deadlines.remove(chosen);
            list = list.filter((other) => other !== chosen);
          }
          assert.equal(deadlines.size, list.length);
        }
      }),
      { numRuns: 500 },
    );
  });
});

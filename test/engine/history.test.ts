import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { History } from '../../src/engine/history.js';

const event = (address: string, kind = 'refusal', atMs = 0) => ({
  atMs,
  kind,
  address,
  text: `${kind} ${address}`,
});

describe('the history', () => {
  it('has the latest events, the oldest first, and forgets the others', () => {
    const history = new History();
    for (let i = 0; i < 1000; i++) history.note(event(`192.0.2.${i % 200}`, 'attempt', i));
    assert.equal(history.position, 1000);
    assert.deepEqual(
      history.since(997, 10).map(({ atMs }) => atMs),
      [997, 998, 999],
    );
    assert.deepEqual(
      history.since(0, 2).map(({ atMs }) => atMs),
      [998, 999],
    );
    assert.equal(history.since(0, 1000).length, 200);
    assert.deepEqual(history.since(1000, 10), []);
  });

  it('counts refusals of each address, and knows its last events', () => {
    const history = new History();
    history.note(event('192.0.2.1', 'refusal', 10));
    history.note(event('192.0.2.1', 'attempt', 20));
    for (let i = 0; i < 9; i++) history.note(event('192.0.2.1', 'refusal', 30 + i));
    history.notePool('192.0.2.1', 'in no pool');
    const known = history.of('192.0.2.1');
    assert.equal(known?.refusals, 10);
    assert.deepEqual([known?.firstRefusalMs, known?.lastRefusalMs, known?.pool], [10, 38, 'in no pool']);
    assert.equal(known?.events.length, 8);
    assert.equal(history.of('192.0.2.2'), undefined);
  });

  it('counts who was redirected among the refused, and by itself', () => {
    const history = new History();
    for (const kind of ['redirected', 'refusal', 'redirected', 'admission'])
      history.note(event('a', kind, 5));
    assert.deepEqual([history.of('a')?.refusals, history.of('a')?.redirected], [3, 2]);
    assert.deepEqual(
      history.topRefused(1).map(({ count }) => count),
      [3],
    );
  });

  it('names who is refused most, the latest first among equals', () => {
    const history = new History();
    for (const address of ['b', 'a', 'c', 'a', 'b', 'a']) history.note(event(address, 'refusal', 1));
    history.note(event('d', 'refusal', 2));
    history.note(event('e', 'attempt', 3));
    assert.deepEqual(
      history.topRefused(3).map(({ address, count }) => [address, count]),
      [
        ['a', 3],
        ['b', 2],
        ['d', 1],
      ],
    );
  });

  it('does not grow in a flood, and keeps those that come again and again', () => {
    const history = new History();
    for (let i = 0; i < 100_000; i++) {
      history.note(event(`stranger ${i}`));
      if (i % 100 === 0) history.note(event('pest'));
    }
    assert.equal(history.of('pest')?.refusals, 1000);
    assert.equal(history.of('stranger 5'), undefined);
    assert.equal(history.topRefused(100_000).length, 2000);
  });
});

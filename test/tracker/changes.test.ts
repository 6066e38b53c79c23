import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PrefixText } from '../../src/packet/address.js';
import { Changes } from '../../src/tracker/changes.js';

const prefix = (text: string) => () => text as PrefixText;

describe('changes', () => {
  it('are noted from the beginning on, not before', () => {
    const changes = new Changes();
    changes.added(1);
    changes.removed(1, prefix('a'));
    assert.equal(changes.size, 0);
    changes.begin();
    changes.changed(1);
    assert.deepEqual(changes.takeChanged(10), [1]);
  });

  it('are taken once, whatever happened in between', () => {
    const changes = new Changes();
    changes.begin();
    changes.added(5);
    for (let i = 0; i < 100; i++) changes.changed(5);
    assert.deepEqual(changes.takeChanged(10), [5]);
    assert.deepEqual(changes.takeChanged(10), []);
    changes.changed(5);
    assert.deepEqual(changes.takeChanged(10), [5]);
  });

  it('do not tell of what came and went', () => {
    const changes = new Changes();
    changes.begin();
    changes.added(5);
    changes.removed(5, prefix('a'));
    assert.deepEqual([changes.takeGone(10), changes.takeChanged(10)], [[], []]);
  });

  it('tell of what went after it was told', () => {
    const changes = new Changes();
    changes.begin();
    changes.added(5);
    changes.takeChanged(10);
    changes.removed(5, prefix('a'));
    assert.deepEqual([changes.takeGone(10), changes.takeChanged(10)], [['a'], []]);
  });

  it('tell of an entry that has the number of one that went', () => {
    const changes = new Changes();
    changes.begin();
    changes.added(5);
    changes.takeChanged(10);
    changes.changed(5);
    changes.removed(5, prefix('a'));
    changes.added(5);
    assert.deepEqual([changes.takeGone(10), changes.takeChanged(10)], [['a'], [5]]);
  });

  it('take no more room than there are entries, when nobody takes them', () => {
    const changes = new Changes();
    changes.begin();
    for (let round = 0; round < 1000; round++) {
      for (let id = 0; id < 100; id++) changes.added(id);
      for (let id = 0; id < 100; id++) changes.removed(id, prefix(`${round}.${id}`));
    }
    assert.ok(changes.size <= 100);
  });

  it('tell of what came and went while all entries were read: the reader may have seen it', () => {
    const changes = new Changes();
    changes.begin();
    changes.tellAll();
    changes.added(5);
    changes.removed(5, prefix('a'));
    assert.deepEqual([changes.takeGone(10), changes.takeChanged(10)], [['a'], []]);
    // all is taken: from now on it is as before
    changes.added(6);
    changes.removed(6, prefix('b'));
    assert.deepEqual([changes.takeGone(10), changes.takeChanged(10)], [[], []]);
  });

  it('are taken in pieces', () => {
    const changes = new Changes();
    changes.begin();
    for (let id = 0; id < 200; id++) changes.added(id);
    const taken = new Set<number>();
    for (let ids = changes.takeChanged(64); ids.length > 0; ids = changes.takeChanged(64)) {
      assert.ok(ids.length <= 64);
      for (const id of ids) taken.add(id);
    }
    assert.equal(taken.size, 200);
  });
});

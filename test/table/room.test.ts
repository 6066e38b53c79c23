import assert from 'node:assert/strict';
import { it } from 'node:test';
import { roomFor } from '../../src/table/room.js';

it('a tenth of the room stays free, and a batch', () => {
  assert.deepEqual(roomFor(200_000), { maxBatch: 10_000, ceiling: 170_000 });
  assert.deepEqual(roomFor(100_000), { maxBatch: 10_000, ceiling: 80_000 });
  assert.deepEqual(roomFor(100), { maxBatch: 10, ceiling: 80 });
  assert.deepEqual(roomFor(0), { maxBatch: 1, ceiling: 0 });
});

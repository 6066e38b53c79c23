import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RoomBook, roomFor } from '../../src/table/room.js';

it('a tenth of the room stays free, and a batch', () => {
  assert.deepEqual(roomFor(200_000), { maxBatch: 10_000, ceiling: 170_000 });
  assert.deepEqual(roomFor(100_000), { maxBatch: 10_000, ceiling: 80_000 });
  assert.deepEqual(roomFor(100), { maxBatch: 10, ceiling: 80 });
  assert.deepEqual(roomFor(0), { maxBatch: 1, ceiling: 0 });
});

const HOUR_MS = 3_600_000;
const LIMITS = { limit: 200_000, usedByOthers: 0, listable: undefined };

describe('the room that is known', () => {
  it('is without bounds as long as nothing is known', () => {
    const { ceiling, bound } = new RoomBook().room(0);
    assert.deepEqual([ceiling, bound], [Number.POSITIVE_INFINITY, undefined]);
  });

  it('is the lower one of what the limit leaves and what can be listed', () => {
    const book = new RoomBook();
    book.note({ ...LIMITS, listable: 65_535 });
    assert.deepEqual(book.room(0), { maxBatch: 10_000, ceiling: 64_224, bound: 'list' });
    book.note({ ...LIMITS, usedByOthers: 160_000, listable: 65_535 });
    assert.deepEqual(book.room(0), { maxBatch: 4000, ceiling: 32_000, bound: 'limit' });
  });

  it("is FreeBSD's usual one when a list was too long and nobody says how long it may be", () => {
    const book = new RoomBook();
    book.note(LIMITS);
    book.noteTooLong();
    assert.deepEqual([book.listable, book.room(0).ceiling], [65_535, 64_224]);
  });

  it('is tried in pieces after a refusal, until the table itself tells how much there is', () => {
    const book = new RoomBook();
    book.note(LIMITS);
    book.noteRefusal(0, 10_000, 0);
    assert.deepEqual(book.room(0), { maxBatch: 1000, ceiling: 170_000, bound: 'limit' });
    book.noteRefusal(9000, 1000, 0);
    assert.deepEqual(book.room(0), { maxBatch: 100, ceiling: 170_000, bound: 'limit' });
    book.noteRefusal(9900, 100, 0);
    // a twentieth is free, and no addition is larger than that
    assert.deepEqual(book.room(0), { maxBatch: 495, ceiling: 9405, bound: 'full' });
  });

  it('is what was refused for an hour, or until the firewall says something else, or an operator', () => {
    const book = new RoomBook();
    const refuse = (): void => {
      book.note(LIMITS);
      book.noteRefusal(1000, 1, 0);
      assert.equal(book.room(0).ceiling, 950);
    };
    refuse();
    book.note({ ...LIMITS });
    assert.deepEqual([book.room(HOUR_MS - 1).ceiling, book.room(HOUR_MS).ceiling], [950, 170_000]);
    refuse();
    book.note({ ...LIMITS, limit: 300_000 });
    assert.equal(book.room(0).ceiling, 260_000);
    refuse();
    book.forgetRefusal();
    assert.equal(book.room(0).ceiling, 170_000);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from '../../src/control/line-splitter.js';

describe('lines of a stream of bytes', () => {
  it('are the same, wherever the stream is cut, also within a character', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\n', ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
        const splitter = new LineSplitter(1000);
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const found: string[] = [];
        let start = 0;
        for (const length of [...cuts, bytes.length]) {
          found.push(...(splitter.push(bytes.subarray(start, start + length)) ?? ['too long']));
          start += length;
        }
        assert.deepEqual(found, lines);
        assert.equal(splitter.isInLine, false);
      }),
    );
  });

  it('know that a line has begun', () => {
    const splitter = new LineSplitter(10);
    assert.deepEqual(splitter.push(Buffer.from('one\ntw')), ['one']);
    assert.equal(splitter.isInLine, true);
    assert.deepEqual(splitter.push(Buffer.from('o\n')), ['two']);
    assert.equal(splitter.isInLine, false);
  });

  it('may be as long as allowed, and no byte longer', () => {
    assert.deepEqual(new LineSplitter(4).push(Buffer.from('four\nfour\n')), ['four', 'four']);
    assert.equal(new LineSplitter(4).push(Buffer.from('four\nfive5\n')), undefined);
    const slow = new LineSplitter(4);
    assert.deepEqual(slow.push(Buffer.from('fo')), []);
    assert.deepEqual(slow.push(Buffer.from('ur')), []);
    assert.equal(slow.push(Buffer.from('5')), undefined);
  });
});

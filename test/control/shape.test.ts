import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RESULT_SHAPES, ITEM_SHAPES } from '../../src/control/answers.js';
import { list, maybe, Mismatch, number, object, record, text } from '../../src/control/shape.js';
import { ENTRIES, FINDINGS, STATISTICS, STATUS, TICK, WHY } from '../support/control-reports.js';

/** As it comes from the other process. */
function sent(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe('what the daemon sends', () => {
  it('is read as it was written', () => {
    assert.deepEqual(sent(RESULT_SHAPES.status(sent(STATUS))), sent(STATUS));
    assert.deepEqual(sent(RESULT_SHAPES.stats(sent(STATISTICS))), sent(STATISTICS));
    assert.deepEqual(sent(RESULT_SHAPES.why(sent(WHY))), sent(WHY));
    assert.deepEqual(sent(ITEM_SHAPES.watch(sent({ ...TICK, findings: FINDINGS }))), {
      ...(sent(TICK) as object),
      findings: FINDINGS,
    });
    for (const entry of ENTRIES) assert.deepEqual(sent(ITEM_SHAPES.list(sent(entry))), sent(entry));
  });

  it('has nothing in it that a terminal would obey', () => {
    const name = 'a\x1b]0;owned\x07\x9b2J\u202e\\x41';
    const read = ITEM_SHAPES.list({ ...ENTRIES[0], name });
    assert.ok(!(read instanceof Mismatch));
    assert.equal(read.name, 'a\\x1b]0;owned\\x07\\x9b2J\\u{202e}\\x41');
    assert.deepEqual(record(number)({ 'a\x1b': 1 }), { 'a\\x1b': 1 });
  });

  it('may have fields that we do not know, which are left out', () => {
    assert.deepEqual(RESULT_SHAPES.forget({ prefix: '192.0.2.1', since: 3 }), { prefix: '192.0.2.1' });
  });

  const wrong: readonly (readonly [string, unknown, string, string])[] = [
    ['no object', 7, '', 'an object'],
    ['null', null, '', 'an object'],
    ['a list', [], '', 'an object'],
    ['a missing field', { ...STATUS, pid: undefined }, 'pid', 'a number'],
    ['a text for a number', { ...STATUS, upMs: '12' }, 'upMs', 'a number'],
    [
      'a field deep inside',
      { ...STATUS, table: { ...STATUS.table, room: 'much' } },
      'table.room',
      'a number',
    ],
    [
      'an item of a list',
      { ...STATUS, findings: [FINDINGS[0], { ...FINDINGS[1], severity: 'fatal' }] },
      'findings.1.severity',
      'one of note, warning, error',
    ],
    [
      'a property that every object has',
      { ...STATUS, findings: [{ ...FINDINGS[0], severity: 'constructor' }] },
      'findings.0.severity',
      'one of note, warning, error',
    ],
    [
      'a number among others',
      { ...STATUS, entries: { ...STATUS.entries, byOrigin: { a: '1' } } },
      'entries.byOrigin.a',
      'a number',
    ],
  ];
  for (const [what, value, where, expected] of wrong) {
    it(`and is not what it should be is told with its place: ${what}`, () => {
      assert.deepEqual(RESULT_SHAPES.status(value), new Mismatch(where, expected));
    });
  }

  it('may be anything: nothing makes the reader stumble', () => {
    const shape = object<{ a: number; b: string | undefined; c: readonly string[] }>({
      a: number,
      b: maybe(text),
      c: list(text),
    });
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const read = shape(value);
        assert.ok(read instanceof Mismatch || typeof read.a === 'number');
        for (const one of Object.values(RESULT_SHAPES)) one(value);
      }),
    );
  });
});

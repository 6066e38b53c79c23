import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ITEMS, RESULTS } from '../../src/control/answers.js';
import { check, type Schema } from '../../src/control/schema.js';
import { ENTRIES, FINDINGS, STATISTICS, STATUS, TICK, WHY } from '../support/control-reports.js';

/** As it comes from the other process. */
function sent(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** What is read of a value; an assertion fails when it makes no sense. */
function read<T>(schema: Schema<T>, value: unknown): T {
  const checked = check(schema, value, 'it');
  assert.ok(checked.ok, checked.ok ? '' : checked.problem);
  return checked.value;
}

describe('what the daemon sends', () => {
  it('is read as it was written', () => {
    assert.deepEqual(sent(read(RESULTS.status, sent(STATUS))), sent(STATUS));
    assert.deepEqual(sent(read(RESULTS.stats, sent(STATISTICS))), sent(STATISTICS));
    assert.deepEqual(sent(read(RESULTS.why, sent(WHY))), sent(WHY));
    assert.deepEqual(sent(read(ITEMS.watch, sent({ ...TICK, findings: FINDINGS }))), {
      ...(sent(TICK) as object),
      findings: FINDINGS,
    });
    for (const entry of ENTRIES) assert.deepEqual(sent(read(ITEMS.list, sent(entry))), sent(entry));
  });

  it('has nothing in it that a terminal would obey', () => {
    const name = 'a\x1b]0;owned\x07\x9b2J\u202e\\x41';
    const entry = read(ITEMS.list, { ...ENTRIES[0], name });
    assert.equal(entry.name, 'a\\x1b]0;owned\\x07\\x9b2J\\u{202e}\\x41');
    const { entries } = read(RESULTS.status, {
      ...STATUS,
      entries: { ...STATUS.entries, byOrigin: { 'a\x1b': 1 } },
    });
    assert.deepEqual(entries.byOrigin, { 'a\\x1b': 1 });
  });

  it('may have fields that we do not know, which are left out', () => {
    const value = { prefix: '192.0.2.1', expiresInMs: 1, wasThere: true, since: 3 };
    assert.deepEqual(Object.keys(read(RESULTS.allow, value)), ['prefix', 'expiresInMs', 'wasThere']);
  });

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no object', 7, 'it is not an object'],
    ['null', null, 'it is not an object'],
    ['a list', [], 'it.version is missing'],
    ['a missing field', { ...STATUS, pid: undefined }, 'it.pid is missing'],
    ['a text for a number', { ...STATUS, upMs: '12' }, 'it.upMs is not a number'],
    ['a number beyond all', { ...STATUS, upMs: Infinity }, 'it.upMs is not a number'],
    [
      'a field deep inside',
      { ...STATUS, table: { ...STATUS.table, room: 'much' } },
      'it.table.room is not a number',
    ],
    [
      'an item of a list',
      { ...STATUS, findings: [FINDINGS[0], { ...FINDINGS[1], severity: 'fatal' }] },
      'it.findings.1.severity is not one of note, warning, error',
    ],
    [
      'a property that every object has',
      { ...STATUS, findings: [{ ...FINDINGS[0], severity: 'constructor' }] },
      'it.findings.0.severity is not one of note, warning, error',
    ],
    [
      'a number among others, whose name a terminal would obey',
      { ...STATUS, entries: { ...STATUS.entries, byOrigin: { 'a\x1b': '1' } } },
      'it.entries.byOrigin.a\\x1b is not a number',
    ],
  ];
  for (const [what, value, problem] of wrong) {
    it(`and is not what it should be is told with its place: ${what}`, () => {
      const json: unknown = what.includes('beyond') ? value : sent(value);
      assert.deepEqual(check(RESULTS.status, json, 'it'), { ok: false, problem });
    });
  }

  it('may be anything: nothing makes the reader stumble', () => {
    const schemas: readonly Schema<unknown>[] = [...Object.values(RESULTS), ...Object.values(ITEMS)];
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const schema of schemas) {
          const checked = check(schema, value, 'it');
          if (!checked.ok) assert.match(checked.problem, /^it\b.* is (missing|not .+)$/);
        }
      }),
    );
  });
});

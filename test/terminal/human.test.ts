import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ago, counted, duration, grouped, localTime, timeOfDay } from '../../src/terminal/human.js';

// before the first Date
process.env['TZ'] = 'UTC';

describe('a number for people', () => {
  it('has its thousands grouped', () => {
    const numbers = [0, 7, 999, 1000, 41_003, 100_000, 1_234_567, 2 ** 40];
    assert.deepEqual(numbers.map(grouped), [
      '0',
      '7',
      '999',
      '1,000',
      '41,003',
      '100,000',
      '1,234,567',
      '1,099,511,627,776',
    ]);
  });

  it('agrees with its noun', () => {
    assert.equal(counted(1, 'entry', 'entries'), '1 entry');
    assert.equal(counted(0, 'entry', 'entries'), '0 entries');
    assert.equal(counted(1200, 'time'), '1,200 times');
  });
});

describe('a duration for people', () => {
  const SECOND = 1000;
  const MINUTE = 60 * SECOND;
  const HOUR = 60 * MINUTE;
  const DAY = 24 * HOUR;
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [-5 * SECOND, '0s'],
    [499, '0s'],
    [59 * SECOND, '59s'],
    [59_600, '1m'],
    [61 * SECOND, '1m01s'],
    [9 * MINUTE + 30 * SECOND, '9m30s'],
    [HOUR - 1, '1h'],
    [HOUR, '1h'],
    [HOUR + MINUTE + 59 * SECOND, '1h01m'],
    [23 * HOUR + 59 * MINUTE, '23h59m'],
    [DAY, '1d'],
    [12 * DAY + 4 * HOUR + 51 * MINUTE, '12d04h'],
    [99 * DAY + 23 * HOUR, '99d23h'],
    [366 * DAY + HOUR, '366d'],
    [12_345 * DAY, '12345d'],
  ];
  for (const [ms, text] of cases) it(`of ${ms} ms is ${text}`, () => assert.equal(duration(ms), text));

  it('since then is now, some time ago, or never', () => {
    assert.deepEqual(
      [ago(0), ago(999), ago(1000), ago(125_000), ago(undefined)],
      ['now', 'now', '1s ago', '2m05s ago', 'never'],
    );
  });
});

describe('a time for people', () => {
  it('has date and time of day', () => {
    const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    assert.deepEqual([localTime(ms), timeOfDay(ms)], ['2026-01-02 03:04:05', '03:04:05']);
  });

  it('may be none at all', () => assert.equal(localTime(1e300), 'invalid'));
});

import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { NetworkSketch } from '../../src/engine/flood.js';
import { type Line } from '../../src/engine/messages.js';
import { Repeats } from '../../src/engine/repeats.js';
import { type Happening, Telling } from '../../src/engine/telling.js';
import { isWithin, type Level } from '../../src/log/line.js';
import type { Log } from '../../src/log/log.js';
import { type Address, addressOfWords } from '../../src/packet/address.js';
import { HandClock } from '../support/hand-clock.js';
import { syn, synBetween } from '../support/observations.js';

const FAKE = '192.0.2.3';
const REAL = '192.0.2.4';
const KEY = [0x01234567, 0x89abcdef] as const;

/** A log that keeps its lines. */
class KeptLog implements Log {
  readonly description = 'a list';
  readonly lost = 0;
  readonly lines: Line[] = [];
  level: Level = 'info';

  write(level: Level, message: string, fields: Line['fields']): void {
    if (this.isEnabled(level)) this.lines.push({ level, message, fields });
  }

  isEnabled(level: Level): boolean {
    return isWithin(level, this.level);
  }

  setLevel(level: Level): void {
    this.level = level;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What came since the last time. */
  take(): string[] {
    return this.lines.splice(0).map(({ message }) => message);
  }
}

/** The number of an address: 10.0.0.0 and on. */
function sender(index: number): Address {
  return addressOfWords(4, 0x0a000000 + index, 0, 0, 0);
}

describe('what is told of packets', () => {
  let clock: HandClock;
  let log: KeptLog;
  let telling: Telling;

  beforeEach(() => {
    clock = new HandClock();
    log = new KeptLog();
    telling = new Telling(log, clock, KEY);
  });

  const refusal = (from: string, reason = 'not-whitelisted'): Line | undefined =>
    telling.tell({ level: 'info', kind: 'refusal', seen: syn(from, REAL), reason }, () => ({
      level: 'info',
      message: `Dropping ${from}`,
      fields: { event: 'refusal', source: from, count: 1 },
    }));
  const attempt = (from: string): Line | undefined =>
    telling.tell({ level: 'info', kind: 'attempt', seen: syn(from, FAKE) }, () => ({
      level: 'info',
      message: `Adding ${from}`,
      fields: { event: 'attempt', source: from },
    }));

  it('is the first refusal of a source at once, and its repeats within a minute in one line', () => {
    // a client's SYN, sent again after 1, 3, 7, 15 and 31 s
    const first = refusal('203.0.113.7');
    assert.deepEqual(log.take(), ['Dropping 203.0.113.7']);
    for (const waitMs of [1000, 2000, 4000, 8000, 16_000]) {
      clock.pass(waitMs);
      // whoever wants the line has it without making another one
      assert.equal(refusal('203.0.113.7'), first);
    }
    clock.pass(28_999);
    assert.deepEqual(log.lines, []);
    clock.pass(1);
    assert.deepEqual(log.lines, [
      {
        level: 'info',
        message: 'Dropping 203.0.113.7, 5 more times in 31 s',
        fields: { event: 'refusal', source: '203.0.113.7', count: 5, seconds: 31 },
      },
    ]);
    log.take();
    clock.pass(1000);
    assert.deepEqual(clock.timersMs, []);
    clock.pass(2000);
    refusal('203.0.113.7');
    assert.deepEqual(log.take(), ['Dropping 203.0.113.7']);
  });

  it('is nothing more of one that was refused once, and once more in plain words', () => {
    refusal('203.0.113.7');
    refusal('2001:db8::7');
    refusal('2001:db8::7');
    log.take();
    clock.pass(60_000);
    assert.deepEqual(log.take(), ['Dropping 2001:db8::7, 1 more time in 1 s']);
  });

  it('keeps its order: an attempt comes behind the repeats before it', () => {
    for (let time = 0; time < 3; time++) refusal('203.0.113.7');
    refusal('203.0.113.8');
    refusal('203.0.113.8');
    attempt('203.0.113.7');
    assert.deepEqual(log.take(), [
      'Dropping 203.0.113.7',
      'Dropping 203.0.113.8',
      'Dropping 203.0.113.7, 2 more times in 1 s',
      'Adding 203.0.113.7',
    ]);
    clock.pass(60_000);
    assert.deepEqual(log.take(), ['Dropping 203.0.113.8, 1 more time in 1 s']);
  });

  it('tells another reason at once', () => {
    refusal('203.0.113.7');
    refusal('203.0.113.7');
    refusal('203.0.113.7', 'strange');
    assert.deepEqual(log.take(), [
      'Dropping 203.0.113.7',
      'Dropping 203.0.113.7, 1 more time in 1 s',
      'Dropping 203.0.113.7',
    ]);
  });

  it('is nothing at a level that is not asked for', () => {
    log.setLevel('warn');
    refusal('203.0.113.7');
    refusal('203.0.113.7');
    clock.pass(60_000);
    assert.deepEqual(log.lines, []);
    assert.deepEqual(clock.timersMs, []);
  });

  it('ends with what is still to be told', () => {
    refusal('203.0.113.7');
    refusal('203.0.113.7');
    telling.close();
    assert.deepEqual(log.take(), ['Dropping 203.0.113.7', 'Dropping 203.0.113.7, 1 more time in 1 s']);
    assert.deepEqual(clock.timersMs, []);
  });

  describe('in a flood', () => {
    const many = (
      count: number,
      what: Omit<Happening, 'seen'>,
      networkOf: (index: number) => number,
    ): void => {
      for (let index = 0; index < count; index++) {
        const seen = synBetween(sender(networkOf(index) * 256 + (index % 256)), sender(1));
        telling.tell({ ...what, seen }, () => ({
          level: what.level,
          message: 'told',
          fields: { event: what.kind },
        }));
      }
    };

    it('is 500 lines a second, then how many there were of what kind, and from how many networks', () => {
      many(700, { level: 'info', kind: 'attempt' }, () => 7);
      many(5000, { level: 'info', kind: 'refusal', reason: 'r' }, (index) => 100 + (index % 40));
      for (let i = 0; i < 3; i++) {
        const line = { level: 'info', message: 'gone', fields: { event: 'expiry' } } as const;
        telling.tell({ level: 'info', kind: 'expiry' }, () => line);
      }
      assert.equal(log.take().length, 500);
      clock.pass(1000);
      assert.deepEqual(log.lines, [
        {
          level: 'info',
          message:
            'Flood: 5203 more events within a second, not told one by one: ' +
            '200 attempts, 5000 refusals, 3 expiries, from about 41 networks',
          fields: {
            event: 'flood',
            suppressed: 5203,
            attempts: 200,
            refusals: 5000,
            expiries: 3,
            networks: 41,
          },
        },
      ]);
      log.take();
      many(1, { level: 'info', kind: 'attempt' }, () => 7);
      assert.deepEqual(log.take(), ['told']);
      clock.pass(1000);
      assert.deepEqual(log.take(), []);
    });

    it('is a warning when warnings are among what was too much', () => {
      many(500, { level: 'info', kind: 'attempt' }, () => 7);
      const line = { level: 'warn', message: 'gone', fields: { event: 'eviction' } } as const;
      telling.tell({ level: 'warn', kind: 'eviction' }, () => line);
      log.setLevel('warn');
      log.take();
      clock.pass(1000);
      assert.deepEqual(log.take(), [
        'Flood: 1 more event within a second, not told one by one: 1 entry without room',
      ]);
    });

    it('of one bot is two lines', () => {
      for (let time = 0; time < 10_000; time++) refusal('203.0.113.7');
      clock.pass(60_000);
      assert.deepEqual(log.take(), ['Dropping 203.0.113.7', 'Dropping 203.0.113.7, 9999 more times in 1 s']);
    });

    it('counts repeats that are too much for the next second, too', () => {
      many(500, { level: 'info', kind: 'refusal', reason: 'r' }, (i) => i);
      clock.pass(1000);
      many(500, { level: 'info', kind: 'refusal', reason: 'r' }, (i) => i);
      log.take();
      clock.pass(58_500);
      many(400, { level: 'info', kind: 'attempt' }, (i) => 1000 + i);
      log.take();
      clock.pass(500);
      assert.equal(log.take().length, 100);
      clock.pass(500);
      assert.match(log.take().join(), /^Flood: 400 more .*: 400 refusals, from about 40[01] networks$/);
    });
  });
});

describe('sources whose repeats are told together', () => {
  it('are 5,000 at the most: the oldest is told early', () => {
    const clock = new HandClock();
    const told: string[] = [];
    const repeats = new Repeats(clock, KEY, ({ message }) => void told.push(message));
    const refused = (index: number): void => {
      const seen = synBetween(sender(index), sender(1));
      if (repeats.count(seen, 'r') !== undefined) return;
      repeats.begin(seen, 'r', { level: 'info', message: `${index}`, fields: { event: 'refusal' } });
    };
    for (let index = 0; index < 5000; index++) refused(index);
    for (let index = 0; index < 5000; index += 2) refused(index);
    assert.deepEqual(told, []);
    for (let index = 5000; index < 5003; index++) refused(index);
    assert.deepEqual(told, ['0, 1 more time in 1 s', '2, 1 more time in 1 s']);
    assert.equal(clock.timersMs.length, 1);
  });
});

describe('the count of networks', () => {
  const seen = (sketch: NetworkSketch, count: number): void => {
    for (let index = 0; index < count; index++) sketch.add(4, (index << 8) | 77, 0);
  };

  it('is right for a few, whatever the addresses in them', () => {
    const sketch = new NetworkSketch(KEY);
    assert.equal(sketch.take(), 0);
    for (let host = 0; host < 256; host++) sketch.add(4, 0x0a000000 + host, 0);
    assert.equal(sketch.take(), 1);
    // 2001:db8:1::/48 with many /64, and 2001:db8:2::/48
    for (let subnet = 0; subnet < 500; subnet++) sketch.add(6, 0x20010db8, 0x00010000 + subnet);
    sketch.add(6, 0x20010db8, 0x00020000);
    seen(sketch, 30);
    assert.equal(sketch.take(), 32);
  });

  for (const count of [1000, 50_000, 200_000]) {
    it(`is within 2 % for ${count}`, () => {
      const sketch = new NetworkSketch(KEY);
      for (let time = 0; time < 2; time++) seen(sketch, count);
      const error = Math.abs(sketch.take() / count - 1);
      assert.ok(error < 0.02, String(error));
      assert.equal(sketch.take(), 0);
    });
  }
});

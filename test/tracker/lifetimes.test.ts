import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RestoredEntry } from '../../src/tracker/tracker.js';
import { address, prefix } from '../support/observations.js';
import { CONFIG, FAKE, HOUR_MS, REAL, type Scene, scene, used } from '../support/tracker-scene.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * HOUR_MS;
const KNOWN = { knownTimeMs: 8 * DAY_MS } as const;
const SENDER = '203.0.113.7';

/** An address for each number. */
function numbered(network: number, index: number): string {
  return `10.${network}.${index >> 8}.${index & 255}`;
}

/** Tries the fake MX, then delivers. */
function deliver(at: Scene, from: string, nowMs: number): void {
  at.see(from, FAKE, nowMs);
  at.see(from, REAL, nowMs);
}

describe('how long an entry lives', () => {
  it('an attempt gives it whitelist-time, an admission known-time from then', () => {
    const at = scene(KNOWN);
    at.see(SENDER, FAKE, 0);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, HOUR_MS);
    at.see(SENDER, REAL, 1000);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, 1000 + 8 * DAY_MS);
    at.tracker.expire(8 * DAY_MS);
    assert.equal(at.see(SENDER, REAL, 8 * DAY_MS), 'admission whitelisted');
    at.tracker.expire(16 * DAY_MS - 1);
    assert.equal(at.tracker.size, 1);
    at.tracker.expire(16 * DAY_MS);
    assert.equal(at.tracker.size, 0);
    assert.equal(at.tracker.counters.expiredUsed, 1);
  });

  it('who never reaches the real MX has whitelist-time', () => {
    const at = scene(KNOWN);
    at.see(SENDER, FAKE, 0);
    at.tracker.expire(HOUR_MS);
    assert.equal(at.tracker.size, 0);
    assert.equal(at.tracker.counters.expiredUnused, 1);
  });

  it('an attempt does not shorten what an admission has given', () => {
    const at = scene(KNOWN);
    deliver(at, SENDER, 0);
    at.see(SENDER, FAKE, DAY_MS);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, 8 * DAY_MS);
  });

  it('with known-time 0 an admission prolongs nothing', () => {
    const at = scene({ knownTimeMs: 0 });
    deliver(at, SENDER, 0);
    at.see(SENDER, REAL, HOUR_MS - 1);
    at.tracker.expire(HOUR_MS);
    assert.equal(at.tracker.size, 0);
  });

  it('a packet that pf has dropped prolongs nothing', () => {
    const at = scene({ ...KNOWN, authority: 'pf' });
    at.see(SENDER, FAKE, 0, { action: 1 });
    assert.equal(at.see(SENDER, REAL, 0, { action: 1 }), 'refusal not-yet-in-table');
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, HOUR_MS);
  });

  it('what an operator has given stays, if it is longer', () => {
    const at = scene(KNOWN);
    at.tracker.allow(prefix(`${SENDER}/32`), 0, 30 * DAY_MS);
    at.see(SENDER, REAL, 1000);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, 30 * DAY_MS);
    at.see(SENDER, REAL, 25 * DAY_MS);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, 33 * DAY_MS);
  });

  it('who came by name is known in its own right, and stays so by an attempt of its own', () => {
    const at = scene({ ...KNOWN, ipv4Prefix: 28 });
    at.tracker.admit(address(SENDER), 'name', 0, HOUR_MS);
    at.see(SENDER, REAL, 1000);
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, 1000 + 8 * DAY_MS);
    assert.equal(at.see(SENDER, FAKE, 2000), 'attempt promoted');
    const own = at.tracker.find(address(SENDER));
    assert.deepEqual([own?.text, own?.admissions, own?.deadlineMs], ['203.0.113.0/28', 1, 1000 + 8 * DAY_MS]);
  });
});

/** A month of a sender that, as Exim does, tries the fake MX only as often as its memory of it lets it. */
function month(knownTimeMs: number, everyMs: number): { refused: number; sent: number } {
  const at = scene({ knownTimeMs });
  // Debian's retry rule F,2h,15m; G,16h,1h,1.5; F,4d,6h
  const waits = [...Array.from({ length: 8 }, () => 15 * MINUTE_MS), HOUR_MS];
  let [next, step, wait] = [0, 0, HOUR_MS];
  let [refused, sent] = [0, 0];
  for (let nowMs = 0; nowMs < 31 * DAY_MS; nowMs += everyMs) {
    at.tracker.expire(nowMs);
    if (nowMs >= next) {
      at.see(SENDER, FAKE, nowMs);
      wait = waits[step++] ?? Math.min(wait * 1.5, 6 * HOUR_MS);
      next = nowMs + wait;
    }
    sent++;
    if (at.see(SENDER, REAL, nowMs) !== 'admission whitelisted') refused++;
  }
  return { refused, sent };
}

describe('a month of a sender that remembers a host which refused it', () => {
  for (const [every, everyMs] of [
    ['20 minutes', 20 * MINUTE_MS],
    ['3 hours', 3 * HOUR_MS],
    ['day', DAY_MS],
    ['week', 7 * DAY_MS],
  ] as const) {
    it(`with a message every ${every}, none is refused`, () => {
      assert.equal(month(8 * DAY_MS, everyMs).refused, 0);
    });
  }

  it('with known-time 0 the same sender is refused again and again', () => {
    const { refused, sent } = month(0, 20 * MINUTE_MS);
    assert.ok(refused > sent / 2, `${refused} of ${sent}`);
  });
});

describe('who goes when there is no room', () => {
  const order = (at: Scene): string[] => {
    const gone: string[] = [];
    for (let most = at.tracker.size - 1; most >= 0; most--) {
      const before = new Set(at.prefixes);
      at.configure({ maxEntries: most });
      for (const text of at.prefixes) before.delete(text);
      gone.push(...before);
    }
    return gone;
  };

  it('first who came with others, then who was never admitted, known ones by use, regulars, by hand', () => {
    const at = scene({ ...KNOWN, maxEntries: 10 });
    at.tracker.allow(prefix('192.0.2.101/32'), 0, DAY_MS);
    deliver(at, '192.0.2.102', 0);
    at.see('192.0.2.102', REAL, 10 * MINUTE_MS);
    deliver(at, '192.0.2.103', 11 * MINUTE_MS);
    deliver(at, '192.0.2.104', 12 * MINUTE_MS);
    at.see('192.0.2.103', REAL, 13 * MINUTE_MS);
    at.see('192.0.2.105', FAKE, 14 * MINUTE_MS);
    at.tracker.admit(address('192.0.2.106'), 'name', 15 * MINUTE_MS, DAY_MS);
    assert.deepEqual(order(at), [
      '192.0.2.106',
      '192.0.2.105',
      '192.0.2.104',
      '192.0.2.103',
      '192.0.2.102',
      '192.0.2.101',
    ]);
  });

  it('after a restart, too, in whatever order they come', () => {
    const at = scene({ ...KNOWN, maxEntries: 10 });
    const saved = (text: string, lastMs: number, isRegular = false): RestoredEntry => ({
      prefix: prefix(`${text}/32`),
      text: text as RestoredEntry['text'],
      origin: 'attempt',
      ...{ addedMs: 0, deadlineMs: DAY_MS, lastAttemptMs: 0, attempts: 1, name: undefined },
      ...{ admissions: 2, firstAdmissionMs: 0, lastAdmissionMs: lastMs, isRegular },
    });
    for (const [text, lastMs, isRegular] of [
      ['192.0.2.1', 500, true],
      ['192.0.2.2', 900, false],
      ['192.0.2.7', 400, true],
      ['192.0.2.8', 300, false],
    ] as const) {
      assert.ok(at.tracker.restore(saved(text, lastMs, isRegular)));
    }
    assert.deepEqual(order(at), ['192.0.2.8', '192.0.2.2', '192.0.2.7', '192.0.2.1']);
  });

  it('an entry that 2.0.0 has written with its uses gets known-time from its last attempt', () => {
    const at = scene(KNOWN);
    const { admissions } = used(3);
    const never = { firstAdmissionMs: undefined, lastAdmissionMs: undefined, isRegular: false };
    const entry = { origin: 'attempt', addedMs: -5000, deadlineMs: 1000, lastAttemptMs: -2000 } as const;
    const common = { ...entry, attempts: 1, name: undefined, ...never };
    const text = SENDER as RestoredEntry['text'];
    at.tracker.restore({ ...common, prefix: prefix(`${SENDER}/32`), text, admissions });
    assert.equal(at.tracker.find(address(SENDER))?.deadlineMs, -2000 + 8 * DAY_MS);
  });
});

describe('a flood pushes no regular out', () => {
  const ROOM = 1000;
  const REGULARS = 200;
  const FORGED = 20_000;

  /** Regulars, in a full table. */
  function full(): Scene {
    const at = scene({ ...KNOWN, maxEntries: ROOM });
    for (let i = 0; i < REGULARS; i++) deliver(at, numbered(1, i), 0);
    for (let i = 0; i < REGULARS; i++) at.see(numbered(1, i), REAL, 10 * MINUTE_MS);
    assert.equal(at.tracker.known.regulars, REGULARS);
    return at;
  }

  function regularsLeft(at: Scene): number {
    return Array.from({ length: REGULARS }, (_, i) => at.tracker.find(address(numbered(1, i)))).filter(
      Boolean,
    ).length;
  }

  it('of attempts', () => {
    const at = full();
    for (let i = 0; i < FORGED; i++) at.see(numbered(2, i), FAKE, HOUR_MS);
    assert.deepEqual([regularsLeft(at), at.tracker.size], [REGULARS, ROOM]);
  });

  it('of pairs: fake MX, then real MX', () => {
    const at = full();
    for (let i = 0; i < FORGED; i++) deliver(at, numbered(2, i), HOUR_MS);
    assert.deepEqual([regularsLeft(at), at.tracker.size], [REGULARS, ROOM]);
  });

  it('of SYNs to the real MX that are repeated ten times', () => {
    const at = full();
    for (let i = 0; i < FORGED; i++) {
      deliver(at, numbered(2, i), HOUR_MS);
      for (let again = 1; again <= 10; again++) at.see(numbered(2, i), REAL, HOUR_MS + again * 12_000);
    }
    assert.deepEqual([regularsLeft(at), at.tracker.known.regulars], [REGULARS, REGULARS]);
  });

  it('of triples: fake MX, real MX, and the real MX again after ten minutes', () => {
    const at = full();
    // as many at a time as there is room for, so that they live long enough
    for (let begin = 0; begin < FORGED; begin += 500) {
      const nowMs = HOUR_MS + begin * 10 * MINUTE_MS;
      for (let i = begin; i < begin + 500; i++) deliver(at, numbered(2, i), nowMs);
      for (let i = begin; i < begin + 500; i++) at.see(numbered(2, i), REAL, nowMs + 10 * MINUTE_MS);
    }
    assert.equal(at.tracker.known.regulars, 0.8 * ROOM, 'the forged ones have filled what regulars may have');
    assert.equal(regularsLeft(at), REGULARS);
    // and somebody new still gets in
    deliver(at, SENDER, 10 * DAY_MS);
    assert.equal(at.see(SENDER, REAL, 10 * DAY_MS), 'admission whitelisted');
  });
});

describe('a lower max-entries', () => {
  it('makes no known sender a regular beyond four fifths of it', () => {
    const at = scene({ ...KNOWN, maxEntries: CONFIG.maxEntries });
    for (let i = 0; i < 100; i++) deliver(at, numbered(1, i), 0);
    at.configure({ maxEntries: 100 });
    for (let i = 0; i < 100; i++) at.see(numbered(1, i), REAL, 10 * MINUTE_MS);
    assert.deepEqual(at.tracker.known, { all: 100, regulars: 80 });
  });
});

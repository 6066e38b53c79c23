import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatPrefix, type PrefixText } from '../../src/packet/address.js';
import { Tracker, type TrackerConfig } from '../../src/tracker/tracker.js';
import { Entry, type Origin } from '../../src/tracker/whitelist.js';
import { address, prefix, prefixTexts, syn } from '../support/observations.js';
import {
  CONFIG,
  FAKE,
  FAKE6,
  HOUR_MS,
  REAL,
  REAL6,
  type Scene,
  scene,
  used,
} from '../support/tracker-scene.js';

/** Lets an address in that has not tried the fake MX itself. */
function admit(
  { tracker }: Scene,
  text: string,
  origin: 'name' | 'pool',
  nowMs = 0,
  lifeMs = HOUR_MS,
): string {
  const admitted = tracker.admit(address(text), origin, nowMs, nowMs + lifeMs);
  return admitted instanceof Entry ? formatPrefix(admitted.prefix) : admitted;
}

/** What is known of the entry that an address falls under. */
function known({ tracker }: Scene, text: string): Partial<Entry> | undefined {
  const entry = tracker.find(address(text));
  if (entry === undefined) return undefined;
  const { text: stored, origin, attempts, lastAttemptMs, deadlineMs, admissions, name, parent } = entry;
  return { text: stored, origin, attempts, lastAttemptMs, deadlineMs, admissions, name, parent };
}

describe('an entry that came by name or pool', () => {
  it("becomes the sender's own when it tries the fake MX", () => {
    for (const origin of ['name', 'pool'] as const) {
      const at = scene();
      admit(at, '203.0.113.7', origin);
      assert.equal(at.see('203.0.113.7', FAKE, 5000), 'attempt promoted');
      const text = '203.0.113.7' as PrefixText;
      assert.deepEqual(known(at, '203.0.113.7'), {
        ...{ text, origin: 'attempt', attempts: 1, lastAttemptMs: 5000, deadlineMs: 3_605_000 },
        ...{ admissions: 0, name: undefined, parent: undefined },
      });
      assert.deepEqual(at.heard, ['+203.0.113.7']);
      assert.equal(at.see('203.0.113.7', FAKE, 6000), 'attempt renewed');
    }
  });

  it('does not belong to the one that it came in with any more', () => {
    const at = scene();
    at.see('203.0.113.6', FAKE);
    const parent = at.tracker.find(address('203.0.113.6'));
    at.tracker.admit(address('203.0.113.7'), 'name', 0, HOUR_MS, parent);
    assert.equal(at.tracker.find(address('203.0.113.7'))?.parent, parent);
    at.see('203.0.113.7', FAKE, 1);
    assert.equal(at.tracker.find(address('203.0.113.7'))?.parent, undefined);
  });

  it('of a single IPv6 address becomes the network that is stored of a sender, and keeps what is known of it', () => {
    const at = scene();
    admit(at, '2001:db8:7:8::1', 'name');
    at.see('2001:db8:7:8::1', REAL6, 10);
    at.see('2001:db8:7:8::1', REAL6, 20);
    const entry = at.tracker.find(address('2001:db8:7:8::1'));
    assert.ok(entry !== undefined);
    at.tracker.setName(entry, 'mail.example.org');
    assert.equal(at.see('2001:db8:7:8::2', REAL6, 25), 'refusal not-whitelisted');
    assert.equal(at.see('2001:db8:7:8::1', FAKE6, 30), 'attempt promoted');
    assert.deepEqual(known(at, '2001:db8:7:8::2'), {
      ...{
        text: '2001:db8:7:8::/64',
        origin: 'attempt',
        attempts: 1,
        lastAttemptMs: 30,
        deadlineMs: 3_600_030,
      },
      ...{ admissions: 2, name: 'mail.example.org', parent: undefined },
    });
    assert.deepEqual(at.heard, ['+2001:db8:7:8::1', '-2001:db8:7:8::1 replaced 2', '+2001:db8:7:8::/64']);
    at.tracker.expire(HOUR_MS + 29);
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64']);
    at.tracker.expire(HOUR_MS + 30);
    assert.deepEqual(at.prefixes, []);
  });

  it('gives way to the network that has tried already', () => {
    const at = scene();
    admit(at, '2001:db8:7:8::1', 'name');
    at.see('2001:db8:7:8::1', REAL6, 10);
    assert.equal(at.see('2001:db8:7:8::2', FAKE6, 20), 'attempt new-entry');
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64', '2001:db8:7:8::1']);
    assert.equal(at.see('2001:db8:7:8::1', FAKE6, 30), 'attempt promoted');
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64']);
    const { attempts, lastAttemptMs, admissions } = known(at, '2001:db8:7:8::1') ?? {};
    assert.deepEqual(
      { attempts, lastAttemptMs, admissions },
      { attempts: 2, lastAttemptMs: 30, admissions: 1 },
    );
  });

  it('leaves a network that an operator has let in his', () => {
    const at = scene();
    admit(at, '2001:db8:7:8::1', 'name');
    at.tracker.allow(prefix('2001:db8:7:8::/64'), 0, 2 * HOUR_MS);
    at.see('2001:db8:7:8::1', FAKE6, 30);
    assert.equal(known(at, '2001:db8:7:8::1')?.origin, 'manual');
    assert.equal(known(at, '2001:db8:7:8::1')?.deadlineMs, 2 * HOUR_MS);
  });

  it('is given up like any other from then on, not before those who have tried', () => {
    const at = scene({ maxEntries: 2 });
    admit(at, '203.0.113.7', 'name');
    at.see('203.0.113.1', FAKE, 1);
    at.see('203.0.113.7', FAKE, 2);
    at.see('203.0.113.9', FAKE, 3);
    assert.deepEqual(at.prefixes, ['203.0.113.7', '203.0.113.9']);
  });

  it('needs no room to become its own, however full it is', () => {
    const at = scene({ maxEntries: 2 });
    admit(at, '2001:db8:7:8::1', 'name');
    at.see('203.0.113.1', FAKE, 1);
    at.see('2001:db8:7:8::1', FAKE6, 2);
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64', '203.0.113.1']);
    assert.equal(at.tracker.counters.evicted, 0);
  });

  it('that an earlier version has kept is treated the same', () => {
    const at = scene();
    at.tracker.restore({
      ...{ prefix: prefix('2001:db8:7:8::1'), text: '2001:db8:7:8::1' as PrefixText, origin: 'name' },
      ...{ addedMs: -5, deadlineMs: 1000, lastAttemptMs: 0, attempts: 3, ...used(1), name: undefined },
    });
    at.see('2001:db8:7:8::1', FAKE6, 30);
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64']);
  });
});

describe('one that has tried the fake MX', () => {
  const FULL = { maxEntries: 2 };

  it('never has to go for one that comes by name or pool', () => {
    for (const origin of ['name', 'pool'] as const) {
      const at = scene(FULL);
      at.see('203.0.113.1', FAKE);
      at.see('203.0.113.2', FAKE);
      assert.equal(admit(at, '203.0.113.7', origin), 'no-room');
      assert.deepEqual(at.prefixes, ['203.0.113.1', '203.0.113.2']);
      const { named, pooled, evicted } = at.tracker.counters;
      assert.deepEqual([named, pooled, evicted], [0, 0, 0]);
    }
  });

  it('is not the only one that has to go: of a pool it is one of name or pool that never came', () => {
    const at = scene(FULL);
    admit(at, '203.0.113.1', 'name', 0);
    admit(at, '203.0.113.2', 'pool', 1);
    assert.equal(admit(at, '203.0.113.7', 'name', 2), 'no-room');
    assert.equal(admit(at, '203.0.113.8', 'pool', 3), '203.0.113.8');
    assert.deepEqual(at.heard.slice(2), ['-203.0.113.1 no-room 0', '+203.0.113.8']);
    at.see('203.0.113.2', REAL, 4);
    at.see('203.0.113.8', REAL, 4);
    assert.equal(admit(at, '203.0.113.9', 'pool', 5), 'no-room');
  });

  it('does not have to go for one of an earlier run either', () => {
    const at = scene(FULL);
    const saved = (text: string, origin: Origin, admissions = 0): boolean =>
      at.tracker.restore({
        ...{ prefix: prefix(text), text: text as PrefixText, origin, addedMs: 0, deadlineMs: 1000 },
        ...{ lastAttemptMs: 0, attempts: 0, ...used(admissions), name: undefined },
      });
    assert.equal(saved('203.0.113.1', 'attempt'), true);
    assert.equal(saved('203.0.113.2', 'pool'), true);
    assert.equal(saved('203.0.113.3', 'name'), true);
    assert.equal(saved('203.0.113.4', 'attempt'), true);
    assert.equal(saved('203.0.113.5', 'pool'), false);
    assert.deepEqual(at.prefixes, ['203.0.113.1', '203.0.113.4']);
    assert.equal(saved('203.0.113.6', 'pool', 1), true);
    assert.deepEqual(at.prefixes, ['203.0.113.4', '203.0.113.6']);
  });
});

describe('who is let in', () => {
  const LIFE_MS = 100;
  const last = fc.nat(3);
  const six = fc.boolean();
  const who = { last, six };
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constant('try' as const), ...who }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('request' as const), ...who }) },
    { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('name' as const, 'pool' as const), ...who }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('allow' as const), ...who }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('forget' as const), ...who }) },
    {
      weight: 1,
      arbitrary: fc.record({ does: fc.constant('restore' as const), ...who, used: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.nat(60) }) },
    {
      weight: 1,
      arbitrary: fc.record({ does: fc.constant('room' as const), most: fc.integer({ min: 1, max: 6 }) }),
    },
  );

  it('keeps its place against companions, and companions that try are stored as any sender', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let config: TrackerConfig = { ...CONFIG, whitelistTimeMs: LIFE_MS, maxEntries: 3 };
        const held = new Map<string, Entry>();
        let gone: Entry[] = [];
        const counted = { added: 0, restored: 0, timeout: 0, 'no-room': 0, forgotten: 0, replaced: 0 };
        const tracker = new Tracker(
          config,
          {
            added: (entry) => {
              assert.ok(!held.has(entry.text), `${entry.text} came twice`);
              held.set(entry.text, entry);
              assert.ok(held.size <= config.maxEntries, 'more than max-entries');
              counted.added++;
            },
            removed: (entry, reason) => {
              assert.equal(held.get(entry.text), entry, `${entry.text} went without having come`);
              held.delete(entry.text);
              gone.push(entry);
              counted[reason]++;
            },
          },
          [3, 4],
        );
        let nowMs = 0;
        for (const one of steps) {
          gone = [];
          if (one.does === 'wait') {
            nowMs += one.ms;
            tracker.expire(nowMs);
            for (const { deadlineMs, text } of held.values())
              assert.ok(deadlineMs > nowMs, `${text} is overdue`);
          } else if (one.does === 'room') {
            config = { ...config, maxEntries: one.most };
            tracker.configure(config);
          } else {
            const text = one.six ? `2001:db8:7:${one.last >> 1}::${one.last}` : `203.0.113.${one.last}`;
            const [fake, real] = one.six ? [FAKE6, REAL6] : [FAKE, REAL];
            const found = tracker.find(address(text));
            switch (one.does) {
              case 'try': {
                const wasCompanion = found?.origin === 'name' || found?.origin === 'pool';
                const decision = tracker.observe(syn(text, fake), nowMs);
                const expected = wasCompanion ? 'promoted' : found === undefined ? 'new-entry' : 'renewed';
                assert.equal(decision.reason, expected);
                const own = tracker.find(address(text));
                assert.ok(own !== undefined && own.origin !== 'name' && own.origin !== 'pool');
                if (expected !== 'renewed') assert.ok(own.prefix.length <= (one.six ? 64 : 32));
                assert.ok(own.deadlineMs >= nowMs + LIFE_MS && own.lastAttemptMs === nowMs);
                if (wasCompanion) assert.ok(own.admissions >= found.admissions, 'forgotten that it was used');
                break;
              }
              case 'request':
                assert.equal(tracker.observe(syn(text, real), nowMs).kind, found ? 'admission' : 'refusal');
                break;
              case 'name':
              case 'pool': {
                const before = held.size;
                tracker.admit(address(text), one.does, nowMs, nowMs + LIFE_MS);
                assert.ok(gone.length <= (one.does === 'pool' && before === config.maxEntries ? 1 : 0));
                break;
              }
              case 'allow':
                tracker.allow(tracker.roles.entryPrefix(address(text)), nowMs, nowMs + LIFE_MS);
                break;
              case 'forget':
                if (found !== undefined) tracker.forget(found);
                break;
              case 'restore': {
                const stored = prefix(text);
                if (tracker.get(stored) !== undefined) break;
                const isIn = tracker.restore({
                  ...{ prefix: stored, text: formatPrefix(stored), origin: 'pool', addedMs: nowMs },
                  ...{ deadlineMs: nowMs + 1, lastAttemptMs: nowMs, attempts: 0, name: undefined },
                  ...used(one.used ? 1 : 0),
                });
                counted.restored += Number(isIn);
                if (one.used) assert.ok(isIn);
                break;
              }
            }
            const isFromElsewhere =
              one.does === 'name' || one.does === 'pool' || (one.does === 'restore' && !one.used);
            if (isFromElsewhere) {
              for (const { origin, admissions } of gone) {
                assert.ok(
                  (origin === 'name' || origin === 'pool') && admissions === 0,
                  'one of rank had to go',
                );
              }
            }
          }
          assert.deepEqual(prefixTexts(tracker.entries()), [...held.keys()].sort());
          assert.ok(held.size <= config.maxEntries);
        }
        const { counters } = tracker;
        assert.deepEqual([counters.expired, counters.evicted], [counted.timeout, counted['no-room']]);
        // a replacement is the same entry in another size, unless the other one was there
        const made = counted.added - counted.restored;
        assert.ok(made >= counters.added && made - counters.added <= counted.replaced);
      }),
      { numRuns: 500 },
    );
  });
});

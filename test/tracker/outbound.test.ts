import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Action, Direction } from '../../src/packet/pflog.js';
import type { Decision } from '../../src/tracker/decision.js';
import { TcpFlag } from '../../src/packet/observation.js';
import { address, type ObservationFields, prefix, syn } from '../support/observations.js';
import { FAKE, HOUR_MS, REAL, REAL6, type Scene, scene, words } from '../support/tracker-scene.js';

const HOST = '203.0.113.25';
const HOST6 = '2001:db8:7::25';
const DAY_MS = 24 * HOUR_MS;
/** As pf writes it down. */
const OUT = { direction: Direction.OUT, action: Action.PASS } as const;

/** A tracker that wants to know of connections that this network opens. */
function outbound(change: Parameters<typeof scene>[0] = {}): Scene {
  return scene({ outbound: true, ...change });
}

describe('a connection that this network opens to a mail server', () => {
  it('makes that one an entry of its address alone, which may come to the real MX', () => {
    const { tracker, see, heard, prefixes } = methods(outbound());
    assert.equal(see(REAL, HOST, 0, OUT), 'outbound new-entry');
    assert.equal(see(REAL6, HOST6, 0, OUT), 'outbound new-entry');
    assert.deepEqual(prefixes(), [HOST6, HOST].sort());
    assert.deepEqual(heard, [`+${HOST}`, `+${HOST6}`]);
    assert.equal(tracker.find(address(HOST))?.origin, 'outbound');
    assert.equal(tracker.find(address(HOST))?.deadlineMs, HOUR_MS);
    assert.equal(see(HOST, REAL, 1000), 'admission whitelisted');
    const { outbound: count, attempts, added, refusals } = tracker.counters;
    assert.deepEqual([count, attempts, added, refusals], [2, 0, 2, 0]);
  });

  it('lets it stay, once it has been admitted, for as long as any other', () => {
    const { tracker, see } = methods(outbound({ knownTimeMs: 8 * DAY_MS }));
    see(REAL, HOST, 0, OUT);
    see(HOST, REAL, 1000);
    tracker.expire(7 * DAY_MS);
    assert.equal(see(HOST, REAL, 7 * DAY_MS), 'admission whitelisted');
    assert.equal(tracker.find(address(HOST))?.origin, 'outbound');
  });

  it('renews the entry that is there, whatever it came by', () => {
    const { tracker, see } = methods(outbound());
    see(REAL, HOST, 0, OUT);
    assert.equal(see(REAL, HOST, 1000, OUT), 'outbound renewed');
    assert.equal(tracker.find(address(HOST))?.deadlineMs, HOUR_MS + 1000);
    see('198.51.100.7', FAKE, 0);
    assert.equal(see(REAL, '198.51.100.7', 2000, OUT), 'outbound renewed');
    const entry = tracker.find(address('198.51.100.7'));
    assert.deepEqual([entry?.origin, entry?.deadlineMs], ['attempt', HOUR_MS + 2000]);
  });

  it('is its own when it tries the fake MX itself, with what is stored of a sender', () => {
    const { tracker, see } = methods(outbound());
    see(REAL6, HOST6, 0, OUT);
    assert.equal(see(HOST6, '2001:db8::3', 10), 'attempt promoted');
    assert.equal(tracker.find(address(HOST6))?.origin, 'attempt');
    assert.equal(tracker.find(address('2001:db8:7::26'))?.text, '2001:db8:7::/64');
  });

  it('takes the room of nobody who has come himself', () => {
    const { see, prefixes } = methods(outbound({ maxEntries: 2 }));
    see('198.51.100.7', FAKE, 0);
    see(REAL, HOST, 1, OUT);
    assert.equal(see(REAL, '203.0.113.26', 2, OUT), 'outbound new-entry');
    assert.deepEqual(prefixes(), ['198.51.100.7', '203.0.113.26']);
    see('198.51.100.8', FAKE, 3);
    assert.equal(see(REAL, HOST, 4, OUT), 'outbound no-room');
    assert.deepEqual(prefixes(), ['198.51.100.7', '198.51.100.8']);
  });

  it('is no entry when it is let in at all times', () => {
    const { see, prefixes } = methods(outbound({ allow: [prefix('203.0.113.0/24')] }));
    assert.equal(see(REAL, HOST, 0, OUT), 'outbound always-allowed');
    assert.deepEqual(prefixes(), []);
  });

  it('is seen by a router, and in a recording, by the mail server that opens it', () => {
    for (const direction of [Direction.IN, Direction.UNKNOWN]) {
      const fields = { direction, action: Action.NONE };
      assert.equal(methods(outbound()).see(REAL, HOST, 0, fields), 'outbound new-entry');
      const other = methods(outbound()).see('192.0.2.99', HOST, 0, fields);
      assert.equal(other, 'unjudged other-destination', 'of another host nobody knows whose it is');
    }
    // of pf there is a record that says which way
    assert.equal(
      methods(outbound()).see(REAL, HOST, 0, { action: Action.PASS }),
      'unjudged other-destination',
    );
  });

  it('by any host of this network counts when it goes out', () => {
    assert.equal(methods(outbound()).see('10.0.0.9', HOST, 0, OUT), 'outbound new-entry');
  });
});

describe('what leaves and is no such connection', () => {
  const cases: readonly (readonly [string, string, string, ObservationFields])[] = [
    ['to another port', REAL, HOST, { ...OUT, port: 443 }],
    ['an answer', REAL, HOST, { ...OUT, flags: TcpFlag.SYN | TcpFlag.ACK }],
    ['data', REAL, HOST, { ...OUT, flags: TcpFlag.ACK | TcpFlag.PSH }],
    ['what pf has blocked', REAL, HOST, { ...OUT, action: Action.DROP }],
    ['what pf has dropped after all', REAL, HOST, { ...OUT, pfReason: 5 }],
    ['a record of a match rule', REAL, HOST, { ...OUT, action: Action.MATCH }],
    ['to our own real MX', '10.0.0.9', REAL, OUT],
    ['to our own fake MX', '10.0.0.9', FAKE, OUT],
    ['to this machine', REAL, '127.0.0.1', OUT],
    ['to everybody', REAL, '224.0.0.1', OUT],
    ['what is forwarded', REAL, HOST, { ...OUT, direction: Direction.FORWARD }],
  ];
  for (const [what, from, to, fields] of cases) {
    it(`makes no entry: ${what}`, () => {
      const { see, prefixes } = methods(outbound());
      assert.equal(see(from, to, 0, fields), 'unjudged not-inbound');
      assert.deepEqual(prefixes(), []);
    });
  }

  it('is nothing to anybody unless it is asked for', () => {
    const { see, prefixes } = methods(scene());
    assert.equal(see(REAL, HOST, 0, OUT), 'unjudged not-inbound');
    assert.equal(
      see(REAL, HOST, 0, { direction: Direction.UNKNOWN, action: Action.NONE }),
      'unjudged other-destination',
    );
    assert.deepEqual(prefixes(), []);
  });

  it('is asked for by another configuration, from then on', () => {
    const one = scene();
    one.see(REAL, HOST, 0, OUT);
    one.configure({ outbound: true });
    assert.equal(one.see(REAL, HOST, 1, OUT), 'outbound new-entry');
    one.configure({ outbound: false });
    assert.equal(one.see(REAL, '203.0.113.26', 2, OUT), 'unjudged not-inbound');
    assert.deepEqual(one.prefixes, [HOST], 'who is in stays for its time');
  });
});

/** The parts of a scene that a test uses. */
function methods(one: Scene): {
  tracker: Scene['tracker'];
  heard: string[];
  see: (from: string, to: string, nowMs?: number, fields?: ObservationFields) => string;
  prefixes: () => string[];
} {
  const { tracker, heard } = one;
  const see = (from: string, to: string, nowMs = 0, fields: ObservationFields = {}): string => {
    const decision: Decision = tracker.observe(syn(from, to, fields), nowMs);
    return words(decision);
  };
  return { tracker, heard, see, prefixes: () => one.prefixes };
}

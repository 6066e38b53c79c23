import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressOfWords, formatPrefix } from '../../src/packet/address.js';
import { TcpFlag } from '../../src/packet/observation.js';
import { Action, Direction } from '../../src/packet/pflog.js';
import { Tracker, type TrackerConfig } from '../../src/tracker/tracker.js';
import {
  address,
  type ObservationFields,
  prefix,
  prefixTexts,
  syn,
  synBetween,
} from '../support/observations.js';
import {
  CONFIG,
  FAKE,
  FAKE6,
  HOUR_MS,
  REAL,
  REAL6,
  type Scene,
  scene,
  words,
} from '../support/tracker-scene.js';

describe('an attempt', () => {
  it('is a SYN to a fake MX, and makes an entry', () => {
    const { tracker, heard } = scene();
    const decision = tracker.observe(syn('203.0.113.7', FAKE), 5000);
    assert.ok(decision.kind === 'attempt' && decision.entry !== undefined);
    const { origin, addedMs, lastAttemptMs, deadlineMs, attempts, admissions } = decision.entry;
    assert.deepEqual(
      { origin, addedMs, lastAttemptMs, deadlineMs, attempts, admissions },
      {
        origin: 'attempt',
        addedMs: 5000,
        lastAttemptMs: 5000,
        deadlineMs: 3_605_000,
        attempts: 1,
        admissions: 0,
      },
    );
    assert.deepEqual(heard, ['+203.0.113.7']);
    assert.equal(tracker.size, 1);
  });

  it('is one whether pf blocked the SYN or passed it', () => {
    assert.equal(scene().see('203.0.113.7', FAKE, 0, { action: Action.DROP }), 'attempt new-entry');
    assert.equal(scene().see('203.0.113.7', FAKE, 0, { action: Action.PASS }), 'attempt new-entry');
  });

  it('renews the entry of who tried before', () => {
    const { tracker, heard } = scene();
    tracker.observe(syn('203.0.113.7', FAKE), 0);
    const decision = tracker.observe(syn('203.0.113.7', FAKE), 1000);
    assert.equal(words(decision), 'attempt renewed');
    assert.ok(decision.kind === 'attempt' && decision.entry !== undefined);
    assert.equal(decision.entry.attempts, 2);
    assert.equal(decision.entry.addedMs, 0);
    assert.equal(decision.entry.lastAttemptMs, 1000);
    assert.equal(decision.entry.deadlineMs, 3_601_000);
    assert.deepEqual(heard, ['+203.0.113.7']);
    assert.equal(tracker.counters.renewals, 1);
  });

  it('at the IPv4 address does not let in a sender over IPv6', () => {
    const { tracker } = scene();
    tracker.observe(syn('203.0.113.7', FAKE), 0);
    assert.equal(words(tracker.observe(syn('2001:db8:7::7', REAL6), 1)), 'refusal not-whitelisted');
  });
});

describe('who tries the fake MX and is no sender', () => {
  it('has no entry when it has an address of ours, and counts as an attempt', () => {
    const at = scene({ own: [address('198.51.100.9'), address('2001:db8:5::9')] });
    for (const from of ['198.51.100.9', REAL]) assert.equal(at.see(from, FAKE), 'attempt no-sender');
    assert.equal(at.see('2001:db8:5::9', FAKE6), 'attempt no-sender');
    assert.deepEqual([at.tracker.size, at.tracker.counters.attempts], [0, 3]);
    // and is judged at the real MX as anybody
    assert.equal(at.see('198.51.100.9', REAL), 'refusal not-whitelisted');
    assert.equal(at.see('2001:db8:5::8', FAKE6), 'attempt new-entry');
  });

  it('does not come in by the name of another either', () => {
    const at = scene({ own: [address('198.51.100.9')] });
    assert.equal(at.tracker.admit(address('198.51.100.9'), 'name', 0, HOUR_MS), 'not-needed');
    assert.equal(at.tracker.admit(address(REAL), 'name', 0, HOUR_MS), 'not-needed');
    assert.equal(at.tracker.size, 0);
  });

  it('lets in nobody else behind its translator', () => {
    const at = scene();
    assert.equal(at.see('64:ff9b::cb00:7107', FAKE6), 'attempt new-entry');
    assert.deepEqual(at.heard, ['+64:ff9b::cb00:7107']);
    assert.equal(at.see('64:ff9b::cb00:7107', REAL6), 'admission whitelisted');
    assert.equal(at.see('64:ff9b::cb00:7108', REAL6), 'refusal not-whitelisted');
  });
});

describe('a SYN that is no attempt', () => {
  const cases: readonly (readonly [string, string, string, ObservationFields, string])[] = [
    ['to another port of the fake MX', '203.0.113.7', FAKE, { port: 587 }, 'other-port'],
    ['to another port of the real MX', '203.0.113.7', REAL, { port: 465 }, 'other-port'],
    ['to any other address', '203.0.113.7', '192.0.2.5', {}, 'other-destination'],
    ['to the IPv6 address next to the fake MX', '2001:db8:7::7', '2001:db8::2', {}, 'other-destination'],
    ['that leaves', '203.0.113.7', FAKE, { direction: Direction.OUT }, 'not-inbound'],
    ['that is forwarded', '203.0.113.7', FAKE, { direction: Direction.FORWARD }, 'not-inbound'],
    ['of a match rule', '203.0.113.7', FAKE, { action: Action.MATCH }, 'not-a-verdict'],
    ['of a scrub rule', '203.0.113.7', FAKE, { action: 2 }, 'not-a-verdict'],
    ['of a nat rule', '203.0.113.7', FAKE, { action: 4 }, 'not-a-verdict'],
    ['of an action nobody knows', '203.0.113.7', FAKE, { action: 200 }, 'not-a-verdict'],
    [
      'that a pass rule let in and its IP options threw out',
      '203.0.113.7',
      REAL,
      { action: Action.PASS, pfReason: 8 },
      'ip-options',
    ],
    [
      'that a pass rule let in, with IP options,',
      '203.0.113.7',
      REAL,
      { action: Action.PASS, hasIpOptions: true },
      'ip-options',
    ],
    ['whose IP options pf threw out', '203.0.113.7', REAL, { pfReason: 8 }, 'ip-options'],
    ['that pf threw out beside its rules', '203.0.113.7', REAL, { pfReason: 3 }, 'not-a-verdict'],
    [
      'that a redirection let in and a limit threw out',
      '203.0.113.7',
      REAL,
      { action: Action.RDR, pfReason: 5 },
      'dropped-after-pass',
    ],
  ];
  for (const [what, from, to, fields, reason] of cases) {
    it(`${what} is ${reason}, and counts nothing`, () => {
      const at = scene();
      assert.equal(at.see(from, to, 0, fields), `unjudged ${reason}`);
      assert.equal(at.tracker.size, 0);
      const { attempts, refusals, admissions } = at.tracker.counters;
      assert.deepEqual([attempts, refusals, admissions], [0, 0, 0]);
    });
  }

  it('a SYN to the fake MX counts whatever becomes of it', () => {
    assert.equal(scene().see('203.0.113.7', FAKE, 0, { pfReason: 8 }), 'attempt new-entry');
    const passed = { action: Action.PASS, hasIpOptions: true };
    assert.equal(scene().see('203.0.113.7', FAKE, 0, passed), 'attempt new-entry');
    assert.equal(scene().see('203.0.113.7', FAKE, 0, { ...passed, pfReason: 8 }), 'attempt new-entry');
  });

  it('a packet of a redirection counts as passed', () => {
    const at = scene({ authority: 'pf' });
    assert.equal(at.see('203.0.113.7', REAL, 0, { action: 8 }), 'admission passed-by-pf');
  });
});

describe('a segment that is no SYN', () => {
  const { SYN, ACK, RST, FIN, PSH, URG, ECE, CWR } = TcpFlag;
  const cases: readonly (readonly [string, number])[] = [
    ['ACK', ACK],
    ['SYN+ACK', SYN | ACK],
    ['RST', RST],
    ['RST+ACK', RST | ACK],
    ['FIN', FIN],
    ['FIN+ACK', FIN | ACK],
    ['data', PSH | ACK],
    ['no flag at all', 0],
    ['everything but SYN', ACK | RST | FIN | PSH | URG | ECE | CWR],
  ];
  for (const [name, flags] of cases) {
    it(`${name}: no attempt, no refusal`, () => {
      const at = scene();
      assert.equal(at.see('203.0.113.7', FAKE, 0, { flags }), 'unjudged not-syn');
      assert.equal(at.see('203.0.113.7', REAL, 0, { flags }), 'unjudged not-syn');
      assert.deepEqual(at.heard, []);
      assert.equal(at.tracker.counters.refusals, 0);
    });
  }

  it('a SYN that offers ECN is a SYN', () => {
    assert.equal(scene().see('203.0.113.7', FAKE, 0, { flags: SYN | ECE | CWR }), 'attempt new-entry');
  });
});

describe('a source', () => {
  const impossible = [
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '127.255.255.255',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ];
  for (const from of impossible) {
    it(`${from} is impossible`, () => {
      assert.equal(scene().see(from, FAKE), 'unjudged impossible-source');
      assert.equal(scene().see(from, REAL), 'unjudged impossible-source');
    });
  }
  for (const from of ['::', '::1', '::ffff:203.0.113.7', 'ff02::1', 'ffff::']) {
    it(`${from} is impossible`, () => {
      assert.equal(scene().see(from, FAKE6), 'unjudged impossible-source');
    });
  }
  for (const from of [
    '1.0.0.0',
    '10.0.0.1',
    '126.255.255.255',
    '128.0.0.1',
    '192.168.1.1',
    '223.255.255.255',
  ]) {
    it(`${from} is possible`, () => assert.equal(scene().see(from, FAKE), 'attempt new-entry'));
  }
  for (const from of ['::1:0:0:0:0', 'fdff::1', '2002:7f00:1::']) {
    it(`${from} is possible`, () => assert.equal(scene().see(from, FAKE6), 'attempt new-entry'));
  }
  for (const from of ['fe80::1', 'febf::1', '::2', '::1:0:0:0', '169.254.0.1']) {
    it(`${from} tries, and has no entry`, () => {
      const at = scene();
      assert.equal(at.see(from, from.includes(':') ? FAKE6 : FAKE), 'attempt no-sender');
      assert.deepEqual([at.heard, at.tracker.counters.attempts], [[], 1]);
    });
  }
});

describe('a SYN to the real MX, when the whitelist decides', () => {
  it('is a refusal before the attempt and an admission after it, whatever pf did', () => {
    for (const action of [Action.DROP, Action.PASS]) {
      const at = scene();
      assert.equal(at.see('203.0.113.7', REAL, 0, { action }), 'refusal not-whitelisted');
      at.see('203.0.113.7', FAKE, 1);
      assert.equal(at.see('203.0.113.7', REAL, 2, { action }), 'admission whitelisted');
      assert.equal(at.see('203.0.113.8', REAL, 3, { action }), 'refusal not-whitelisted');
      const { attempts, refusals, admissions } = at.tracker.counters;
      assert.deepEqual([attempts, refusals, admissions], [1, 2, 1]);
    }
  });

  it('is counted at the entry', () => {
    const { tracker } = scene();
    tracker.observe(syn('203.0.113.7', FAKE), 0);
    tracker.observe(syn('203.0.113.7', REAL), 1);
    tracker.observe(syn('203.0.113.7', REAL), 2);
    assert.equal(tracker.find(address('203.0.113.7'))?.admissions, 2);
    assert.equal(tracker.find(address('203.0.113.8')), undefined);
  });

  it('of a refused sender makes no entry, however often it comes', () => {
    const at = scene();
    for (let nowMs = 0; nowMs < 100; nowMs++) at.see('203.0.113.7', REAL, nowMs);
    assert.equal(at.tracker.size, 0);
    assert.equal(at.tracker.counters.refusals, 100);
  });
});

describe('a SYN to the real MX, when pf has decided', () => {
  const passed = { action: Action.PASS };

  it('is a refusal when pf blocked it, although the sender has an entry', () => {
    const at = scene({ authority: 'pf' });
    at.see('203.0.113.7', FAKE);
    const decision = at.tracker.observe(syn('203.0.113.7', REAL), 1);
    assert.equal(words(decision), 'refusal not-yet-in-table');
    assert.ok(decision.kind === 'refusal' && decision.entry !== undefined);
    assert.equal(decision.entry.admissions, 0);
  });

  it('is an admission when pf passed it, although the sender has no entry', () => {
    const at = scene({ authority: 'pf' });
    assert.equal(at.see('203.0.113.7', REAL, 0, passed), 'admission passed-by-pf');
    assert.equal(at.tracker.size, 0);
    assert.equal(at.tracker.counters.admissions, 1);
  });

  it('is the use of an entry when pf passed it and there is one', () => {
    const at = scene({ authority: 'pf' });
    at.see('203.0.113.7', FAKE);
    assert.equal(at.see('203.0.113.7', REAL, 1, passed), 'admission whitelisted');
    assert.equal(at.tracker.find(address('203.0.113.7'))?.admissions, 1);
  });

  it('from a stranger is a refusal when pf blocked it', () => {
    assert.equal(scene({ authority: 'pf' }).see('203.0.113.7', REAL), 'refusal not-whitelisted');
  });

  it('from an allowed network is told apart from a stranger, passed or blocked', () => {
    const at = scene({ authority: 'pf', allow: [prefix('203.0.113.0/24')] });
    assert.equal(at.see('203.0.113.7', REAL, 0, passed), 'admission always-allowed');
    assert.equal(at.see('203.0.113.7', REAL, 1), 'refusal not-yet-in-table');
  });
});

describe('the allow list', () => {
  const allow = [prefix('198.51.100.0/24'), prefix('2001:db8:9::/48')];

  it('admits without an attempt and without an entry', () => {
    const at = scene({ allow });
    assert.equal(at.see('198.51.100.255', REAL), 'admission always-allowed');
    assert.equal(at.see('2001:db8:9:ffff::1', REAL6), 'admission always-allowed');
    assert.equal(at.see('198.51.101.0', REAL), 'refusal not-whitelisted');
    assert.equal(at.see('2001:db8:a::1', REAL6), 'refusal not-whitelisted');
    assert.equal(at.tracker.size, 0);
  });

  it('makes an attempt count, but no entry', () => {
    const at = scene({ allow });
    const decision = at.tracker.observe(syn('198.51.100.1', FAKE), 0);
    assert.deepEqual(decision, { kind: 'attempt', reason: 'always-allowed', entry: undefined });
    assert.equal(at.tracker.counters.attempts, 1);
    assert.deepEqual(at.heard, []);
  });

  it('leaves an entry that was there before in use', () => {
    const at = scene();
    at.see('198.51.100.1', FAKE);
    at.configure({ allow });
    assert.equal(at.see('198.51.100.1', REAL, 1), 'admission whitelisted');
    assert.equal(at.see('198.51.100.1', FAKE, 2), 'attempt renewed');
  });
});

describe('the time of an entry', () => {
  it('ends whitelist-time after the attempt, not a moment before', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE, 1000);
    at.tracker.expire(3_600_999);
    assert.equal(at.see('203.0.113.7', REAL, 3_600_999), 'admission whitelisted');
    at.tracker.expire(3_601_000);
    assert.equal(at.see('203.0.113.7', REAL, 3_601_000), 'refusal not-whitelisted');
    assert.deepEqual(at.heard, ['+203.0.113.7', '-203.0.113.7 timeout 1']);
  });

  it('is renewed by a further attempt, not by a use', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE, 0);
    at.see('203.0.113.8', FAKE, 0);
    at.see('203.0.113.7', FAKE, 10_000);
    at.see('203.0.113.8', REAL, 10_000);
    at.tracker.expire(HOUR_MS);
    assert.deepEqual(at.prefixes, ['203.0.113.7']);
    at.tracker.expire(HOUR_MS + 9_999);
    assert.deepEqual(at.prefixes, ['203.0.113.7']);
    at.tracker.expire(HOUR_MS + 10_000);
    assert.deepEqual(at.prefixes, []);
  });

  it('is counted at its end as 1.9 counts it: successful when it was used, else direct to fake', () => {
    const at = scene();
    for (const last of [1, 2, 3, 4, 5]) at.see(`203.0.113.${last}`, FAKE);
    at.see('203.0.113.2', REAL, 1);
    at.see('203.0.113.4', REAL, 1);
    at.see('203.0.113.4', REAL, 2);
    at.tracker.expire(HOUR_MS);
    const { expired, expiredUsed, expiredUnused, evicted } = at.tracker.counters;
    assert.deepEqual(
      { expired, expiredUsed, expiredUnused, evicted },
      {
        expired: 5,
        expiredUsed: 2,
        expiredUnused: 3,
        evicted: 0,
      },
    );
  });

  it('is not cut short by an attempt after whitelist-time was lowered', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE, 0);
    at.configure({ whitelistTimeMs: 1000 });
    at.see('203.0.113.7', FAKE, 5000);
    at.see('203.0.113.8', FAKE, 5000);
    at.tracker.expire(6000);
    assert.deepEqual(at.prefixes, ['203.0.113.7']);
    assert.equal(at.tracker.find(address('203.0.113.7'))?.deadlineMs, HOUR_MS);
  });

  it('starts anew, with a count of 0, when the sender comes again after its end', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE, 0);
    at.see('203.0.113.7', REAL, 1);
    at.tracker.expire(HOUR_MS);
    assert.equal(at.see('203.0.113.7', FAKE, HOUR_MS), 'attempt new-entry');
    assert.equal(at.tracker.find(address('203.0.113.7'))?.admissions, 0);
  });

  it('shows in the next deadline', () => {
    const at = scene();
    assert.equal(at.tracker.nextDeadlineMs(), undefined);
    at.see('203.0.113.7', FAKE, 70);
    at.see('203.0.113.8', FAKE, 90);
    assert.equal(at.tracker.nextDeadlineMs(), HOUR_MS + 70);
    at.tracker.expire(HOUR_MS + 70);
    assert.equal(at.tracker.nextDeadlineMs(), HOUR_MS + 90);
  });
});

describe('what is stored for a sender', () => {
  it('over IPv6 is its /64, so that another address of it is admitted', () => {
    const at = scene();
    at.see('2001:db8:7:8:aaaa:bbbb:cccc:dddd', FAKE6);
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::/64']);
    assert.equal(at.see('2001:db8:7:8::1', REAL6, 1), 'admission whitelisted');
    assert.equal(at.see('2001:db8:7:8:ffff::', FAKE6, 2), 'attempt renewed');
    assert.equal(at.see('2001:db8:7:9::1', REAL6, 3), 'refusal not-whitelisted');
  });

  it('over IPv6 is exactly its address with ipv6-prefix 128', () => {
    const at = scene({ ipv6Prefix: 128 });
    at.see('2001:db8:7:8::1', FAKE6);
    assert.deepEqual(at.prefixes, ['2001:db8:7:8::1']);
    assert.equal(at.see('2001:db8:7:8::2', REAL6, 1), 'refusal not-whitelisted');
    assert.equal(at.see('2001:db8:7:8::1', REAL6, 2), 'admission whitelisted');
  });

  it('over IPv4 is its address, or its /24 with ipv4-prefix 24', () => {
    const exact = scene();
    exact.see('203.0.113.7', FAKE);
    assert.deepEqual(exact.prefixes, ['203.0.113.7']);
    assert.equal(exact.see('203.0.113.8', REAL, 1), 'refusal not-whitelisted');

    const wide = scene({ ipv4Prefix: 24 });
    wide.see('203.0.113.7', FAKE);
    assert.deepEqual(wide.prefixes, ['203.0.113.0/24']);
    assert.equal(wide.see('203.0.113.255', REAL, 1), 'admission whitelisted');
    assert.equal(wide.see('203.0.114.0', REAL, 2), 'refusal not-whitelisted');
  });

  it('follows the configuration from then on, entries that are there stay', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE);
    at.configure({ ipv4Prefix: 24 });
    assert.equal(at.see('203.0.113.7', FAKE, 1), 'attempt renewed');
    at.see('203.0.113.8', FAKE, 2);
    assert.deepEqual(at.prefixes, ['203.0.113.0/24', '203.0.113.7']);
  });
});

describe('when max-entries is reached', () => {
  const five = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'];

  function full(): Scene {
    const at = scene({ maxEntries: 5 });
    for (const [nowMs, from] of five.entries()) at.see(from, FAKE, nowMs);
    return at;
  }

  /** The prefixes that had to go, in their order. */
  function evicted(at: Scene): string[] {
    return at.heard
      .filter((line) => line.includes('no-room'))
      .map((line) => line.slice(1).split(' ')[0] ?? '');
  }

  it('the oldest entry that was never used goes first', () => {
    const at = full();
    at.see('10.0.0.1', REAL, 10);
    at.see('10.9.0.1', FAKE, 11);
    at.see('10.9.0.2', FAKE, 12);
    assert.deepEqual(evicted(at), ['10.0.0.2', '10.0.0.3']);
    assert.deepEqual(at.prefixes, ['10.0.0.1', '10.0.0.4', '10.0.0.5', '10.9.0.1', '10.9.0.2']);
    assert.equal(at.tracker.counters.evicted, 2);
    assert.equal(at.tracker.counters.expired, 0);
  });

  it('room is made before the new entry comes, so that the table never holds more', () => {
    const at = full();
    at.see('10.9.0.1', FAKE, 11);
    assert.deepEqual(at.heard.slice(-2), ['-10.0.0.1 no-room 0', '+10.9.0.1']);
  });

  it('a renewed entry is the last to go of its kind', () => {
    const at = full();
    at.see('10.0.0.1', FAKE, 10);
    for (let last = 1; last <= 5; last++) at.see(`10.9.0.${last}`, FAKE, 10 + last);
    assert.deepEqual(evicted(at), ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.1']);
  });

  it('used entries go only when all were used: who was used longest ago, first; an attempt changes nothing', () => {
    const at = full();
    for (const from of ['10.0.0.3', '10.0.0.1', '10.0.0.5', '10.0.0.2', '10.0.0.4']) at.see(from, REAL, 10);
    at.see('10.0.0.1', REAL, 20);
    at.see('10.0.0.3', FAKE, 30);
    at.configure({ maxEntries: 1 });
    assert.deepEqual(evicted(at), ['10.0.0.3', '10.0.0.5', '10.0.0.2', '10.0.0.4']);
    assert.deepEqual(at.prefixes, ['10.0.0.1']);
  });

  it('a flood of attempts pushes out itself, not who was admitted', () => {
    const at = full();
    for (const from of five) at.see(from, REAL, 10);
    at.configure({ maxEntries: 8 });
    for (let n = 0; n < 1000; n++) at.see(`10.9.${n >> 8}.${n & 255}`, FAKE, 20 + n);
    assert.equal(at.tracker.size, 8);
    for (const from of five) assert.equal(at.see(from, REAL, 2000), 'admission whitelisted');
  });

  it('a lower max-entries gives entries up at once', () => {
    const at = full();
    at.configure({ maxEntries: 2 });
    assert.deepEqual(at.prefixes, ['10.0.0.4', '10.0.0.5']);
    assert.deepEqual(at.heard.slice(5), [
      '-10.0.0.1 no-room 0',
      '-10.0.0.2 no-room 0',
      '-10.0.0.3 no-room 0',
    ]);
  });

  it('an entry that was given up does not expire later', () => {
    const at = full();
    at.see('10.9.0.1', FAKE, 11);
    at.tracker.expire(HOUR_MS * 2);
    assert.equal(at.tracker.counters.expired, 5);
    assert.equal(at.heard.filter((line) => line.startsWith('-10.0.0.1 ')).length, 1);
  });

  it('an adopted entry makes room as any other', () => {
    const at = full();
    assert.equal(at.tracker.adopt(prefix('10.9.0.1'), 'adopted', 1000, 10), true);
    assert.deepEqual(at.prefixes, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.9.0.1']);
  });
});

describe('an adopted entry', () => {
  it('lives as long as it had left', () => {
    const at = scene();
    assert.equal(at.tracker.adopt(prefix('203.0.113.7'), 'adopted', 60_000, 1000), true);
    const entry = at.tracker.find(address('203.0.113.7'));
    assert.equal(entry?.origin, 'adopted');
    assert.equal(entry?.deadlineMs, 61_000);
    assert.equal(entry?.attempts, 0);
    assert.deepEqual(at.heard, ['+203.0.113.7']);
    assert.equal(at.see('203.0.113.7', REAL, 2000), 'admission whitelisted');
    at.tracker.expire(61_000);
    assert.equal(at.tracker.size, 0);
  });

  it('lives for the whitelist time at the most', () => {
    const { tracker } = scene();
    tracker.adopt(prefix('203.0.113.7'), 'manual', Number.MAX_SAFE_INTEGER, 1000);
    assert.equal(tracker.find(address('203.0.113.7'))?.deadlineMs, 1000 + HOUR_MS);
  });

  for (const remainingMs of [0, -1, -HOUR_MS]) {
    it(`is not made with ${remainingMs} ms left`, () => {
      const at = scene();
      assert.equal(at.tracker.adopt(prefix('203.0.113.7'), 'adopted', remainingMs, 1000), false);
      assert.equal(at.tracker.size, 0);
      assert.deepEqual(at.heard, []);
    });
  }

  it('leaves an entry that is there as it is', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE, 0);
    assert.equal(at.tracker.adopt(prefix('203.0.113.7'), 'adopted', 10, 1000), true);
    const entry = at.tracker.find(address('203.0.113.7'));
    assert.equal(entry?.origin, 'attempt');
    assert.equal(entry?.deadlineMs, HOUR_MS);
    assert.deepEqual(at.heard, ['+203.0.113.7']);
    assert.equal(at.tracker.counters.adopted, 0);
  });

  it('is renewed by an attempt', () => {
    const at = scene();
    at.tracker.adopt(prefix('203.0.113.7'), 'manual', 10, 0);
    assert.equal(at.see('203.0.113.7', FAKE, 5), 'attempt renewed');
    at.tracker.expire(HOUR_MS);
    assert.equal(at.tracker.find(address('203.0.113.7'))?.attempts, 1);
  });
});

describe('another configuration', () => {
  it('exchanges the roles, and leaves the entries', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE);
    at.configure({ fake: [address(REAL)], real: [address('192.0.2.9')] });
    assert.equal(at.see('203.0.113.8', FAKE, 1), 'unjudged other-destination');
    assert.equal(at.see('203.0.113.8', REAL, 2), 'attempt new-entry');
    assert.equal(at.see('203.0.113.7', '192.0.2.9', 3), 'admission whitelisted');
  });

  it('changes the port and the allow list', () => {
    const at = scene({ allow: [prefix('198.51.100.0/24')] });
    at.configure({ port: 2525, allow: [] });
    assert.equal(at.see('203.0.113.7', FAKE), 'unjudged other-port');
    assert.equal(at.see('198.51.100.1', REAL, 1, { port: 2525 }), 'refusal not-whitelisted');
  });
});

describe('the listener', () => {
  it('hears every coming and going exactly once', () => {
    const last = fc.nat(5);
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ does: fc.constant('try' as const), last, six: fc.boolean() }) },
      { weight: 3, arbitrary: fc.record({ does: fc.constant('request' as const), last, six: fc.boolean() }) },
      { weight: 3, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.nat(60) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          does: fc.constant('adopt' as const),
          last,
          ms: fc.integer({ min: -5, max: 150 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          does: fc.constant('configure' as const),
          maxEntries: fc.integer({ min: 1, max: 7 }),
          ipv4Prefix: fc.constantFrom(24, 31, 32),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        let config: TrackerConfig = { ...CONFIG, whitelistTimeMs: 100, maxEntries: 4 };
        const held = new Map<string, { readonly deadlineMs: number }>();
        let [added, removed] = [0, 0];
        const tracker = new Tracker(
          config,
          {
            added: (entry) => {
              const text = formatPrefix(entry.prefix);
              assert.ok(!held.has(text), `${text} came twice`);
              held.set(text, entry);
              assert.ok(held.size <= config.maxEntries, 'more than max-entries');
              added++;
            },
            removed: (entry) => {
              const text = formatPrefix(entry.prefix);
              assert.equal(held.get(text), entry, `${text} went without having come`);
              held.delete(text);
              removed++;
            },
          },
          [3, 4],
        );
        let nowMs = 0;
        for (const one of steps) {
          if (one.does === 'try' || one.does === 'request') {
            const [from, fake, real] = one.six
              ? [`2001:db8:7:${one.last}::${one.last}`, FAKE6, REAL6]
              : [`203.0.113.${one.last}`, FAKE, REAL];
            const isKnown = tracker.find(address(from)) !== undefined;
            const decision = tracker.observe(syn(from, one.does === 'try' ? fake : real), nowMs);
            if (one.does === 'try') assert.equal(decision.reason, isKnown ? 'renewed' : 'new-entry');
            else assert.equal(decision.kind, isKnown ? 'admission' : 'refusal');
          } else if (one.does === 'wait') {
            nowMs += one.ms;
            tracker.expire(nowMs);
            for (const [text, entry] of held) assert.ok(entry.deadlineMs > nowMs, `${text} is overdue`);
          } else if (one.does === 'adopt') {
            tracker.adopt(prefix(`203.0.113.${one.last}`), 'adopted', one.ms, nowMs);
          } else {
            config = { ...config, maxEntries: one.maxEntries, ipv4Prefix: one.ipv4Prefix };
            tracker.configure(config);
            assert.ok(held.size <= config.maxEntries);
          }
          assert.deepEqual(prefixTexts(tracker.entries()), [...held.keys()].sort());
          assert.equal(tracker.size, held.size);
        }
        const { counters } = tracker;
        assert.equal(counters.added, added);
        assert.equal(counters.expired + counters.evicted, removed);
        assert.equal(counters.expiredUsed + counters.expiredUnused, counters.expired);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a packet of which only the addresses can be read', () => {
  const STRANGER = '203.0.113.66';
  const STRANGER6 = '2001:db8:66::66';

  /** Whether it may pass; ports and flags are 0, as `decodeAddresses` has them. */
  function passes({ tracker }: Scene, from: string, to: string): boolean {
    return tracker.mayPassUnread(syn(from, to, { port: 0, flags: 0, direction: 0, action: Action.PASS }));
  }

  it('may pass to a fake MX, whoever sends it', () => {
    const at = scene({ allow: [prefix('198.51.100.0/24')] });
    at.see('203.0.113.7', FAKE);
    for (const from of [STRANGER, '203.0.113.7', '198.51.100.9']) assert.ok(passes(at, from, FAKE), from);
    assert.ok(passes(at, STRANGER6, FAKE6));
  });

  it('may not pass to a real MX when a stranger sends it', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE);
    at.see('2001:db8:7::7', FAKE6);
    for (const from of [STRANGER, '203.0.113.6', '0.0.0.0']) assert.ok(!passes(at, from, REAL), from);
    for (const from of [STRANGER6, '2001:db8:7:1::7', '::']) assert.ok(!passes(at, from, REAL6), from);
  });

  it('may pass to a real MX when somebody whitelisted sends it, until that is over', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE);
    at.see('2001:db8:7::7', FAKE6);
    assert.ok(passes(at, '203.0.113.7', REAL));
    assert.ok(passes(at, '2001:db8:7::7', REAL6));
    assert.ok(passes(at, '2001:db8:7:0:ffff::1', REAL6), 'the same /64');
    at.tracker.expire(HOUR_MS);
    assert.ok(!passes(at, '203.0.113.7', REAL));
    assert.ok(!passes(at, '2001:db8:7::7', REAL6));
  });

  it('may pass to a real MX from what is allowed at all times, as the configuration is now', () => {
    const at = scene({ allow: [prefix('198.51.100.0/24'), prefix('2001:db8:a::/48')] });
    assert.ok(passes(at, '198.51.100.9', REAL));
    assert.ok(passes(at, '2001:db8:a:b::1', REAL6));
    assert.ok(!passes(at, '198.51.101.9', REAL));
    at.configure({ allow: [] });
    assert.ok(!passes(at, '198.51.100.9', REAL));
    at.configure({ real: [] });
    assert.ok(passes(at, '198.51.100.9', REAL), 'no real MX any more');
  });

  it('may pass to all others', () => {
    const at = scene();
    assert.ok(passes(at, STRANGER, '192.0.2.53'));
    assert.ok(passes(at, STRANGER6, '2001:db8::53'));
  });

  it('is neither attempt nor admission nor refusal: nothing is counted, stored or renewed', () => {
    const at = scene();
    at.see('203.0.113.7', FAKE);
    const [entry] = at.tracker.entries();
    const before = { counters: { ...at.tracker.counters }, ...entry };
    for (const from of ['203.0.113.7', STRANGER]) for (const to of [FAKE, REAL]) passes(at, from, to);
    assert.deepEqual({ counters: { ...at.tracker.counters }, ...entry }, before);
    assert.deepEqual(at.prefixes, ['203.0.113.7']);
  });
});

describe('a flood of chosen addresses', () => {
  const COUNT = 32_000;

  it('of 32,000 /64s that share the interface id makes 32,000 entries, and they all expire', () => {
    const at = scene();
    const nth = (n: number) => addressOfWords(6, 0x20010db8, n, 0x02005efe, 0x0a000001);
    for (let n = 0; n < COUNT; n++) at.tracker.observe(synBetween(nth(n), address(FAKE6)), n);
    assert.equal(at.tracker.size, COUNT);
    assert.equal(new Set(at.prefixes).size, COUNT);
    assert.equal(
      words(at.tracker.observe(synBetween(nth(31_999), address(REAL6)), COUNT)),
      'admission whitelisted',
    );
    at.tracker.expire(HOUR_MS + COUNT / 2 - 1);
    assert.equal(at.tracker.size, COUNT / 2);
    at.tracker.expire(HOUR_MS + COUNT);
    assert.equal(at.tracker.size, 0);
  });

  it('of 32,000 addresses that share the upper half makes 32,000 entries with ipv6-prefix 128', () => {
    const at = scene({ ipv6Prefix: 128 });
    const nth = (n: number) => addressOfWords(6, 0x20010db8, 0x00070008, n, n ^ 0x5555);
    for (let n = 0; n < COUNT; n++) at.tracker.observe(synBetween(nth(n), address(FAKE6)), n);
    assert.equal(at.tracker.size, COUNT);
    for (let n = 0; n < COUNT; n += 1000) {
      assert.equal(
        words(at.tracker.observe(synBetween(nth(n), address(REAL6)), COUNT)),
        'admission whitelisted',
      );
    }
    at.tracker.expire(HOUR_MS + COUNT);
    assert.equal(at.tracker.size, 0);
  });
});

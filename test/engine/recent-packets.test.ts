import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Judge } from '../../src/engine/judge.js';
import { Action, PfReason } from '../../src/packet/pflog.js';
import type { TrackerConfig } from '../../src/tracker/tracker.js';
import { address, type ObservationFields, syn } from '../support/observations.js';

const FAKE = '192.0.2.3';
const REAL = '192.0.2.4';
const SENDER = '203.0.113.7';

const CONFIG: TrackerConfig = {
  fake: [address(FAKE), address('2001:db8::3')],
  real: [address(REAL), address('2001:db8::4')],
  allow: [],
  port: 25,
  whitelistTimeMs: 3_600_000,
  knownTimeMs: 0,
  outbound: false,
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  maxEntries: 1000,
  authority: 'pf',
};

const PASS = { action: Action.PASS };
const DROP = { action: Action.DROP };

/** A judge, and what it says of SYNs that come one after the other. */
function scene(known: readonly string[] = []): {
  see: (from: string, to: string, fields?: ObservationFields) => string;
  counts: () => number[];
  unjudged: () => Readonly<Record<string, number>>;
  judge: Judge;
} {
  const judge = new Judge(CONFIG, { added: () => undefined, removed: () => undefined }, [1, 2]);
  for (const text of known) judge.decide(syn(text, FAKE, { sequence: 7 }), 0);
  return {
    judge,
    see: (from, to, fields) => {
      const { decision } = judge.decide(syn(from, to, fields), 1);
      return `${decision.kind} ${decision.reason}`;
    },
    counts: () => {
      const { attempts, refusals, admissions } = judge.tracker.counters;
      return [attempts - known.length, refusals, admissions];
    },
    unjudged: () => Object.fromEntries(judge.unjudged),
  };
}

describe('a second record of a SYN', () => {
  it('within 100 ms counts nothing', () => {
    const at = scene();
    assert.equal(at.see(SENDER, FAKE), 'attempt new-entry');
    assert.equal(at.see(SENDER, FAKE, { afterMs: 0.02 }), 'unjudged same-packet');
    assert.equal(at.see(SENDER, FAKE, { afterMs: 100 }), 'unjudged same-packet');
    assert.deepEqual(at.counts(), [1, 0, 0]);
    assert.deepEqual(at.unjudged(), { 'same-packet': 2 });
    assert.equal(at.judge.tracker.find(address(SENDER))?.attempts, 1);
  });

  it('after that is a repetition', () => {
    const at = scene();
    at.see(SENDER, FAKE);
    assert.equal(at.see(SENDER, FAKE, { afterMs: 101 }), 'attempt renewed');
    assert.equal(at.see(SENDER, FAKE, { afterMs: 1101 }), 'attempt renewed');
  });

  it('is known by addresses, ports and sequence number: each of them makes another SYN', () => {
    const at = scene();
    at.see('2001:db8:1::1', '2001:db8::3');
    const others: readonly (readonly [string, string, ObservationFields])[] = [
      ['2001:db8:1::2', '2001:db8::3', {}],
      ['2001:db8:1::1', '2001:db8::4', {}],
      ['2001:db8:1::1', '2001:db8::3', { sourcePort: 40_001 }],
      ['2001:db8:1::1', '2001:db8::3', { sequence: -1_000_000_000 }],
    ];
    for (const [from, to, fields] of others) assert.doesNotMatch(at.see(from, to, fields), /same-packet/);
    assert.equal(at.judge.unjudged.size, 0);
  });

  it('is not known any more when more SYNs have come than are remembered', () => {
    const at = scene();
    at.see(SENDER, FAKE);
    for (let port = 1024; port < 61_024; port++) at.see(SENDER, FAKE, { sourcePort: port, sequence: port });
    assert.equal(at.see(SENDER, FAKE), 'attempt renewed');
  });

  it('is not looked for among packets that no pf has written down', () => {
    const at = scene();
    at.see(SENDER, FAKE, { action: Action.NONE });
    assert.equal(at.see(SENDER, FAKE, { action: Action.NONE }), 'attempt renewed');
  });

  it('behind the record of a match rule is the one that counts', () => {
    const at = scene();
    assert.equal(at.see(SENDER, FAKE, { action: Action.MATCH }), 'unjudged not-a-verdict');
    assert.equal(at.see(SENDER, FAKE), 'attempt new-entry');
  });

  it('with another destination is the same packet, redirected', () => {
    const at = scene();
    const rdr = { action: Action.RDR };
    assert.equal(at.see(SENDER, REAL, rdr), 'admission passed-by-pf');
    assert.equal(at.see(SENDER, '192.0.2.3', { ...rdr, afterMs: 0.24 }), 'unjudged same-packet');
    assert.deepEqual(at.counts(), [0, 0, 1]);
  });
});

describe('records that contradict each other, as log (matches) writes them', () => {
  const cases: readonly (readonly [string, readonly string[], readonly ObservationFields[], number[]])[] = [
    ['a stranger passed by an earlier rule and dropped is a refusal', [], [PASS, DROP, DROP], [0, 1, 0]],
    [
      'a stranger dropped by an earlier rule and passed by the last is an admission',
      [],
      [DROP, PASS],
      [0, 1, 0],
    ],
    ['a whitelisted sender passed twice is one admission', [SENDER], [PASS, DROP, PASS, PASS], [0, 0, 1]],
    [
      'a whitelisted sender dropped by an earlier rule and passed is an admission',
      [SENDER],
      [DROP, PASS],
      [0, 0, 1],
    ],
  ];
  for (const [what, known, records, counts] of cases) {
    it(what, () => {
      const at = scene(known);
      records.forEach((fields, index) => at.see(SENDER, REAL, { ...fields, afterMs: 0.01 * index }));
      assert.deepEqual(at.counts(), counts);
      assert.equal(at.unjudged()['same-packet'], records.length - 1);
    });
  }

  it('a stranger passed, and dropped for its options, is neither', () => {
    const at = scene();
    assert.equal(at.see(SENDER, REAL, PASS), 'admission passed-by-pf');
    const dropped = { ...DROP, pfReason: PfReason.IP_OPTION };
    assert.equal(at.see(SENDER, REAL, dropped), 'unjudged ip-options');
    assert.equal(at.see(SENDER, REAL, dropped), 'unjudged same-packet');
    assert.deepEqual(at.counts(), [0, 0, 0]);
    assert.deepEqual(at.unjudged(), { 'same-packet': 2, 'ip-options': 1 });
  });
});

describe('a SYN with IP options that pf passes', () => {
  const options = { ...PASS, hasIpOptions: true };

  it('is no admission: pf drops it after all', () => {
    const at = scene([SENDER]);
    assert.equal(at.see(SENDER, REAL, options), 'unjudged ip-options');
    assert.equal(at.see(SENDER, REAL, { ...options, afterMs: 0.03 }), 'unjudged same-packet');
    // FreeBSD 15 says so in its second record: the table has lost nobody
    assert.equal(at.see(SENDER, REAL, { ...DROP, pfReason: 8, afterMs: 0.2 }), 'unjudged same-packet');
    assert.deepEqual(at.counts(), [0, 0, 0]);
    assert.equal(at.judge.tracker.find(address(SENDER))?.admissions, 0);
  });

  it('is a refusal when a rule blocks it, and an attempt at the fake MX', () => {
    const at = scene();
    assert.equal(at.see(SENDER, REAL, { hasIpOptions: true }), 'refusal not-whitelisted');
    assert.equal(at.see(SENDER, FAKE, options), 'attempt new-entry');
  });

  it('is judged like any other where no pf has seen it', () => {
    const at = scene();
    assert.equal(at.see(SENDER, REAL, { ...options, action: Action.NONE }), 'admission passed-by-pf');
  });
});

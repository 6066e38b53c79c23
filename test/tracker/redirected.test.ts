import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Action, PfReason } from '../../src/packet/pflog.js';
import { address, syn } from '../support/observations.js';
import { FAKE, REAL, REAL6, type Scene, scene } from '../support/tracker-scene.js';

const PORT = 10_025;
const SENDER = '203.0.113.7';
/** As OpenBSD writes it: the dialled port, and beside it the new one. */
const OPENBSD = { action: Action.PASS, translatedPort: PORT };
/** As FreeBSD writes it: the new port only. */
const FREEBSD = { action: Action.PASS, port: PORT };

function withPf(port = PORT): Scene {
  return scene({ authority: 'pf', redirect: { port } });
}

function counted({ tracker }: Scene): number[] {
  const { attempts, refusals, redirected, admissions } = tracker.counters;
  return [attempts, refusals, redirected, admissions];
}

describe('a stranger whom pf leads to another port', () => {
  for (const [system, fields] of [
    ['OpenBSD', OPENBSD],
    ['FreeBSD', FREEBSD],
  ] as const) {
    it(`is a refusal of its own kind, never an admission (${system})`, () => {
      const at = withPf();
      for (const to of [REAL, REAL]) {
        const decision = at.tracker.observe(syn(SENDER, to, fields), 1);
        assert.deepEqual(decision, {
          kind: 'refusal',
          reason: 'not-whitelisted',
          entry: undefined,
          redirected: true,
        });
      }
      const from6 = at.tracker.observe(syn('2001:db8:7::7', REAL6, fields), 1);
      assert.equal(from6.kind === 'refusal' && from6.redirected, true);
      assert.deepEqual(counted(at), [0, 0, 3, 0]);
      assert.equal(at.tracker.size, 0);
    });

    it(`is one that was faster than the table when it has tried the fake MX (${system})`, () => {
      const at = withPf();
      at.see(SENDER, FAKE);
      const decision = at.tracker.observe(syn(SENDER, REAL, fields), 1);
      assert.equal(at.tracker.find(address(SENDER))?.admissions, 0);
      assert.ok(decision.kind === 'refusal' && decision.redirected && decision.entry !== undefined);
      assert.equal(decision.reason, 'not-yet-in-table');
      assert.deepEqual(counted(at), [1, 0, 1, 0]);
    });
  }

  it('is not one whom pf lets in, blocks or leads to some other port', () => {
    const at = withPf();
    assert.equal(at.see(SENDER, REAL, 0, { action: Action.PASS }), 'admission passed-by-pf');
    assert.equal(at.see(SENDER, REAL, 0, { ...OPENBSD, translatedPort: 25 }), 'admission passed-by-pf');
    assert.equal(at.see(SENDER, REAL, 0, { ...OPENBSD, action: Action.DROP }), 'refusal not-whitelisted');
    assert.equal(at.see(SENDER, REAL, 0, { ...FREEBSD, port: PORT + 1 }), 'unjudged other-port');
    // to that port without pf, and blocked there
    assert.equal(at.see(SENDER, REAL, 0, { ...FREEBSD, action: Action.NONE }), 'unjudged other-port');
    assert.equal(at.see(SENDER, REAL, 0, { ...FREEBSD, action: Action.DROP }), 'unjudged other-port');
    assert.deepEqual(counted(at), [0, 1, 0, 2]);
  });

  it('has tried no fake MX by that port', () => {
    const at = withPf();
    assert.equal(at.see(SENDER, FAKE, 0, FREEBSD), 'unjudged other-port');
    assert.equal(at.see(SENDER, '192.0.2.9', 0, FREEBSD), 'unjudged other-destination');
    assert.equal(at.tracker.size, 0);
  });

  it('is not counted when pf drops the packet beside its rules', () => {
    const at = withPf();
    assert.equal(at.see(SENDER, REAL, 0, { ...OPENBSD, hasIpOptions: true }), 'unjudged ip-options');
    const limit = { ...OPENBSD, pfReason: PfReason.MATCH + 5 };
    assert.equal(at.see(SENDER, REAL, 0, limit), 'unjudged dropped-after-pass');
    assert.deepEqual(counted(at), [0, 0, 0, 0]);
  });

  it('may be led to another address with the same port', () => {
    const at = withPf(25);
    const translated = { action: Action.PASS, translatedPort: 25 };
    assert.equal(at.see(SENDER, REAL, 0, translated), 'refusal not-whitelisted');
    assert.equal(at.see(SENDER, REAL, 0, { action: Action.PASS }), 'admission passed-by-pf');
    assert.deepEqual(counted(at), [0, 0, 1, 1]);
  });

  it('passes by pf itself where strangers are dropped: nobody has said that a port is for them', () => {
    const at = scene({ authority: 'pf' });
    assert.equal(at.see(SENDER, REAL, 0, OPENBSD), 'admission passed-by-pf');
    assert.equal(at.see(SENDER, REAL, 0, FREEBSD), 'unjudged other-port');
  });
});

describe('a stranger, when the whitelist decides', () => {
  it('is led elsewhere by a mark', () => {
    const at = scene({ redirect: { port: undefined } });
    const decision = at.tracker.observe(syn(SENDER, REAL, { action: Action.NONE }), 0);
    assert.equal(decision.kind === 'refusal' && decision.redirected, true);
    at.see(SENDER, FAKE);
    assert.equal(at.see(SENDER, REAL), 'admission whitelisted');
    assert.deepEqual(counted(at), [1, 0, 1, 1]);
  });

  it('would be led elsewhere, whatever pf did to it when it was recorded', () => {
    const at = scene({ redirect: { port: PORT } });
    for (const fields of [OPENBSD, FREEBSD, { action: Action.DROP }, { action: Action.PASS }]) {
      const decision = at.tracker.observe(syn(SENDER, REAL, fields), 0);
      assert.equal(decision.kind === 'refusal' && decision.redirected, true);
    }
    // for whom pf's table would have vouched
    const led = at.tracker.observe(syn(SENDER, REAL, OPENBSD), 0, true);
    assert.equal(led.kind === 'refusal' && led.redirected, true);
    at.see(SENDER, FAKE);
    for (const fields of [OPENBSD, FREEBSD]) {
      assert.equal(at.see(SENDER, REAL, 0, fields), 'admission whitelisted');
    }
    assert.deepEqual(counted(at), [1, 0, 5, 2]);
  });
});

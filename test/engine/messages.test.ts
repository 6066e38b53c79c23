import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Flood } from '../../src/engine/flood.js';
import { countersLine, decisionLine, statisticsLine } from '../../src/engine/messages.js';
import { Action } from '../../src/packet/pflog.js';
import { newCounters } from '../../src/tracker/counters.js';
import { Tracker, type TrackerConfig } from '../../src/tracker/tracker.js';
import { address, syn } from '../support/observations.js';

const CONFIG: TrackerConfig = {
  fake: [address('192.0.2.3')],
  real: [address('192.0.2.4')],
  allow: [],
  port: 25,
  whitelistTimeMs: 3_600_000,
  knownTimeMs: 0,
  outbound: false,
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  maxEntries: 100,
  authority: 'pf',
};

it('a refused sender that should long be in the table is told from one that was too quick', () => {
  const tracker = new Tracker(CONFIG, { added: () => undefined, removed: () => undefined }, [1, 2]);
  tracker.observe(syn('203.0.113.7', '192.0.2.3'), 1000);
  const refused = (nowMs: number): [string, string | undefined] => {
    const observation = syn('203.0.113.7', '192.0.2.4');
    const { message, brief } = decisionLine(tracker.observe(observation, nowMs), observation, {
      isDry: false,
      nowMs,
    });
    return [message, brief];
  };
  const dropping = 'Dropping connection attempt from 203.0.113.7 to a real mailserver';
  assert.deepEqual(refused(1002), [
    `${dropping} (whitelisted, but not yet in the table)`,
    'was faster than the table: its next SYN gets in',
  ]);
  assert.deepEqual(refused(6001), [
    `${dropping} (whitelisted for some time: see the rules)`,
    'is whitelisted for some time, and yet pf drops it: see its rules',
  ]);
});

describe('who is led elsewhere', () => {
  const redirect = { ...CONFIG, redirect: { port: 10_025 } };
  const led = { action: Action.PASS, translatedPort: 10_025 };

  it('is told as redirected, with the reason of a refusal', () => {
    const tracker = new Tracker(redirect, { added: () => undefined, removed: () => undefined }, [1, 2]);
    const see = (nowMs: number, isDry = false) => {
      const observation = syn('203.0.113.7', '192.0.2.4', led);
      return decisionLine(tracker.observe(observation, nowMs), observation, { isDry, nowMs });
    };
    const { level, message, brief, fields } = see(1);
    assert.equal(message, 'Redirecting connection attempt from 203.0.113.7 to a real mailserver');
    assert.deepEqual([level, brief], ['info', 'has not tried the fake MX: led elsewhere (strangers)']);
    assert.deepEqual(
      [fields.event, fields['reason'], fields['source'], fields['target'], fields['count']],
      ['redirected', 'not-whitelisted', '203.0.113.7', '192.0.2.4', 1],
    );
    assert.equal(
      see(2, true).message,
      'Would redirect connection attempt from 203.0.113.7 to a real mailserver',
    );
    tracker.observe(syn('203.0.113.7', '192.0.2.3'), 1000);
    assert.match(see(1002).message, /^Redirecting .* \(whitelisted, but not yet in the table\)$/);
    assert.equal(see(1002).brief, 'was faster than the table, and led elsewhere (strangers)');
    assert.match(see(7000).brief ?? '', /whitelisted for some time, and yet pf leads it elsewhere/);
  });

  it('is among the statistics, where there are any', () => {
    const counters = { ...newCounters(), attempts: 2, refusals: 3 };
    assert.match(statisticsLine(counters, 1).message, /: 3 blocked .*, 0 direct-to-fake-mx$/);
    const some = { ...counters, redirected: 4 };
    assert.match(statisticsLine(some, 1).message, /: 3 blocked .*, 0 direct-to-fake-mx, 4 redirected$/);
    assert.equal(statisticsLine(some, 1).fields['redirected'], 4);
    assert.match(
      countersLine(some, 1).message,
      /: 2 attempts, 3 refusals, 4 redirected, 0 admissions; 1 entry/,
    );
  });

  it('is counted in a flood by that word', () => {
    const flood = new Flood([1, 2]);
    flood.add('info', 'redirected', syn('203.0.113.7', '192.0.2.4'), 7);
    const { message, fields } = flood.take() ?? { message: '', fields: {} };
    assert.match(message, /7 redirected, from one network$/);
    assert.equal((fields as Record<string, unknown>)['redirected'], 7);
  });
});

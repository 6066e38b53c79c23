import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decisionLine } from '../../src/engine/messages.js';
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

// Entries that another gateway has seen.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatPrefix, parseCanonical, type Prefix } from '../../src/packet/address.js';
import { Entry } from '../../src/tracker/whitelist.js';
import { CONFIG, FAKE, HOUR_MS, REAL, Scene } from '../support/tracker-scene.js';

function prefix(text: string): Prefix {
  return parseCanonical(text) ?? assert.fail(text);
}

function vouch(scene: Scene, text: string, untilMs: number, isAtLeast = false, nowMs = 0): unknown {
  const found = scene.tracker.vouch(prefix(text), formatPrefix(prefix(text)), untilMs, isAtLeast, nowMs);
  return found instanceof Entry ? found.deadlineMs : found;
}

const unvouch = (scene: Scene, text: string, nowMs = 0): void => scene.tracker.unvouch(prefix(text), nowMs);

it('whom another gateway has seen is let in until then, and not longer', () => {
  const scene = new Scene(CONFIG);
  assert.equal(vouch(scene, '198.51.100.1', 1000), 1000);
  assert.equal(scene.see('198.51.100.1', REAL), 'admission whitelisted');
  scene.tracker.expire(1000);
  assert.equal(scene.tracker.size, 0);
  assert.deepEqual(scene.heard, ['+198.51.100.1', '-198.51.100.1 timeout 1']);
});

it('it ends earlier when its gateway says so', () => {
  const scene = new Scene(CONFIG);
  vouch(scene, '198.51.100.1', 5000);
  vouch(scene, '198.51.100.2', 3000);
  assert.equal(vouch(scene, '198.51.100.1', 1000), 1000);
  assert.equal(vouch(scene, '198.51.100.1', 500, true), 1000);
  assert.equal(scene.tracker.nextDeadlineMs(), 1000);
  scene.tracker.expire(1000);
  assert.deepEqual(scene.heard.slice(2), ['-198.51.100.1 timeout 0']);
  assert.equal(scene.tracker.counters.expiredUnused, 0);
});

it('an attempt makes it our own: it stays when the others take it back', () => {
  const scene = new Scene(CONFIG);
  vouch(scene, '198.51.100.1', 9 * HOUR_MS);
  assert.equal(scene.see('198.51.100.1', FAKE, 0), 'attempt promoted');
  unvouch(scene, '198.51.100.1');
  const [entry] = scene.tracker.entries();
  assert.deepEqual([entry?.origin, entry?.deadlineMs], ['attempt', HOUR_MS]);
});

it('one that was admitted here stays by that when the others take it back', () => {
  const scene = new Scene({ ...CONFIG, knownTimeMs: 8 * HOUR_MS });
  vouch(scene, '198.51.100.1', HOUR_MS);
  scene.see('198.51.100.1', REAL, 0);
  unvouch(scene, '198.51.100.1');
  const [entry] = scene.tracker.entries();
  assert.equal(entry?.deadlineMs, 8 * HOUR_MS);
});

it('one that nobody here has seen goes when the others take it back', () => {
  const scene = new Scene(CONFIG);
  vouch(scene, '198.51.100.1', HOUR_MS);
  unvouch(scene, '198.51.100.1');
  assert.deepEqual(scene.heard, ['+198.51.100.1', '-198.51.100.1 withdrawn 0']);
});

it("others' word lets our own entry live longer, and leaves it as it is when it is taken back", () => {
  const scene = new Scene(CONFIG);
  scene.see('198.51.100.1', FAKE, 0);
  assert.equal(vouch(scene, '198.51.100.1', 2 * HOUR_MS), 2 * HOUR_MS);
  unvouch(scene, '198.51.100.1');
  assert.equal([...scene.tracker.entries()][0]?.deadlineMs, HOUR_MS);
});

it('others have no room but their own', () => {
  const scene = new Scene({ ...CONFIG, maxEntries: 3 });
  scene.see('198.51.100.1', FAKE);
  scene.see('198.51.100.2', FAKE);
  vouch(scene, '198.51.100.3', HOUR_MS);
  assert.equal(vouch(scene, '198.51.100.4', HOUR_MS), HOUR_MS);
  assert.deepEqual(scene.heard.slice(3), ['-198.51.100.3 no-room 0', '+198.51.100.4']);
  scene.see('198.51.100.5', FAKE);
  assert.equal(scene.heard.at(-2), '-198.51.100.4 no-room 0');
  assert.equal(vouch(scene, '198.51.100.6', HOUR_MS), 'no-room');
});

it('who is allowed at all times needs no entry', () => {
  const scene = new Scene({ ...CONFIG, allow: [prefix('198.51.100.0/24')] });
  assert.equal(vouch(scene, '198.51.100.1', HOUR_MS), 'not-needed');
});

it('one of an earlier run is the same as before: it has no time of its own', () => {
  const scene = new Scene(CONFIG);
  const times = { addedMs: -10, deadlineMs: 5000, lastAttemptMs: -10, attempts: 0 };
  const use = { admissions: 0, firstAdmissionMs: undefined, lastAdmissionMs: undefined, isRegular: false };
  const saved = {
    prefix: prefix('198.51.100.1'),
    text: formatPrefix(prefix('198.51.100.1')),
    name: undefined,
  };
  assert.equal(scene.tracker.restore({ ...saved, ...times, ...use, origin: 'peer' }), true);
  const [entry] = scene.tracker.entries();
  assert.deepEqual([entry?.deadlineMs, (entry?.ownDeadlineMs ?? 0) < 0], [5000, true]);
  unvouch(scene, '198.51.100.1');
  assert.equal(scene.tracker.size, 0);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DomainNetworks } from '../../src/names/domain-networks.js';
import type { SpfNetworks } from '../../src/names/spf-networks.js';
import { formatPrefix } from '../../src/packet/address.js';
import { prefix } from '../support/observations.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const whole = (
  texts: readonly string[],
  ttlMs = 10 * MINUTE_MS,
): SpfNetworks & { kind: 'whole' | 'part' } => ({
  kind: 'whole',
  networks: texts.map(prefix),
  passed: [],
  ttlMs,
  unanswered: [],
});
const part = (...texts: string[]): SpfNetworks => ({
  ...whole(texts),
  kind: 'part',
  unanswered: ['TXT of example.com: ETIMEOUT'],
});
const none = (ttlMs = 0): SpfNetworks => ({ kind: 'none', why: 'example.com has no SPF record', ttlMs });

const A = '192.0.2.0/24';
const B = '198.51.100.0/24';
const C = '203.0.113.0/24';

const texts = (networks: DomainNetworks): string[] => networks.networks.map(formatPrefix).map(String);

/** Looks up as often as it is asked to, until a time; what was found at each time counts. */
function run(networks: DomainNetworks, fromMs: number, untilMs: number, result: SpfNetworks): number {
  let nowMs = fromMs;
  while (nowMs <= untilMs) {
    networks.take(result, nowMs);
    nowMs += networks.nextMs(result);
  }
  return nowMs;
}

describe('the networks of a domain', () => {
  it('are those that a look-up names', () => {
    const networks = new DomainNetworks();
    assert.deepEqual(networks.take(whole([A, B]), 0), { added: [A, B], gone: [] });
    assert.deepEqual(networks.take(whole([B, A, C]), MINUTE_MS), { added: [C], gone: [] });
    assert.deepEqual(texts(networks), [A, B, C]);
    assert.equal(networks.seenMs(formatPrefix(prefix(A))), MINUTE_MS);
  });

  const ttls: readonly (readonly [number, number])[] = [
    [0, 5 * MINUTE_MS],
    [5 * MINUTE_MS + 1, 5 * MINUTE_MS + 1],
    [HOUR_MS - 1, HOUR_MS - 1],
    [DAY_MS, HOUR_MS],
  ];
  for (const [ttlMs, nextMs] of ttls) {
    it(`are looked up again after ${nextMs / 1000} s, when they live for ${ttlMs / 1000} s`, () => {
      const networks = new DomainNetworks();
      networks.take(whole([A], ttlMs), 0);
      assert.equal(networks.nextMs(whole([A], ttlMs)), nextMs);
    });
  }

  it('go when three look-ups over an hour do not name them', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A, B], HOUR_MS), 0);
    const later = whole([B], HOUR_MS);
    networks.take(later, HOUR_MS);
    assert.deepEqual(texts(networks), [B, A]);
    // a doubt is looked into sooner than the time to live says
    assert.equal(networks.nextMs(later), 30 * MINUTE_MS);
    networks.take(later, 1.5 * HOUR_MS);
    assert.deepEqual(texts(networks), [B, A]);
    assert.deepEqual(networks.take(later, 2 * HOUR_MS), { added: [], gone: [A] });
    assert.equal(networks.nextMs(later), HOUR_MS);
  });

  it('go an hour after the domain has gone from DNS', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A, B]), 0);
    run(networks, 10 * MINUTE_MS, 70 * MINUTE_MS - 1, none());
    assert.deepEqual(texts(networks), [A, B]);
    assert.equal(networks.state.none, 'example.com has no SPF record');
    run(networks, 70 * MINUTE_MS, 70 * MINUTE_MS, none());
    assert.deepEqual(texts(networks), []);
  });

  it('do not go by many look-ups within the hour, nor by few after it', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A]), 0);
    for (let i = 1; i < 60; i++) networks.take(none(), i * MINUTE_MS);
    assert.deepEqual(texts(networks), [A]);
    const other = new DomainNetworks();
    other.take(whole([A]), 0);
    other.take(none(), HOUR_MS);
    other.take(none(), 10 * HOUR_MS);
    assert.deepEqual(texts(other), [A]);
  });

  it('stay when one look-up names them again', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A]), 0);
    run(networks, HOUR_MS, 2 * HOUR_MS - 1, none());
    networks.take(whole([A]), 2 * HOUR_MS);
    run(networks, 2.1 * HOUR_MS, 3 * HOUR_MS, none());
    assert.deepEqual(texts(networks), [A]);
  });

  it('stay for 30 days when DNS does not answer, or not all', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A, B]), 0);
    run(networks, HOUR_MS, 29 * DAY_MS, part(B));
    assert.deepEqual(texts(networks), [A, B]);
    assert.equal(networks.state.failingMs, HOUR_MS);
    run(networks, 29 * DAY_MS, 30 * DAY_MS + HOUR_MS, part());
    assert.deepEqual(texts(networks), [B]);
    run(networks, 30 * DAY_MS, 59 * DAY_MS + HOUR_MS, part());
    assert.deepEqual(texts(networks), []);
  });

  it('are asked for again soon when DNS does not answer, and then ever later', () => {
    const networks = new DomainNetworks();
    const waits = [1, 2, 3, 4, 5, 6, 7].map((i) => {
      networks.take(part(), i);
      return networks.nextMs(part()) / 1000;
    });
    assert.deepEqual(waits, [15, 30, 60, 120, 240, 300, 300]);
    networks.take(whole([A]), 10);
    networks.nextMs(whole([A]));
    assert.equal(networks.state.failingMs, undefined);
    assert.equal(networks.nextMs(part()), 15_000);
  });

  it('grow by what half an answer names', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A]), 0);
    assert.deepEqual(networks.take(part(C), MINUTE_MS), { added: [C], gone: [] });
    assert.deepEqual(texts(networks), [A, C]);
  });

  it('are found again by a restart, with when they were named last', () => {
    const networks = new DomainNetworks();
    networks.take(whole([A, B]), 0);
    networks.take(part(B), DAY_MS);
    const again = new DomainNetworks(networks.kept);
    assert.deepEqual(texts(again), [A, B]);
    again.take(part(), 30 * DAY_MS + 1);
    assert.deepEqual(texts(again), [B]);
  });

  it('are bounded, whatever DNS says', () => {
    const networks = new DomainNetworks();
    for (let i = 0; i < 10; i++) {
      const many = Array.from({ length: 250 }, (_, k) => `64.${i}.${k}.0/24`);
      networks.take(whole(many), i * 5 * MINUTE_MS);
    }
    assert.equal(networks.networks.length, 600);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { Judge, trackerConfig } from '../../src/engine/judge.js';
import { Memory } from '../../src/engine/memory.js';
import { Namer } from '../../src/engine/namer.js';
import { formatAddress } from '../../src/packet/address.js';
import type { Observation } from '../../src/packet/observation.js';
import { Action } from '../../src/packet/pflog.js';
import type { Tracker } from '../../src/tracker/tracker.js';
import { SlowServer } from '../support/dns.js';
import { HandClock } from '../support/hand-clock.js';
import { address, type ObservationFields, syn as synOf } from '../support/observations.js';

const FAKE = '192.0.2.3';
const REAL = '192.0.2.4';
const REAL6 = '2001:db8::4';
const SENDER = '198.51.100.7';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let sequence = 0;

/** A SYN of its own. */
function syn(from: string, to: string, fields: ObservationFields = {}): Observation {
  return synOf(from, to, { sequence: ++sequence, ...fields });
}

/** A tracker with a memory beside it, as the engine has them, and perhaps a namer. */
class Bench {
  readonly clock = new HandClock();
  readonly memory: Memory;
  readonly judge: Judge;
  readonly namer: Namer | undefined;
  isDry = false;
  foreign: string | undefined;

  constructor(
    authority: 'pf' | 'whitelist' = 'whitelist',
    server?: string,
    more: readonly (readonly [string, string])[] = [],
  ) {
    const given = [
      ...more,
      ['fakeMailserver', FAKE],
      ['realMailserver', REAL],
      ['realMailserver', REAL6],
      ...(server === undefined ? [] : [['dnsServer', server]]),
    ].map(([key, text]) => ({ key, text, where: '', origin: 'command line' }));
    const result = resolveConfig(given as never, [], 'linux');
    assert.ok(result.ok);
    const { config } = result;
    this.memory = new Memory({
      tracker: () => this.tracker,
      clock: this.clock,
      isDry: () => this.isDry,
      isForeign: (source) => formatAddress(source) === this.foreign,
    });
    this.judge = new Judge(
      trackerConfig(config, authority),
      {
        added: (entry) => this.memory.added(entry),
        removed: (entry, reason) => this.memory.removed(entry, reason),
      },
      [1, 2],
    );
    if (server !== undefined) {
      this.namer = new Namer({
        config: () => ({ ...config, dnsTimeout: 30 }),
        tracker: this.tracker,
        clock: this.clock,
        admitted: () => undefined,
        say: () => undefined,
        memory: this.memory,
      });
    }
  }

  get tracker(): Tracker {
    return this.judge.tracker;
  }

  see(observation: Observation): void {
    const judgement = this.judge.decide(observation, this.clock.monotonicMs());
    const { isStranger, isWanted } = this.memory.follow(judgement);
    if (isStranger) this.namer?.refusal(observation, isWanted);
  }

  pass(ms: number): void {
    this.clock.pass(ms);
    this.tracker.expire(this.clock.monotonicMs());
  }

  /** Whether somebody is kept out; undefined: it has not been refused. */
  isOut(text: string): boolean | undefined {
    const stranger = this.memory.stranger(address(text));
    return stranger && this.memory.isKeptOut(stranger);
  }
}

describe('what is remembered of a sender', () => {
  it('is that it was refused, until it gets in', () => {
    const bench = new Bench();
    bench.see(syn(SENDER, REAL));
    assert.equal(bench.isOut(SENDER), true);
    bench.see(syn(SENDER, FAKE));
    assert.equal(bench.isOut(SENDER), false, 'its next SYN gets in');
    bench.see(syn(SENDER, REAL));
    assert.equal(bench.memory.stranger(address(SENDER))?.count, 1);
    assert.ok((bench.memory.stranger(address(SENDER))?.admittedMs ?? 0) > 0);
  });

  it('is that it was redirected, where strangers are: it is not in', () => {
    const bench = new Bench('whitelist', undefined, [['strangers', 'mark 25']]);
    bench.see(syn(SENDER, REAL));
    const { count, passed, redirected } = bench.memory.stranger(address(SENDER)) ?? {};
    assert.deepEqual([count, passed, redirected, bench.isOut(SENDER)], [1, 0, 1, true]);
    // nobody is marked then
    bench.isDry = true;
    bench.see(syn(SENDER, REAL));
    const dry = bench.memory.stranger(address(SENDER));
    assert.deepEqual([dry?.count, dry?.passed, dry?.redirected], [2, 1, 1]);
  });

  it('is nothing when it tries the fake MX first', () => {
    const bench = new Bench();
    bench.see(syn(SENDER, FAKE));
    bench.see(syn(SENDER, REAL));
    assert.equal(bench.isOut(SENDER), undefined);
  });

  it('is the network that would be stored of it, with IPv6', () => {
    const bench = new Bench();
    bench.see(syn('2001:db8:5::1', REAL6));
    bench.see(syn('2001:db8:5::2', REAL6));
    const { prefix, address: last, count } = bench.memory.stranger(address('2001:db8:5::9')) ?? {};
    assert.deepEqual([prefix, last, count], ['2001:db8:5::/64', '2001:db8:5::2', 2]);
    // by a name it comes in as an address of its own
    const nowMs = bench.clock.monotonicMs();
    bench.tracker.admit(address('2001:db8:5::1'), 'name', nowMs, nowMs + HOUR);
    assert.equal(bench.isOut('2001:db8:5::1'), false);
  });

  it('counts in dry-run as what got in all the same', () => {
    const bench = new Bench();
    bench.isDry = true;
    bench.see(syn(SENDER, REAL));
    const { count, passed } = bench.memory.stranger(address(SENDER)) ?? {};
    assert.deepEqual([count, passed, bench.isOut(SENDER)], [1, 1, true]);
  });

  it('counts likewise when pf lets it in by itself, unless its table does', () => {
    const bench = new Bench('pf');
    const passed = (source: string): void => bench.see(syn(source, REAL, { action: Action.PASS }));
    bench.foreign = '203.0.113.1';
    passed(SENDER);
    passed('203.0.113.1');
    assert.equal(bench.memory.stranger(address(SENDER))?.passed, 1);
    assert.equal(bench.isOut('203.0.113.1'), undefined);
  });

  it('is not a refusal of somebody who was faster than the table', () => {
    const bench = new Bench('pf');
    bench.see(syn(SENDER, FAKE));
    bench.see(syn(SENDER, REAL));
    assert.equal(bench.isOut(SENDER), undefined);
  });
});

describe('an entry that has ended', () => {
  it('is remembered with the times of the clock on the wall', () => {
    const bench = new Bench();
    bench.clock.wallAheadMs = 1_764_000_000_000;
    const startMs = bench.clock.wallMs();
    bench.see(syn(SENDER, FAKE));
    bench.pass(5 * MINUTE);
    bench.see(syn(SENDER, FAKE));
    bench.see(syn(SENDER, REAL));
    // known-time after the admission; it is taken out a second late
    bench.pass(8 * 24 * HOUR + 1000);
    assert.equal(bench.tracker.size, 0);
    const departure = bench.memory.departure(address(SENDER));
    assert.deepEqual(departure, {
      prefix: SENDER,
      origin: 'attempt',
      addedMs: startMs,
      triedMs: startMs + 5 * MINUTE,
      admissions: 1,
      endedMs: startMs + 5 * MINUTE + 8 * 24 * HOUR,
      reason: 'timeout',
    });
  });

  it('is found by the address that it was made of, also when that is all of it', () => {
    const bench = new Bench();
    const single = address('2001:db8:5::1');
    const nowMs = bench.clock.monotonicMs();
    bench.tracker.admit(single, 'name', nowMs, nowMs + HOUR);
    bench.pass(HOUR + 1);
    assert.deepEqual(bench.memory.departure(single)?.triedMs, 0);
    assert.equal(bench.memory.departure(address('2001:db8:5::2')), undefined);
  });

  it('is not one that what is stored of its sender has replaced', () => {
    const bench = new Bench();
    const single = address('2001:db8:5::1');
    const nowMs = bench.clock.monotonicMs();
    bench.tracker.admit(single, 'name', nowMs, nowMs + HOUR);
    bench.see(syn('2001:db8:5::1', FAKE));
    assert.equal(bench.memory.departure(single), undefined);
  });
});

describe('DNS about those who were refused', () => {
  it('is asked when somebody comes again after a minute, once a day, and of two in a second', async () => {
    const slow = await SlowServer.start();
    try {
      const bench = new Bench('whitelist', slow.address);
      const { namer } = bench;
      assert.ok(namer);
      const asked = async (): Promise<number> => {
        await namer.settled();
        return slow.questions.filter(({ type }) => type === 'PTR').length;
      };
      const senders = [1, 2, 3, 4, 5].map((i) => `198.51.100.${i}`);
      for (const from of senders) bench.see(syn(from, REAL));
      bench.pass(MINUTE - 1);
      for (const from of senders) bench.see(syn(from, REAL));
      assert.equal(await asked(), 0, 'it may have been the same connection');
      bench.pass(1);
      for (const from of senders) bench.see(syn(from, REAL));
      assert.equal(await asked(), 2);
      bench.pass(1000);
      for (const from of senders) bench.see(syn(from, REAL));
      assert.equal(await asked(), 4);
      bench.pass(1000);
      for (const from of senders) bench.see(syn(from, REAL));
      assert.equal(await asked(), 5);
      bench.pass(HOUR);
      for (const from of senders) bench.see(syn(from, REAL));
      assert.equal(await asked(), 5, 'who has no name is asked about again after a day');
    } finally {
      await slow.dispose();
    }
  });

  it('is asked about somebody of the Internet only', async () => {
    const slow = await SlowServer.start();
    try {
      const bench = new Bench('whitelist', slow.address);
      for (const afterMs of [0, MINUTE]) {
        bench.pass(afterMs);
        bench.see(syn('10.1.2.3', REAL));
      }
      await bench.namer?.settled();
      assert.equal(slow.queries, 0);
    } finally {
      await slow.dispose();
    }
  });
});

describe('a flood of a million refused senders', () => {
  it('does not make the memory larger than its bounds', () => {
    const bench = new Bench();
    for (let i = 0; i < 1_000_000; i++) {
      const source = `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`;
      bench.memory.strangers.refused(source as never, source, 'dropped', bench.clock.wallMs());
    }
    assert.ok(bench.memory.all().length <= 3000, `${bench.memory.all().length}`);
    assert.ok(bench.memory.takeChanges(Infinity, true).length <= 3000);
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { checkSpf, poolDomains } from '../../src/names/pool.js';
import { reverse } from '../../src/names/rdns.js';
import { addressOfWords } from '../../src/packet/address.js';
import { trackerConfig } from '../../src/engine/judge.js';
import type { Line } from '../../src/engine/messages.js';
import { Namer } from '../../src/engine/namer.js';
import { Tracker } from '../../src/tracker/tracker.js';
import type { Entry } from '../../src/tracker/whitelist.js';
import { until } from '../support/daemon.js';
import { dnsUnavailable, NameServer, reverseZones, SlowServer } from '../support/dns.js';
import { address, prefixTexts, syn, synBetween } from '../support/observations.js';

const FAKE = '192.0.2.3';
const REAL = '192.0.2.4';
const HOUR_MS = 3_600_000;
const START_MS = 1_000_000;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

function configuration(change: Partial<Config>): Config {
  const given = [
    { key: 'fakeMailserver', text: FAKE, where: '', origin: 'command line' },
    { key: 'realMailserver', text: REAL, where: '', origin: 'command line' },
  ] as const;
  const result = resolveConfig(given, [], 'linux');
  assert.ok(result.ok);
  return { ...result.config, ipv6Prefix: 128, dnsTimeout: 30, ...change };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// what the namer loads when it first needs it: nothing is to wait for the disk afterwards
before(() => import('tldts'));

/** A namer and its tracker, at a time that only the test moves. */
class Bench {
  nowMs = START_MS;
  readonly config: Config;
  readonly lines: Line[] = [];
  /** no lines are kept */
  deaf = false;
  /** how often entries were said to have come */
  admitted = 0;
  readonly tracker: Tracker;
  readonly namer: Namer;

  constructor(server: string, change: Partial<Config> = {}) {
    this.config = configuration({ dnsServer: [server], ...change });
    const listener = { added: () => undefined, removed: () => undefined };
    this.tracker = new Tracker(trackerConfig(this.config, 'whitelist'), listener, [1, 2]);
    this.namer = new Namer({
      config: () => this.config,
      tracker: this.tracker,
      clock: {
        monotonicMs: () => this.nowMs,
        wallMs: () => this.nowMs,
        after: () => assert.fail('no timer is needed'),
        soon: (callback) => void setImmediate(callback),
      },
      admitted: () => (this.admitted += 1),
      say: (line) => {
        if (!this.deaf) this.lines.push(line);
      },
    });
  }

  get messages(): string[] {
    return this.lines.map(({ message }) => message);
  }

  get prefixes(): string[] {
    return prefixTexts(this.tracker.entries());
  }

  /** A sender tries the fake MX; its names are not yet known. */
  attempt(from: string): Entry {
    const observation = syn(from, FAKE);
    const decision = this.tracker.observe(observation, this.nowMs);
    assert.ok(decision.kind === 'attempt' && decision.entry !== undefined);
    this.namer.attempt(observation, decision.entry);
    return decision.entry;
  }

  /** A stranger is refused at the real MX. */
  refusal(from: string): void {
    const observation = syn(from, REAL);
    assert.equal(this.tracker.observe(observation, this.nowMs).kind, 'refusal');
    this.namer.refusal(observation);
  }

  /** The namer has done all that it does about an attempt: we ask the same after it, and wait for the same answers. */
  async asked(from: string): Promise<void> {
    const source = address(from);
    const answer = await reverse(this.namer.resolver, source);
    for (const domain of (await poolDomains(answer, source)).keys()) {
      await checkSpf(this.namer.resolver, domain, source);
    }
    for (let turn = 0; turn < 8; turn++) await nextTurn();
  }

  /** A sender tries the fake MX, and all is done about it. */
  async attempted(from: string): Promise<Entry> {
    const entry = this.attempt(from);
    await this.asked(from);
    return entry;
  }

  /** A stranger is refused; the line about what became of it. */
  async refused(from: string): Promise<string> {
    const before = this.lines.length;
    this.refusal(from);
    await until(`something is said about ${from}`, () => this.lines.length > before);
    return this.lines[before]?.message ?? '';
  }

  entry(text: string): Entry | undefined {
    return this.tracker.find(address(text));
  }

  originOf(text: string): string | undefined {
    return this.entry(text)?.origin;
  }
}

const MANY = numbers(60).map((i) => `203.0.113.${i + 1}`);
const FARM = ['198.51.100.1', '198.51.100.2', '198.51.100.3', '2001:db8:1::1'];

const ZONES = {
  'sender.com': `
mail A 198.51.100.1
mail A 198.51.100.2
mail A 198.51.100.3
mail AAAA 2001:db8:1::1
@ TXT "v=spf1 ip4:198.51.100.0/24 -all"
out9 A 198.51.100.9
out10 A 198.51.100.10
out11 A 192.0.2.211`,
  'victim.com': 'mail A 192.0.2.80\nmail A 192.0.2.81',
  'many.com': [
    ...MANY.slice(0, 40).map((text) => `one A ${text}`),
    ...['203.0.113.1', ...MANY.slice(40)].map((text) => `two A ${text}`),
  ].join('\n'),
  'borrow.com': 'mail A 192.0.2.70\nmail A 198.51.100.9\nmail A 192.0.2.72\nmail AAAA 2001:db8:70::1',
  'sly.com': ['192.0.2.90', '10.0.0.1', '192.168.1.1', '127.0.0.1', '224.0.0.1', FAKE, REAL, '192.0.2.91']
    .map((text) => `mail A ${text}`)
    .concat('mail AAAA fe80::1', 'mail AAAA ::1', 'mail AAAA fd00::1')
    .join('\n'),
  ...reverseZones([
    ...FARM.map((text) => [text, 'mail.sender.com'] as const),
    ['198.51.100.9', 'out9.sender.com'],
    ['198.51.100.10', 'out10.sender.com'],
    ['192.0.2.211', 'out11.sender.com'],
    ['198.51.100.66', 'mail.victim.com'],
    ['203.0.113.1', 'one.many.com', 'two.many.com'],
    ['192.0.2.70', 'mail.borrow.com'],
    ['192.0.2.90', 'mail.sly.com'],
    ['10.0.0.1', 'mail.sly.com'],
  ]),
};

describe('the namer', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  const benches: Bench[] = [];
  before(async () => {
    server = await NameServer.start(ZONES);
    assert.doesNotMatch(server.log(), /error/);
  });
  afterEach(() => {
    for (const { namer } of benches.splice(0)) namer.close();
  });
  after(() => server.dispose());
  const bench = (change: Partial<Config> = {}): Bench => {
    const made = new Bench(server.address, change);
    benches.push(made);
    return made;
  };

  it("admits the other addresses of a sender's name as long as the sender", async () => {
    const place = bench();
    const entry = await place.attempted('198.51.100.1');
    assert.equal(entry.name, 'mail.sender.com');
    assert.equal(entry.parent, undefined);
    assert.deepEqual(place.prefixes, [...FARM].sort());
    for (const other of FARM.slice(1).map((text) => place.entry(text))) {
      assert.ok(other !== undefined);
      assert.equal(other.origin, 'name');
      assert.equal(other.deadlineMs, START_MS + HOUR_MS);
      assert.equal(other.deadlineMs, entry.deadlineMs);
      assert.equal(other.parent, entry);
      assert.equal(other.name, 'mail.sender.com');
      assert.equal(other.attempts, 0);
    }
    assert.deepEqual(place.messages, [
      'Resolved 198.51.100.1 to mail.sender.com',
      'Adding 198.51.100.2 to whitelist: an address of mail.sender.com',
      'Adding 198.51.100.3 to whitelist: an address of mail.sender.com',
      'Adding 2001:db8:1::1 to whitelist: an address of mail.sender.com',
    ]);
    const { named, pooled, added, attempts } = place.tracker.counters;
    assert.deepEqual({ named, pooled, added, attempts }, { named: 3, pooled: 0, added: 4, attempts: 1 });
    assert.ok(place.admitted > 0);
  });

  it('lets them live as long as the sender does who tries again, and asks once a minute', async () => {
    const place = bench();
    await place.attempted('198.51.100.1');
    const { resolver } = place.namer;
    const { asked, fromCache } = resolver.counters;
    place.nowMs += 59_999;
    place.attempt('198.51.100.1');
    await nextTurn();
    assert.deepEqual(
      { asked, fromCache },
      { asked: resolver.counters.asked, fromCache: resolver.counters.fromCache },
    );
    assert.equal(place.entry('198.51.100.2')?.deadlineMs, START_MS + HOUR_MS);
    place.nowMs += 1;
    const { deadlineMs } = await place.attempted('198.51.100.1');
    assert.equal(deadlineMs, START_MS + 60_000 + HOUR_MS);
    assert.deepEqual(
      FARM.map((text) => place.entry(text)?.deadlineMs),
      FARM.map(() => deadlineMs),
    );
    // said once
    assert.equal(place.messages.filter((message) => message.startsWith('Resolved')).length, 1);
    assert.equal(place.tracker.counters.named, 3);
  });

  it('does not take back what an address has earned itself', async () => {
    const place = bench();
    place.attempt('198.51.100.2');
    place.nowMs += 1000;
    const late = place.attempt('198.51.100.3');
    place.nowMs -= 1000;
    await place.attempted('198.51.100.1');
    assert.equal(place.originOf('198.51.100.3'), 'attempt');
    assert.equal(place.entry('198.51.100.3'), late);
    assert.equal(late.deadlineMs, START_MS + 1000 + HOUR_MS);
    assert.equal(late.parent, undefined);
  });

  it('makes an IPv6 address of the name a sender of its own when it tries, with its network', async () => {
    const place = bench({ ipv6Prefix: 64, fakeMailserver: [address(FAKE), address('2001:db8::3')] });
    await place.attempted('198.51.100.1');
    assert.equal(place.originOf('2001:db8:1::1'), 'name');
    place.nowMs += 1000;
    const observation = syn('2001:db8:1::1', '2001:db8::3');
    const decision = place.tracker.observe(observation, place.nowMs);
    assert.ok(decision.kind === 'attempt' && decision.entry !== undefined);
    assert.deepEqual([decision.reason, decision.entry.text], ['promoted', '2001:db8:1::/64']);
    place.namer.attempt(observation, decision.entry);
    await place.asked('2001:db8:1::1');
    // and now the others live as long as it does
    assert.equal(place.entry('198.51.100.2')?.deadlineMs, START_MS + 1000 + HOUR_MS);
    assert.deepEqual(place.prefixes, [...FARM.slice(0, 3), '2001:db8:1::/64'].sort());
  });

  it('lets nobody of a pool in for one who has tried, and says so', async () => {
    const place = bench({ maxEntries: 2 });
    await place.attempted('198.51.100.9');
    await place.attempted('192.0.2.211');
    assert.equal(
      await place.refused('198.51.100.10'),
      '198.51.100.10 is not let in: it belongs to sender.com, which has tried the fake MX, but max-entries is reached',
    );
    assert.deepEqual(place.prefixes, ['192.0.2.211', '198.51.100.9']);
  });

  it('believes a name that does not point back only when told to', async () => {
    const strict = bench();
    const entry = await strict.attempted('198.51.100.66');
    assert.deepEqual([entry.name, strict.prefixes, strict.messages], [undefined, ['198.51.100.66'], []]);
    const believing = bench({ rdnsUnconfirmed: true });
    const believed = await believing.attempted('198.51.100.66');
    assert.equal(believed.name, 'mail.victim.com');
    assert.deepEqual(believing.prefixes, ['192.0.2.80', '192.0.2.81', '198.51.100.66']);
    // but never for a pool
    believing.refusal('198.51.100.10');
    await nextTurn();
    assert.equal(believing.namer.resolver.counters.asked, 3);
  });

  it('admits others whatever their own PTR record says, if they have one, in the last rank', async () => {
    const place = bench({ maxEntries: 4 });
    await place.attempted('192.0.2.70');
    assert.deepEqual(place.prefixes, ['192.0.2.70', '192.0.2.72', '198.51.100.9', '2001:db8:70::1']);
    for (const [n, from] of ['192.0.2.80', '192.0.2.81', '192.0.2.82'].entries()) {
      place.nowMs += 1000;
      place.tracker.observe(syn(from, FAKE), place.nowMs);
      assert.equal(place.tracker.counters.evicted, n + 1);
    }
    assert.deepEqual(place.prefixes, ['192.0.2.70', '192.0.2.80', '192.0.2.81', '192.0.2.82']);
  });

  it('admits 32 others at the most', async () => {
    const place = bench();
    await place.attempted('203.0.113.1');
    assert.equal(place.tracker.size, 33);
    assert.equal(place.tracker.counters.named, 32);
  });

  it('leaves out what is nobody on the Internet, and our own MX', async () => {
    const place = bench();
    await place.attempted('192.0.2.90');
    assert.deepEqual(place.prefixes, ['192.0.2.90', '192.0.2.91']);
  });

  it('asks nothing about an address that is nobody on the Internet', async () => {
    const place = bench();
    place.attempt('10.0.0.1');
    await place.attempted('198.51.100.9');
    // PTR, A and AAAA of the other one, and the SPF record of its domain
    assert.equal(place.namer.resolver.counters.asked, 4);
    place.refusal('192.168.1.1');
    assert.equal(await place.refused('198.51.100.10'), POOLED);
    assert.equal(place.messages.filter((message) => message.includes('192.168.1.1')).length, 0);
  });

  it('admits a member of the pool of one who has tried', async () => {
    const place = bench();
    const { name } = await place.attempted('198.51.100.9');
    assert.equal(name, 'out9.sender.com');
    place.nowMs += 5000;
    const admitted = place.admitted;
    assert.equal(await place.refused('198.51.100.10'), POOLED);
    const entry = place.entry('198.51.100.10');
    assert.ok(entry !== undefined);
    assert.equal(entry.origin, 'pool');
    assert.equal(entry.name, 'out10.sender.com');
    assert.equal(entry.deadlineMs, START_MS + 5000 + HOUR_MS);
    assert.equal(place.tracker.counters.pooled, 1);
    assert.equal(place.admitted, admitted + 1);
    // its next SYN
    assert.equal(place.tracker.observe(syn('198.51.100.10', REAL), place.nowMs).kind, 'admission');
  });

  it('keeps out who is in no pool, and says why', async () => {
    const place = bench();
    await place.attempted('198.51.100.9');
    assert.equal(
      await place.refused('192.0.2.211'),
      '192.0.2.211 is in no pool of a sender: the SPF record of sender.com says fail',
    );
    assert.equal(
      await place.refused('198.51.100.66'),
      '198.51.100.66 is in no pool of a sender: its name mail.victim.com does not point back to it',
    );
    assert.equal(
      await place.refused('198.51.100.200'),
      '198.51.100.200 is in no pool of a sender: it has no name (ENOTFOUND)',
    );
    assert.deepEqual(place.prefixes, ['198.51.100.9']);
    assert.deepEqual(
      place.lines.slice(-3).map(({ level }) => level),
      ['debug', 'debug', 'debug'],
    );
  });

  it('asks nothing about the refused before somebody has tried, nor when that is too long ago', async () => {
    const place = bench({ poolWindow: 60 });
    place.refusal('198.51.100.10');
    await nextTurn();
    assert.equal(place.namer.resolver.counters.asked, 0);
    await place.attempted('198.51.100.9');
    place.nowMs += 60_000;
    const { asked } = place.namer.resolver.counters;
    place.refusal('198.51.100.10');
    await nextTurn();
    assert.equal(place.namer.resolver.counters.asked, asked);
    // until one of them tries again
    await place.attempted('198.51.100.9');
    assert.equal(await place.refused('198.51.100.10'), POOLED);
  });

  it('begins to ask about 200 of those who try in a second, and counts the others', async () => {
    const place = bench();
    for (const i of numbers(250)) place.attempt(`203.0.113.${i + 1}`);
    assert.equal(place.namer.skipped, 50);
    assert.ok(place.namer.counters().asked <= 200);
    // who was left out has its turn when it tries again
    place.nowMs += 1000;
    await place.attempted('198.51.100.1');
    place.attempt('203.0.113.250');
    assert.equal(place.namer.skipped, 50);
    assert.equal(place.originOf('198.51.100.2'), 'name');
  });

  it('begins to ask about 200 of the refused in a second, and counts the others', async () => {
    const place = bench();
    await place.attempted('198.51.100.9');
    const before = place.lines.length;
    for (const i of numbers(250)) place.refusal(`198.51.100.${i + 1 === 9 ? 251 : i + 1}`);
    assert.equal(place.namer.skipped, 50);
    place.nowMs += 1000;
    for (const i of numbers(10)) place.refusal(`203.0.113.${i + 1}`);
    assert.equal(place.namer.skipped, 50);
    await until('all are judged', () => place.lines.length === before + 210);
  });

  it('with no-pool: no pools, but names', async () => {
    const place = bench({ noPool: true });
    await place.attempted('198.51.100.1');
    assert.deepEqual(place.prefixes, [...FARM].sort());
    const { asked } = place.namer.resolver.counters;
    place.refusal('198.51.100.10');
    await nextTurn();
    assert.equal(place.namer.resolver.counters.asked, asked);
  });

  it('with no-rdns-whitelist: no other addresses of a name, but pools', async () => {
    const place = bench({ noRdnsWhitelist: true });
    const { name } = await place.attempted('198.51.100.1');
    assert.equal(name, 'mail.sender.com');
    assert.deepEqual(place.prefixes, ['198.51.100.1']);
    assert.equal(await place.refused('198.51.100.10'), POOLED);
  });

  it('admits nobody along with one who is always allowed, and not the always allowed', async () => {
    const place = bench({ allow: [{ address: address('198.51.100.2'), length: 32 }] });
    await place.attempted('198.51.100.1');
    assert.deepEqual(place.prefixes, FARM.filter((text) => text !== '198.51.100.2').sort());
  });

  it('does not give up an attempt for the sake of its other addresses', async () => {
    const place = bench({ maxEntries: 10 });
    await place.attempted('203.0.113.1');
    assert.equal(place.originOf('203.0.113.1'), 'attempt');
    assert.ok(place.tracker.size <= 10);
  });

  it('lets go of entries that have expired', async () => {
    const place = bench();
    await place.attempted('198.51.100.1');
    let renewed = '198.51.100.2';
    for (let round = 0; round < 10; round++) {
      const other = renewed === '198.51.100.2' ? '198.51.100.1' : '198.51.100.2';
      // names are known now, and the other one lives on with it
      await place.attempted(renewed);
      place.nowMs += 30_000;
      // within the minute: the other one does not
      place.attempt(renewed);
      place.nowMs += HOUR_MS - 15_000;
      place.tracker.expire(place.nowMs);
      assert.equal(place.entry(other), undefined);
      // the other one comes again, as a child of this one
      await place.attempted(renewed);
      assert.equal(place.originOf(other), 'name');
      renewed = other;
      place.nowMs += 60_000;
    }
    let ancestors = 0;
    for (let entry = place.entry(renewed)?.parent; entry !== undefined; entry = entry.parent) ancestors++;
    assert.ok(ancestors <= 2, `${ancestors} ancestors, though ${place.tracker.size} entries live`);
  });
});

const POOLED =
  'Adding 198.51.100.10 to whitelist: out10.sender.com belongs to sender.com, which has tried a fake mailserver';

/** One confirmed sender, `192.0.2.50`, mail.sender.com; nobody else has a name. */
function oneSender(question: { name: string; type: string }): ReturnType<SlowServer['reply']> {
  if (question.type === 'PTR' && question.name === '50.2.0.192.in-addr.arpa') {
    return { type: 'PTR', data: ['mail.sender.com'] };
  }
  if (question.type === 'A' && question.name === 'mail.sender.com') {
    return { type: 'A', data: ['192.0.2.50', '192.0.2.51'] };
  }
  if (question.type === 'TXT' && question.name === 'sender.com') {
    return { type: 'TXT', data: ['v=spf1 ip4:192.0.2.0/24 -all'] };
  }
  return 'nxdomain';
}

describe('the namer with a slow name server', () => {
  let server: SlowServer;
  let place: Bench;
  afterEach(async () => {
    place.namer.close();
    await server.dispose();
  });
  const begin = async (change: Partial<Config> = {}): Promise<void> => {
    server = await SlowServer.start({ delay: 'hold', reply: oneSender });
    place = new Bench(server.address, change);
  };
  /** Answers all that is asked, as long as a question is to be expected. */
  const answer = async (): Promise<void> => {
    await until('it is asked', () => server.holding > 0);
    server.release();
    await place.asked('192.0.2.50');
  };

  it('asks once about a sender that tries often', async () => {
    await begin();
    for (let i = 0; i < 100; i++) place.attempt('192.0.2.50');
    await answer();
    assert.deepEqual(place.prefixes, ['192.0.2.50', '192.0.2.51']);
    assert.equal(server.queries, 4);
  });

  it('adds nothing when the entry is gone before the answer comes', async () => {
    await begin();
    place.attempt('192.0.2.50');
    await until('it is asked', () => server.holding === 1);
    place.nowMs += HOUR_MS;
    place.tracker.expire(place.nowMs);
    server.release();
    await place.asked('192.0.2.50');
    assert.deepEqual([place.prefixes, place.messages], [[], []]);
  });

  it('adds nothing after its end', async () => {
    await begin();
    place.attempt('192.0.2.50');
    await until('it is asked', () => server.holding === 1);
    place.namer.close();
    server.release();
    await place.asked('192.0.2.50');
    assert.deepEqual([place.prefixes, place.messages], [['192.0.2.50'], []]);
    // and asks no more
    const { asked } = place.namer.resolver.counters;
    place.attempt('192.0.2.52');
    await nextTurn();
    assert.equal(place.namer.resolver.counters.asked, asked);
    assert.equal(server.queries, 1);
  });

  it('learns the name of a sender that is refused first and then tries the fake MX', async () => {
    await begin();
    place.attempt('192.0.2.50');
    await answer();
    server.reply = (question) =>
      question.name === '60.2.0.192.in-addr.arpa'
        ? { type: 'PTR', data: ['mail.other.com'] }
        : question.name === 'mail.other.com' && question.type === 'A'
          ? { type: 'A', data: ['192.0.2.60', '192.0.2.61'] }
          : 'nxdomain';
    server.release('hold');
    place.refusal('192.0.2.60');
    await until('it is asked', () => server.holding === 1);
    const entry = place.attempt('192.0.2.60');
    server.release();
    await until('the refusal is judged', () =>
      place.messages.some((message) => message.includes('in no pool')),
    );
    await place.asked('192.0.2.60');
    assert.equal(entry.name, 'mail.other.com');
    assert.equal(place.originOf('192.0.2.61'), 'name');
  });

  it('with a dead one: 50,000 senders and strangers leave all within bounds', async () => {
    await begin({ maxEntries: 1000, dnsTimeout: 1 });
    place.attempt('192.0.2.50');
    await answer();
    server.reply = () => 'never';
    place.deaf = true;
    const { resolver } = place.namer;
    const before = place.namer.counters();
    let heapBefore = 0;
    let mostWaiting = 0;
    const source = (i: number) => addressOfWords(4, (0xc6000000 + i) | 0, 0, 0, 0);
    const [fake, real] = [address(FAKE), address(REAL)];
    for (let i = 0; i < 50_000; i += 2) {
      // 100 strangers a second: none is left out for coming too fast
      place.nowMs += 10;
      const sender = synBetween(source(i), fake);
      const decision = place.tracker.observe(sender, place.nowMs);
      assert.ok(decision.kind === 'attempt' && decision.entry !== undefined);
      place.namer.attempt(sender, decision.entry);
      const stranger = synBetween(source(i + 1), real);
      assert.equal(place.tracker.observe(stranger, place.nowMs).kind, 'refusal');
      place.namer.refusal(stranger);
      mostWaiting = Math.max(mostWaiting, resolver.waiting);
      if (i % 1000 === 0) await nextTurn();
      // as many wait as ever will
      if (i === 10_000) heapBefore = heapUsed();
    }
    assert.equal(mostWaiting, 2000);
    assert.equal(place.namer.skipped, 0);
    // of each kind 2,000 wait: what was neither asked nor waits was not even begun
    const { asked, dropped, fromCache } = place.namer.counters();
    assert.deepEqual([asked - before.asked + dropped, fromCache - before.fromCache], [46_000, 0]);
    const grown = heapUsed() - heapBefore;
    assert.ok(grown < 8 << 20, `the heap has grown by ${grown} bytes`);
    const nowMs = place.nowMs;
    // nobody who has tried has to go for one of a pool
    assert.equal(place.tracker.admit(address('203.0.113.77'), 'pool', nowMs, nowMs + 1000), 'no-room');
    // and it ends at once, with all who wait
    const last = resolver.lookup('A', 'waits.example.com');
    place.namer.close();
    assert.equal((await last).status, 'dropped');
    assert.equal(resolver.waiting, 0);
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are really in use. */
function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

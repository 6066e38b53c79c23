import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { BoundedResolver, Lookup, ResolverSettings } from '../../src/names/resolver.js';
import { until } from '../support/daemon.js';
import { dnsUnavailable, NameServer, type Reply, resolverOf, SlowServer } from '../support/dns.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const many = (name: string, count: number): string =>
  numbers(count)
    .map((i) => `${name} A 198.18.${i >> 8}.${i & 255}`)
    .join('\n');

const ZONES = {
  'example.com': `
a 600 A 192.0.2.1
a 600 A 192.0.2.2
brief 1 A 192.0.2.3
long 86400 A 192.0.2.4
forever 2147483647 A 192.0.2.4
six 600 AAAA 2001:db8::6
text TXT "v=spf1 one " "two"
text TXT "another matter"
mx MX 10 mail
mx MX 5 mail2
end1 CNAME end2
end2 90 CNAME end3
end3 CNAME a
round CNAME about
about CNAME round
away CNAME a.refused.test.
nothing CNAME no-such-name
${many('hundred', 100)}
${many('thousand', 1000)}`,
  'broken.test': 'nonsense nonsense nonsense',
  '2.0.192.in-addr.arpa': '1 PTR a.example.com.',
};

describe('BoundedResolver', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  let nowMs = 0;
  const resolvers: BoundedResolver[] = [];
  const open = (settings: Partial<ResolverSettings> = {}): BoundedResolver => {
    const resolver = server.resolver({ nowMs: () => nowMs, ...settings });
    resolvers.push(resolver);
    return resolver;
  };
  before(async () => (server = await NameServer.start(ZONES)));
  afterEach(() => {
    for (const resolver of resolvers.splice(0)) resolver.close();
  });
  after(() => server.dispose());

  const answers: readonly (readonly [Parameters<BoundedResolver['lookup']>[0], string, string[]])[] = [
    ['A', 'a.example.com', ['192.0.2.1', '192.0.2.2']],
    ['AAAA', 'six.example.com', ['2001:db8::6']],
    ['TXT', 'text.example.com', ['v=spf1 one two']],
    ['MX', 'mx.example.com', ['10 mail.example.com', '5 mail2.example.com']],
    ['PTR', '1.2.0.192.in-addr.arpa', ['a.example.com']],
    ['A', 'end1.example.com', ['192.0.2.1', '192.0.2.2']],
  ];
  for (const [type, name, records] of answers) {
    it(`finds ${type} of ${name}`, async () => {
      const found = await open().lookup(type, name);
      const sorted = [...found.records].sort();
      assert.deepEqual(
        { ...found, records: sorted },
        { status: 'found', records: [...records].sort(), code: '' },
      );
    });
  }

  const failures: readonly (readonly [string, string, string, Lookup['status'], string])[] = [
    ['a name that is not there', 'A', 'no-such-name.example.com', 'none', 'ENOTFOUND'],
    ['a name without such a record', 'AAAA', 'a.example.com', 'none', 'ENODATA'],
    ['an alias of nothing', 'A', 'nothing.example.com', 'none', 'ENOTFOUND'],
    ['aliases in a circle', 'A', 'round.example.com', 'none', 'ENODATA'],
    ['a zone that its server cannot serve', 'A', 'a.broken.test', 'failed', 'ESERVFAIL'],
    ['a server that refuses', 'A', 'a.refused.test', 'failed', 'EREFUSED'],
    ['a name that cannot be', 'A', 'a..example.com', 'failed', 'EBADNAME'],
    ['a name that is too long', 'A', `${'a.'.repeat(130)}com`, 'failed', 'EBADNAME'],
  ];
  for (const [what, type, name, status, code] of failures) {
    it(`says of ${what}: ${status}`, async () => {
      const resolver = open();
      assert.deepEqual(await resolver.lookup(type as 'A', name), { status, records: [], code });
      // what is too long is not even asked
      assert.equal(resolver.counters.failed, status === 'failed' && name.length <= 253 ? 1 : 0);
    });
  }

  it('says of a server that does not answer: failed', async (t) => {
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const resolver = silent.resolver({ timeoutMs: 100, tries: 2 });
    assert.deepEqual(await resolver.lookup('A', 'a.example.com'), {
      status: 'failed',
      records: [],
      code: 'ETIMEOUT',
    });
    await until('it has heard both', () => silent.queries === 2);
    assert.equal(resolver.counters.failed, 1);
    resolver.close();
  });

  it('completes an answer by TCP that is too long for UDP', async () => {
    // 64 of 100 records; a UDP answer of 512 bytes, or 1232, has not as many
    const { status, records } = await open().lookup('A', 'hundred.example.com');
    assert.deepEqual([status, records.length], ['found', 64]);
  });

  /** Asks, and asks again later; whether the second answer came from memory. */
  const isKeptFor = async (resolver: BoundedResolver, name: string, ms: number): Promise<boolean> => {
    nowMs = 0;
    await resolver.lookup('A', name);
    const { asked } = resolver.counters;
    nowMs = ms;
    await resolver.lookup('A', name);
    return resolver.counters.asked === asked;
  };

  const times: readonly (readonly [string, string, number])[] = [
    ['its time to live', 'a.example.com', 600_000],
    ['half a minute at least', 'brief.example.com', 30_000],
    ['an hour at the most', 'long.example.com', HOUR_MS],
    ['an hour at the most, whatever is claimed', 'forever.example.com', HOUR_MS],
    ['the shortest time of the aliases', 'end1.example.com', 90_000],
    ['two minutes, when there is nothing', 'no-such-name.example.com', 2 * MINUTE_MS],
    ['half a minute, when it failed', 'a.refused.test', 30_000],
    // c-ares tells no time for more than 256 addresses
    ['its time to live, with a thousand addresses', 'thousand.example.com', 300_000],
  ];
  for (const [what, name, ms] of times) {
    it(`keeps an answer for ${what}`, async () => {
      assert.equal(await isKeptFor(open(), name, ms - 1), true, `${ms - 1} ms`);
      assert.equal(await isKeptFor(open(), name, ms), false, `${ms} ms`);
    });
  }

  it('keeps an answer whose time is not told for five minutes', async () => {
    const resolver = open();
    nowMs = 0;
    await resolver.lookup('PTR', '1.2.0.192.in-addr.arpa');
    nowMs = 5 * MINUTE_MS - 1;
    await resolver.lookup('PTR', '1.2.0.192.in-addr.arpa');
    assert.deepEqual({ ...resolver.counters }, { asked: 1, fromCache: 1, dropped: 0, failed: 0 });
    nowMs += 1;
    await resolver.lookup('PTR', '1.2.0.192.in-addr.arpa');
    assert.equal(resolver.counters.asked, 2);
  });

  it('tells types apart', async () => {
    const resolver = open();
    assert.equal((await resolver.lookup('A', 'six.example.com')).status, 'none');
    assert.equal((await resolver.lookup('AAAA', 'six.example.com')).status, 'found');
  });
});

describe('a busy BoundedResolver', () => {
  let server: SlowServer;
  let resolver: BoundedResolver;
  const begin = async (settings: Partial<ResolverSettings>, reply?: () => Reply): Promise<void> => {
    server = await SlowServer.start({
      delay: 'hold',
      reply: reply ?? (() => ({ type: 'A', data: ['192.0.2.1'] })),
    });
    resolver = server.resolver(settings);
  };
  afterEach(async () => {
    resolver.close();
    await server.dispose();
  });
  const look = (i: number): Promise<Lookup> => resolver.lookup('A', `n${i}.example.com`);
  const isHeld = (count: number): Promise<void> =>
    until(`${count} are asked`, () => server.holding === count);

  it('asks once for all who want to know', async () => {
    await begin({});
    const all = numbers(1000).map(() => look(0));
    await isHeld(1);
    const late = look(0);
    server.release();
    const found = await Promise.all([...all, late]);
    assert.ok(found.every(({ status }) => status === 'found'));
    await look(0);
    assert.equal(server.queries, 1);
    assert.deepEqual({ ...resolver.counters }, { asked: 1, fromCache: 1, dropped: 0, failed: 0 });
  });

  it('asks so many questions at a time, the others wait their turn', async () => {
    await begin({ active: 5, waiting: 100 });
    const all = numbers(50).map(look);
    for (let done = 0; done < 50; done += 5) {
      await isHeld(5);
      assert.equal(resolver.waiting, 45 - done);
      assert.deepEqual(
        server.questions.slice(done).map(({ name }) => name),
        numbers(5).map((i) => `n${done + i}.example.com`),
      );
      server.release('hold');
    }
    await Promise.all(all);
    assert.equal(server.mostAtOnce, 5);
    assert.equal(server.queries, 50);
    assert.equal(resolver.counters.dropped, 0);
  });

  it('does not make those that come when too many wait, and counts them', async () => {
    await begin({ active: 2, waiting: 3 });
    const early = numbers(5).map(look);
    const dropped = { status: 'dropped', records: [], code: 'dropped' };
    assert.deepEqual(await Promise.all([look(5), look(6)]), [dropped, dropped]);
    // but joins them
    const joined = look(4);
    assert.equal(resolver.counters.dropped, 2);
    assert.equal(resolver.waiting, 3);
    await isHeld(2);
    server.release();
    const found = await Promise.all([...early, joined]);
    assert.ok(found.every(({ status }) => status === 'found'));
    // what was not made is not remembered
    assert.equal((await look(5)).status, 'found');
  });

  it('goes on after failures', async () => {
    await begin({ active: 2, waiting: 100 }, () => 'servfail');
    const all = numbers(20).map(look);
    await isHeld(2);
    server.release();
    const failed = await Promise.all(all);
    assert.ok(failed.every(({ status, code }) => status === 'failed' && code === 'ESERVFAIL'));
    assert.equal(resolver.counters.failed, 20);
    server.reply = () => ({ type: 'A', data: ['192.0.2.1'] });
    const found = await Promise.all(numbers(20).map((i) => look(100 + i)));
    assert.ok(found.every(({ status }) => status === 'found'));
  });

  it('keeps so many answers, those used last', async () => {
    await begin({ cached: 3 });
    server.release();
    for (const i of [0, 1, 2, 0, 3]) await look(i);
    const { asked } = resolver.counters;
    for (const i of [0, 2, 3]) await look(i);
    assert.equal(resolver.counters.asked, asked);
    await look(1);
    assert.equal(resolver.counters.asked, asked + 1);
  });

  it('gives all up when it is closed', async () => {
    await begin({ active: 2, waiting: 100 });
    const all = numbers(10).map(look);
    await isHeld(2);
    resolver.close();
    const ended = await Promise.all(all);
    assert.deepEqual(
      ended.map(({ status }) => status),
      ['failed', 'failed', ...numbers(8).map(() => 'dropped')],
    );
    assert.equal(ended[0]?.code, 'ECANCELLED');
    assert.equal(resolver.waiting, 0);
    assert.equal((await look(77)).status, 'dropped');
    assert.equal(server.queries, 2);
  });
});

describe('the servers of a BoundedResolver', () => {
  it('must be addresses', () => {
    assert.throws(() => resolverOf('dns.example.com'), TypeError);
    for (const server of ['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:5353']) {
      assert.doesNotThrow(() => resolverOf(server));
    }
  });
});

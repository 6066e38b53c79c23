import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import { timedLookup, WireClient, type WireSettings } from '../../src/names/wire.js';
import { until } from '../support/daemon.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const ZONES = {
  'example.com': `
a 600 A 192.0.2.1
a 600 A 192.0.2.2
six 60 AAAA 2001:db8::6
alias 30 CNAME a
text 900 TXT "v=spf1 one " "two"
text 900 TXT "another matter"
other TXT "another matter"
mx 77 MX 10 mail
mx 77 MX 5 mail2
_25._tcp.mail 120 TLSA 3 1 1 0102030405060708091011121314151617181920212223242526272829303132
child 50 NS ns.child
child 50 DS 12345 13 2 0102030405060708091011121314151617181920212223242526272829303132
ns.child A 192.0.2.9
${numbers(100)
  .map((i) => `hundred A 198.18.0.${i}`)
  .join('\n')}`,
  'broken.test': 'nonsense nonsense nonsense',
};

describe('WireClient', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  const clients: WireClient[] = [];
  const open = (servers: readonly string[], settings: Partial<WireSettings> = {}): WireClient => {
    const client = new WireClient({ timeoutMs: 5000, tries: 12, ...settings, servers });
    clients.push(client);
    return client;
  };
  before(async () => (server = await NameServer.start(ZONES)));
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  after(() => server.dispose());

  it('finds addresses, with their time to live', async () => {
    const { records, ...answer } = await open([server.address]).ask('A', 'a.example.com');
    assert.deepEqual(answer, { code: '', ttlMs: 600_000, isAuthentic: false });
    assert.deepEqual([...records].sort(), ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(await open([server.address]).ask('AAAA', 'six.example.com'), {
      code: '',
      records: ['2001:db8::6'],
      ttlMs: 60_000,
      isAuthentic: false,
    });
  });

  it('goes by the shortest time to live, that of an alias, too', async () => {
    const { records, ttlMs } = await open([server.address]).ask('A', 'alias.example.com');
    assert.deepEqual([records.length, ttlMs], [2, 30_000]);
  });

  it('finds TLSA, DS and CNAME records', async () => {
    const digest = Buffer.from('0102030405060708091011121314151617181920212223242526272829303132', 'hex');
    const client = open([server.address]);
    assert.deepEqual((await client.ask('TLSA', '_25._tcp.mail.example.com')).records, [
      { usage: 3, selector: 1, matchingType: 1, certificate: digest },
    ]);
    assert.deepEqual((await client.ask('DS', 'child.example.com')).records, [
      { keyTag: 12345, algorithm: 13, digestType: 2, digest },
    ]);
    assert.deepEqual((await client.ask('CNAME', 'alias.example.com')).records, ['a.example.com']);
  });

  it('completes an answer by TCP that is too long for UDP', async () => {
    const { code, records } = await open([server.address]).ask('A', 'hundred.example.com');
    assert.deepEqual([code, records.length], ['', 100]);
  });

  const failures: readonly (readonly [string, string, 'A' | 'AAAA', string])[] = [
    ['a name that is not there', 'no-such-name.example.com', 'A', 'ENOTFOUND'],
    ['a name without such a record', 'a.example.com', 'AAAA', 'ENODATA'],
    ['a zone that its server cannot serve', 'a.broken.test', 'A', 'ESERVFAIL'],
    ['a server that refuses', 'a.refused.test', 'A', 'EREFUSED'],
    ['a name that cannot be', 'a..example.com', 'A', 'EBADNAME'],
    ['a name beyond ASCII', '\xe4.example.com', 'A', 'EBADNAME'],
    ['a label that is too long', `${'a'.repeat(64)}.example.com`, 'A', 'EBADNAME'],
    ['a name that is too long', `${'a.'.repeat(130)}com`, 'A', 'EBADNAME'],
  ];
  for (const [what, name, type, code] of failures) {
    it(`says of ${what}: ${code}`, async () => {
      const answer = await open([server.address], { tries: 1 }).ask(type, name);
      assert.deepEqual(answer, { code, records: [], ttlMs: 0, isAuthentic: false });
    });
  }

  it('asks again when there is no answer, and the next server', async (t) => {
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const client = open([silent.address, server.address], { timeoutMs: 50 });
    assert.equal((await client.ask('A', 'a.example.com')).code, '');
    const alone = open([silent.address], { timeoutMs: 50, tries: 3 });
    const before = silent.queries;
    assert.equal((await alone.ask('A', 'a.example.com')).code, 'ETIMEOUT');
    await until('it has heard all', () => silent.queries - before === 3);
  });

  it('says of a port where nobody listens: ECONNREFUSED', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    const client = open([`127.0.0.1:${port}`], { tries: 1 });
    assert.equal((await client.ask('A', 'a.example.com')).code, 'ECONNREFUSED');
  });

  it('gives up when it is closed', async (t) => {
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const client = open([silent.address], { timeoutMs: 600_000 });
    const answer = client.ask('A', 'a.example.com');
    await until('it has been asked', () => silent.queries === 1);
    client.close();
    assert.equal((await answer).code, 'ECANCELLED');
    assert.equal((await client.ask('A', 'a.example.com')).code, 'ECANCELLED');
  });

  it('waits for the answer to its question, whatever else comes from there', async (t) => {
    const liar = createSocket('udp4');
    t.after(() => liar.close());
    liar.bind(0, '127.0.0.1');
    await once(liar, 'listening');
    liar.on('message', (query, { port, address }) => {
      const isReply = Buffer.from(query);
      isReply.writeUInt16BE(0x8180, 2);
      const otherId = Buffer.from(isReply);
      otherId.writeUInt16BE((query.readUInt16BE(0) + 1) & 0xffff, 0);
      const otherName = Buffer.from(isReply);
      otherName.write('b', 13);
      // the query itself; another number; another name; noise; cut; nothing; then a true one: NXDOMAIN
      const cut = isReply.subarray(0, 20);
      const noise = Buffer.concat([query.subarray(0, 2), Buffer.alloc(100, 0xff)]);
      const real = Buffer.from(isReply);
      real.writeUInt16BE(0x8183, 2);
      for (const one of [query, otherId, otherName, noise, cut, Buffer.alloc(0), real])
        liar.send(one, port, address);
    });
    const client = open([`127.0.0.1:${liar.address().port}`]);
    assert.equal((await client.ask('A', 'a.example.com')).code, 'ENOTFOUND');
  });

  it('gives records as text, of TXT those for SPF', async () => {
    const client = open([server.address]);
    assert.deepEqual(await timedLookup(client, 'TXT', 'text.example.com'), {
      status: 'found',
      records: ['v=spf1 one two'],
      code: '',
      ttlMs: 900_000,
    });
    const mx = await timedLookup(client, 'MX', 'mx.example.com');
    assert.deepEqual(
      [[...mx.records].sort(), mx.ttlMs],
      [['10 mail.example.com', '5 mail2.example.com'], 77_000],
    );
    assert.deepEqual(await timedLookup(client, 'TXT', 'other.example.com'), {
      status: 'none',
      records: [],
      code: 'ENODATA',
      ttlMs: 300_000,
    });
    assert.deepEqual(
      [
        (await timedLookup(client, 'A', 'no.example.com')).status,
        (await timedLookup(client, 'A', 'hundred.example.com')).records.length,
      ],
      ['none', 64],
    );
  });
});

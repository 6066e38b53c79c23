import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hostName } from '../../src/names/name.js';
import { spfNetworks, type SpfNetworks } from '../../src/names/spf-networks.js';
import { timedLookup, WireClient } from '../../src/names/wire.js';
import { formatPrefix } from '../../src/packet/address.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';
import { GOOGLE, GOOGLE_ZONE } from '../support/spf-zones.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const quoted = (text: string): string => (text.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ');

const ZONES = {
  'google.test': GOOGLE_ZONE,
  'example.com': `
@ 3600 TXT "v=spf1 a mx/30 a:other.example.com//64 ip4:198.51.100.7 ?all"
@ 1800 A 192.0.2.1
@ MX 10 mail
@ MX 20 mail2
mail 900 A 192.0.2.10
mail 900 AAAA 2001:db8::10
mail2 A 192.0.2.11
other AAAA 2001:db8:1:2::7
other A 192.0.2.12
redirect TXT "v=spf1 ip4:192.0.2.1 redirect=example.com"
before-all TXT "v=spf1 -all ip4:192.0.2.1 redirect=example.com"
everybody TXT "v=spf1 ip4:192.0.2.1 +all"
plain TXT "v=spf1 all"
message TXT "v=spf1 exists:%{i}.example.com ptr include:%{d}.example.com a:%{o} ip4:192.0.2.1 ~all"
maybe TXT "v=spf1 ?include:example.com ~include:everybody.example.com ip4:192.0.2.1 -all"
except TXT "v=spf1 -ip4:198.51.100.0/25 ?a:other.example.com ip4:198.51.100.0/24 ip4:203.0.113.0/24 include:under.example.com -all"
under TXT "v=spf1 ip4:198.51.100.127 ip4:192.0.2.12 ip4:192.0.2.13 -ip4:203.0.113.128 -all"
twice TXT "v=spf1 a"
twice TXT "v=spf1 mx"
wrong TXT "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"
noword TXT "hello"
badname TXT "v=spf1 include:a..b -all"
nowhere TXT "v=spf1 ip4:192.0.2.1 include:no-such-name.example.com -all"
void2 TXT "v=spf1 a:x1.example.com mx:x2.example.com ip4:192.0.2.1 -all"
void3 TXT "v=spf1 a:x1.example.com mx:x2.example.com a:x3.example.com ip4:192.0.2.1 -all"
ten TXT "v=spf1 ${numbers(10)
    .map(() => 'a:mail.example.com')
    .join(' ')} -all"
eleven TXT "v=spf1 ${numbers(10)
    .map(() => 'a:mail.example.com')
    .join(' ')} ptr -all"
loop TXT "v=spf1 include:loop.example.com -all"
manymx TXT "v=spf1 mx -all"
${numbers(11)
  .map((i) => `manymx MX ${i} mail`)
  .join('\n')}
${numbers(11)
  .map((i) => `manymx MX ${i} m${i}`)
  .join('\n')}
long TXT ${quoted(`v=spf1 ${'ip4:192.0.2.1 '.repeat(160)}-all`)}
longterm TXT ${quoted(`v=spf1 exists:%{i}.${'a.'.repeat(130)}com -all`)}
half TXT "v=spf1 ip4:192.0.2.1 include:spf.refused.test a:mail.refused.test ip4:192.0.2.2 -all"
UPPER TXT "V=SPF1 IP4:192.0.2.1 Include:EXAMPLE.com -ALL"`,
};

describe('the networks of an SPF record', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  let client: WireClient;
  before(async () => {
    server = await NameServer.start(ZONES);
    client = new WireClient({ servers: [server.address], timeoutMs: 5000, tries: 5 });
  });
  after(async () => {
    client.close();
    await server.dispose();
  });

  const of = async (domain: string, by = client): Promise<SpfNetworks> => {
    const name = hostName(domain);
    assert.ok(name !== undefined);
    return spfNetworks((type, asked) => timedLookup(by, type, asked), name);
  };
  const found = async (domain: string): Promise<string[]> => {
    const result = await of(domain);
    assert.equal(result.kind, 'whole', JSON.stringify(result));
    return result.kind === 'whole' ? result.networks.map(formatPrefix).map(String) : [];
  };

  it('are those of the records that it includes: 3 includes, 90 networks', async () => {
    const result = await of('google.test');
    assert.ok(result.kind === 'whole');
    assert.deepEqual(result.networks.map(formatPrefix).map(String), [
      ...GOOGLE.ipv4.slice(0, 30),
      ...GOOGLE.ipv6,
      ...GOOGLE.ipv4.slice(30),
    ]);
    assert.deepEqual([result.passed, result.ttlMs], [[], 300_000]);
  });

  it('are addresses of names and of mail servers, with what is around them', async () => {
    const result = await of('example.com');
    assert.ok(result.kind === 'whole');
    assert.deepEqual(result.networks.map(formatPrefix).map(String).sort(), [
      '192.0.2.1',
      '192.0.2.12',
      '192.0.2.8/30',
      '198.51.100.7',
      '2001:db8:1:2::/64',
      '2001:db8::10',
    ]);
    // of the zone's default, which the MX records have
    assert.equal(result.ttlMs, 300_000);
  });

  it('are those of the record that it leads on to', async () => {
    assert.equal((await found('redirect.example.com')).length, 6);
  });

  it('are no longer read behind "all"', async () => {
    assert.deepEqual(await found('before-all.example.com'), []);
  });

  it('are read in any case', async () => {
    assert.equal((await found('upper.example.com')).length, 6);
  });

  const passed: readonly (readonly [string, string[], string[]])[] = [
    ['everybody.example.com', ['192.0.2.1'], ['all: +all']],
    ['plain.example.com', [], ['all: all']],
    [
      'message.example.com',
      ['192.0.2.1'],
      ['exists: exists:%{i}.example.com', 'ptr: ptr', 'macro: include:%{d}.example.com', 'macro: a:%{o}'],
    ],
    [
      'maybe.example.com',
      ['192.0.2.1'],
      ['not-pass: ?include:example.com', 'not-pass: ~include:everybody.example.com'],
    ],
    [
      'except.example.com',
      ['203.0.113.0/24', '192.0.2.13'],
      ['excepted: ip4:198.51.100.0/24', 'excepted: ip4:198.51.100.127', 'excepted: ip4:192.0.2.12'],
    ],
  ];
  for (const [domain, networks, terms] of passed) {
    it(`leave out what is for everybody, depends on the message, or does not pass: ${domain}`, async () => {
      const result = await of(domain);
      assert.ok(result.kind === 'whole');
      assert.deepEqual(result.networks.map(formatPrefix).map(String), networks);
      assert.deepEqual(
        result.passed.map(({ why, term }) => `${why}: ${term}`),
        terms,
      );
    });
  }

  const none: readonly (readonly [string, string])[] = [
    ['no-such-name.example.com', 'no-such-name.example.com has no SPF record'],
    ['noword.example.com', 'noword.example.com has no SPF record'],
    ['twice.example.com', 'twice.example.com has several SPF records'],
    ['wrong.example.com', 'the SPF record of wrong.example.com has "ipv4:192.0.2.2"'],
    ['badname.example.com', 'the SPF record of badname.example.com has "include:a..b"'],
    ['nowhere.example.com', 'no-such-name.example.com has no SPF record'],
    ['void3.example.com', 'more than 2 names in it do not exist'],
    ['eleven.example.com', 'more than 10 look-ups are needed'],
    ['loop.example.com', 'more than 10 look-ups are needed'],
    ['manymx.example.com', 'manymx.example.com has more than 10 MX records'],
    ['long.example.com', 'the SPF record of long.example.com is too long'],
    ['longterm.example.com', 'the SPF record of longterm.example.com is too long'],
  ];
  for (const [domain, why] of none) {
    it(`are none, for ${why}`, async () => {
      const result = await of(domain);
      assert.equal(result.kind === 'none' ? result.why : result.kind, why);
    });
  }

  it('keep within the limits of RFC 7208', async () => {
    assert.deepEqual(await found('void2.example.com'), ['192.0.2.1']);
    assert.deepEqual(await found('ten.example.com'), ['192.0.2.10', '2001:db8::10']);
  });

  it('are known in part when DNS does not answer all', async () => {
    const result = await of('half.example.com');
    assert.ok(result.kind === 'part');
    assert.deepEqual(result.networks.map(formatPrefix).map(String), ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(result.unanswered, [
      'TXT of spf.refused.test: EREFUSED',
      'A of mail.refused.test: EREFUSED',
      'AAAA of mail.refused.test: EREFUSED',
    ]);
  });

  it('are not known when DNS does not answer at all', async (t) => {
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const asker = new WireClient({ servers: [silent.address], timeoutMs: 50, tries: 1 });
    const result = await of('example.com', asker);
    assert.deepEqual(result, {
      kind: 'part',
      networks: [],
      passed: [],
      ttlMs: 0,
      unanswered: ['TXT of example.com: ETIMEOUT'],
    });
  });
});

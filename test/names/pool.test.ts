import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hostName } from '../../src/names/name.js';
import {
  checkSpf,
  judgePool,
  LiveDomains,
  poolDomains,
  type PoolVerdict,
  registrableDomain,
  type SpfResult,
} from '../../src/names/pool.js';
import { reverse } from '../../src/names/rdns.js';
import type { BoundedResolver } from '../../src/names/resolver.js';
import { dnsUnavailable, NameServer, reverseZones } from '../support/dns.js';
import { address } from '../support/observations.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');

/** An address and its PTR record. */
type Host = readonly [address: string, name: string];

/** Each of 200 has a name of its own; every tenth is an IPv6 address. */
const GMAIL: readonly Host[] = numbers(200).map((i) =>
  i % 10 === 9
    ? [`2001:db8:4860::${hex(i + 1, 3)}`, `mail-ed1-x${hex(i, 3)}.example-g.com`]
    : [`203.0.113.${i + 1}`, `mail-ed1-f${i}.example-g.com`],
);
/** As of Microsoft: deep names, and the ranges are in the records of another domain. */
const OUTLOOK: readonly Host[] = numbers(101).map((i) => [
  `198.51.100.${i + 1}`,
  `mail-eopbgr${80_000 + i}.outbound.protection.example-o.com`,
]);

/** Those who must stay outside: as many of each kind, with what is made of them. */
const OF_EACH = 100;
interface Strangers {
  readonly hosts: readonly Host[];
  /** A and AAAA records point back, unless told */
  readonly forward?: boolean;
  readonly verdict: (host: Host) => PoolVerdict;
}
const bySpf = (about: string, spf: SpfResult) => (): PoolVerdict => ({
  kind: 'no-pool',
  reason: 'spf',
  about,
  spf,
});
const strangers = (third: number, name: (i: number) => string): Host[] =>
  numbers(OF_EACH).map((i) => [`198.18.${third}.${i + 1}`, name(i)]);
const spfStrangers = (third: number, domain: string, spf: SpfResult): Strangers => ({
  hosts: strangers(third, (i) => `out${i}.${domain}`),
  verdict: bySpf(domain, spf),
});
const refused =
  (reason: (PoolVerdict & { kind: 'no-pool' })['reason'], about: (host: Host) => string) =>
  (host: Host): PoolVerdict => ({ kind: 'no-pool', reason, about: about(host) });
const nameOf = ([, name]: Host): string => name;

const STRANGERS: Readonly<Record<string, Strangers>> = {
  'a PTR record that claims a name of the pool, which does not point back': {
    hosts: strangers(1, (i) => `mail-ed1-f${i}.example-g.com`),
    forward: false,
    verdict: refused('unconfirmed', nameOf),
  },
  'a domain of which nobody has tried': {
    hosts: strangers(2, (i) => `mail-ed1-f${i}.example-g.org`),
    verdict: refused('no-attempt', () => 'example-g.org'),
  },
  'a domain that only ends like the one that has tried': {
    hosts: strangers(3, (i) => `mail${i}.not-example-g.com`),
    verdict: refused('no-attempt', () => 'not-example-g.com'),
  },
  'a name of the pool outside its SPF ranges (-all)': {
    hosts: strangers(4, (i) => `stray${i}.example-g.com`),
    verdict: bySpf('example-g.com', 'fail'),
  },
  'SPF softfail': spfStrangers(5, 'softfail.com', 'softfail'),
  'SPF neutral': spfStrangers(6, 'neutral.com', 'neutral'),
  'no SPF record': spfStrangers(7, 'nospf.com', 'none'),
  'too many look-ups for SPF': spfStrangers(8, 'toomany.com', 'permerror'),
  'SPF records that include each other': spfStrangers(9, 'loop.com', 'permerror'),
  'names as of dial-up customers, of a domain whose SPF admits them': {
    hosts: numbers(OF_EACH).map((i) => [
      `198.18.10.${i + 1}`,
      [`198-18-10-${i + 1}.dsl`, `${i + 1}.10.18.198.dyn`, `p${hex(0xc6120a00 + i + 1, 8)}.dip0`][i % 3] +
        '.isp.com',
    ]),
    verdict: refused('encodes-address', nameOf),
  },
};

/** Who has tried. */
const LIVE = new Set([
  ...[
    'example-g.com',
    'example-o.com',
    'softfail.com',
    'neutral.com',
    'nospf.com',
    'toomany.com',
    'loop.com',
  ],
  ...['isp.com', 'a.github.io', 'two.com', 'broken.com', 'voids.com', 'everything.com', 'second.com'],
]);

const everybody: readonly Host[] = [
  ...GMAIL,
  ...OUTLOOK,
  ...Object.values(STRANGERS).flatMap(({ hosts }) => hosts),
];
const pointingBack: readonly Host[] = [
  ...GMAIL,
  ...OUTLOOK,
  ...Object.values(STRANGERS).flatMap(({ hosts, forward = true }) => (forward ? hosts : [])),
];

/** A and AAAA records of all names in a domain. */
function forward(domain: string, more: string): string {
  const own = pointingBack.filter(([, name]) => name.endsWith(`.${domain}`));
  const lines = own.map(([text, name]) => `${name}. ${text.includes(':') ? 'AAAA' : 'A'} ${text}`);
  return [...lines, more].join('\n');
}

/** A TXT record of texts that are joined; one text in it has 255 characters at the most. */
const spfOf = (terms: readonly string[]): string =>
  `@ TXT "v=spf1"${terms.map((term) => ` " ${term}"`).join('')}`;

/** An SPF record with so many includes of a domain's own, and what they include. */
function including(domain: string, count: number, more: readonly string[]): string {
  const includes = numbers(count).map((i) => `include:s${i}.${domain}`);
  const included = numbers(count).map((i) => `s${i} TXT "v=spf1 ip4:192.0.2.${i} -all"`);
  return [spfOf([...includes, ...more]), ...included].join('\n');
}

const ZONES = {
  'example-g.com': forward(
    'example-g.com',
    `
@ TXT "another record"
@ TXT "v=spf1 include:_spf.example-g.com -all"
_spf TXT "v=spf1 include:_netblocks.example-g.com include:_netblocks2.example-g.com ~all"
_netblocks TXT "v=spf1 ip4:203.0.113.0/25 " "ip4:203.0.113.128/25 ~all"
_netblocks2 TXT "v=spf1 ip6:2001:db8:4860::/48 ~all"`,
  ),
  'example-g.org': forward('example-g.org', '@ TXT "v=spf1 +all"'),
  'not-example-g.com': forward('not-example-g.com', '@ TXT "v=spf1 +all"'),
  'example-o.com': forward('example-o.com', '@ TXT "v=spf1 redirect=_spf.example-ms.com"'),
  'example-ms.com': `
_spf TXT "v=spf1 include:_spf-a.example-ms.com include:spf.protection.example-ms.com -all"
_spf-a TXT "v=spf1 ip4:192.0.2.0/24 -all"
spf.protection TXT "v=spf1 ip6:2001:db8:ffff::/48 ip4:198.51.100.0/24 -all"`,
  'softfail.com': forward('softfail.com', '@ TXT "v=spf1 ip4:192.0.2.0/24 ~all"'),
  'neutral.com': forward('neutral.com', '@ TXT "v=spf1 ip4:192.0.2.0/24 ?all"'),
  'nospf.com': forward('nospf.com', '@ TXT "v=spf2 +all"'),
  'toomany.com': forward('toomany.com', including('toomany.com', 11, ['ip4:198.18.8.0/24', '-all'])),
  'loop.com': forward(
    'loop.com',
    '@ TXT "v=spf1 include:b.loop.com +all"\nb TXT "v=spf1 include:loop.com +all"',
  ),
  'isp.com': forward('isp.com', '@ TXT "v=spf1 ip4:198.18.0.0/16 -all"'),
  'a.github.io': '@ TXT "v=spf1 +all"\nmail A 192.0.2.61',
  'b.github.io': '@ TXT "v=spf1 +all"\nmail A 192.0.2.62',
  'two.com': '@ TXT "v=spf1 +all"\n@ TXT "v=spf1 a -all"\nmail A 192.0.2.63',
  'voids.com':
    '@ TXT "v=spf1 a:x1.voids.com a:x2.voids.com a:x3.voids.com ip4:192.0.2.64 -all"\nmail A 192.0.2.64',
  'broken.com': '@ TXT "v=spf1 include:refused.test ip4:192.0.2.65 -all"\nmail A 192.0.2.65',
  // the second of its domains is the one that passes
  'second.com': '@ TXT "v=spf1 ip4:198.18.200.66 -all"\nmail A 198.18.200.66',
  'ten.com': `${including('ten.com', 9, ['a:mail.ten.com', '-all'])}\nmail A 192.0.2.67`,
  'mx.com': '@ TXT "v=spf1 mx -all"\n@ MX 10 mail\nmail A 192.0.2.68\nmail AAAA 2001:db8::68',
  'exists.com': '@ TXT "v=spf1 exists:%{ir}.list.exists.com -all"\n69.2.0.192.list A 127.0.0.2',
  ...reverseZones([
    ...everybody,
    ['192.0.2.61', 'mail.a.github.io'],
    ['192.0.2.62', 'mail.b.github.io'],
    ['192.0.2.63', 'mail.two.com'],
    ['192.0.2.64', 'mail.voids.com'],
    ['192.0.2.65', 'mail.broken.com'],
    ['198.18.200.66', 'mail.softfail.com', 'mail.second.com'],
  ]),
};
ZONES['softfail.com'] += '\nmail A 198.18.200.66';

async function judge(resolver: BoundedResolver, text: string, live = LIVE): Promise<PoolVerdict> {
  const source = address(text);
  return judgePool(resolver, source, await reverse(resolver, source), (domain) => live.has(domain));
}

describe('pools', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  let resolver: BoundedResolver;
  before(async () => {
    server = await NameServer.start(ZONES);
    assert.doesNotMatch(server.log(), /error/);
    resolver = server.resolver();
  });
  after(async () => {
    resolver.close();
    await server.dispose();
  });

  for (const [like, hosts, domain] of [
    ['Gmail', GMAIL, 'example-g.com'],
    ['Outlook', OUTLOOK, 'example-o.com'],
  ] as const) {
    it(`like ${like}'s: after one has tried, each of the others passes`, async () => {
      const [first, ...others] = hosts;
      assert.ok(first !== undefined && others.length >= 100);
      const source = address(first[0]);
      const live = await poolDomains(await reverse(resolver, source), source);
      assert.deepEqual([...live], [[domain, first[1]]]);
      const verdicts = await Promise.all(others.map(([text]) => judge(resolver, text, new Set(live.keys()))));
      assert.deepEqual(
        verdicts,
        others.map(([, name]) => ({ kind: 'pool', name, domain })),
      );
    });

    it(`like ${like}'s: before anybody has tried, nobody passes`, async () => {
      const verdicts = await Promise.all(hosts.map(([text]) => judge(resolver, text, new Set())));
      assert.deepEqual(
        verdicts,
        hosts.map(() => ({ kind: 'no-pool', reason: 'no-attempt', about: domain })),
      );
    });
  }

  it('has a thousand strangers to keep out', () => {
    assert.equal(
      new Set(Object.values(STRANGERS).flatMap(({ hosts }) => hosts.map(([text]) => text))).size,
      1000,
    );
  });

  for (const [who, { hosts, verdict }] of Object.entries(STRANGERS)) {
    it(`keep out ${who}: 0 of ${hosts.length}`, async () => {
      const verdicts = await Promise.all(hosts.map(([text]) => judge(resolver, text)));
      assert.deepEqual(verdicts, hosts.map(verdict));
    });
  }

  it('end at the border of a private suffix', async () => {
    const own = await judge(resolver, '192.0.2.61');
    assert.deepEqual(own, { kind: 'pool', name: 'mail.a.github.io', domain: 'a.github.io' });
    const other = await judge(resolver, '192.0.2.62');
    assert.deepEqual(other, { kind: 'no-pool', reason: 'no-attempt', about: 'b.github.io' });
  });

  const others: readonly (readonly [string, string, string, string])[] = [
    ['two SPF records', '192.0.2.63', 'two.com', 'permerror'],
    ['more than two look-ups for nothing', '192.0.2.64', 'voids.com', 'permerror'],
    ['an include that cannot be had now', '192.0.2.65', 'broken.com', 'temperror'],
  ];
  for (const [what, text, domain, spf] of others) {
    it(`keep out ${what}`, async () => {
      const verdict = await judge(resolver, text);
      assert.deepEqual(verdict, { kind: 'no-pool', reason: 'spf', about: domain, spf });
    });
  }

  it('may be found by any of the names', async () => {
    const verdict = await judge(resolver, '198.18.200.66');
    assert.deepEqual(verdict, { kind: 'pool', name: 'mail.second.com', domain: 'second.com' });
    // and not by a name of somebody who has not tried
    const refusal = await judge(resolver, '198.18.200.66', new Set(['softfail.com']));
    assert.deepEqual(refusal, { kind: 'no-pool', reason: 'spf', about: 'softfail.com', spf: 'softfail' });
  });

  it('without a name, or without an answer, are none', async () => {
    assert.deepEqual(await judge(resolver, '192.0.2.99'), {
      kind: 'no-pool',
      reason: 'no-name',
      about: 'ENOTFOUND',
    });
    const closed = server.resolver();
    closed.close();
    assert.deepEqual(await judge(closed, GMAIL[1]?.[0] ?? ''), {
      kind: 'no-pool',
      reason: 'no-name',
      about: 'dropped',
    });
  });

  it('are checked with all that SPF has, and ten look-ups are not too many', async () => {
    const check = (domain: string, text: string): Promise<string> =>
      checkSpf(resolver, domain, address(text));
    assert.equal(await check('ten.com', '192.0.2.67'), 'pass');
    assert.equal(await check('mx.com', '192.0.2.68'), 'pass');
    assert.equal(await check('mx.com', '2001:db8::68'), 'pass');
    assert.equal(await check('mx.com', '192.0.2.1'), 'fail');
    assert.equal(await check('exists.com', '192.0.2.69'), 'pass');
    assert.equal(await check('exists.com', '192.0.2.70'), 'fail');
    assert.equal(await check('no-such-domain.ready.invalid', '192.0.2.1'), 'none');
    assert.equal(await check('refused.test', '192.0.2.1'), 'temperror');
  });
});

describe('an SPF record made to ask for much', { skip: dnsUnavailable() }, () => {
  it('costs 40 queries at the most', async (t) => {
    const hosts = numbers(10);
    const zone = [
      spfOf([...numbers(9).map((i) => `mx:m${i}.greedy.com`), '+all']),
      ...numbers(9).flatMap((i) => hosts.map((j) => `m${i} MX ${j} h${i}-${j}`)),
      ...numbers(9).flatMap((i) => hosts.map((j) => `h${i}-${j} A 192.0.2.200`)),
    ];
    const server = await NameServer.start({ 'greedy.com': zone.join('\n') });
    t.after(() => server.dispose());
    const resolver = server.resolver();
    t.after(() => resolver.close());
    assert.equal(await checkSpf(resolver, 'greedy.com', address('192.0.2.1')), 'temperror');
    const { asked, failed } = resolver.counters;
    assert.deepEqual({ asked, failed }, { asked: 40, failed: 0 });
  });
});

describe('an SPF record made to compute much', { skip: dnsUnavailable() }, () => {
  it('costs a tenth of a second at the most, its answers being known', async (t) => {
    const full = ` "${' ip4:1.2.3.4/8'.repeat(18)}"`.repeat(230);
    const zone = numbers(9).map((i) => `s${i} TXT "v=spf1"${full} " -all"`);
    const includes = numbers(9).map((i) => `include:s${i}.heavy.com`);
    const server = await NameServer.start({
      'heavy.com': [spfOf([...includes, '+all']), ...zone].join('\n'),
    });
    t.after(() => server.dispose());
    assert.doesNotMatch(server.log(), /error/);
    const resolver = server.resolver();
    t.after(() => resolver.close());
    await checkSpf(resolver, 'heavy.com', address('192.0.2.1'));
    const before = process.cpuUsage();
    await checkSpf(resolver, 'heavy.com', address('192.0.2.1'));
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 100_000, `${(user + system) / 1000} ms`);
  });
});

describe('registrableDomain', () => {
  for (const [name, domain] of [
    ['mail-ed1-f45.google.com', 'google.com'],
    ['mail.example.co.uk', 'example.co.uk'],
    ['x.y.a.github.io', 'a.github.io'],
    ['a.github.io', 'a.github.io'],
    ['github.io', undefined],
    ['co.uk', undefined],
    // each machine's name is a public suffix of its own
    ['ec2-192-0-2-1.compute-1.amazonaws.com', undefined],
    ['mail.example.test', 'example.test'],
  ] as const) {
    it(`${name}: ${domain ?? 'none'}`, async () => {
      const host = hostName(name);
      assert.ok(host !== undefined);
      assert.equal(await registrableDomain(host), domain);
    });
  }
});

describe('LiveDomains', () => {
  it('has a domain until its time is over', () => {
    const live = new LiveDomains(10);
    live.note('example.com', 1000);
    assert.equal(live.has('example.com', 999), true);
    assert.equal(live.has('other.com', 999), false);
    assert.equal(live.has('example.com', 1000), false);
    // and has forgotten it
    assert.equal(live.size, 0);
  });

  it('takes the last word about a domain', () => {
    const live = new LiveDomains(10);
    live.note('example.com', 1000);
    live.note('example.com', 2000);
    assert.equal(live.size, 1);
    assert.equal(live.has('example.com', 1999), true);
  });

  it('keeps so many at the most, those noted last', () => {
    const live = new LiveDomains(3);
    for (const domain of ['a.com', 'b.com', 'c.com', 'a.com', 'd.com']) live.note(domain, 1000);
    assert.equal(live.size, 3);
    assert.deepEqual(
      ['a.com', 'b.com', 'c.com', 'd.com'].map((domain) => live.has(domain, 0)),
      [true, false, true, true],
    );
    for (const i of numbers(10_000)) live.note(`n${i}.com`, 1000);
    assert.equal(live.size, 3);
  });

  it('is empty when all have expired', () => {
    const live = new LiveDomains(10);
    assert.equal(live.isEmpty(0), true);
    live.note('a.com', 1000);
    live.note('b.com', 2000);
    assert.equal(live.isEmpty(1999), false);
    assert.equal(live.size, 1);
    assert.equal(live.isEmpty(2000), true);
    assert.equal(live.size, 0);
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { admissible, describe as describeName, isPublic, reverse } from '../../src/names/rdns.js';
import type { BoundedResolver } from '../../src/names/resolver.js';
import { formatAddress } from '../../src/packet/address.js';
import { dnsUnavailable, NameServer, reverseZones } from '../support/dns.js';
import { address } from '../support/observations.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const a = (name: string, count: number): string =>
  numbers(count)
    .map((i) => `${name} A 198.18.${i >> 8}.${i & 255}`)
    .join('\n');
const LONGEST = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(49)}.example.com`;

/** Names that nobody may have, as a zone file writes them. */
const ODD = [
  ...[
    'line\\010feed',
    'nul\\000',
    '\\"quoted\\"',
    'dot\\.ted',
    'back\\\\slash',
    '\\255\\254',
    'colour\\027[31m',
  ],
  ...['-dash', '*', 'two\\032words', 'tab\\009'],
];

const ZONES = {
  'example.com': `
mail A 192.0.2.1
mail A 192.0.2.2
mail AAAA 2001:db8::1
other A 192.0.2.77
alias CNAME mail
mixed A 192.0.2.5
mixed A 10.0.0.1
mixed A 192.0.2.99
mixed AAAA fe80::1
mixed AAAA 2001:db8::5
${LONGEST}. A 192.0.2.7
${a('sixty', 60)}
${a('thousand', 1000)}
${numbers(20)
  .map((i) => `n${i} A 192.0.2.8`)
  .join('\n')}`,
  ...reverseZones([
    ['192.0.2.1', 'Mail.Example.COM'],
    ['192.0.2.3', 'other.example.com'],
    ['192.0.2.4', 'no-such-name.example.com'],
    ['192.0.2.2', 'alias.example.com', 'other.example.com'],
    ['192.0.2.5', 'mixed.example.com'],
    ['192.0.2.7', LONGEST],
    ['192.0.2.8', ...numbers(20).map((i) => `n${i}.example.com`)],
    ['192.0.2.9', ...ODD.map((odd) => `${odd}.example.com`), 'localhost', 'mail.example.com'],
    ['192.0.2.10', 'x.refused.test'],
    ['2001:db8::1', 'mail.example.com'],
    ['198.18.0.0', 'thousand.example.com'],
    ['198.18.3.231', 'thousand.example.com'],
    ['198.18.0.59', 'sixty.example.com'],
  ]),
};

describe('reverse', { skip: dnsUnavailable() }, () => {
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
  const ask = async (text: string) => {
    const { status, code, names } = await reverse(resolver, address(text));
    return {
      status,
      code,
      names: names.map(({ name, confirmed, addresses }) => ({
        name: name,
        confirmed,
        addresses: addresses.map(formatAddress).sort(),
      })),
    };
  };
  const MAIL = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];

  for (const text of ['192.0.2.1', '2001:db8::1']) {
    it(`confirms the name of ${text} that points back`, async () => {
      assert.deepEqual(await ask(text), {
        status: 'found',
        code: '',
        names: [{ name: 'mail.example.com', confirmed: true, addresses: MAIL }],
      });
    });
  }

  it("does not confirm somebody else's name, nor one that is not there", async () => {
    assert.deepEqual((await ask('192.0.2.3')).names, [
      { name: 'other.example.com', confirmed: false, addresses: ['192.0.2.77'] },
    ]);
    assert.deepEqual((await ask('192.0.2.4')).names, [
      { name: 'no-such-name.example.com', confirmed: false, addresses: [] },
    ]);
  });

  it('confirms each name by itself, an alias too', async () => {
    const { names } = await ask('192.0.2.2');
    assert.deepEqual(Object.fromEntries(names.map(({ name, confirmed }) => [name, confirmed])), {
      'alias.example.com': true,
      'other.example.com': false,
    });
  });

  it('says that there is no name', async () => {
    assert.deepEqual(await ask('192.0.2.200'), { status: 'none', code: 'ENOTFOUND', names: [] });
  });

  it('tells a name whose addresses cannot be had', async () => {
    const { names } = await reverse(resolver, address('192.0.2.10'));
    assert.deepEqual(names, [{ name: 'x.refused.test', confirmed: false, addresses: [], status: 'failed' }]);
  });

  it('looks at 8 of 20 names', async () => {
    const { asked } = resolver.counters;
    const { names } = await ask('192.0.2.8');
    assert.equal(names.length, 8);
    assert.ok(names.every(({ confirmed }) => confirmed));
    assert.equal(resolver.counters.asked - asked, 1 + 8 * 2);
  });

  it('leaves out names with odd characters, before it counts them', async () => {
    const { names } = await ask('192.0.2.9');
    assert.deepEqual(names, [{ name: 'mail.example.com', confirmed: false, addresses: MAIL }]);
  });

  it('takes the longest name', async () => {
    const { names } = await ask('192.0.2.7');
    assert.equal(LONGEST.length, 253);
    assert.deepEqual(names, [{ name: LONGEST, confirmed: true, addresses: ['192.0.2.7'] }]);
  });

  it('gives 32 addresses of 60, and confirms the last one of them', async () => {
    const [name] = (await ask('198.18.0.59')).names;
    assert.equal(name?.addresses.length, 32);
    assert.equal(name.confirmed, true);
  });

  it('gives 32 addresses of a thousand', async () => {
    const [name] = (await ask('198.18.0.0')).names;
    assert.equal(name?.addresses.length, 32);
  });

  it('confirms the sender among the first of a thousand, not among those that are cut off', async () => {
    for (const [text, confirmed] of [
      ['198.18.0.0', true],
      ['198.18.3.231', false],
    ] as const) {
      assert.equal((await ask(text)).names[0]?.confirmed, confirmed, text);
    }
  });

  it('leaves to be admitted what is public and not ours', async () => {
    const { names } = await reverse(resolver, address('192.0.2.5'));
    const [mixed] = names;
    assert.ok(mixed !== undefined);
    const rest = admissible(mixed, [address('192.0.2.99'), address('2001:db8::99')]);
    assert.deepEqual(rest.map(formatAddress).sort(), ['192.0.2.5', '2001:db8::5']);
  });

  it('is described for people', async () => {
    const lines = async (text: string): Promise<string[]> =>
      (await reverse(resolver, address(text))).names.map(describeName);
    assert.deepEqual(await lines('192.0.2.3'), ['other.example.com: does not point back']);
    assert.deepEqual(await lines('192.0.2.4'), ['no-such-name.example.com: has no address']);
    assert.deepEqual(await lines('192.0.2.1'), ['mail.example.com: confirmed']);
  });
});

describe('isPublic', () => {
  const table: readonly (readonly [boolean, readonly string[]])[] = [
    [
      true,
      [
        ...['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255'],
        ...['128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.2.1'],
        ...['192.167.255.255', '192.169.0.0', '198.51.100.1', '223.255.255.255'],
        ...['2001:db8::1', '2a00:1450:4864:20::42e'],
      ],
    ],
    [
      false,
      [
        ...['0.0.0.0', '0.1.2.3', '10.0.0.0', '10.255.255.255', '100.64.0.0', '100.127.255.255', '127.0.0.1'],
        ...[
          '169.254.0.0',
          '169.254.255.255',
          '172.16.0.0',
          '172.31.255.255',
          '192.168.0.0',
          '192.168.255.255',
        ],
        ...['224.0.0.0', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
        ...['::', '::1', 'fc00::', 'fdff:ffff::1', 'fe80::', 'febf::1', 'fec0::1', 'feff::1', 'ff02::1'],
        ...['::ffff:10.0.0.1', '::ffff:192.0.2.1'],
      ],
    ],
  ];
  for (const [expected, texts] of table) {
    for (const text of texts) {
      it(`${text}: ${expected ? 'yes' : 'no'}`, () => assert.equal(isPublic(address(text)), expected));
    }
  }
});

import assert from 'node:assert/strict';
import { isIP, SocketAddress } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ADDRESS_BITS,
  type Address,
  addressOfWords,
  addressWords,
  familyOf,
  formatAddress,
  formatPrefix,
  isPossibleSource,
  parseAddress,
  parsePrefix,
  prefixOf,
  wordMask,
} from '../../src/packet/address.js';

function parsed(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address !== undefined, `${text} is an address`);
  return address;
}

/** The address as one unsigned number. */
function bitsOf(address: Address): bigint {
  if (typeof address === 'number') return BigInt.asUintN(32, BigInt(address));
  assert.equal(address.length, 16);
  return [...address].reduce((bits, character) => (bits << 8n) | BigInt(character.charCodeAt(0)), 0n);
}

const CANONICAL: readonly (readonly [text: string, canonical: string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['192.0.2.1', '192.0.2.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.0.100.9', '10.0.100.9'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:DB8::1', '2001:db8::1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
  // RFC 5952 section 4.2.2: one group of zero stays
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['0:2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:0:3:0:5:0:7:0', '1:0:3:0:5:0:7:0'],
  // section 4.2.3: the longest run, the first of equal ones
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['0:0:1:0:0:1:0:0', '::1:0:0:1:0:0'],
  ['1:0:0:2:0:0:0:0', '1:0:0:2::'],
  ['0:0:0:4:0:0:0:8', '::4:0:0:0:8'],
  ['0:0:3:0:0:0:7:8', '0:0:3::7:8'],
  // section 5: IPv4-mapped
  ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
  ['::ffff:102:304', '::ffff:1.2.3.4'],
  ['0:0:0:0:0:FFFF:192.0.2.128', '::ffff:192.0.2.128'],
  ['::ffff:0:0', '::ffff:0.0.0.0'],
  // not IPv4-mapped
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::fffe:1.2.3.4', '::fffe:102:304'],
  ['::1:ffff:1.2.3.4', '::1:ffff:102:304'],
  ['1::ffff:1.2.3.4', '1::ffff:102:304'],
  ['::ffff:0:1.2.3.4', '::ffff:0:102:304'],
  ['ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fe80::200:5eff:fe00:5301', 'fe80::200:5eff:fe00:5301'],
];

for (const [text, canonical] of CANONICAL) {
  test(`${text} is written ${canonical}`, () => {
    assert.equal(formatAddress(parsed(text)), canonical);
    assert.equal(parsed(canonical), parsed(text));
    assert.equal(formatPrefix({ address: parsed(text), length: text.includes(':') ? 128 : 32 }), canonical);
  });
}

const NO_ADDRESS: readonly string[] = [
  // pfctl takes these, and means another address, many, or an option by them
  '010.011.012.013',
  '10.9',
  '10',
  '167772169',
  '0xc0000263',
  '0xc0.0.2.99',
  '192.0.2.0x63',
  'em0',
  'em0:network',
  'self',
  'localhost',
  '!192.0.2.1',
  '-1',
  '-Tflush',
  '-192.0.2.1',
  '192.0.2.20 - 192.0.2.23',
  '<mx-white>',
  'fe80::1%em0',
  'fe80::1%1',
  '::ffff:010.011.012.013',
  // blanks, and anything before and after
  '',
  ' ',
  ' 192.0.2.1',
  '192.0.2.1 ',
  '192.0.2.1\n',
  '192.0.2.1\0',
  '192.0.2.1\r\n',
  '192.0.2.1#',
  '192.0.2.1,192.0.2.2',
  '192.0.2.1.',
  '.192.0.2.1',
  '192.0.2.1.5',
  '192.0.2',
  '192.0..1',
  '192.0.2.1/32',
  '[2001:db8::1]',
  ' ::1',
  '::1 ',
  '::1\n',
  '::1/128',
  // numbers out of range, or written otherwise
  '256.0.0.1',
  '192.0.2.256',
  '192.0.2.999',
  '192.0.2.1000',
  '192.0.2.01',
  '192.0.2.00',
  '1e1.0.2.1',
  '+1.2.3.4',
  '١٩٢.0.2.1',
  // wrong numbers of groups and colons
  ':',
  ':::',
  '::::',
  '1:::2',
  '1::2::3',
  '::1::',
  '12345::',
  '::12345',
  '::g',
  '::-1',
  ':1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:',
  ':1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7:8:',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '1:2:3:4:5:6:7:8::9::',
  '1:2:3:4:5:6:7:8::::',
  '::1:2:3:4:5:6:7:8',
  '1:2:3:4::5:6:7:8',
  // a dotted part elsewhere than at the end, or where it does not fit
  '1.2.3.4::',
  '::1.2.3.4:5',
  '1.2.3.4:5:6:7:8:9:a:b',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3',
  '::1.2.3.4.5',
  '::1.2.3.256',
  '1:2:3:4:5:6::1.2.3.4',
  // longer than any address, and much longer
  '0000:0000:0000:0000:0000:ffff:255.255.255.2550',
  '00001::',
  `${'0:'.repeat(100_000)}1`,
];

for (const text of NO_ADDRESS) {
  test(`${JSON.stringify(text.slice(0, 60))} is no address`, () => {
    assert.equal(parseAddress(text), undefined);
    if (!/^(192\.0\.2\.1\/32|::1\/128)$/.test(text)) {
      assert.deepEqual(parsePrefix(text), { ok: false, reason: 'not-an-address' });
    }
  });
}

const PREFIXES: readonly (readonly [text: string, canonicalOrReason: string])[] = [
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1/32', '192.0.2.1'],
  ['192.0.2.0/24', '192.0.2.0/24'],
  ['192.0.2.128/25', '192.0.2.128/25'],
  ['128.0.0.0/1', '128.0.0.0/1'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['2001:db8::1/128', '2001:db8::1'],
  ['::/0', '::/0'],
  ['::ffff:0:0/96', '::ffff:0.0.0.0/96'],
  ['2001:db8::fffe/127', '2001:db8::fffe/127'],
  ['1.2.3.4/24', 'host-bits'],
  ['192.0.2.1/31', 'host-bits'],
  ['1.2.3.4/0', 'host-bits'],
  ['2001:db8::1/64', 'host-bits'],
  ['2001:db8::1/127', 'host-bits'],
  ['::1/0', 'host-bits'],
  ['192.0.2.0/33', 'bad-length'],
  ['::/129', 'bad-length'],
  ['192.0.2.0/', 'bad-length'],
  ['192.0.2.0/024', 'bad-length'],
  ['192.0.2.0/-1', 'bad-length'],
  ['192.0.2.0/+8', 'bad-length'],
  ['192.0.2.0/ 24', 'bad-length'],
  ['192.0.2.0/24 ', 'bad-length'],
  ['192.0.2.0/24\n', 'bad-length'],
  ['192.0.2.0/24/24', 'bad-length'],
  ['192.0.2.0/2e1', 'bad-length'],
  ['192.0.2.0/0x8', 'bad-length'],
  ['192.0.2.0/24.0', 'bad-length'],
  ['192.0.2.0/255.255.255.0', 'bad-length'],
  ['::/1000', 'bad-length'],
  ['0/0', 'not-an-address'],
  ['10/8', 'not-an-address'],
  ['/24', 'not-an-address'],
  ['em0/24', 'not-an-address'],
  ['192.0.2.0 /24', 'not-an-address'],
  ['fe80::%em0/64', 'not-an-address'],
];

for (const [text, expected] of PREFIXES) {
  test(`the network ${JSON.stringify(text)} is ${expected}`, () => {
    const result = parsePrefix(text);
    assert.equal(result.ok ? formatPrefix(result.prefix) : result.reason, expected);
  });
}

test('an IPv4 address is a signed number, an IPv6 address 16 characters', () => {
  assert.equal(parsed('192.0.2.1'), -1073741311);
  assert.equal(parsed('0.0.0.1'), 1);
  assert.equal(parsed('127.255.255.255'), 0x7fffffff);
  assert.equal(parsed('255.255.255.255'), -1);
  assert.equal(
    parsed('2001:db8::ff00:42:8329'),
    '\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\xff\x00\x00\x42\x83\x29',
  );
  assert.equal(familyOf(parsed('192.0.2.1')), 4);
  assert.equal(familyOf(parsed('::ffff:192.0.2.1')), 6);
});

test('the words of an address are its bits, 32 at a time, signed', () => {
  assert.deepEqual(addressWords(parsed('192.0.2.1')), [-1073741311, 0, 0, 0]);
  assert.deepEqual(
    addressWords(parsed('2001:db8:8000:1:7fff:ffff:ffff:fffe')),
    [0x20010db8, -0x7fffffff, 0x7fffffff, -2],
  );
  assert.equal(formatAddress(addressOfWords(4, -1073741311, 0, 0, 0)), '192.0.2.1');
  assert.equal(
    formatAddress(addressOfWords(6, 0x20010db8, -0x7fffffff, 0x7fffffff, -2)),
    '2001:db8:8000:1:7fff:ffff:ffff:fffe',
  );
});

/** Groups with many zeros, so that runs of every length and place come up. */
const groups = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constant(0xffff) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 0xffff }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 15 }) },
  ),
  { minLength: 8, maxLength: 8 },
);

test('every IPv6 address is written as a URL and the C library write it', () => {
  fc.assert(
    fc.property(groups, fc.boolean(), (values, upper) => {
      const plain = values.map((value) => value.toString(16).padStart(4, '0')).join(':');
      const text = formatAddress(parsed(upper ? plain.toUpperCase() : plain));
      const compressed = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
      const [a, b, c, d, e, f] = values;
      const isMapped = [a, b, c, d, e].every((value) => value === 0) && f === 0xffff;
      // inet_ntop also writes the last 32 bits dotted where the first 96 are 0 (a form that RFC 4291 deprecates)
      const isCompatible = [a, b, c, d, e, f].every((value) => value === 0);
      if (!isMapped) assert.equal(text, compressed);
      if (!isCompatible) assert.equal(text, new SocketAddress({ address: plain, family: 'ipv6' }).address);
      assert.equal(parsed(text), parsed(plain));
      assert.equal(isIP(text), 6);
    }),
    { numRuns: 5000 },
  );
});

test('every IPv4 address survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (bits) => {
      const text = [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
      const address = parsed(text);
      assert.equal(formatAddress(address), text);
      assert.equal(bitsOf(address), BigInt(bits));
      assert.equal(isIP(text), 4);
    }),
    { numRuns: 2000 },
  );
});

test('a text is an address exactly if net.isIP says so and it has no scope', () => {
  const seeds = CANONICAL.flatMap((pair) => [...pair]);
  const edit = fc.tuple(
    fc.nat(60),
    fc.nat(2),
    fc.constantFrom(...'0123456789abcdefABCDEF:.%x/- ', '::', '00', '1.2.3.4', ''),
  );
  const edited = fc
    .tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 3 }))
    .map(([seed, edits]) =>
      edits.reduce(
        (text, [at, remove, insert]) => text.slice(0, at) + insert + text.slice(at + remove),
        seed,
      ),
    );
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(edited, (text) => {
      const family = text.includes('%') ? 0 : isIP(text);
      const address = parseAddress(text);
      assert.equal(address === undefined ? 0 : familyOf(address), family, text);
      if (family === 0) refused++;
      else accepted++;
    }),
    { numRuns: 20_000, seed: 5952 },
  );
  assert.ok(accepted > 2000 && refused > 2000, `${accepted} accepted, ${refused} refused`);
});

for (const text of [
  '255.255.255.255',
  '170.85.170.85',
  '0.0.0.1',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  'aaaa:5555:aaaa:5555:aaaa:5555:aaaa:5555',
  '8000:1:8000:1:8000:1:8000:1',
]) {
  test(`a network of ${text} has the first bits of it and zeros, for every length`, () => {
    const address = parsed(text);
    const bits = ADDRESS_BITS[familyOf(address)];
    for (let length = 0; length <= bits; length++) {
      const rest = BigInt(bits - length);
      const network = prefixOf(address, length);
      assert.equal(network.length, length);
      assert.equal(bitsOf(network.address), (bitsOf(address) >> rest) << rest, `/${length}`);
      assert.equal(familyOf(network.address), familyOf(address));
      assert.deepEqual(parsePrefix(formatPrefix(network)), { ok: true, prefix: network });
    }
  });
}

test('a mask has as many leading ones as it should, within 0 and 32', () => {
  for (let bits = -130; bits <= 130; bits++) {
    const ones = Math.min(32, Math.max(0, bits));
    const expected = ((1n << 32n) - 1n) ^ ((1n << BigInt(32 - ones)) - 1n);
    assert.equal(BigInt.asUintN(32, BigInt(wordMask(bits))), expected, String(bits));
  }
});

const SOURCES: readonly (readonly [text: string, possible: boolean])[] = [
  ['0.0.0.0', false],
  ['0.255.255.255', false],
  ['1.0.0.0', true],
  ['10.1.2.3', true],
  ['100.64.0.1', true],
  ['126.255.255.255', true],
  ['127.0.0.0', false],
  ['127.0.0.1', false],
  ['127.255.255.255', false],
  ['128.0.0.0', true],
  ['169.254.1.1', true],
  ['192.168.1.1', true],
  ['203.0.113.7', true],
  ['223.255.255.255', true],
  ['224.0.0.0', false],
  ['239.255.255.255', false],
  ['240.0.0.1', false],
  ['255.255.255.255', false],
  ['::', false],
  ['::1', false],
  ['::2', true],
  ['::1:0:1', true],
  ['0:0:0:1::', true],
  ['0:0:0:1::1', true],
  ['1::', true],
  ['1::1', true],
  ['::ffff:203.0.113.7', false],
  ['::ffff:0.0.0.0', false],
  ['::ffff:255.255.255.255', false],
  ['::fffe:203.0.113.7', true],
  ['::1:ffff:cb00:7107', true],
  ['0:0:0:1:0:ffff:cb00:7107', true],
  ['0:1::ffff:cb00:7107', true],
  ['64:ff9b::203.0.113.7', true],
  ['2001:db8::7', true],
  ['fc00::1', true],
  ['fe80::1', true],
  ['feff:ffff::', true],
  ['ff00::', false],
  ['ff02::1', false],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', false],
];

for (const [text, possible] of SOURCES) {
  test(`${text} ${possible ? 'can' : 'cannot'} be a mail server`, () => {
    const address = parsed(text);
    assert.equal(isPossibleSource(familyOf(address), ...addressWords(address)), possible);
  });
}

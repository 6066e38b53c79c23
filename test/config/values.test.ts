import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatAddress, formatPrefix } from '../../src/packet/address.js';
import { OPTIONS } from '../../src/config/options.js';
import * as check from '../../src/config/values.js';

/** Texts that an option takes, with their values, and texts that it does not take. */
function values<T>(
  of: check.Check<T>,
  good: readonly (readonly [string, T])[],
  bad: readonly string[],
): void {
  for (const [text, value] of good) {
    it(`takes "${shown(text)}"`, () => assert.deepEqual(of(text), { ok: true, value }));
  }
  for (const text of bad) {
    it(`refuses "${shown(text)}"`, () => assert.equal(of(text).ok, false));
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 8)}... (${text.length})` : text).slice(1, -1);
}

function expectedOf(checked: check.Checked<unknown>): string {
  return checked.ok ? '' : checked.expected;
}

/** The check that an option of the table has. */
function checkOf<T>(spec: { readonly check?: check.Check<T> }): check.Check<T> {
  assert.ok(spec.check);
  return spec.check;
}

describe('known-time', () => {
  values(
    checkOf(OPTIONS.knownTime),
    [
      ['0', 0],
      ['0d', 0],
      ['8d', 691_200],
      ['366d', 31_622_400],
    ],
    [
      '',
      'none',
      '-1',
      '1w',
      '1h30',
      'abc',
      '1.5d',
      '8days',
      '7D',
      '8d,',
      '8dd',
      '"8d"',
      '=',
      '5000000000',
      '367d',
    ],
  );
});

describe('whitelist-time', () => {
  values(
    checkOf(OPTIONS.whitelistTime),
    [
      ['1', 1],
      ['90', 90],
      ['90s', 90],
      ['30m', 1800],
      ['2h', 7200],
      ['7d', 604_800],
      ['0060', 60],
      ['31622400', 31_622_400],
      ['366d', 31_622_400],
      ['8h', 28_800],
      ['36d', 3_110_400],
      ['1h30m', 5400],
      ['1d2h3m4s', 93_784],
      ['0h90m', 5400],
    ],
    [
      '0',
      '0h',
      '-1',
      '+1',
      '1e3',
      '1.5h',
      '60.',
      '0x10',
      '',
      ' ',
      '60 ',
      '1w',
      '30M',
      '2hm',
      'h',
      '1h30',
      '30m1h',
      '1h2h',
      '1h 30m',
      '366d1s',
      'one',
      '31622401',
      '367d',
      '9'.repeat(12),
    ],
  );

  it('says what it takes', () => {
    assert.equal(
      expectedOf(check.duration()('soon')),
      'a time from 1s to 366d, in seconds or with units as 1h30m',
    );
    assert.equal(
      expectedOf(checkOf(OPTIONS.dnsTimeout)('1m')),
      'a time from 1s to 30s, in seconds or with units as 1h30m',
    );
    assert.deepEqual(checkOf(OPTIONS.dnsTimeout)('2s'), { ok: true, value: 2 });
  });

  it('is written as it is read', () => {
    assert.deepEqual([60, 3600, 5400, 93_784].map(check.durationText), ['1m', '1h', '1h30m', '1d2h3m4s']);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: check.MAX_SECONDS }), (seconds) => {
        assert.deepEqual(check.duration()(check.durationText(seconds)), { ok: true, value: seconds });
      }),
    );
  });
});

describe('port', () => {
  values(
    checkOf(OPTIONS.port),
    [
      ['1', 1],
      ['25', 25],
      ['65535', 65_535],
    ],
    ['0', '65536', '-25', '2 5', '25.0', '1e1', '0x19', 'smtp', '', '9'.repeat(16)],
  );
});

describe('strangers', () => {
  values<check.Strangers>(
    checkOf(OPTIONS.strangers),
    [
      ['drop', { kind: 'drop' }],
      ['redirect 10025', { kind: 'redirect', port: 10_025 }],
      [' Redirect \t 65535 ', { kind: 'redirect', port: 65_535 }],
      ['mark 1', { kind: 'mark', mark: 1 }],
      ['mark 0xFFFFFFFF', { kind: 'mark', mark: 0xffff_ffff }],
      ['mark 4294967295', { kind: 'mark', mark: 4_294_967_295 }],
    ],
    [
      ...['', 'drop 1', 'redirect', 'redirect 0', 'redirect 65536', 'redirect smtp', 'redirect 127.0.0.1:25'],
      ...['mark', 'mark 0', 'mark -1', 'mark 4294967296', 'mark 0x100000000', 'mark 1/1', 'reject'],
    ],
  );

  it('are written as they are read', () => {
    for (const text of ['drop', 'redirect 10025', 'mark 25']) {
      const checked = check.strangers(text);
      assert.equal(checked.ok && check.strangersText(checked.value), text);
    }
  });

  it('say what was expected', () => {
    assert.equal(expectedOf(check.strangers('accept')), 'drop, "redirect PORT" or "mark N"');
    assert.equal(expectedOf(check.strangers('redirect 70000')), 'a port from 1 to 65535');
    assert.equal(expectedOf(check.strangers('mark 0')), 'a mark from 1 to 0xffffffff');
  });
});

describe('max-entries', () => {
  values(
    checkOf(OPTIONS.maxEntries),
    [
      ['1', 1],
      ['1000000', 1_000_000],
    ],
    ['0', '1000001', '100k', 'many'],
  );
});

describe('ipv4-prefix', () => {
  values(
    checkOf(OPTIONS.ipv4Prefix),
    [
      ['24', 24],
      ['32', 32],
    ],
    ['23', '33', '0', '/24', ''],
  );

  it('says what it takes', () => {
    assert.equal(expectedOf(checkOf(OPTIONS.ipv4Prefix)('23')), 'a whole number of bits from 24 to 32');
  });
});

describe('ipv6-prefix', () => {
  values(
    checkOf(OPTIONS.ipv6Prefix),
    [
      ['48', 48],
      ['64', 64],
      ['128', 128],
    ],
    ['47', '129', '0', '/64'],
  );
});

describe('queue-num', () => {
  values(
    checkOf(OPTIONS.queueNum),
    [
      ['0', { first: 0, last: 0 }],
      ['65535', { first: 65_535, last: 65_535 }],
      ['23-26', { first: 23, last: 26 }],
      ['7-7', { first: 7, last: 7 }],
      ['0-63', { first: 0, last: 63 }],
    ],
    ['65536', '-1', 'x', '', '23-', '-', '26-23', '0-64', '65530-65536', '23 - 26', '1-2-3'],
  );
});

describe('fake-mailserver and real-mailserver', () => {
  for (const [text, canonical] of [
    ['192.0.2.3', '192.0.2.3'],
    ['2001:DB8:0:0::3', '2001:db8::3'],
  ] as const) {
    it(`take "${text}"`, () => {
      const checked = check.address(text);
      assert.equal(checked.ok ? formatAddress(checked.value) : undefined, canonical);
    });
  }
  for (const text of [
    '192.0.2',
    '192.0.2.256',
    '192.0.2.03',
    '192.0.2.3/32',
    'mx.example.org',
    '[2001:db8::3]',
    'fe80::1%em0',
    '192.0.2.3 ',
    '',
  ]) {
    it(`refuse "${text}"`, () => assert.equal(expectedOf(check.address(text)), 'an IPv4 or IPv6 address'));
  }
});

describe('allow', () => {
  for (const [text, canonical] of [
    ['198.51.100.0/24', '198.51.100.0/24'],
    ['198.51.100.7', '198.51.100.7'],
    ['198.51.100.7/32', '198.51.100.7'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['2001::/16', '2001::/16'],
    ['2001:db8::1', '2001:db8::1'],
    ['169.0.0.0/8', '169.0.0.0/8'],
    ['fd00::/16', 'fd00::/16'],
    ['64:ff9b::/96', '64:ff9b::/96'],
  ] as const) {
    it(`takes ${text}`, () => {
      const checked = check.network(text);
      assert.equal(checked.ok ? formatPrefix(checked.value) : undefined, canonical);
    });
  }
  const example = 'an address or a network such as 192.0.2.0/24';
  for (const [text, expected] of [
    ['fe80::1', 'a network that mail can come from: it is link-local'],
    ['febf::/16', 'a network that mail can come from: it is link-local'],
    ['169.254.7.7', 'a network that mail can come from: it is link-local'],
    ['127.0.0.0/8', 'a network that mail can come from: it is loopback'],
    ['::1', 'a network that mail can come from: it is loopback'],
    ['0.0.0.0', 'a network that mail can come from: it is unspecified'],
    ['::/64', 'a network that mail can come from: it is unspecified'],
    ['ff02::/16', 'a network that mail can come from: it is multicast'],
    ['239.0.0.0/8', 'a network that mail can come from: it is multicast'],
    ['255.255.255.255', 'a network that mail can come from: it is reserved'],
    ['::ffff:192.0.2.1', 'a network that mail can come from: it is IPv4-mapped'],
    ['10.0.0.0/7', 'a network of at least /8 (10.0.0.0 is IPv4)'],
    ['0.0.0.0/0', 'a network of at least /8 (0.0.0.0 is IPv4)'],
    ['2000::/15', 'a network of at least /16 (2000:: is IPv6)'],
    ['::/0', 'a network of at least /16 (:: is IPv6)'],
    ['198.51.100.1/24', `${example} (host bits are set)`],
    ['2001:db8::1/64', `${example} (host bits are set)`],
    ['198.51.100.0/33', `${example} (bad prefix length)`],
    ['198.51.100.0/024', `${example} (bad prefix length)`],
    ['198.51.100.0/', `${example} (bad prefix length)`],
    ['198.51.100.0/255.255.255.0', `${example} (bad prefix length)`],
    ['198.51.100/24', example],
    ['any', example],
    ['', example],
  ] as const) {
    it(`refuses "${text}"`, () => assert.equal(expectedOf(check.network(text)), expected));
  }
});

describe('table', () => {
  values(
    checkOf(OPTIONS.table),
    [
      ['mx-white', 'mx-white'],
      ['a', 'a'],
      ['x'.repeat(31), 'x'.repeat(31)],
      ['mx_white.1', 'mx_white.1'],
    ],
    ['', 'x'.repeat(32), '<mx-white>', 'mx white', 'mx/white', 'mx\nwhite', "mx'white", 'mx\u00e4'],
  );
});

describe('anchor', () => {
  values(
    checkOf(OPTIONS.anchor),
    [
      ['mxallowd', 'mxallowd'],
      ['a/b/c', 'a/b/c'],
      ['x'.repeat(1023), 'x'.repeat(1023)],
    ],
    ['', '/', '/mxallowd', 'mxallowd/', 'a//b', 'a/*', 'a b', 'x'.repeat(1024)],
  );
});

describe('pflog-interface', () => {
  values(
    checkOf(OPTIONS.pflogInterface),
    [
      ['pflog0', 'pflog0'],
      ['pflog1', 'pflog1'],
      ['p'.repeat(15), 'p'.repeat(15)],
    ],
    ['', 'p'.repeat(16), '0pflog', '-w', 'pflog 0', 'pflog0;reboot'],
  );
});

describe('pfctl, tcpdump and pid-file', () => {
  values(
    check.absolutePath,
    [
      ['/sbin/pfctl', '/sbin/pfctl'],
      ['/usr/local/my programs/pfctl', '/usr/local/my programs/pfctl'],
    ],
    ['pfctl', './pfctl', '', '~/pfctl', '/sbin/\npfctl', '/sbin/\0'],
  );
});

describe('capture, log-format and log-level', () => {
  values(
    checkOf(OPTIONS.capture),
    [
      ['auto', 'auto'],
      ['bpf', 'bpf'],
      ['TCPDUMP', 'tcpdump'],
      ['pcap', 'pcap'],
      ['cap', 'cap'],
    ],
    ['', 'dump', 'auto '],
  );
  values(checkOf(OPTIONS.logFormat), [['JSON', 'json']], ['xml']);
  values(checkOf(OPTIONS.logLevel), [['debug', 'debug']], ['warning', 'trace']);

  it('say what they take', () => {
    assert.equal(expectedOf(checkOf(OPTIONS.capture)('x')), 'one of auto, bpf, nflog, tcpdump, pcap, cap');
  });
});

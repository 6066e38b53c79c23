import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { fileText, markOf, modeOfFile, offText, shapeOf, tableText, widest } from '../../src/nft/conf.js';
import { keptText } from '../../src/nft/kernel.js';
import { compareTables, readTable } from '../../src/nft/listing.js';
import { markText, parseMark } from '../../src/nft/mark.js';
import { type NftMode, type NftSpec, nftSpec } from '../../src/nft/spec.js';
import { formatPrefix, type Prefix, parsePrefix } from '../../src/packet/address.js';

function spec(mode: NftMode = 'live', more: Readonly<Record<string, string>> = {}): NftSpec {
  const given = [
    ...['192.0.2.3', '2001:db8::3'].map((text) => ({ key: 'fakeMailserver' as const, text })),
    ...['192.0.2.4', '2001:db8::4'].map((text) => ({ key: 'realMailserver' as const, text })),
    ...Object.entries(more).map(([key, text]) => ({ key: key as 'allow', text })),
  ].map((item) => ({ ...item, where: 'x:1', origin: 'file' as const }));
  const result = resolveConfig(given, [], 'linux');
  assert.ok(result.ok);
  return nftSpec(result.config, mode);
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed.ok);
  return parsed.prefix;
}

describe('the mark of our table', () => {
  it('is read as it is written, and nothing else is', () => {
    const mark = markOf(spec('learn'));
    assert.deepEqual(parseMark(markText(mark)), mark);
    for (const text of ['', 'mxallowd', `${markText(mark)} x`, 'mxallowd 1 dead 01234567']) {
      assert.equal(parseMark(text), undefined);
    }
  });

  it('tells whether sets and rules are others, and not who is in the sets of the configuration', () => {
    assert.equal(shapeOf(spec()), shapeOf(spec('live', { allow: '198.51.100.0/24' })));
    const shapes = [
      spec(),
      spec('learn'),
      spec('live', { port: '26' }),
      spec('live', { ipv6Prefix: '128' }),
      spec('live', { whitelistTime: '2h' }),
      spec('live', { maxEntries: '7' }),
      spec('live', { nftHook: 'input' }),
      spec('live', { nftPriority: '7' }),
      spec('live', { nflogGroup: '7' }),
      { ...spec(), outbound: true },
      { ...spec(), strangers: { kind: 'mark', mark: 7 } as const },
    ].map(shapeOf);
    assert.equal(new Set(shapes).size, shapes.length);
  });
});

describe('the file for the boot', () => {
  it('says its mode, and how it is written anew, switched off, too', () => {
    const text = fileText(spec('learn'), ['mxallowd', 'nft-conf', '-c', '/etc/a b']);
    assert.equal(modeOfFile(text), 'learn');
    const off = offText(text);
    assert.equal(modeOfFile(off), 'off');
    assert.match(off, /^# {3}mxallowd nft-conf -c '\/etc\/a b'$/m);
    // nothing that nft would carry out
    assert.deepEqual(
      off.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
      [],
    );
    assert.equal(modeOfFile('# something else\n'), undefined);
  });
});

describe('a table that is read', () => {
  const ours = readTable(tableText(spec()));

  it('has the chains and rules that were written', () => {
    assert.ok(ours !== undefined);
    assert.equal(ours.comment, markText(markOf(spec())));
    assert.deepEqual(
      ours.chains.get('mail')?.map(({ comment }) => comment),
      [
        "the machine's own mail",
        'only who begins is asked',
        'the fake MX, IPv4',
        'the real MX, IPv4',
        'the fake MX, IPv6',
        'the real MX, IPv6',
      ],
    );
    assert.deepEqual(compareTables(ours, ours), { missing: [], surplus: [] });
  });

  it('is compared rule by rule', () => {
    const text = tableText(spec())
      .replace(/^.*goto fake4 comment.*\n/m, '')
      .replace('chain mail {\n', 'chain mail {\n\t\ttcp dport 25 accept\n');
    const found = readTable(text);
    assert.ok(ours !== undefined && found !== undefined);
    assert.deepEqual(compareTables(ours, found), {
      missing: ['mail: "the fake MX, IPv4"'],
      surplus: ['mail: tcp dport 25 accept'],
    });
  });

  it('is none where there is none', () => {
    assert.equal(readTable(''), undefined);
    assert.equal(readTable('table inet mx_white\ndelete table inet mx_white\n'), undefined);
  });
});

it('of networks within networks the widest are kept', () => {
  const networks = ['10.1.0.0/16', '10.0.0.0/8', '10.1.2.3', '192.0.2.0/24', '192.0.2.0/24', '2001:db8::/32'];
  assert.deepEqual(widest(networks.map(prefix)).map(formatPrefix), [
    '10.0.0.0/8',
    '192.0.2.0/24',
    '2001:db8::/32',
  ]);
});

it('entries that are stored otherwise now go to sets of their own, with the time that they have left', () => {
  const entries = [
    { kind: 'tried', prefix: prefix('192.0.2.7'), seconds: 7 },
    { kind: 'tried', prefix: prefix('2001:db8:7::/64'), seconds: 8 },
    { kind: 'granted', prefix: prefix('2001:db8:8:7::/64'), seconds: 9 },
    { kind: 'wide', prefix: prefix('2001:db8:8::/48'), seconds: 10 },
    { kind: 'granted', prefix: prefix('192.0.2.8'), seconds: 11 },
    { kind: 'single', prefix: prefix('2001:db8::9'), seconds: 12 },
  ] as const;
  assert.equal(
    keptText(entries, { 4: 32, 6: 128 }),
    [
      'add element inet mx_white tried4 {\n192.0.2.7 timeout 7s\n}',
      'add element inet mx_white wide6 {\n2001:db8:7::/64 timeout 8s,\n2001:db8:8::/48 timeout 10s\n}',
      'add element inet mx_white granted4 {\n192.0.2.8 timeout 11s\n}',
      'add element inet mx_white granted6 {\n2001:db8::9 timeout 12s\n}',
      '',
    ].join('\n'),
  );
});

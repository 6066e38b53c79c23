import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inOrder, isSelected, type OrderName, type Selection } from '../../../src/commands/list/select.js';
import { entryTable } from '../../../src/commands/list/table.js';
import type { ListedEntry } from '../../../src/control/protocol.js';
import { parsePrefix, type Prefix } from '../../../src/packet/address.js';
import { ENTRIES } from '../../support/control-reports.js';

function network(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return parsed.prefix;
}

const ALL: Selection = { networks: [], origins: undefined, used: undefined, namePart: undefined };

/** The entries that are selected, by their prefixes. */
function selected(selection: Partial<Selection>): string[] {
  return ENTRIES.filter((entry) => isSelected(entry, { ...ALL, ...selection })).map(({ prefix }) => prefix);
}

describe('entries are selected', () => {
  const cases: readonly (readonly [string, Partial<Selection>, readonly string[]])[] = [
    ['by a network', { networks: [network('198.51.100.0/24')] }, ['198.51.100.25', '198.51.100.130']],
    ['by an address', { networks: [network('198.51.100.25')] }, ['198.51.100.25']],
    ['by an address in a stored prefix', { networks: [network('2001:db8:25:7::1')] }, ['2001:db8:25:7::/64']],
    [
      'by several networks of both families',
      { networks: [network('2001:db8::/32'), network('203.0.113.0/24')] },
      ['203.0.113.77', '2001:db8:25:7::/64', '2001:db8:1400:4864:20:fe00:42d:1b'],
    ],
    [
      'by all of IPv4',
      { networks: [network('0.0.0.0/0')] },
      ['203.0.113.77', '198.51.100.25', '198.51.100.130', '192.0.2.200'],
    ],
    ['by origin', { origins: ['pool', 'name'] }, ['198.51.100.130', '2001:db8:1400:4864:20:fe00:42d:1b']],
    [
      'when they were used',
      { used: true },
      ['2001:db8:25:7::/64', '198.51.100.25', '198.51.100.130', '192.0.2.200'],
    ],
    ['when they were not used', { used: false }, ['203.0.113.77', '2001:db8:1400:4864:20:fe00:42d:1b']],
    ['by a part of their name, in any case', { namePart: 'Pool.EXAMPLE' }, ['198.51.100.130']],
    [
      'by all of that together',
      { namePart: 'example', used: true, origins: ['attempt'], networks: [network('198.0.0.0/8')] },
      ['198.51.100.25'],
    ],
  ];
  for (const [what, selection, prefixes] of cases) {
    it(what, () => assert.deepEqual(selected(selection), prefixes));
  }
});

describe('entries are listed', () => {
  const orders: readonly (readonly [OrderName, readonly number[]])[] = [
    ['address', [5, 2, 3, 0, 1, 4]],
    ['left', [1, 2, 4, 3, 0, 5]],
    ['age', [0, 3, 2, 4, 1, 5]],
    ['used', [5, 1, 2, 3, 0, 4]],
  ];
  for (const [name, order] of orders) {
    it(`by ${name}`, () => {
      assert.deepEqual(
        inOrder(ENTRIES, name).map(({ prefix }) => prefix),
        order.map((index) => ENTRIES[index]?.prefix),
      );
    });
  }

  it('by number, not by letter', () => {
    const entries = [
      '2001:db8::/64',
      '2001:db8::/48',
      '100.0.0.1',
      '20.0.0.1',
      '200.0.0.0/24',
      '200.0.0.0',
      '::2',
      '3::',
      '20::',
    ].map((prefix) => ({ ...(ENTRIES[0] as ListedEntry), prefix }));
    assert.deepEqual(
      inOrder(entries, 'address').map(({ prefix }) => prefix),
      [
        '20.0.0.1',
        '100.0.0.1',
        '200.0.0.0/24',
        '200.0.0.0',
        '::2',
        '3::',
        '20::',
        '2001:db8::/48',
        '2001:db8::/64',
      ],
    );
  });
});

describe('the table of mxallowd list', () => {
  it('fits 80 columns, names cut', () => {
    assert.deepEqual(entryTable(inOrder(ENTRIES, 'address'), 6, 80), [
      'PREFIX              ORIGIN     AGE    LEFT  TRIES  USED   LAST  NAME',
      '192.0.2.200         manual   3d04h     20h      0    26  1m30s',
      '198.51.100.25       attempt    18m     42m      2     3  1m30s  out1.example.com',
      '198.51.100.130      pool     3m20s  56m40s      0     1  1m30s  mail-ed1-f130...',
      '203.0.113.77        attempt    12s  59m48s      1     0',
      '2001:db8:25:7::/64  attempt  2h07m  41m09s      5    11  1m30s  mx-out.exampl...',
      '2001:db8:1400:4864:20:fe00:42d:1b',
      '                    name       18m     42m      0     0         out1.example.com',
      '6 entries',
    ]);
  });

  it('takes the width of a wide terminal', () => {
    const lines = entryTable(inOrder(ENTRIES, 'address'), 6, 120);
    assert.equal(
      lines[3],
      '198.51.100.130                     pool     3m20s  56m40s      0     1  1m30s  mail-ed1-f130.pool.example.net',
    );
    assert.equal(
      lines[6],
      '2001:db8:1400:4864:20:fe00:42d:1b  name       18m     42m      0     0         out1.example.com',
    );
    assert.equal(lines.length, 8);
  });

  it('of one family is as narrow as can be', () => {
    const only = ENTRIES.filter(({ prefix }) => prefix === '203.0.113.77');
    assert.deepEqual(entryTable(only, 6, 80), [
      'PREFIX        ORIGIN   AGE    LEFT  TRIES  USED  LAST  NAME',
      '203.0.113.77  attempt  12s  59m48s      1     0',
      '1 of 6 entries',
    ]);
  });

  it('may be empty', () => {
    assert.deepEqual(entryTable([], 0, 80), ['no entries']);
    assert.deepEqual(entryTable([], 1200, 80), ['no entry matches (of 1,200)']);
  });
});

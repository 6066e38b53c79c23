import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Column, cut, formatRows, formatTable, outputWidth, wrap } from '../../src/terminal/table.js';

describe('the width of output', () => {
  const cases: readonly (readonly [string, number | undefined, string | undefined, number])[] = [
    ['80, where nobody tells', undefined, undefined, 80],
    ["the terminal's", 132, undefined, 132],
    ["the terminal's, whatever COLUMNS says", 132, '60', 132],
    ['what COLUMNS says', undefined, '200', 200],
    ['80, when COLUMNS is no number', undefined, 'wide', 80],
    ['80, when COLUMNS is empty', undefined, '', 80],
    ['80, when a serial line does not know', 0, undefined, 80],
    ['40 at the least', 12, undefined, 40],
  ];
  for (const [what, terminal, columns, width] of cases) {
    it(`is ${what}`, () => assert.equal(outputWidth(terminal, { COLUMNS: columns }), width));
  }
});

describe('a text', () => {
  it('goes on in the next line between words', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('one two three', 13), ['one two three']);
    assert.deepEqual(wrap('one-two-three four', 5), ['one-two-three', 'four']);
    assert.deepEqual(wrap('', 5), ['']);
  });

  it('is cut with dots', () => {
    assert.deepEqual(
      [cut('abcdef', 6), cut('abcdef', 5), cut('abcdef', 2), cut('abcdef', 0)],
      ['abcdef', 'ab...', 'ab', ''],
    );
  });
});

describe('rows of titles and values', () => {
  it('have the values below each other', () => {
    const rows = [
      ['health', 'ok'],
      ['table', 'one two three'],
      ['', 'more'],
    ] as const;
    assert.deepEqual(formatRows(rows, 8, 16), [
      'health: ok',
      'table:  one two',
      '        three',
      '        more',
    ]);
  });
});

const COLUMNS: readonly Column[] = [
  { title: 'PREFIX', align: 'left' },
  { title: 'TRIES', align: 'right' },
  { title: 'NAME', align: 'left' },
];

describe('a table', () => {
  it('has each column as wide as it must be', () => {
    assert.deepEqual(
      formatTable(
        COLUMNS,
        [
          ['192.0.2.1', '2', 'a.example'],
          ['192.0.2.100', '12345678', ''],
        ],
        80,
      ),
      ['PREFIX          TRIES  NAME', '192.0.2.1           2  a.example', '192.0.2.100  12345678'],
    );
  });

  it('cuts the last column, and gives what is too long for the first a line of its own', () => {
    const rows = [
      ['192.0.2.1', '2', 'mail.a-long-name.example'],
      ['2001:db8:1:2:3:4:5:6', '3', 'b.example'],
    ];
    assert.deepEqual(formatTable(COLUMNS, rows, 34), [
      'PREFIX     TRIES  NAME',
      '192.0.2.1      2  mail.a-long-n...',
      '2001:db8:1:2:3:4:5:6',
      '               3  b.example',
    ]);
  });

  it('is no wider than it may be, if its middle columns leave room', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength: 43 });
    const number = fc.nat().map(String);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, number, cell)),
        fc.integer({ min: 44, max: 200 }),
        (rows, width) => {
          for (const line of formatTable(COLUMNS, rows, width)) assert.ok(line.length <= width, line);
        },
      ),
    );
  });
});

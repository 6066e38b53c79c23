import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConf } from '../../src/pf/statements.js';

/** Line number and tokens of each statement. */
function statements(text: string): [number, string][] {
  return parseConf(text).statements.map(({ line, tokens }) => [
    line,
    tokens.map((token) => token.text).join('|'),
  ]);
}

describe('a pf.conf taken apart', () => {
  const cases: readonly (readonly [string, string, [number, string][]])[] = [
    ['nothing', '', []],
    ['comments and blank lines', '# one\n\n \t# two', []],
    [
      'one statement a line',
      'block return\npass\n',
      [
        [1, 'block|return'],
        [2, 'pass'],
      ],
    ],
    ['a last line without newline', 'pass', [[1, 'pass']]],
    ['a comment behind a statement', 'pass # quick\n', [[1, 'pass']]],
    ['a comment without a blank before it', 'pass#quick\n', [[1, 'pass']]],
    ['a hash in quotes', 'anchor "a#b"\n', [[1, 'anchor|a#b']]],
    [
      'a joined line',
      'pass in \\\n  quick\nblock\n',
      [
        [1, 'pass|in|quick'],
        [3, 'block'],
      ],
    ],
    ['a word joined in its middle', 'qu\\\nick\n', [[1, 'quick']]],
    ['a comment that goes on', '# pass \\\nquick\nblock\n', [[3, 'block']]],
    [
      'a list over lines',
      'pass to { 192.0.2.1\n  192.0.2.2 } port 25\npass\n',
      [
        [1, 'pass|to|{|192.0.2.1|192.0.2.2|}|port|25'],
        [3, 'pass'],
      ],
    ],
    [
      'a comment in a list',
      't = {\n a # }\n b }\npass\n',
      [
        [1, 't|=|{|a|b|}'],
        [4, 'pass'],
      ],
    ],
    [
      'a block of rules',
      'anchor "x" {\n pass quick\n}\npass\n',
      [
        [1, 'anchor|x|{|pass|quick|}'],
        [4, 'pass'],
      ],
    ],
    [
      'quotes over lines',
      'm = "a\n b"\npass\n',
      [
        [1, 'm|=|a b'],
        [3, 'pass'],
      ],
    ],
    ['single quotes', "include '/etc/x'\n", [[1, 'include|/etc/x']]],
    ['a quote in quotes', String.raw`label "a\"b"` + '\n', [[1, 'label|a"b']]],
    [
      'CRLF',
      'pass\r\nblock\r\n',
      [
        [1, 'pass'],
        [2, 'block'],
      ],
    ],
    ['bytes beyond ASCII', '# \xe4\npass label "\xfc"\n', [[2, 'pass|label|\xfc']]],
    ['signs', 'pass from !<t> to any,x', [[1, 'pass|from|!|<|t|>|to|any|,|x']]],
  ];
  for (const [name, text, expected] of cases) {
    it(`has ${name}`, () => {
      assert.deepEqual(statements(text), expected);
      assert.equal(parseConf(text).openAt, undefined);
    });
  }

  it('knows where each statement begins and ends', () => {
    const text = '# head\n\n  pass in \\\n   quick # why\nblock';
    const found = parseConf(text).statements.map(({ start, end, comment }) => [
      text.slice(start, end),
      comment,
    ]);
    assert.deepEqual(found, [
      ['  pass in \\\n   quick # why\n', 'why'],
      ['block', ''],
    ]);
  });

  const open: readonly (readonly [string, string, number])[] = [
    ['a brace', 'pass\npass to { 192.0.2.1\n', 2],
    ['a quote', 'pass\nlabel "x\n\n', 2],
    ['a backslash', 'pass\npass in \\\n', 2],
    ['a backslash without newline', 'pass \\', 1],
    ['a backslash in a comment', 'pass\n# end \\\n', 2],
  ];
  for (const [name, text, line] of open) {
    it(`sees that it ends behind ${name}`, () => assert.equal(parseConf(text).openAt, line));
  }
});

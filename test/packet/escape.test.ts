import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeText, printable } from '../../src/packet/escape.js';

for (const [text, escaped] of [
  ['em0', 'em0'],
  ['', ''],
  ['a b~!"\'', 'a b~!"\''],
  ['\x1b[2J', '\\x1b[2J'],
  ['a\nb\r\t\0', 'a\\x0ab\\x0d\\x09\\x00'],
  ['\x7f\x80\xff', '\\x7f\\x80\\xff'],
  ['\\x41', '\\x5cx41'],
  ['é€😀', '\\xe9\\u{20ac}\\u{1f600}'],
  ['\u0100', '\\u{100}'],
  ['\u202e\ud800', '\\u{202e}\\u{d800}'],
] as const) {
  test(`${JSON.stringify(text)} is printed as ${escaped}`, () => assert.equal(escapeText(text), escaped));
}

test('a text is cut where it would become too long', () => {
  assert.equal(escapeText('abcdef', 6), 'abcdef');
  assert.equal(escapeText('abcdefg', 6), 'abcdef...');
  assert.equal(escapeText('a'.repeat(501)), `${'a'.repeat(500)}...`);
});

test('whatever comes in, printable ASCII goes out, and no two short texts look the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, other) => {
      assert.match(escapeText(one, 10_000), /^[ -~]*$/);
      if (one !== other) assert.notEqual(escapeText(one, 10_000), escapeText(other, 10_000));
    }),
    { numRuns: 2000 },
  );
});

test('what has been escaped already stays as it is, and what has not is', () => {
  const escaped = escapeText('a\x1b[2J \\ \u{1f600}');
  assert.equal(printable(escaped), escaped);
  assert.equal(printable('\x1b[2J\\x41\x9b\n\u202e'), '\\x1b[2J\\x41\\x9b\\x0a\\u{202e}');
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.match(printable(text), /^[ -~]*$/)));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { checksumOf } from '../../src/state/checksum.js';
import { countersBody, entryBodies, headerText, sealed, seedOf, timeBody } from '../../src/state/format.js';
import type { SavedEntry } from '../../src/state/source.js';
import { Words } from '../../src/state/words.js';
import { entry, NO_COUNTERS } from '../support/state.js';

function firstBody(saved: SavedEntry): string | undefined {
  return entryBodies(saved)[0];
}

test('the first line has the format and the number of the file, eight digits always', () => {
  assert.equal(headerText(0x9f2c31ab), 'mxallowd-state 1 9f2c31ab');
  assert.equal(headerText(7), 'mxallowd-state 1 00000007');
});

test('a checksum covers the first line and the body', () => {
  // by Python: zlib.crc32(b'mxallowd-state 1 9f2c31ab' + b'T 1764115411000 123456')
  const seed = seedOf('mxallowd-state 1 9f2c31ab');
  assert.equal(sealed(timeBody(1_764_115_411_000, 123_456), seed), '5507fe25 T 1764115411000 123456\n');
  const other = seedOf('mxallowd-state 1 9f2c31ac');
  assert.notEqual(sealed('T 1 2', seed), sealed('T 1 2', other));
});

test('an entry is a line of its figures, whole milliseconds, with its name if it has one', () => {
  assert.equal(
    firstBody(
      entry('2001:db8::/64', {
        origin: 'pool',
        addedMs: -5000.4,
        deadlineMs: 200_000.5,
        lastAttemptMs: -5000.4,
        attempts: 0,
      }),
    ),
    '+ 2001:db8::/64 pool -5000 200001 -5000 0 0',
  );
  assert.equal(
    firstBody(entry('192.0.2.7', { admissions: 5, name: 'mail.example.org' })),
    '+ 192.0.2.7 attempt 1000 3601000 1000 1 5 mail.example.org',
  );
});

test('when an entry was admitted is a line behind it', () => {
  const use = { admissions: 2, firstAdmissionMs: 2000.4, lastAdmissionMs: 901_000 };
  const first = '+ 192.0.2.7 attempt 1000 3601000 1000 1 2';
  assert.deepEqual(entryBodies(entry('192.0.2.7', use)), [first, 'K 192.0.2.7 2000 901000']);
  assert.deepEqual(entryBodies(entry('192.0.2.7', { ...use, isRegular: true })), [
    first,
    'K 192.0.2.7 2000 901000 regular',
  ]);
});

test('an origin that 2.0.0 does not know is a line behind it, and a word that it knows in it', () => {
  for (const [origin, word] of [
    ['outbound', 'name'],
    ['dnswl', 'pool'],
  ] as const) {
    assert.deepEqual(entryBodies(entry('192.0.2.7', { origin, attempts: 0 })), [
      `+ 192.0.2.7 ${word} 1000 3601000 1000 0 0`,
      `O 192.0.2.7 ${origin}`,
    ]);
  }
  for (const origin of ['attempt', 'adopted', 'manual', 'name', 'pool'] as const) {
    assert.equal(entryBodies(entry('192.0.2.7', { origin })).length, 1, origin);
  }
});

test('a name that is no host name is left out', () => {
  for (const name of [
    'a b.example',
    'x\n+ 0.0.0.0/24',
    '',
    'localhost',
    'é.example',
    `${'a.'.repeat(127)}example`,
  ]) {
    assert.equal(firstBody(entry('192.0.2.7', { name })), '+ 192.0.2.7 attempt 1000 3601000 1000 1 0');
  }
});

test('an endless deadline is written as the largest number that can be read', () => {
  const body = firstBody(entry('192.0.2.7', { deadlineMs: Infinity }));
  assert.equal(body, '+ 192.0.2.7 attempt 1000 999999999999999 1000 1 0');
});

test('counters are written with their names', () => {
  assert.match(
    countersBody({ ...NO_COUNTERS, attempts: 17 }),
    /^C attempts=17 renewals=0 .* pooled=0 outbound=0$/,
  );
});

test('a checksum is the CRC-32 of zlib', () => {
  // the check value of CRC-32/ISO-HDLC
  assert.equal(checksumOf(Buffer.from('123456789'), 0, 9, 0), 0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 0xffffffff }), (bytes, seed) => {
      assert.equal(checksumOf(bytes, 0, bytes.length, seed), crc32(bytes, seed));
    }),
  );
});

/** What is read from a line by calling these one after the other. */
function read(line: string, ...calls: ('text' | 'number' | 'count' | 'done')[]): unknown[] {
  const words = new Words();
  const bytes = Buffer.from(`before ${line} after`);
  words.begin(bytes, 7, 7 + line.length);
  return calls.map((call) => (call === 'done' ? words.done : words[call]()));
}

test('words are read one after the other, and not beyond the line', () => {
  assert.deepEqual(read('one 2 -3', 'text', 'count', 'number', 'done', 'text', 'number'), [
    'one',
    2,
    -3,
    true,
    '',
    NaN,
  ]);
  assert.deepEqual(read('a  b', 'text', 'text', 'text', 'done'), ['a', '', 'b', true]);
  assert.deepEqual(read('a ', 'text', 'done', 'text', 'done'), ['a', false, '', true]);
});

test('a number is decimal digits, 15 at the most, with or without a minus', () => {
  for (const [text, number] of [
    ['0', 0],
    ['-0', 0],
    ['007', 7],
    ['999999999999999', 999_999_999_999_999],
    ['-999999999999999', -999_999_999_999_999],
    ['1000000000000000', NaN],
    ['', NaN],
    ['-', NaN],
    ['--1', NaN],
    ['+1', NaN],
    ['1.5', NaN],
    ['1e3', NaN],
    ['0x10', NaN],
    ['Infinity', NaN],
  ] as const) {
    assert.deepEqual(read(text, 'number'), [number], text);
  }
  assert.deepEqual(read('-1', 'count'), [NaN]);
});

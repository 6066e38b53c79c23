import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { type Change, readChange, readField, writeChange } from '../../src/fleet/record.js';
import { parseAddress, type PrefixText } from '../../src/packet/address.js';

const source = parseAddress('2001:db8:0:1::25');

it('a change is a line, and the line the same change', () => {
  const changes: [Change, string][] = [
    [
      {
        kind: 'seen',
        prefix: '2001:db8:0:1::/64' as PrefixText,
        sighting: { stamp: 7, endMs: 90, isKnown: true, isManual: false, source, name: 'mail.example.org' },
      },
      '+2001:db8:0:1::/64 7 90 k 2001:db8:0:1::25 mail.example.org',
    ],
    [
      {
        kind: 'seen',
        prefix: '192.0.2.1' as PrefixText,
        sighting: {
          stamp: 7,
          endMs: 90,
          isKnown: false,
          isManual: false,
          source: undefined,
          name: undefined,
        },
      },
      '+192.0.2.1 7 90 -',
    ],
    [{ kind: 'gone', prefix: '192.0.2.1' as PrefixText }, '-192.0.2.1'],
    [
      { kind: 'forgotten', prefix: '192.0.2.1' as PrefixText, forgetting: { stamp: 8, endMs: 9 } },
      '!192.0.2.1 8 9',
    ],
  ];
  for (const [change, line] of changes) {
    assert.equal(writeChange(change), line);
    assert.deepEqual(readChange(line), change);
  }
});

it('flags and words that a later version may have are passed over', () => {
  const change = readField('192.0.2.1', '7 90 kz 192.0.2.1 mail.example.org more');
  assert.ok(
    change?.kind === 'seen' && change.sighting.isKnown && change.sighting.name === 'mail.example.org',
  );
});

it('what is not canonical, not a number, or too long is not taken', () => {
  const bad = [
    '+192.0.2.1/32 7 90 -',
    '+192.0.2.1/24 7 90 -',
    '+2001:DB8::1 7 90 -',
    '+192.0.2.1 -7 90 -',
    '+192.0.2.1 7 9e3 -',
    '+192.0.2.1 7 99999999999999999 -',
    '+192.0.2.1',
    '?192.0.2.1 7 90 -',
    '-nobody',
    `+192.0.2.1 7 90 - 192.0.2.1 ${'a'.repeat(500)}`,
  ];
  for (const line of bad) assert.equal(readChange(line), undefined, line);
});

it('a name with anything else in it than a name has, or of an address that lies elsewhere, is left out', () => {
  for (const hints of ['192.0.2.1 a\u001b[31m', '192.0.2.2 mail.example.org', '192.0.2.1 a;b']) {
    const change = readField('192.0.2.1', `7 90 - ${hints}`);
    assert.ok(change?.kind === 'seen' && change.sighting.name === undefined, hints);
  }
});

it('whatever comes is read or not, and never throws', () => {
  fc.assert(fc.property(fc.string({ maxLength: 60 }), (line) => void readChange(line)));
  fc.assert(fc.property(fc.string(), fc.string(), (field, value) => void readField(field, value)));
});

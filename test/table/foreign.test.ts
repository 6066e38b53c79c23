import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decidingEntry, entryText } from '../../src/table/foreign.js';
import type { TableEntry } from '../../src/table/table.js';
import { address, prefix } from '../support/observations.js';

function entry(text: string): TableEntry {
  return {
    prefix: prefix(text.replace('! ', '')),
    negated: text.startsWith('!'),
    clearedAtMs: undefined,
    expiresInMs: undefined,
  };
}

describe('of the entries that are not ours', () => {
  const entries = ['10.0.0.0/8', '! 10.1.0.0/16', '10.1.2.0/23', '! 10.1.2.3', '2001:db8::/32'].map(entry);
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['10.200.0.1', '10.0.0.0/8'],
    ['10.1.9.9', '! 10.1.0.0/16'],
    ['10.1.3.255', '10.1.2.0/23'],
    ['10.1.2.3', '! 10.1.2.3'],
    ['11.0.0.0', undefined],
    ['2001:db8:ffff::1', '2001:db8::/32'],
    ['2001:db9::1', undefined],
  ];
  for (const [text, expected] of cases) {
    it(`the narrowest around ${text} counts: ${expected ?? 'there is none'}`, () => {
      for (const order of [entries, [...entries].reverse()]) {
        const found = decidingEntry(order, address(text));
        assert.equal(found && entryText(found), expected);
      }
    });
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RESOLVER_DEFAULTS } from '../../src/names/resolver.js';
import { grouped } from '../../src/terminal/human.js';
import { packageFolder } from '../../src/version.js';

/** The rows of the table of bounds, by their first column. */
const BOUNDS = new Map(
  readFileSync(join(packageFolder(), 'docs', 'names.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, bound = '', value = '']) => [bound, value]),
);

describe('docs/names.md', () => {
  const { active, waiting, cached, timeoutMs } = RESOLVER_DEFAULTS;
  for (const [bound, begins] of [
    ['look-ups under way', `${active} for those who tried the fake MX, and ${active} for`],
    ['look-ups that wait', `${grouped(waiting)} of each;`],
    ['answers kept', `${grouped(cached)} of each,`],
    ['an answer', `\`dns-timeout\` (${timeoutMs / 1000} s), then one more try`],
  ] as const) {
    it(`has the bound of the program: ${bound}`, () => {
      const value = BOUNDS.get(bound) ?? '';
      assert.ok(value.startsWith(begins), `${begins} in: ${value}`);
    });
  }
});

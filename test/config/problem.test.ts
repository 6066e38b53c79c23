import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { suggestion } from '../../src/config/problem.js';

describe('a name that is not known', () => {
  const known = ['status', 'list', 'stats', 'watch', 'allow', 'why', 'check', 'check-config', 'replay'];
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['stauts', 'status'],
    ['sttaus', 'status'],
    ['statsu', 'status'],
    ['statu', 'status'],
    ['stat', 'stats'],
    ['STATUS', 'status'],
    ['--status', 'status'],
    ['lits', 'list'],
    ['chek', 'check'],
    ['chek-config', 'check-config'],
    ['hwy', 'why'],
    ['repaly', 'replay'],
    ['frobnicate', undefined],
    ['', undefined],
  ];
  for (const [wrong, meant] of cases) {
    it(`${wrong === '' ? 'nothing' : wrong} is ${meant ?? 'none of them'}`, () => {
      assert.equal(suggestion(wrong, known), meant === undefined ? '' : ` (did you mean "${meant}"?)`);
    });
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parsePfInfo } from '../../src/pf/info.js';
import { packageFolder } from '../../src/version.js';

function recorded(name: string): string {
  return readFileSync(join(packageFolder(), 'test', 'fixtures', 'pfctl', `${name}.out`), 'latin1');
}

describe('parsePfInfo', () => {
  it('tells whether pf is enabled, from what was recorded', () => {
    assert.deepEqual(parsePfInfo(recorded('181-s-info')), { enabled: true });
    assert.deepEqual(parsePfInfo(recorded('141-disabled-info')), { enabled: false });
  });

  it('says nothing of another text', () => {
    for (const text of ['', 'Status: unknown\n', 'FILTER RULES:\n', 'x Status: Enabled\n']) {
      assert.equal(parsePfInfo(text), undefined);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePfInfo } from '../../src/pf/info.js';
import { recordedCall } from '../support/recorded-pfctl.js';

describe('parsePfInfo', () => {
  it('tells whether pf is enabled, from what was recorded', () => {
    for (const folder of ['pfctl', 'freebsd15'] as const) {
      assert.deepEqual(parsePfInfo(recordedCall(folder, 181).stdout), { enabled: true });
    }
    assert.deepEqual(parsePfInfo(recordedCall('pfctl', 141).stdout), { enabled: false });
    assert.deepEqual(parsePfInfo(recordedCall('openbsd', 105).stdout), { enabled: true });
    assert.deepEqual(parsePfInfo(recordedCall('openbsd', 118).stdout), { enabled: false });
  });

  it('says nothing of another text', () => {
    for (const text of ['', 'Status: unknown\n', 'FILTER RULES:\n', 'x Status: Enabled\n']) {
      assert.equal(parsePfInfo(text), undefined);
    }
  });
});

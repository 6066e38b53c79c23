import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSkipped } from '../../src/pf/skipped.js';
import { recordedCall } from '../support/recorded-pfctl.js';

describe('parseSkipped', () => {
  it('reads what was recorded', () => {
    assert.deepEqual([...parseSkipped(recordedCall('openbsd', 112).stdout)], ['lo', 'lo0', 'vio0']);
    // asked for this one, after `pfctl -F all`
    assert.deepEqual([...parseSkipped(recordedCall('openbsd', 150).stdout)], ['lo0']);
    assert.deepEqual([...parseSkipped(recordedCall('freebsd15', 306).stdout)], []);
  });

  it('reads what was seen on FreeBSD 15.1', () => {
    assert.deepEqual([...parseSkipped('all\nlo\nlo0\nvtnet0 (skip)\nvtnet1\n')], ['vtnet0']);
  });
});

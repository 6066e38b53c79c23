import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AllowedNetworks } from '../../src/firewall/allowed.js';
import type { PrefixText } from '../../src/packet/address.js';
import { prefix } from '../support/observations.js';

const [A, B, C] = ['10.0.0.0/8', '198.51.100.7', '2001:db8::/32'] as PrefixText[] as [
  PrefixText,
  PrefixText,
  PrefixText,
];
const all = (): boolean => true;

describe('what "allow" has in the table', () => {
  it('is what the configuration names, and what it names no more until that is out', () => {
    const allowed = new AllowedNetworks([A, B].map(prefix));
    const gone = allowed.configure([B, C].map(prefix));
    assert.deepEqual(gone, [A]);
    allowed.withdraw(gone);
    assert.deepEqual(allowed.inTable, [B, C, A]);
    assert.deepEqual([...allowed.current], [B, C]);
    assert.deepEqual(allowed.settle(all), [A]);
    assert.deepEqual(
      allowed.settle((text) => text !== A),
      [],
    );
    assert.deepEqual(allowed.inTable, [B, C]);
  });

  it('is the same array until it changes', () => {
    const allowed = new AllowedNetworks([prefix(A)]);
    const first = allowed.inTable;
    allowed.configure([prefix(A)]);
    allowed.withdraw([]);
    allowed.settle(all);
    assert.equal(allowed.inTable, first);
  });

  it('is allowed again when the configuration names it again before it is out', () => {
    const allowed = new AllowedNetworks([prefix(A)]);
    allowed.withdraw(allowed.configure([]));
    allowed.withdraw(allowed.configure([prefix(A)]));
    assert.deepEqual(allowed.settle(all), []);
    assert.deepEqual(allowed.inTable, [A]);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyNoSender } from '../../src/packet/no-sender.js';
import { address } from '../support/observations.js';

describe('mail cannot come from', () => {
  for (const [what, ...texts] of [
    ['unspecified', '0.0.0.0', '0.255.255.255', '::'],
    ['loopback', '127.0.0.1', '127.255.255.255', '::1'],
    ['link-local', '169.254.0.0', '169.254.255.255', 'fe80::', 'fe80::1', 'febf:ffff::1'],
    ['multicast', '224.0.0.1', '239.255.255.255', 'ff00::', 'ff02::1', 'ffff::'],
    ['reserved', '240.0.0.0', '255.255.255.255'],
    ['IPv4-compatible', '::2', '::192.0.2.1'],
    ['IPv4-mapped', '::ffff:192.0.2.1'],
  ] as const) {
    it(`${what} addresses`, () => {
      for (const text of texts) assert.equal(whyNoSender(address(text)), what, text);
    });
  }

  it('and can from all others, private ones included', () => {
    for (const text of [
      ...[
        '1.0.0.0',
        '10.0.0.1',
        '126.255.255.255',
        '128.0.0.1',
        '169.253.255.255',
        '169.255.0.0',
        '172.16.0.1',
      ],
      ...[
        '192.168.1.1',
        '223.255.255.255',
        '64:ff9b::192.0.2.1',
        '2001:db8::1',
        'fc00::1',
        'fe7f::1',
        'fec0::1',
      ],
    ]) {
      assert.equal(whyNoSender(address(text)), undefined, text);
    }
  });
});

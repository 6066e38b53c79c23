import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isEntrySized, Roles } from '../../src/tracker/roles.js';
import { address, prefix } from '../support/observations.js';
import { CONFIG, FAKE, REAL, REAL6, scene } from '../support/tracker-scene.js';

describe('what can be an entry', () => {
  const roles = new Roles(CONFIG, [1, 2]);

  it('is no wider than any configuration stores, whatever this one does: it must expire, too', () => {
    for (const text of ['203.0.113.7', '203.0.113.0/24', '2001:db8:7::1', '2001:db8:7::/48']) {
      assert.equal(isEntrySized(prefix(text)), true, text);
      assert.equal(roles.canBeEntry(prefix(text)), true, text);
    }
    for (const text of ['203.0.112.0/23', '2001:db8:6::/47', '0.0.0.0/0']) {
      assert.equal(isEntrySized(prefix(text)), false, text);
      assert.equal(roles.canBeEntry(prefix(text)), false, text);
    }
  });

  for (const text of ['0.0.0.0', '0.1.2.0/24', '127.0.0.1', '127.0.0.0/24', '224.0.0.1', '255.255.255.255']) {
    it(`is not ${text}`, () => assert.equal(roles.canBeEntry(prefix(text)), false));
  }
  for (const text of ['::', '::1', '::/64', '::ffff:192.0.2.7', 'ff02::1', 'ff02::/64']) {
    it(`is not ${text}`, () => assert.equal(roles.canBeEntry(prefix(text)), false));
  }
  for (const text of [
    '::7',
    '::1:0:0:7',
    'fe80::1',
    'fe80::/64',
    'febf::1',
    '169.254.0.1',
    '169.254.7.0/24',
  ]) {
    it(`is not ${text}, which leads nowhere`, () => assert.equal(roles.canBeEntry(prefix(text)), false));
  }

  it('is a single address of those behind a translator (RFC 6052, RFC 8215): its neighbours are everybody', () => {
    for (const text of [
      '64:ff9b::/48',
      '64:ff9b::/64',
      '64:ff9b::/96',
      '64:ff9b::cb00:7100/120',
      '64:ff9b:1:2::/64',
    ])
      assert.equal(roles.canBeEntry(prefix(text)), false, text);
    for (const text of ['64:ff9b::cb00:7107', '64:ff9b:1:2::7', '64:ff9b:2::/64', '64:ff9b:0:1::/64'])
      assert.equal(roles.canBeEntry(prefix(text)), true, text);
  });

  it('is no address of this machine', () => {
    const own = new Roles({ ...CONFIG, own: [address('198.51.100.9'), address('2001:db8:5::9')] }, [1, 2]);
    for (const text of ['198.51.100.9', '2001:db8:5::9'])
      assert.equal(own.canBeEntry(prefix(text)), false, text);
    // its neighbours may be
    for (const text of ['198.51.100.8', '2001:db8:5::/64'])
      assert.equal(own.canBeEntry(prefix(text)), true, text);
  });

  it('is no mail server of ours; the network that one lies in may be a neighbour', () => {
    for (const text of [FAKE, REAL6]) assert.equal(roles.canBeEntry(prefix(text)), false, text);
    for (const text of ['192.0.2.5', '192.0.2.0/24', '2001:db8::/64']) {
      assert.equal(roles.canBeEntry(prefix(text)), true, text);
    }
  });
});

describe('what is stored of a sender', () => {
  it('is its prefix of the configured length', () => {
    const wide = new Roles({ ...CONFIG, ipv4Prefix: 24, ipv6Prefix: 48 }, [1, 2]);
    assert.deepEqual(wide.entryPrefix(address('203.0.113.7')), prefix('203.0.113.0/24'));
    assert.deepEqual(wide.entryPrefix(address('2001:db8:7:8::9')), prefix('2001:db8:7::/48'));
  });

  it('is its address alone behind a translator', () => {
    const roles = new Roles(CONFIG, [1, 2]);
    for (const text of ['64:ff9b::203.0.113.7', '64:ff9b:1:2:3::7'])
      assert.deepEqual(roles.entryPrefix(address(text)), { address: address(text), length: 128 });
    assert.deepEqual(roles.entryPrefix(address('64:ff9b:2::7')), prefix('64:ff9b:2::/64'));
  });
});

describe('who is let in at all times', () => {
  const network = (text: string, domain: string) => ({ network: prefix(text), domain, admissions: 0 });

  it('is who the configuration names, or a domain; the narrowest decides', () => {
    const roles = new Roles(
      {
        ...CONFIG,
        allow: [prefix('198.51.100.0/28'), prefix('203.0.113.0/24')],
        domains: [network('198.51.100.0/24', 'example.com'), network('203.0.113.0/24', 'example.net')],
      },
      [1, 2],
    );
    const by = (text: string): string => {
      const domain = roles.allowingDomain(address(text))?.domain;
      const found = roles.allowing(address(text));
      return `${domain ?? '-'} ${found === undefined ? '-' : found.length}`;
    };
    assert.equal(by('198.51.100.7'), '- 28');
    assert.equal(by('198.51.100.77'), 'example.com 24');
    assert.equal(by('203.0.113.7'), '- 24');
    assert.equal(by('203.0.112.7'), '- -');
  });

  it('is counted with the network that lets him in', () => {
    const google = network('64.0.0.0/14', 'google.test');
    const at = scene({ domains: [google, network('2a00::/32', 'google.test')], allow: [prefix('64.0.0.1')] });
    assert.equal(at.see('64.1.2.3', REAL), 'admission always-allowed');
    assert.equal(at.see('64.1.2.4', REAL), 'admission always-allowed');
    assert.equal(at.see('64.0.0.1', REAL), 'admission always-allowed');
    assert.equal(at.see('2a00::7', REAL6), 'admission always-allowed');
    assert.equal(at.see('64.1.2.4', FAKE), 'attempt always-allowed');
    assert.equal(google.admissions, 2);
    assert.equal(at.see('64.4.0.1', REAL), 'refusal not-whitelisted');
    assert.deepEqual(at.prefixes, []);
  });
});

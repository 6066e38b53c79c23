import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NETWORK_BOUNDS, NetworkBudget, type Own, whyNever } from '../../src/names/network-bounds.js';
import { prefix } from '../support/observations.js';

const OWN: Own = [
  [prefix('203.0.113.25'), 'our MX 203.0.113.25'],
  [prefix('198.51.100.0/24'), 'the network of em0'],
  [prefix('2001:db8:5::/64'), 'the network of em0'],
];

describe('a network that DNS names', () => {
  const never: readonly (readonly [string, string])[] = [
    ['0.0.0.0/0', 'it is unspecified, or has such addresses'],
    ['10.0.0.0/8', 'it is private, or has such addresses'],
    ['10.1.2.3', 'it is private, or has such addresses'],
    ['172.20.0.0/14', 'it is private, or has such addresses'],
    ['192.168.0.0/14', 'it is private, or has such addresses'],
    ['100.64.0.0/16', "it is a carrier's own, or has such addresses"],
    ['127.0.0.1', 'it is loopback, or has such addresses'],
    ['169.254.7.0/24', 'it is link-local, or has such addresses'],
    ['239.1.1.1', 'it is multicast or reserved, or has such addresses'],
    ['255.255.255.255', 'it is multicast or reserved, or has such addresses'],
    ['64.0.0.0/13', 'it is wider than /14'],
    ['10.0.0.0/7', 'it is private, or has such addresses'],
    ['2a00::/31', 'it is wider than /32'],
    ['::/0', 'it is wider than /32'],
    ['fd00::/32', 'it is not of 2000::/3'],
    ['fe80::1', 'it is not of 2000::/3'],
    ['::1', 'it is not of 2000::/3'],
    ['64:ff9b::/96', 'it is not of 2000::/3'],
    ['203.0.113.25', 'it has addresses of our MX 203.0.113.25'],
    ['203.0.112.0/20', 'it has addresses of our MX 203.0.113.25'],
    ['198.51.100.7', 'it has addresses of the network of em0'],
    ['198.51.0.0/16', 'it has addresses of the network of em0'],
    ['2001:db8::/32', 'it has addresses of the network of em0'],
  ];
  for (const [text, why] of never) {
    it(`is not let in as ${text}`, () => assert.equal(whyNever(prefix(text), OWN), why));
  }

  for (const text of ['64.0.0.0/14', '203.0.113.26', '198.51.101.0/24', '2a00:1450::/32', '3fff::1']) {
    it(`may be ${text}`, () => assert.equal(whyNever(prefix(text), OWN), undefined));
  }
});

describe('what all domains may have together', () => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('is 2,000 networks', () => {
    const budget = new NetworkBudget();
    const networks = numbers(2001).map((i) => prefix(`2a00:${(i + 1).toString(16)}::/32`));
    const refused = networks.flatMap((network) => budget.take(network) ?? []);
    assert.deepEqual(refused, ['there are 2000 networks already']);
    const [first = prefix('::')] = networks;
    assert.equal(budget.take(first), undefined, 'one that is there costs nothing');
    budget.giveBack(first);
    assert.equal(budget.take(prefix('2b00::/32')), undefined);
  });

  it('is fewer networks, if there are few domains', () => {
    const budget = new NetworkBudget(NETWORK_BOUNDS.ofDomain);
    const refused = numbers(301).flatMap(
      (i) => budget.take(prefix(`192.0.2.${i & 255}/32`.replace('192', String(20 + (i >> 8))))) ?? [],
    );
    assert.deepEqual(refused, ['there are 300 networks already']);
  });

  it('is 2^23 IPv4 addresses, however they are cut', () => {
    const budget = new NetworkBudget();
    const whole = numbers(31).map((i) => prefix(`64.${4 * i}.0.0/14`));
    assert.deepEqual(
      whole.flatMap((network) => budget.take(network) ?? []),
      [],
    );
    assert.equal(budget.take(prefix('65.0.0.0/15')), undefined);
    assert.equal(
      budget.take(prefix('65.4.0.0/14')),
      'with it there would be more than 8388608 IPv4 addresses',
    );
    assert.equal(budget.take(prefix('65.2.0.0/15')), undefined);
    assert.match(budget.take(prefix('66.0.0.1')) ?? '', /more than/);
    // IPv6 has no such number
    assert.equal(budget.take(prefix('2a00::/32')), undefined);
    budget.giveBack(prefix('65.2.0.0/15'));
    assert.equal(budget.take(prefix('66.0.0.1')), undefined);
    assert.equal(budget.size, 34);
  });
});

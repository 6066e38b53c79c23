import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeMx, type MxHost } from '../../src/check/mx.js';
import { address } from '../support/observations.js';

const SETUP = {
  fake: [address('192.0.2.3'), address('2001:db8::3')],
  real: [address('192.0.2.4'), address('2001:db8::4')],
};

function host(preference: number, name: string, ...addresses: string[]): MxHost {
  return { preference, name, addresses: addresses.map(address), alias: undefined, failed: false };
}

const FAKE = host(10, 'mx1.example.org', '192.0.2.3', '2001:db8::3');
const REAL = host(20, 'mx2.example.org', '192.0.2.4', '2001:db8::4');

function judge(...hosts: MxHost[]): string[] {
  return judgeMx('example.org', hosts, SETUP).map(({ severity, id, message }) => {
    return `${severity} ${id}: ${message.replace('DNS of example.org: ', '')}`;
  });
}

/** Without the first line, which says what there is. */
function problems(...hosts: MxHost[]): string[] {
  const [first, ...rest] = judge(...hosts);
  assert.match(first ?? '', /^note mx: /);
  return rest;
}

describe('judgeMx', () => {
  it('finds nothing wrong with the records of the documents, in any order', () => {
    const well = 'ok mx: 10 mx1.example.org (fake), 20 mx2.example.org (real)';
    assert.deepEqual(judge(FAKE, REAL), [well]);
    assert.deepEqual(judge(REAL, FAKE), [well]);
  });

  it('takes two hosts of a kind, when all addresses are there', () => {
    const hosts = [
      host(10, 'a.example.org', '192.0.2.3'),
      host(10, 'b.example.org', '2001:db8::3'),
      host(20, 'c.example.org', '2001:db8::4', '192.0.2.4'),
      host(30, 'd.example.org', '192.0.2.4'),
    ];
    assert.deepEqual(
      judge(...hosts).map((line) => line.split(':')[0]),
      ['ok mx'],
    );
  });

  it('notices that there are no records, or the one that says that no mail is taken', () => {
    assert.deepEqual(judge(), ['error mx-none: there are no MX records']);
    assert.deepEqual(judge(host(0, '')), ['error mx-null: it has a null MX (RFC 7505): it takes no mail']);
  });

  it('notices the wrong order, and the same number', () => {
    assert.deepEqual(problems({ ...FAKE, preference: 30 }, REAL), [
      'error mx-order: mx2.example.org (real) has a lower number than mx1.example.org (fake), and is tried first',
    ]);
    assert.deepEqual(problems({ ...FAKE, preference: 20 }, REAL), [
      'error mx-order: mx2.example.org (real) has the same number as mx1.example.org (fake): either is tried first',
    ]);
  });

  it('notices that one of the two is missing', () => {
    assert.deepEqual(problems(REAL), ['error mx-fake: no MX host is the fake MX, so nobody tries it']);
    assert.deepEqual(problems(FAKE), ['error mx-real: no MX host is the real MX, so no mail gets there']);
  });

  it('notices a way around', () => {
    assert.deepEqual(problems(FAKE, REAL, host(50, 'backup.example.net', '203.0.113.9')), [
      'warning mx-around: backup.example.net (203.0.113.9) is neither fake nor real: a way around',
    ]);
  });

  it('notices a name that leads to both', () => {
    assert.deepEqual(problems(host(10, 'mx.example.org', '192.0.2.3', '192.0.2.4')), [
      'error mx-both: mx.example.org has addresses of the fake MX and of the real one',
      'error mx-fake: no MX host is the fake MX, so nobody tries it',
      'error mx-real: no MX host is the real MX, so no mail gets there',
    ]);
  });

  it('notices addresses that are not published, or not in the configuration', () => {
    const fake = host(10, 'mx1.example.org', '192.0.2.3', '192.0.2.33', '2001:db8::33');
    assert.deepEqual(problems(fake, REAL), [
      'warning mx-unpublished: no MX host has 2001:db8::3, which is the fake MX in the configuration',
      'warning mx-unknown: mx1.example.org (fake) has 192.0.2.33 as well, which is not in the configuration',
      'warning mx-unknown: mx1.example.org (fake) has 2001:db8::33 as well, which is not in the configuration',
    ]);
  });

  it('notices that a family is missing', () => {
    assert.deepEqual(problems(host(10, 'mx1.example.org', '192.0.2.3'), REAL), [
      'warning mx-unpublished: no MX host has 2001:db8::3, which is the fake MX in the configuration',
      'warning mx-families: the real MX has AAAA records, the fake one has none',
    ]);
  });

  it('notices an alias, a name without addresses, and one that DNS does not answer about', () => {
    assert.deepEqual(
      problems({ ...FAKE, alias: 'host.example.org' }, REAL, host(30, 'nowhere.example.org'), {
        ...host(40, 'lame.example.net'),
        failed: true,
      }),
      [
        'warning mx-alias: mx1.example.org is an alias of host.example.org: an MX must not be (RFC 2181 section 10.3)',
        'warning mx-empty: nowhere.example.org has no address',
        'warning mx-empty: DNS does not answer about lame.example.net',
      ],
    );
  });

  it('prints no name as it came', () => {
    for (const { message } of judgeMx(
      'exa\x1bmple.org',
      [host(5, 'a\x07.example.org', '203.0.113.1')],
      SETUP,
    )) {
      assert.match(message, /^[\x20-\x7e]*$/);
    }
  });
});

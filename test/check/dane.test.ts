import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DaneFound, type DaneHost, isUsable, judgeDane, tlsaName } from '../../src/check/dane.js';
import type { Role } from '../../src/check/mx.js';

const DIGEST = Buffer.alloc(32, 7);
const RECORD = { usage: 3, selector: 1, matchingType: 1, certificate: DIGEST };

/** A host with TLSA records or without, all of it signed. */
function host(role: Role, name: string, has: boolean, more: Partial<DaneHost> = {}): DaneHost {
  const mx = { preference: 10, name, addresses: [], alias: undefined, failed: false };
  const records = has ? [RECORD] : [];
  return { judged: { host: mx, role }, records, code: '', isHostSigned: true, isSigned: true, ...more };
}

const NOT = { isHostSigned: false, isSigned: false };
const FAKE = host('fake', 'mx1.example.org', true);
const REAL = host('real', 'mx2.example.org', true);
const BARE = host('fake', 'mx1.example.org', false);

function judge(hosts: readonly DaneHost[], found: Partial<DaneFound> = {}): string[] {
  return judgeDane('example.org', { isSigned: true, hasDs: true, ...found, hosts }).map((one) => {
    const text = `${one.severity} ${one.id}: ${one.message.replace('DANE of example.org: ', '')}`;
    return one.advice === undefined ? text : `${text} -> ${one.advice}`;
  });
}

describe('isUsable', () => {
  for (const [usage, selector, matchingType, length, wanted] of [
    [3, 1, 1, 32, true],
    [2, 0, 2, 64, true],
    [3, 0, 0, 700, true],
    [2, 1, 0, 1, true],
    [0, 1, 1, 32, false],
    [1, 1, 1, 32, false],
    [4, 1, 1, 32, false],
    [255, 1, 1, 32, false],
    [3, 2, 1, 32, false],
    [3, 1, 1, 31, false],
    [3, 1, 1, 64, false],
    [3, 1, 2, 32, false],
    [3, 1, 0, 0, false],
    [3, 1, 3, 48, false],
  ] as const) {
    it(`${usage} ${selector} ${matchingType} with ${length} bytes: ${wanted ? 'yes' : 'no'}`, () => {
      assert.equal(isUsable({ usage, selector, matchingType, certificate: Buffer.alloc(length) }), wanted);
    });
  }
});

describe('judgeDane', () => {
  it('finds nothing wrong without TLSA records, signed or not', () => {
    const none = ['ok dane: no MX host has TLSA records, so senders do not use it'];
    assert.deepEqual(judge([BARE, host('real', 'mx2.example.org', false)]), none);
    const unsigned = [host('fake', 'mx1.example.org', false, NOT)];
    assert.deepEqual(judge(unsigned, { isSigned: false, hasDs: false }), none);
    assert.deepEqual(judge(unsigned, { isSigned: false, hasDs: undefined }), none);
  });

  it('finds nothing wrong with signed records of both', () => {
    const well = ['ok dane: TLSA records of mx1.example.org (fake), mx2.example.org (real), signed'];
    assert.deepEqual(judge([FAKE, REAL]), well);
    // in the zones of others, which are signed, as hosted mail has it (RFC 7672 section 2.2.1)
    assert.deepEqual(judge([FAKE, REAL], { isSigned: false, hasDs: false }), well);
  });

  it('warns of a fake MX without them beside a real one with them', () => {
    assert.deepEqual(judge([BARE, REAL]), [
      'note dane: TLSA records of mx2.example.org (real), signed',
      'warning dane-fake: mx1.example.org (fake) has no TLSA records that count, mx2.example.org (real) has: senders ' +
        'that insist on DANE skip it, come to the real MX first, and are refused there; tests of the domain complain, ' +
        'too -> give it the same ones: _25._tcp.mx1.example.org. CNAME _25._tcp.mx2.example.org.',
    ]);
  });

  it('counts those that are not signed as none', () => {
    const foreign = host('fake', 'mx.example.net', true, NOT);
    assert.deepEqual(
      judge([foreign, REAL]).map((line) => line.replace(/ senders that .*/, '')),
      [
        'note dane: TLSA records of mx.example.net (fake), mx2.example.org (real), signed',
        'note dane-unsigned: the TLSA records of mx.example.net (fake) do not count, for DNSSEC does not sign them ' +
          '(the resolver finds no valid signatures) -> sign the zone, and have its DS record published, or take them out',
        'warning dane-fake: mx.example.net (fake) has no TLSA records that count, mx2.example.org (real) has:',
      ],
    );
    // nobody asks for the TLSA records of a host whose addresses are not signed (RFC 7672 section 2.2.2)
    const half = host('fake', 'mx.example.net', true, { isHostSigned: false });
    assert.match(
      judge([half, REAL])[1] ?? '',
      /^note dane-unsigned: .* mx\.example\.net \(fake\) do not count/,
    );
  });

  it('warns of a real MX without them beside others with them', () => {
    const text =
      'senders that insist on DANE do not deliver to it -> publish its own as _25._tcp.mx2.example.org, or take out ' +
      'those of the other';
    const without = host('real', 'mx2.example.org', false);
    assert.deepEqual(judge([FAKE, without]).slice(1), [
      `warning dane-real: mx2.example.org (real) has no TLSA records that count, mx1.example.org (fake) has: ${text}`,
    ]);
    const third = host('real', 'mx3.example.org', true);
    assert.deepEqual(judge([FAKE, without, third, host('other', 'backup.example.net', false)]).slice(1), [
      `warning dane-real: mx2.example.org (real) has no TLSA records that count, mx3.example.org (real) has: ${text}`,
    ]);
  });

  it('has notes only where the zone is not signed', () => {
    const hosts = [host('fake', 'mx1.example.org', false, NOT), host('real', 'mx2.example.org', true, NOT)];
    assert.deepEqual(judge(hosts, { isSigned: false, hasDs: false }), [
      'note dane: TLSA records of mx2.example.org (real)',
      'note dane-unsigned: the TLSA records of mx2.example.org (real) do not count, for DNSSEC does not sign them (the ' +
        'domain has no DS record) -> sign the zone, and have its DS record published, or take them out',
    ]);
  });

  it('has notes only where the resolver does not say that it checks signatures', () => {
    const hosts = [host('fake', 'mx1.example.org', false, NOT), host('real', 'mx2.example.org', true, NOT)];
    const unchecked = (why: string): string =>
      `note dane-unchecked: the resolver does not say that it checks signatures (AD)${why}, so whether the TLSA records ` +
      'count is not known -> ask one that checks them: --dns-server';
    for (const [hasDs, why] of [
      [true, ', though a DS record says that the domain is signed'],
      [undefined, ''],
    ] as const) {
      const [summary, doubt, missing, ...more] = judge(hosts, { isSigned: false, hasDs });
      assert.equal(summary, 'note dane: TLSA records of mx2.example.org (real)');
      assert.equal(doubt, unchecked(why));
      assert.match(
        missing ?? '',
        /^note dane-fake: mx1\.example\.org \(fake\) has no TLSA records that count, /,
      );
      assert.deepEqual(more, []);
    }
    // a zone of somebody else may be signed, whatever the domain is
    const elsewhere = [host('fake', 'a.example.net', true, NOT), host('real', 'b.example.net', true, NOT)];
    assert.deepEqual(judge(elsewhere, { isSigned: false, hasDs: false }), [
      'note dane: TLSA records of a.example.net (fake), b.example.net (real)',
      unchecked(''),
    ]);
  });

  it('warns of records that no sender can use', () => {
    const records = [
      { ...RECORD, usage: 1 },
      { ...RECORD, certificate: DIGEST.subarray(1) },
    ];
    assert.deepEqual(judge([FAKE, { ...REAL, records }]).slice(1), [
      'warning dane-unusable: senders can use no TLSA record of mx2.example.org (real) (1 1 1 with 32 bytes, 3 1 1 with ' +
        "31 bytes) -> expected is 3 1 1 (SHA-256, 32 bytes) of the mail server's key, or usage 2 or 3 with another " +
        'selector or digest',
    ]);
    assert.equal(judge([FAKE, { ...REAL, records: [...records, RECORD] }]).length, 1);
  });

  it('warns of signed hosts whose TLSA records are not answered about: senders skip them', () => {
    const failing = { code: 'ESERVFAIL', isSigned: false };
    assert.deepEqual(judge([{ ...BARE, ...failing }, REAL]), [
      'note dane: TLSA records of mx2.example.org (real), signed',
      'warning dane-failed: DNS does not answer about the TLSA records of mx1.example.org (fake) (ESERVFAIL), though its ' +
        'addresses are signed: senders that use DANE skip such a host -> see what your name servers say about ' +
        '_25._tcp.mx1.example.org',
    ]);
    const unsigned = { ...BARE, ...failing, ...NOT };
    assert.deepEqual(judge([unsigned], { isSigned: false, hasDs: false }), [
      'note dane-failed: DNS does not answer about the TLSA records of mx1.example.org (fake) (ESERVFAIL), so they are ' +
        'not checked',
    ]);
  });

  it('prints no name as it came', () => {
    const hosts = [host('fake', 'a\x07.example.org', false), host('real', 'b\x1b.example.org', true)];
    for (const line of judge(hosts)) assert.match(line, /^[\x20-\x7e]*$/);
    assert.equal(tlsaName('mx.example.org'), '_25._tcp.mx.example.org');
  });
});

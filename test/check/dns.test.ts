import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { dnsProbe } from '../../src/check/dns.js';
import type { Finding } from '../../src/pf/finding.js';
import { checkContext } from '../support/check-context.js';
import { dnsUnavailable, NameServer, SlowServer, type Zones } from '../support/dns.js';
import { dnssecUnavailable, type SignedZone, signZone, ValidatingResolver } from '../support/dnssec.js';

const TLSA = 'TLSA 3 1 1 0707070707070707070707070707070707070707070707070707070707070707';
const HOSTS = `
@ MX 10 mx1
@ MX 20 mx2
mx1 A 192.0.2.3
mx2 A 192.0.2.4`;

/** The fake MX has none; an alias of those of the real one; none that is answered about; those of what it is an alias of. */
const RECORDS: Zones = {
  'half.example': `${HOSTS}\n_25._tcp.mx2 ${TLSA}`,
  'both.example': `${HOSTS}\n_25._tcp.mx2 ${TLSA}\n_25._tcp.mx1 CNAME _25._tcp.mx2`,
  'lame.example': `${HOSTS}\n_25._tcp.mx2 ${TLSA}\n_tcp.mx1 NS ns.nowhere.invalid.`,
  'alias.example': `@ MX 10 mx1\n@ MX 20 mx2\nmx1 CNAME mx1.both.example.\nmx2 A 192.0.2.4\n_25._tcp.mx2 ${TLSA}`,
  'bare.example': HOSTS,
};
const UNSIGNED: Zones = {
  'plain.example': `${HOSTS}\n_25._tcp.mx2 ${TLSA}`,
  'hosted.example': '@ MX 10 mx1.both.example.\n@ MX 20 mx2.both.example.',
  'texts.example': `${HOSTS}\n_mta-sts TXT "v=STSv1; " "id=1;"\n_mta-sts TXT "v=STSv1; id=2"`,
  'nohost.example': `${HOSTS}\n_mta-sts TXT "v=spf1 -all"\n_mta-sts TXT "v=STSv1; " "id=1;"`,
  'refused.example': `${HOSTS}\n_mta-sts TXT "v=STSv1; id=1"\nmta-sts A 127.0.0.9`,
  'null.example': `@ MX 0 .\n_mta-sts TXT "v=STSv1; id=1"`,
  'several.example': `${HOSTS}\n@ MX 30 mx3\nmx3 CNAME mx.elsewhere.invalid.`,
};

async function check(server: string, ...domains: string[]): Promise<Finding[]> {
  const context = checkContext({ dnsServer: server, dnsTimeout: '30' }, {}, { domains });
  return [...(await dnsProbe.run(context))];
}

/** Without what the test is not about, and what to do. */
function brief(all: readonly Finding[], pattern: RegExp): string[] {
  return all
    .filter(({ id }) => pattern.test(id))
    .map(({ severity, id, message }) => `${severity} ${id}: ${message}`);
}

describe('the probe of DNS', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => (server = await NameServer.start(UNSIGNED)));
  after(() => server.dispose());

  it('finds no MTA-STS and no DANE where there is none', async () => {
    assert.deepEqual(brief(await check(server.address, 'several.example'), /./), [
      'note mx: DNS of several.example: 10 mx1.several.example (fake), 20 mx2.several.example (real), ' +
        '30 mx3.several.example (no address)',
      'warning mx-alias: DNS of several.example: mx3.several.example is an alias of mx.elsewhere.invalid: an MX must not ' +
        'be (RFC 2181 section 10.3)',
      'warning mx-empty: DNS of several.example: mx3.several.example has no address',
      'ok mta-sts: MTA-STS of several.example: there is no policy, so senders go by the MX records alone',
      'note dane-failed: DANE of several.example: DNS does not answer about the TLSA records of mx3.several.example (no ' +
        'address) (EREFUSED), so they are not checked',
    ]);
  });

  it('looks at neither where no mail is taken', async () => {
    const ids = (await check(server.address, 'null.example', 'nosuch.null.example')).map(({ id }) => id);
    assert.deepEqual(ids, ['mx-null', 'mx-none']);
  });

  it('has a note about TLSA records that are not signed', async () => {
    assert.deepEqual(brief(await check(server.address, 'plain.example'), /^dane/), [
      'note dane: DANE of plain.example: TLSA records of mx2.plain.example (real)',
      'note dane-unsigned: DANE of plain.example: the TLSA records of mx2.plain.example (real) do not count, for DNSSEC ' +
        'does not sign them (the domain has no DS record)',
    ]);
  });

  it('joins the strings of a TXT record, and tells two of them', async () => {
    assert.deepEqual(brief(await check(server.address, 'texts.example'), /^mta-sts/), [
      'warning mta-sts-record: MTA-STS of texts.example: at _mta-sts.texts.example, 2 TXT records begin with "v=STSv1;", ' +
        'so senders take none: expected is one',
    ]);
  });

  it('tells a policy that has no host, or whose host gives none', async () => {
    const path = '.well-known/mta-sts.txt';
    assert.deepEqual(brief(await check(server.address, 'nohost.example'), /^mta-sts/), [
      `warning mta-sts-policy: MTA-STS of nohost.example: https://mta-sts.nohost.example/${path}: its host has no address`,
    ]);
    // 127.0.0.9 refuses, or is a server of this machine that has no such certificate
    const [told] = brief(await check(server.address, 'refused.example'), /^mta-sts/);
    assert.match(told ?? '', /^warning mta-sts-policy: .* https:\/\/mta-sts\.refused\.example\//);
  });

  it('does not go on without an answer about the MX records', async (t) => {
    const failing = await SlowServer.start({ reply: () => 'servfail' });
    t.after(() => failing.dispose());
    assert.deepEqual(brief(await check(failing.address, 'x.example'), /./), [
      'warning mx-failed: DNS of x.example: does not answer about MX records (ESERVFAIL)',
    ]);
    assert.ok(failing.questions.every(({ type }) => type === 'MX'));
  });
});

describe('the probe of DNS, with signed zones', { skip: dnssecUnavailable() }, () => {
  let server: NameServer;
  let resolver: ValidatingResolver;
  before(async () => {
    const signed = new Map<string, SignedZone>();
    for (const [zone, records] of Object.entries(RECORDS)) signed.set(zone, signZone(zone, records));
    const delegations = [
      ...[...signed].map(([zone, { ds }]) => `${zone}. NS ns.ready.invalid.\n${ds}`),
      ...Object.keys(UNSIGNED).map((zone) => `${zone}. NS ns.ready.invalid.`),
      // what its parent says of it is true of another zone
      'bogus.example. NS ns.ready.invalid.',
      (signed.get('bare.example')?.ds ?? '').replace('bare.example', 'bogus.example'),
    ];
    const parent = signZone('example', delegations.join('\n'));
    const zones = {
      ...UNSIGNED,
      ...Object.fromEntries([...signed].map(([zone, { text }]) => [zone, text])),
      'bogus.example': signZone('bogus.example', HOSTS).text,
      example: parent.text,
    };
    server = await NameServer.start(zones);
    resolver = await ValidatingResolver.start(server.address, zones, parent.ds, 'mx1.bare.example');
  });
  after(async () => {
    await resolver.dispose();
    await server.dispose();
  });

  it('warns of a fake MX without TLSA records beside a real one with them', async () => {
    const found = await check(resolver.address, 'half.example');
    assert.deepEqual(brief(found, /^(?:mx|dane)/), [
      'ok mx: DNS of half.example: 10 mx1.half.example (fake), 20 mx2.half.example (real)',
      'note dane: DANE of half.example: TLSA records of mx2.half.example (real), signed',
      'warning dane-fake: DANE of half.example: mx1.half.example (fake) has no TLSA records that count, mx2.half.example ' +
        '(real) has: senders that insist on DANE skip it, come to the real MX first, and are refused there; tests of the ' +
        'domain complain, too',
    ]);
    assert.equal(
      found.find(({ id }) => id === 'dane-fake')?.advice,
      'give it the same ones: _25._tcp.mx1.half.example. CNAME _25._tcp.mx2.half.example.',
    );
  });

  it('finds that advice right, in the domain itself and for one that is hosted there', async () => {
    const hosts = 'mx1.both.example (fake), mx2.both.example (real), signed';
    assert.deepEqual(
      brief(await check(resolver.address, 'both.example', 'hosted.example', 'bare.example'), /^dane/),
      [
        `ok dane: DANE of both.example: TLSA records of ${hosts}`,
        `ok dane: DANE of hosted.example: TLSA records of ${hosts}`,
        'ok dane: DANE of bare.example: no MX host has TLSA records, so senders do not use it',
      ],
    );
  });

  it('takes the TLSA records of the name that an MX host is an alias of', async () => {
    assert.deepEqual(brief(await check(resolver.address, 'alias.example'), /^dane|^mx-alias/), [
      'warning mx-alias: DNS of alias.example: mx1.alias.example is an alias of mx1.both.example: an MX must not be (RFC ' +
        '2181 section 10.3)',
      'ok dane: DANE of alias.example: TLSA records of mx1.alias.example (fake), mx2.alias.example (real), signed',
    ]);
  });

  it('warns of a signed MX whose TLSA records nobody answers about', async () => {
    assert.deepEqual(brief(await check(resolver.address, 'lame.example'), /^dane/), [
      'note dane: DANE of lame.example: TLSA records of mx2.lame.example (real), signed',
      'warning dane-failed: DANE of lame.example: DNS does not answer about the TLSA records of mx1.lame.example (fake) ' +
        '(ESERVFAIL), though its addresses are signed: senders that use DANE skip such a host',
    ]);
  });

  it('does not believe what is not signed, and hears nothing of what is signed wrongly', async () => {
    assert.deepEqual(brief(await check(resolver.address, 'plain.example'), /^dane/), [
      'note dane: DANE of plain.example: TLSA records of mx2.plain.example (real)',
      'note dane-unsigned: DANE of plain.example: the TLSA records of mx2.plain.example (real) do not count, for DNSSEC ' +
        'does not sign them (the domain has no DS record)',
    ]);
    assert.deepEqual(brief(await check(resolver.address, 'bogus.example'), /./), [
      'warning mx-failed: DNS of bogus.example: does not answer about MX records (ESERVFAIL)',
    ]);
  });

  it('has notes only from a server that does not check signatures', async () => {
    assert.deepEqual(
      brief(await check(server.address, 'half.example'), /^dane/).map((line) => line.slice(0, 60)),
      [
        'note dane: DANE of half.example: TLSA records of mx2.half.ex',
        'note dane-unchecked: DANE of half.example: the resolver does',
        'note dane-fake: DANE of half.example: mx1.half.example (fake',
      ],
    );
    const [, unchecked] = brief(await check(server.address, 'half.example'), /^dane/);
    assert.match(unchecked ?? '', /\(AD\), though a DS record says that the domain is signed, so whether /);
  });
});

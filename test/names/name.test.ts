import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodesAddress, type HostName, hostName, reverseName } from '../../src/names/name.js';
import { addressOfWords, formatAddress } from '../../src/packet/address.js';
import { address } from '../support/observations.js';

const label = (length: number): string => 'a'.repeat(length);
const longest = `${label(63)}.${label(63)}.${label(63)}.${label(61)}`;

describe('hostName', () => {
  for (const [text, name] of [
    ['mail.example.com', 'mail.example.com'],
    ['Mail.EXAMPLE.com.', 'mail.example.com'],
    ['1-2-3-4.dsl.example.net', '1-2-3-4.dsl.example.net'],
    ['_spf.example.com', '_spf.example.com'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['a.b', 'a.b'],
    [longest, longest],
    [`${longest}.`, longest],
  ] as const) {
    it(`takes ${text.slice(0, 40)}`, () => assert.equal(hostName(text), name));
  }

  for (const text of [
    ...['', '.', 'localhost', 'localhost.', '.example.com', 'mail..example.com', 'mail.example.com..'],
    ...['-mail.example.com', 'mail-.example.com', '*.example.com', 'mail .example.com', ' mail.example.com'],
    ...['mail\n.example.com', 'mail.example.com\n', 'mail\0.example.com', 'mail\\010.example.com'],
    ...['mail\u001b[31m.example.com', 'bücher.example', 'mail.example.com/', '192.0.2.1:25', '2001:db8::1'],
    // of these, lower case is ASCII: the Kelvin sign, and a capital I with a dot
    ...['mai\u0131.example.com', 'ma\u0130l.example.com', `${label(64)}.example.com`, `a${longest}`],
  ]) {
    it(`refuses ${JSON.stringify(text).slice(0, 40)}`, () => assert.equal(hostName(text), undefined));
  }

  it('takes nothing but plain characters, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const name = hostName(text) ?? hostName(`${text}.com`);
        assert.ok(name === undefined || (/^[a-z0-9._-]+$/.test(name) && name.length <= 253));
      }),
    );
  });
});

describe('reverseName', () => {
  for (const [text, name] of [
    ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
    ['255.254.0.10', '10.0.254.255.in-addr.arpa'],
    ['2001:db8::567:89ab', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
    ['4321:0:1:2:3:4:567:89ab', 'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa'],
  ] as const) {
    it(`of ${text}`, () => assert.equal(reverseName(address(text)), name));
  }
});

function encodes(name: string, text: string): boolean {
  const host = hostName(name);
  assert.ok(host !== undefined, name);
  return encodesAddress(host, address(text));
}

const IPV6 = '2001:db8:1234:5678:9abc:def0:1234:5678';

describe('encodesAddress', () => {
  const dialUp: readonly (readonly [name: string, address: string])[] = [
    ['1-2-3-4.dsl.example.net', '1.2.3.4'],
    ['4.3.2.1.dyn.example.net', '1.2.3.4'],
    ['4-3-2-1.dyn.example.net', '1.2.3.4'],
    ['host-001-002-003-004.example.net', '1.2.3.4'],
    ['host001002003004.example.net', '1.2.3.4'],
    ['host004003002001.example.net', '1.2.3.4'],
    ['ip-192-0-2-3.example.net', '192.0.2.3'],
    ['ip192.0.2.3.example.net', '192.0.2.3'],
    ['ip_192_0_2_3.example.net', '192.0.2.3'],
    ['c0000203.example.net', '192.0.2.3'],
    ['030200c0.example.net', '192.0.2.3'],
    ['3221225987.example.net', '192.0.2.3'],
    ['p4FE1A2B3.dip0.t-ipconnect.de', '79.225.162.179'],
    ['pD9E0A1B2.dip0.t-ipconnect.de', '217.224.161.178'],
    ['ec2-54-240-8-31.compute-1.amazonaws.com', '54.240.8.31'],
    ['static.31.8.240.54.clients.your-server.de', '54.240.8.31'],
    ['31.8.broadband.240.54.example.ru', '54.240.8.31'],
    ['cpe-76-90-12-7.socal.res.rr.com', '76.90.12.7'],
    ['c-73-12-200-9.hsd1.ca.comcast.net', '73.12.200.9'],
    ['pool-96-255-1-2.washdc.fios.verizon.net', '96.255.1.2'],
    ['host81-130-4-5.range81-130.btcentralplus.com', '81.130.4.5'],
    ['81-130-4.dyn.example.net', '81.130.4.5'],
    ['130-4-5.dyn.example.net', '81.130.4.5'],
    ['5-4-130.dyn.example.net', '81.130.4.5'],
    ['adsl-81-130-4-x5.example.net', '81.130.4.5'],
    ['2001-0db8-1234-5678-9abc-def0-1234-5678.dyn.example.net', IPV6],
    ['20010db8123456789abcdef012345678.dyn.example.net', IPV6],
    [`${reverseName(address(IPV6)).replace('.ip6.arpa', '')}.dyn.example.net`, IPV6],
    ['8.7.6.5.4.3.2.1.0.f.e.d.c.b.a.9.customer.example.net', IPV6],
    ['9abc-def0-1234-5678.dyn.example.net', IPV6],
    ['2001-db8-1234-5678-9abc-def0-1234-5678.dyn.example.net', IPV6],
    ['2001-db8-12-34--56-78.dyn.example.net', '2001:db8:12:34::56:78'],
    ['2001-db8-1-2-3-4-5-6.dyn.example.net', '2001:db8:1:2:3:4:5:6'],
    ['c0-00-02-03.example.net', '192.0.2.3'],
  ];
  for (const [name, text] of dialUp) {
    it(`is so of ${name} for ${text}`, () => assert.equal(encodes(name, text), true));
  }

  // known senders of mail whose names look like those of dial-up pools: they are never found to be a pool
  for (const [name, text] of [
    ['out203-205-221-157.mail.qq.com', '203.205.221.157'],
    ['69-171-232-143.mail-mail.facebook.com', '69.171.232.143'],
  ] as const) {
    it(`is so of ${name}, though it sends mail`, () => assert.equal(encodes(name, text), true));
  }

  const mail: readonly (readonly [name: string, address: string])[] = [
    ['mail-ed1-f45.google.com', '209.85.208.45'],
    ['mail-wr1-x42e.google.com', '2a00:1450:4864:20::42e'],
    ['mail-eopbgr80041.outbound.protection.outlook.com', '40.107.8.41'],
    ['mail-westeuropeazon11012048.outbound.protection.outlook.com', '52.101.12.48'],
    ['mta-70-33-202.sparkpostmail.com', '147.253.208.202'],
    ['mta-86-193.sparkpostmail.com', '192.174.86.193'],
    ['a1-2.mail.example', '10.20.1.2'],
    ['a48-101.smtp-out.amazonses.com', '54.240.48.101'],
    ['e242-13.smtp-out.us-west-2.amazonses.com', '23.249.242.13'],
    ['m42-10.mailgun.net', '69.72.42.10'],
    ['o163.p8.mailjet.com', '87.253.233.163'],
    ['mail186-2.suw21.mandrillapp.com', '198.2.186.2'],
    ['mail72.atl11.rsgsv.net', '205.201.133.72'],
    ['sonic312-26.consmr.mail.ir2.yahoo.com', '77.238.178.97'],
    ['mx0a-001b2d01.pphosted.com', '148.163.156.1'],
    ['mx0b-00128a01.pphosted.com', '148.163.139.77'],
    ['smtp97.iad3a.emailsrvr.com', '173.203.187.97'],
    ['6.mo178.mail-out.ovh.net', '46.105.53.178'],
    ['m12-11.163.com', '220.181.12.11'],
    ['out28-97.mail.aliyun.com', '115.124.28.97'],
    ['mout.kundenserver.de', '212.227.126.131'],
    ['forward502a.mail.yandex.net', '178.154.239.82'],
    ['mail.example.net', '192.0.2.3'],
    ['mail1.example.net', '1.1.1.1'],
    ['3.example.net', '192.0.2.3'],
    ['mail-0-0-0.example.net', '2001:db8::1'],
    ['feedface.example.com', '2001:db8:feed:face::1'],
    // longer numbers are others
    ['order-192002003.example.com', '192.0.2.3'],
    ['f32212259870.example.com', '192.0.2.3'],
    ['192-0-2-3.dyn.example.net', '198.51.100.3'],
    ['2001-0db8-1234-5678-9abc-def0-1234-5678.dyn.example.net', '2001:db8::1'],
  ];
  for (const [name, text] of mail) {
    it(`is not so of ${name} for ${text}`, () => assert.equal(encodes(name, text), false));
  }

  it('is so of every address in each of the usual forms', () => {
    const word = fc.integer({ min: 0x01000000, max: 0xdfffffff });
    fc.assert(
      fc.property(word, (value) => {
        const source = addressOfWords(4, value | 0, 0, 0, 0);
        const bytes = formatAddress(source).split('.');
        const backwards = [...bytes].reverse();
        const forms = [
          `${bytes.join('-')}.example.net`,
          `${backwards.join('.')}.example.net`,
          `host${bytes.map((byte) => byte.padStart(3, '0')).join('')}.example.net`,
          `x${value.toString(16).padStart(8, '0')}.example.net`,
          `${value}.example.net`,
        ];
        for (const form of forms) assert.ok(encodesAddress(form as HostName, source), form);
      }),
    );
  });

  it('is quickly told of the longest names', () => {
    const name = hostName(
      '1-'
        .repeat(126)
        .replace(/-$/, '.a')
        .replace(/(.{40}.)-/g, '$1.'),
    );
    assert.ok(name !== undefined && name.length > 200);
    for (let i = 0; i < 1000; i++) assert.equal(encodesAddress(name, address('9.8.7.6')), false);
  });
});

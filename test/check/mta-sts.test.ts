import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type FetchedPolicy,
  judgeMtaSts,
  matchesMx,
  readStsPolicy,
  readStsRecords,
  type StsFound,
} from '../../src/check/mta-sts.js';
import { type MxHost, rolesOf } from '../../src/check/mx.js';
import { address } from '../support/observations.js';

function host(preference: number, name: string, ...addresses: string[]): MxHost {
  return { preference, name, addresses: addresses.map(address), alias: undefined, failed: false };
}

const SETUP = { fake: [address('192.0.2.3')], real: [address('192.0.2.4')] };
const FAKE = host(10, 'mx1.example.org', '192.0.2.3');
const REAL = host(20, 'mx2.example.org', '192.0.2.4');

function policy(...lines: string[]): string {
  return `${['version: STSv1', ...lines, 'max_age: 604800'].join('\n')}\n`;
}

describe('readStsRecords', () => {
  it('finds the id, behind other fields, too', () => {
    assert.deepEqual(readStsRecords(['v=STSv1; id=20160831085700Z;']), {
      ok: true,
      value: '20160831085700Z',
    });
    assert.deepEqual(readStsRecords(['v=STSv1;ext=a/b:c ;\tid=1']), { ok: true, value: '1' });
    assert.deepEqual(readStsRecords([`v=STSv1; id=${'a'.repeat(32)}`]), { ok: true, value: 'a'.repeat(32) });
  });

  it('passes over what is about something else', () => {
    const none = { ok: true, value: undefined };
    assert.deepEqual(readStsRecords([]), none);
    assert.deepEqual(readStsRecords(['v=spf1 -all', 'id=5', '']), none);
    assert.deepEqual(readStsRecords(['v=spf1 -all', 'v=STSv1; id=5']), { ok: true, value: '5' });
  });

  const expected = 'expected is "v=STSv1; id=20260101T120000;"';
  for (const [texts, why] of [
    [
      ['v=STSv1; id=1', 'v=STSv1; id=1'],
      '2 TXT records begin with "v=STSv1;", so senders take none: expected is one',
    ],
    [['v=STSv1;'], `"v=STSv1;" has no id: ${expected}`],
    [['v=STSv1; id=;'], `"v=STSv1; id=;" has an id that is not 1 to 32 letters and digits: ${expected}`],
    [
      ['v=STSv1; id=2026-01-01'],
      `"v=STSv1; id=2026-01-01" has an id that is not 1 to 32 letters and digits: ${expected}`,
    ],
    [
      ['v=STSv1; id=\x1b'],
      `"v=STSv1; id=\\x1b" has an id that is not 1 to 32 letters and digits: ${expected}`,
    ],
    [['v=stsv1; id=1'], `"v=stsv1; id=1" does not begin with "v=STSv1;": ${expected}`],
    [['v=STSv1 ; id=1'], `"v=STSv1 ; id=1" does not begin with "v=STSv1;": ${expected}`],
    [['v=STSv1'], `"v=STSv1" does not begin with "v=STSv1;": ${expected}`],
    [['v=STSv2; id=1'], `"v=STSv2; id=1" does not begin with "v=STSv1;": ${expected}`],
  ] as const) {
    it(`does not take ${JSON.stringify(texts)}`, () =>
      assert.deepEqual(readStsRecords(texts), { ok: false, why }));
  }
});

describe('readStsPolicy', () => {
  it('reads the example of RFC 8461, with either end of line', () => {
    const lines = ['version: STSv1', 'mode: enforce', 'mx: mail.example.com', 'mx: *.example.net'];
    const value = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAge: 604_800 };
    for (const end of ['\n', '\r\n']) {
      const text = [...lines, 'mx: backupmx.example.com', 'max_age: 604800', ''].join(end);
      const mx = [...value.mx, 'backupmx.example.com'];
      assert.deepEqual(readStsPolicy(text), { ok: true, value: { ...value, mx } });
      assert.deepEqual(readStsPolicy([...lines, 'max_age: 604800'].join(end)), { ok: true, value });
    }
  });

  it('takes the first of what comes twice, passes over what it does not know, and spaces around values', () => {
    const text = policy(
      'mode:testing \t',
      'mode: enforce',
      'mx:\t MX_1.example.org  ',
      'new.field_1: "x: y"',
    );
    assert.deepEqual(readStsPolicy(text), {
      ok: true,
      value: { mode: 'testing', mx: ['mx_1.example.org'], maxAge: 604_800 },
    });
  });

  it('needs no mx where there is nothing to keep to', () => {
    assert.deepEqual(readStsPolicy(policy('mode: none')), {
      ok: true,
      value: { mode: 'none', mx: [], maxAge: 604_800 },
    });
    assert.deepEqual(readStsPolicy('version: STSv1\nmode: none\nmax_age: 0'), {
      ok: true,
      value: { mode: 'none', mx: [], maxAge: 0 },
    });
  });

  it('is done soon with a policy that was made to take long', () => {
    const long = ' '.repeat(60_000);
    assert.equal(readStsPolicy(policy('mode: none', `a: x${long}y`)).ok, true);
    assert.equal(readStsPolicy(policy('mode: enforce', `mx: a${'-'.repeat(60_000)}.`)).ok, false);
  });

  const age = 'expected is a number of seconds up to 31557600';
  const mx = 'expected is a host name, or "*." and the rest of one';
  for (const [text, why] of [
    ['', 'there is no version: expected is "version: STSv1"'],
    ['<html>\n', 'line 1, "<html>": expected is "name: value"'],
    ['\ufeffversion: STSv1', 'line 1, "\\u{feff}version: STSv1": expected is "name: value"'],
    ['mode: none\nmax_age: 1', 'there is no version: expected is "version: STSv1"'],
    ['version: STSv2\nmode: none\nmax_age: 1', 'version is "STSv2": expected is "version: STSv1"'],
    [policy('mx: a.example'), 'there is no mode: expected is enforce, testing or none'],
    [policy('mode: Enforce', 'mx: a.example'), 'mode is "Enforce": expected is enforce, testing or none'],
    [policy('mode: enforce'), 'there is no mx: expected is a line "mx: NAME" for each MX host'],
    [policy('mode: testing'), 'there is no mx: expected is a line "mx: NAME" for each MX host'],
    [policy('mode: enforce', 'mx: a.example.'), `line 3, "mx: a.example.": ${mx}`],
    [policy('mode: enforce', 'mx: *'), `line 3, "mx: *": ${mx}`],
    [policy('mode: enforce', 'mx: a.*.example'), `line 3, "mx: a.*.example": ${mx}`],
    [policy('mode: enforce', 'mx: .example.org'), `line 3, "mx: .example.org": ${mx}`],
    [policy('mode: enforce', 'mx: a, b'), `line 3, "mx: a, b": ${mx}`],
    [policy('mode: enforce', 'mx: \x1b[2J'), `line 3, "mx: \\x1b[2J": ${mx}`],
    ['version: STSv1\nmode: none', `there is no max_age: ${age}`],
    ['version: STSv1\nmode: none\nmax_age: -1', `max_age is "-1": ${age}`],
    ['version: STSv1\nmode: none\nmax_age: 1d', `max_age is "1d": ${age}`],
    ['version: STSv1\nmode: none\nmax_age: 31557601', `max_age is "31557601": ${age}`],
  ] as const) {
    it(`does not take ${JSON.stringify(text)}`, () =>
      assert.deepEqual(readStsPolicy(text), { ok: false, why }));
  }
});

describe('matchesMx', () => {
  for (const [pattern, name, wanted] of [
    ['mail.example.com', 'mail.example.com', true],
    ['MAIL.example.com', 'mail.EXAMPLE.com', true],
    ['mail.example.com', 'mail2.example.com', false],
    ['example.com', 'mail.example.com', false],
    ['*.example.com', 'mail.example.com', true],
    ['mail_1.example.com', 'mail_1.example.com', true],
    ['*.Example.com', 'MAIL.eXample.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'foo.bar.example.com', false],
    ['*.example.com', 'mailexample.com', false],
    ['*.example.com', 'mail.example.com.example.net', false],
  ] as const) {
    it(`${pattern} ${wanted ? 'names' : 'does not name'} ${name}`, () => {
      assert.equal(matchesMx(pattern, name), wanted);
    });
  }
});

describe('judgeMtaSts', () => {
  function judge(found: StsFound | FetchedPolicy, ...hosts: MxHost[]): string[] {
    const all: StsFound =
      found.kind === 'failed' || found.kind === 'found'
        ? found
        : { kind: 'found', texts: ['v=STSv1; id=1'], policy: found };
    const judged = rolesOf(hosts.length === 0 ? [FAKE, REAL] : hosts, SETUP);
    return judgeMtaSts('example.org', all, judged).map(({ severity, id, message, advice }) => {
      const text = `${severity} ${id}: ${message.replace('MTA-STS of example.org: ', '')}`;
      return advice === undefined ? text : `${text} -> ${advice}`;
    });
  }
  const answer = (text: string, mediaType = 'text/plain'): FetchedPolicy => ({
    kind: 'answer',
    text,
    mediaType,
  });
  const url = 'https://mta-sts.example.org/.well-known/mta-sts.txt';
  const add = (name: string): string =>
    `add a line "mx: ${name}" to ${url}, then change the id in the TXT record of _mta-sts.example.org`;

  it('finds nothing wrong with a domain that has none', () => {
    const none = 'ok mta-sts: there is no policy, so senders go by the MX records alone';
    assert.deepEqual(judge({ kind: 'found', texts: [], policy: undefined }), [none]);
    assert.deepEqual(judge({ kind: 'found', texts: ['v=spf1 -all'], policy: undefined }), [none]);
  });

  it('finds nothing wrong with a policy that names both, each or by a wildcard', () => {
    for (const lines of [['mx: mx1.example.org', 'mx: mx2.example.org'], ['mx: *.example.org']]) {
      for (const mode of ['enforce', 'testing']) {
        const names = lines.map((line) => line.slice(4)).join(', ');
        assert.deepEqual(judge(answer(policy(`mode: ${mode}`, ...lines))), [
          `ok mta-sts: mode ${mode}, mx ${names}`,
        ]);
      }
    }
  });

  it('a fake MX that is not named is an error in mode enforce', () => {
    assert.deepEqual(judge(answer(policy('mode: enforce', 'mx: mx2.example.org'))), [
      'note mta-sts: mode enforce, mx mx2.example.org',
      'error mta-sts-fake: no line mx: names mx1.example.org (fake): senders that keep to the policy skip it, come to ' +
        `the real MX first, and are refused there -> ${add('mx1.example.org')}`,
    ]);
  });

  it('and a warning in mode testing, and nothing in mode none', () => {
    assert.deepEqual(judge(answer(policy('mode: testing', 'mx: mx2.example.org'))), [
      'note mta-sts: mode testing, mx mx2.example.org',
      'warning mta-sts-fake: no line mx: names mx1.example.org (fake): senders report that, and some ' +
        `do as with mode enforce: they skip it, come to the real MX first, and are refused there -> ${add('mx1.example.org')}`,
    ]);
    assert.deepEqual(judge(answer(policy('mode: none', 'mx: mx2.example.org'))), [
      'ok mta-sts: mode none, so senders go by the MX records alone',
    ]);
  });

  it('a real MX that is not named gets no mail; another one is told, once', () => {
    const other = host(30, 'backup.example.net', '203.0.113.9');
    const both = host(5, 'all.example.net', '192.0.2.3', '192.0.2.4');
    const told = judge(
      answer(policy('mode: enforce', 'mx: mx1.example.org')),
      ...[
        FAKE,
        REAL,
        { ...REAL, preference: 25, name: 'MX2.example.org' },
        other,
        both,
        host(40, 'empty.example.net'),
      ],
    );
    const text = 'senders that keep to the policy do not deliver to it';
    assert.deepEqual(told, [
      'note mta-sts: mode enforce, mx mx1.example.org',
      `error mta-sts-real: no line mx: names all.example.net (fake and real): ${text} -> ${add('all.example.net')}`,
      `error mta-sts-real: no line mx: names MX2.example.org (real): ${text} -> ${add('MX2.example.org')}`,
      `warning mta-sts-other: no line mx: names backup.example.net (neither): ${text} -> ${add('backup.example.net')}`,
    ]);
  });

  it('what cannot be known from here is a note, with what should be there', () => {
    assert.deepEqual(judge({ kind: 'unreached', why: '192.0.2.9 does not answer' }), [
      `note mta-sts-unreached: ${url} cannot be reached from here (192.0.2.9 does not answer) -> look from elsewhere; ` +
        'it should say "mx: mx1.example.org", "mx: mx2.example.org"',
    ]);
  });

  it('what no sender takes is a warning', () => {
    assert.deepEqual(judge({ kind: 'failed', name: '_mta-sts.example.org', code: 'ETIMEOUT' }), [
      'warning mta-sts-failed: DNS does not answer about _mta-sts.example.org (ETIMEOUT), so no policy is checked',
    ]);
    assert.deepEqual(judge({ kind: 'wrong', why: 'answers with status 404, not 200' }), [
      `warning mta-sts-policy: ${url}: answers with status 404, not 200 -> senders do not take it; it should be there ` +
        'as text/plain, with "mx: mx1.example.org", "mx: mx2.example.org"',
    ]);
    assert.deepEqual(judge(answer('nonsense')), [
      `warning mta-sts-policy: ${url}: line 1, "nonsense": expected is "name: value" -> senders do not take it`,
    ]);
    assert.deepEqual(judge({ kind: 'found', texts: ['v=STSv1'], policy: undefined }), [
      'warning mta-sts-record: at _mta-sts.example.org, "v=STSv1" does not begin with "v=STSv1;": expected is ' +
        '"v=STSv1; id=20260101T120000;"',
    ]);
  });

  it('another media type is told, and the policy judged all the same', () => {
    const text = policy('mode: enforce', 'mx: *.example.org');
    for (const [type, told] of [
      ['text/html', 'the media type text/html'],
      ['', 'no media type'],
    ] as const) {
      assert.deepEqual(judge(answer(text, type)), [
        'note mta-sts: mode enforce, mx *.example.org',
        `warning mta-sts-type: ${url} has ${told}: expected is text/plain, and some senders take no other`,
      ]);
    }
  });

  it('prints nothing as it came', () => {
    const hostile = host(5, 'a\x07.example.org', '192.0.2.3');
    const found = [answer(policy('mode: enforce', 'mx: b'), '\x1b[2J'), answer('\x1b: x')];
    for (const one of found) {
      for (const line of judge(one, hostile)) assert.match(line, /^[\x20-\x7e]*$/);
    }
  });
});

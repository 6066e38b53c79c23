import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Mechanism, parseSpf } from '../../src/names/spf-record.js';
import { prefix } from '../support/observations.js';

const single = { 4: 32, 6: 128 };

describe('an SPF record', () => {
  const terms: readonly (readonly [string, Mechanism])[] = [
    ['all', { kind: 'all' }],
    ['ALL', { kind: 'all' }],
    ['ip4:192.0.2.1', { kind: 'ip', network: prefix('192.0.2.1') }],
    ['ip4:192.0.2.0/24', { kind: 'ip', network: prefix('192.0.2.0/24') }],
    ['IP4:192.0.2.77/24', { kind: 'ip', network: prefix('192.0.2.0/24') }],
    ['ip4:0.0.0.0/0', { kind: 'ip', network: prefix('0.0.0.0/0') }],
    ['ip6:2001:db8::/32', { kind: 'ip', network: prefix('2001:db8::/32') }],
    ['ip6:2001:db8::7', { kind: 'ip', network: prefix('2001:db8::7') }],
    ['include:_spf.example.com', { kind: 'include', domain: '_spf.example.com' }],
    ['include:%{d}.example.com', { kind: 'include', domain: '%{d}.example.com' }],
    ['a', { kind: 'a', domain: undefined, length: single }],
    ['a/24', { kind: 'a', domain: undefined, length: { 4: 24, 6: 128 } }],
    ['mx//64', { kind: 'mx', domain: undefined, length: { 4: 32, 6: 64 } }],
    ['mx:example.com/28//60', { kind: 'mx', domain: 'example.com', length: { 4: 28, 6: 60 } }],
    ['exists:%{ir}.%{l/}._spf.example.com', { kind: 'exists' }],
    ['ptr', { kind: 'ptr' }],
    ['ptr:example.com', { kind: 'ptr' }],
  ];
  for (const [text, mechanism] of terms) {
    it(`has ${text}`, () => {
      const directive = { qualifier: '+', mechanism, text };
      assert.deepEqual(parseSpf(`v=spf1 ${text}`), {
        ok: true,
        record: { directives: [directive], redirect: undefined },
      });
    });
  }

  it('has qualifiers, a redirect, blanks, and modifiers that nobody knows', () => {
    const parsed = parseSpf(
      'V=SPF1  -ip4:192.0.2.1   ?a ~all exp=why.example.com x-y=z redirect=example.net ',
    );
    assert.ok(parsed.ok);
    assert.deepEqual(
      parsed.record.directives.map(({ qualifier, mechanism }) => `${qualifier} ${mechanism.kind}`),
      ['- ip', '? a', '~ all'],
    );
    assert.equal(parsed.record.redirect, 'example.net');
  });

  const wrong = [
    ...['ip4:', 'ip4:192.0.2', 'ip4:192.0.2.1/33', 'ip4:192.0.2.1/', 'ip4:192.0.2.01', 'ip4:2001:db8::/32'],
    ...[
      'ip4/24',
      'ip6:192.0.2.1',
      'ip6:2001:db8::/129',
      'ip6:2001:db8::/032',
      'include',
      'include:',
      'include:a/24',
    ],
    ...[
      'exists',
      'exists:',
      'a:',
      'a/',
      'a/33',
      'a//129',
      'mx:/24',
      'mx/24//',
      'ptr/24',
      'all:x',
      'all/8',
      'ipv4:192.0.2.1',
    ],
    ...['frobnicate', '+-all', '=x', '192.0.2.1', 'redirect=', 'toString', 'constructor:a'],
  ];
  for (const term of wrong) {
    it(`must not have ${term}`, () => {
      assert.deepEqual(parseSpf(`v=spf1 ip4:192.0.2.1 ${term} -all`), { ok: false, term });
    });
  }

  it('must not lead on twice', () => {
    const term = 'redirect=b.example.com';
    assert.deepEqual(parseSpf(`v=spf1 redirect=a.example.com ${term}`), { ok: false, term });
  });

  it('of another version is none', () => {
    assert.deepEqual(parseSpf('v=spf2 a'), { ok: false, term: 'v=spf2' });
    assert.deepEqual(parseSpf(''), { ok: false, term: '' });
  });
});

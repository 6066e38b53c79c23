import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRedirects } from '../../src/pf/parse-redirects.js';
import { address } from '../support/observations.js';

describe('parseRedirects', () => {
  it('reads what leads elsewhere', () => {
    const [rule, ...more] = parseRedirects(
      'nat on em0 inet from 10.0.0.0/8 to any -> (em0) round-robin\n' +
        'rdr pass log (to pflog1) on em0 inet proto tcp from ! <mx-white> to 192.0.2.4 port = smtp -> 127.0.0.1 port 8025\n',
    );
    assert.deepEqual(more, []);
    assert.ok(rule?.kind === 'rdr');
    assert.deepEqual(rule.redirect, {
      address: address('127.0.0.1'),
      port: 8025,
      text: '127.0.0.1 port 8025',
      rewrites: true,
    });
    assert.deepEqual([rule.passes, rule.log?.to, rule.criteria.on?.name], [true, 'pflog1', 'em0']);
    assert.deepEqual(rule.criteria.from, {
      negated: true,
      address: { kind: 'table', name: 'mx-white' },
      port: undefined,
    });
  });

  it('reads exceptions, and with -vv as without', () => {
    const [rule] = parseRedirects(
      '@0 no rdr on em0 inet proto tcp from <mx-white:3> to 192.0.2.4 port = smtp\n' +
        '  [ Evaluations: 1         Packets: 0         Bytes: 0           States: 0     ]\n',
    );
    assert.deepEqual(rule?.kind === 'rdr' && [rule.redirect, rule.passes], [undefined, false]);
  });

  it('does not guess where a list, a table or an interface leads', () => {
    const targets = [
      '{ 10.0.0.1, 10.0.0.2 } round-robin',
      '<servers> round-robin',
      '(em1)',
      '10.0.0.1 port 2525:*',
    ];
    for (const target of targets) {
      const [rule] = parseRedirects(`rdr on em0 inet proto tcp from any to any port = smtp -> ${target}\n`);
      assert.ok(rule?.kind === 'rdr', target);
      assert.deepEqual([rule.redirect?.address, rule.redirect?.text], [undefined, target]);
    }
  });

  it('keeps what it cannot read', () => {
    const lines = [
      'rdr-anchor "ftp-proxy/*" all',
      'binat on em0 inet from 10.0.0.4 to any -> 192.0.2.4',
      'rdr on em0 all',
      'rdr frobnicate -> 10.0.0.4',
      'no rdr on em0 all -> 10.0.0.4',
    ];
    const rules = parseRedirects(lines.join('\n'));
    assert.deepEqual(
      rules,
      lines.map((text) => ({ kind: 'unknown', text })),
    );
  });
});

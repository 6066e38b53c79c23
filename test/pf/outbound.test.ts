import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeRules } from '../../src/pf/rules.js';
import { FREEBSD_RULES, OPENBSD_DEFAULT, OPENBSD_RULES, SETUP } from '../support/printed-rules.js';

const OUTBOUND = [
  'pass out log quick on egress inet proto tcp from 192.0.2.4 to any port = 25 flags S/SA',
  'pass out log quick on egress inet6 proto tcp from 2001:db8::4 to any port = 25 flags S/SA',
  '',
].join('\n');

function judged(rules: string, more = {}): string[] {
  return judgeRules(rules, { ...SETUP, outbound: true, ...more })
    .filter(({ id }) => id === 'rules-outbound')
    .map(({ severity, message }) => `${severity} ${message}`);
}

describe('connections to other mail servers, with outbound', () => {
  it('are logged by the rule that pf-conf prints', () => {
    assert.deepEqual(judged(OPENBSD_DEFAULT + OPENBSD_RULES + OUTBOUND), [
      'ok outbound: connections to other mail servers are logged',
    ]);
    const freebsd = OUTBOUND.replaceAll('egress', 'em0').replaceAll('port = 25', 'port = smtp');
    assert.deepEqual(judged(FREEBSD_RULES + freebsd, { os: 'freebsd' }), [
      'ok outbound: connections to other mail servers are logged',
    ]);
  });

  it('are a warning for each address when no rule logs them', () => {
    assert.deepEqual(judged(OPENBSD_RULES), [
      'warning outbound: connections of 192.0.2.4 to other mail servers are not logged, so nobody becomes an entry by them',
      'warning outbound: connections of 2001:db8::4 to other mail servers are not logged, so nobody becomes an entry by them',
    ]);
    const [first = ''] = OUTBOUND.split('\n');
    assert.deepEqual(judged(`${OPENBSD_RULES}${first}\n`), [
      'warning outbound: connections of 2001:db8::4 to other mail servers are not logged, so nobody becomes an entry by them',
    ]);
  });

  it('are not logged when a rule ahead passes them silently, and it is named', () => {
    const silent = 'pass out quick on egress inet proto tcp from any to any port = 25 flags S/SA';
    assert.deepEqual(judged(`${silent}\n${OPENBSD_RULES}${OUTBOUND}`), [
      `warning outbound: connections of 192.0.2.4 to other mail servers are not logged, so nobody becomes an entry by them: "${silent}" decides`,
    ]);
  });

  it('are not logged to another interface than the one that is listened to', () => {
    const [first = ''] = judged(OPENBSD_RULES + OUTBOUND, { pflogInterface: 'pflog1' });
    assert.match(first, /^warning outbound: /);
  });

  it('are not asked about without outbound', () => {
    assert.deepEqual(judged(OPENBSD_RULES, { outbound: false }), []);
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { iptablesRules, nftRules } from '../../src/check/netfilter-rules.js';
import { queueRule, type QueueRule } from '../../src/check/queue-rules.js';
import type { Family } from '../../src/packet/address.js';
import { packageFolder } from '../../src/version.js';

function parseNftQueues(text: string): QueueRule[] {
  return nftRules(text).flatMap(queueRule);
}

function parseIptablesQueues(text: string, family: Family): QueueRule[] {
  return iptablesRules(text, family).flatMap(queueRule);
}

describe('rules of nft that lead to a queue', () => {
  it('finds the rule of the example, for both families', () => {
    const text = readFileSync(join(packageFolder(), 'examples', 'nftables.conf'), 'utf8');
    assert.deepEqual(parseNftQueues(text), [
      {
        first: 23,
        last: 23,
        bypass: false,
        families: [4, 6],
        ports: ['25'],
        text: 'tcp dport 25 ct state new queue to 23',
        chain: 'table inet mxallowd input',
        place: { hook: 'input', priority: 0 },
      },
    ]);
  });

  it('reads the forms that nft prints', () => {
    const text = `table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t\tmeta l4proto tcp tcp dport 25 ct state new counter packets 0 bytes 0 queue flags bypass to 23
\t}
}
table ip6 filter {
\tchain INPUT {
\t\ttcp dport { 25, 587 } queue num 23-26 bypass,fanout
\t}
}
table inet mxallowd {
\tchain input {
\t\tip daddr 192.0.2.4 tcp dport smtp queue flags fanout to 5-6
\t\tip6 daddr 2001:db8::4 queue to 7
\t\t# queue to 8
\t}
}
table bridge x {
\tchain y {
\t\tqueue to 9
\t}
}
`;
    const rows = parseNftQueues(text).map(({ first, last, bypass, families, ports }) => {
      return [first, last, bypass, families.join('+'), ports.join(' ')];
    });
    assert.deepEqual(rows, [
      [23, 23, true, '4', '25'],
      [23, 26, true, '6', '25 587'],
      [5, 6, false, '4', '25'],
      [7, 7, false, '6', ''],
      [9, 9, false, '', ''],
    ]);
  });

  it('finds nothing where there is none', () => {
    assert.deepEqual(parseNftQueues('table inet x {\n\tchain queue {\n\t\taccept\n\t}\n}\n'), []);
  });
});

describe('rules of iptables that lead to a queue', () => {
  it('reads rules as iptables -S prints them', () => {
    const text = `-P INPUT ACCEPT
-A INPUT -p tcp -m tcp --dport 25 -m state --state NEW -j NFQUEUE --queue-num 23
-A INPUT -p tcp -m multiport --dports 25,587 -j NFQUEUE --queue-balance 23:26 --queue-bypass
-A INPUT -p tcp -j NFQUEUE
-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT
-N NFQUEUE
`;
    const rows = parseIptablesQueues(text, 6).map(({ first, last, bypass, families, ports }) => {
      return [first, last, bypass, families.join('+'), ports.join(' ')];
    });
    assert.deepEqual(rows, [
      [23, 23, false, '6', '25'],
      [23, 26, true, '6', '25 587'],
      [0, 0, false, '6', ''],
    ]);
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { judgeMark, type MarkSetup } from '../../src/check/mark-rules.js';
import {
  iptablesRules,
  type NetfilterRule,
  nftRules,
  routingRules,
} from '../../src/check/netfilter-rules.js';
import { queueRule } from '../../src/check/queue-rules.js';
import { packageFolder } from '../../src/version.js';
import { address } from '../support/observations.js';

const SETUP: MarkSetup = { mark: 25, port: 25, real: [address('192.0.2.4'), address('2001:db8::4')] };
const EXAMPLE = readFileSync(join(packageFolder(), 'examples', 'strangers.nft'), 'utf8');

const NOWHERE = 'strangers are let in like everybody';

/** What is found, without advice. */
function judge(rules: readonly NetfilterRule[], setup: MarkSetup = SETUP): string[] {
  return judgeMark(setup, rules, rules.flatMap(queueRule)).map(
    ({ severity, message }) => `${severity} ${message}`,
  );
}

/** A chain of nft that is asked behind addresses have been translated, with one rule. */
function input(rule: string): NetfilterRule[] {
  return nftRules(
    `table inet own {\n\tchain input {\n\t\ttype filter hook input priority 10;\n\t\t${rule}\n\t}\n}\n`,
  );
}

describe('the mark of strangers', () => {
  it('is used by the example', () => {
    assert.deepEqual(judge(nftRules(EXAMPLE)), [
      'ok strangers: "meta mark 25 ip daddr 192.0.2.4 tcp dport 25 dnat ip to 192.0.2.4:10025"',
      'ok strangers: "meta mark 25 ip6 daddr 2001:db8::4 tcp dport 25 dnat ip6 to [2001:db8::4]:10025"',
    ]);
  });

  it('means nothing when no rule is there', () => {
    assert.deepEqual(
      judge(nftRules(readFileSync(join(packageFolder(), 'examples', 'nftables.conf'), 'utf8'))),
      [`error strangers: no rule uses packet mark 25 for 192.0.2.4, 2001:db8::4 port 25: ${NOWHERE}`],
    );
  });

  it('means nothing to rules for another mark, address or port: the example as it stands, elsewhere', () => {
    const rules = nftRules(EXAMPLE);
    for (const [what, other] of [
      ['192.0.2.4, 2001:db8::4 port 25', { mark: 26 }],
      ['192.0.2.4, 2001:db8::4 port 2525', { port: 2525 }],
      ['192.0.2.40', { real: [address('192.0.2.40')] }],
      ['2001:db8::40', { real: [address('192.0.2.4'), address('2001:db8::40')] }],
    ] as const) {
      const [first = ''] = judge(rules, { ...SETUP, ...other });
      const mark = 'mark' in other ? other.mark : 25;
      assert.ok(first.startsWith(`error strangers: no rule uses packet mark ${mark} for ${what}`), first);
    }
  });

  it('is found in the forms in which nft prints it', () => {
    for (const rule of [
      'meta mark 0x00000019 accept',
      'meta mark { 0x00000019, 0x0000001e-0x00000028 } accept',
      'meta mark { 0x00000001, 0x00000010-0x00000028 } accept',
      'meta mark & 0x000000ff == 0x00000019 accept',
      'meta mark vmap { 0x00000019 : accept, 0x0000001a : drop }',
      'meta mark != 0x00000019 accept',
      'meta mark @strangers accept',
      'ct mark 0x00000019 accept',
      'ip daddr { 192.0.2.4, 198.51.100.0/24 } tcp dport { 25, 26 } meta mark > 0x00000018 accept',
      'ip daddr 192.0.2.0/24 meta mark 0x00000019 accept',
      'ip daddr != 192.0.2.9 meta mark 0x00000019 accept',
      'ip daddr @mx meta mark 0x00000019 accept',
    ]) {
      assert.deepEqual(judge(input(rule), { ...SETUP, real: [address('192.0.2.4')] }), [
        `ok strangers: "${rule}"`,
      ]);
    }
  });

  it('is not found where it is given, or only other marks are told apart', () => {
    for (const rule of [
      'meta mark set 0x00000019',
      'meta mark 0x0000001a accept',
      'meta mark { 0x00000001, 0x0000001e-0x00000028 } accept',
      'meta mark & 0x00004000 == 0x00004000 masquerade',
      'meta mark & 0x00004000 == 0x00000000 accept',
      'meta mark != 0x00000000 accept',
      'meta mark vmap { 0x0000001a : drop }',
      'ip daddr 192.0.2.9 meta mark 0x00000019 accept',
      'ip6 daddr 2001:db8::4 meta mark 0x00000019 accept',
      'tcp dport 587 meta mark 0x00000019 accept',
    ]) {
      const told = judge(input(rule), { ...SETUP, real: [address('192.0.2.4')] });
      assert.deepEqual(
        told,
        [`error strangers: no rule uses packet mark 25 for 192.0.2.4 port 25: ${NOWHERE}`],
        rule,
      );
    }
  });

  it('is found in what iptables-save prints, and in ways for packets', () => {
    const ask =
      '-A PREROUTING ! -i lo -p tcp -m tcp --dport 25 -m state --state NEW -j NFQUEUE --queue-num 23';
    const lead =
      '-A PREROUTING -d 192.0.2.4/32 -p tcp -m mark --mark 0x19 -m tcp --dport 25 -j DNAT --to-destination 192.0.2.4:10025';
    const saved = `*mangle\n:PREROUTING ACCEPT [0:0]\n${ask}\nCOMMIT\n*nat\n${lead}\nCOMMIT\n`;
    assert.deepEqual(judge(iptablesRules(saved, 4)), [
      `error strangers: no rule uses packet mark 25 for 2001:db8::4 port 25: ${NOWHERE}`,
      `ok strangers: "${lead}"`,
    ]);
    const ways = '0:\tfrom all lookup local\n32765:\tfrom all fwmark 0x19 lookup 100\n';
    assert.deepEqual(judge([4, 6].flatMap((family) => routingRules(ways, family as 4 | 6))), [
      'ok strangers: "32765: from all fwmark 0x19 lookup 100"',
    ]);
    assert.match(judge(iptablesRules('-A INPUT -j MARK --set-xmark 0x19/0xffffffff', 4)).join(), /^error/);
  });

  it('comes too late for addresses to be translated when mxallowd is asked in input, or in the same chain', () => {
    const late = 'come to the rule for mark 25 before mxallowd is asked';
    const asked = EXAMPLE.replace('hook prerouting priority mangle', 'hook input priority filter');
    assert.notEqual(asked, EXAMPLE);
    assert.deepEqual(judge(nftRules(asked)), [
      `error strangers: packets to 192.0.2.4, 2001:db8::4 ${late}: ${NOWHERE}`,
    ]);
    const behind = EXAMPLE.replace('priority mangle', 'priority dstnat + 5');
    assert.match(judge(nftRules(behind)).join(), new RegExp(late));
    const same = '\t\ttcp dport 25 ct state new queue to 23\n\t\tmeta mark 25 tcp dport 25 accept\n';
    const chain = `table inet a {\n\tchain b {\n\t\ttype filter hook input priority -10;\n${same}\t}\n}\n`;
    assert.match(judge(nftRules(chain)).join(), new RegExp(late));
    // asked in input is early enough for a rule behind it
    const filter = chain.replace(/\t\tmeta.*\n/, '');
    assert.match(judge([...nftRules(filter), ...input('meta mark 25 drop')]).join(), /^ok/);
  });
});

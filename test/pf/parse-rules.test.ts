import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRules } from '../../src/pf/parse-rules.js';
import type { PfRule } from '../../src/pf/rule.js';
import { address } from '../support/observations.js';
import { OPENBSD_RULES, recordedRules } from '../support/printed-rules.js';

const ANY = { negated: false, address: { kind: 'any' }, port: undefined };

function one(text: string): PfRule {
  const [rule, ...more] = parseRules(`${text}\n`);
  assert.deepEqual(more, []);
  assert.ok(rule !== undefined);
  return rule;
}

describe('parseRules', () => {
  it('reads each part of a rule', () => {
    const text =
      'pass in log (all, to pflog1) quick on ! em0 inet6 proto tcp from ! <mx-white:3> port 1024:65535 ' +
      'to 2001:db8::/32 port = smtp flags S/SA keep state (max 100) label "from (all)"';
    assert.deepEqual(one(text), {
      kind: 'pass',
      text,
      criteria: {
        direction: 'in',
        on: { name: 'em0', negated: true },
        family: 6,
        proto: 'tcp',
        from: {
          negated: true,
          address: { kind: 'table', name: 'mx-white' },
          port: { operator: ':', values: ['1024', '65535'] },
        },
        to: {
          negated: false,
          address: { kind: 'prefix', prefix: { address: address('2001:db8::'), length: 32 } },
          port: { operator: '=', values: ['smtp'] },
        },
        flags: { set: 'S', of: 'SA' },
        fragment: false,
        icmp: false,
        doubts: [],
      },
      quick: true,
      log: { to: 'pflog1', matches: false },
      returns: false,
      redirect: undefined,
      translates: false,
    });
  });

  it('tells refusing from dropping', () => {
    const returns = (text: string): boolean | undefined => {
      const rule = one(text);
      return rule.kind === 'block' ? rule.returns : undefined;
    };
    assert.equal(returns('block return all'), true);
    assert.equal(returns('block return-rst in proto tcp all'), true);
    assert.equal(returns('block return-icmp(port-unr, port-unr) in all'), true);
    assert.equal(returns('block drop all'), false);
    assert.equal(returns('block all'), false);
  });

  it('reads all rules that were recorded, with -v and -vv as without', () => {
    const plain = parseRules(recordedRules('182-s-rules'));
    assert.equal(plain.length, 6);
    assert.ok(plain.every(({ kind }) => kind === 'pass' || kind === 'block'));
    assert.deepEqual(parseRules(recordedRules('195-s-rules-v')), plain);
    assert.deepEqual(parseRules(recordedRules('142-disabled-rules')), plain);
    const detailed = parseRules(recordedRules('196-s-rules-vv'));
    assert.deepEqual(
      detailed.map((rule) => ({ ...rule, text: rule.text.replace('<mx-white:3>', '<mx-white>') })),
      plain,
    );
    for (const name of ['13-log-connection', '14-log-user', '25-label-return', '27-second-pflog']) {
      for (const rule of parseRules(recordedRules(name))) assert.notEqual(rule.kind, 'unknown', rule.text);
    }
  });

  it('puts the rules of an anchor into it', () => {
    const [block, anchor, ...more] = parseRules(recordedRules('15-anchor'));
    assert.deepEqual(more, []);
    assert.equal(block?.kind, 'block');
    assert.ok(anchor?.kind === 'anchor');
    assert.equal(anchor.name, 'mx');
    assert.deepEqual(
      anchor.rules?.map(({ kind }) => kind),
      ['pass', 'block', 'anchor'],
    );
    const inner = anchor.rules?.[2];
    assert.ok(inner?.kind === 'anchor');
    assert.equal(inner.name, 'a-very-long-anchor-name');
    assert.deepEqual(
      inner.rules?.map(({ text }) => text),
      ['block drop in log quick on em0 inet6 proto tcp from any to 2001:dead:beef::2 port = smtp'],
    );
  });

  it('knows what it does not see of an anchor', () => {
    const rulesOf = (text: string): readonly PfRule[] | undefined => {
      const [rule] = parseRules(text);
      return rule?.kind === 'anchor' ? rule.rules : assert.fail(rule?.kind);
    };
    assert.equal(rulesOf('anchor "mx" all\n'), undefined);
    assert.equal(rulesOf('anchor "ftp-proxy/*" all {\n}\n'), undefined);
    assert.deepEqual(rulesOf('anchor in on em0 all {\n}\n'), []);
    assert.deepEqual(rulesOf('anchor "mx" all {\n'), []);
  });

  it('reads scrub rules, and whether they reassemble', () => {
    const reassembles = (text: string): boolean | undefined => {
      const rule = one(text);
      return rule.kind === 'scrub' ? rule.reassembles : undefined;
    };
    assert.equal(reassembles('scrub in on em0 all fragment reassemble'), true);
    assert.equal(reassembles('scrub all no-df random-id max-mss 1440 fragment reassemble'), true);
    assert.equal(reassembles('scrub in all fragment crop'), false);
    assert.equal(reassembles('scrub in all fragment no reassemble'), false);
    assert.equal(reassembles('no scrub in all'), false);
  });

  it('takes options that do not decide, and keeps those that may', () => {
    const doubts = (text: string): readonly string[] | undefined => {
      const rule = one(text);
      return rule.kind === 'unknown' ? undefined : rule.criteria.doubts;
    };
    for (const harmless of [
      'pass in on egress inet proto tcp from any to any port = 25 flags S/SA divert-to 127.0.0.1 port 8025',
      'pass in on em0 route-to (em1 10.0.0.1) inet proto tcp from any to any flags S/SA keep state',
      'match in all scrub (no-df max-mss 1440)',
      'match out on egress inet from 10.0.0.0/8 to any nat-to (egress:0) round-robin',
      'pass in proto tcp from any to (em0) port = 25 flags any modulate state (source-track rule, max-src-conn 9)',
      'pass in all flags S/SA set ( prio 5 ) label "x" tag MAIL queue (std, ack) rtable 1 allow-opts no state',
    ]) {
      assert.deepEqual(doubts(harmless), [], harmless);
    }
    assert.deepEqual(doubts('pass in all tagged SPAM probability 50%'), ['tagged SPAM', 'probability 50%']);
    assert.deepEqual(doubts('block drop in all ! tagged OK'), ['! tagged OK']);
    assert.deepEqual(doubts('pass in proto tcp all user = 1000 flags S/SA'), ['user = 1000']);
    assert.deepEqual(doubts('block drop in on rdomain 2 all'), ['on rdomain 2']);
    assert.deepEqual(doubts('block drop in from any os "Windows 98" to any'), ['os "Windows 98"']);
  });

  it('keeps what it cannot read as it stands', () => {
    for (const text of [
      'frobnicate in all',
      'pass in newword all',
      'block drop in proto tcp from any to any port ~ 25',
      'pass in log (to em0) all',
      'pass in all label "open',
      'pass in all flags X/Y',
      '}',
      'rdr on em0 inet proto tcp from any to 192.0.2.3 port = smtp -> 127.0.0.1 port 2525',
      'pass in all (',
    ]) {
      assert.deepEqual(one(text), { kind: 'unknown', text });
    }
  });

  it('keeps an address that it cannot read, and reads the rest', () => {
    const rule = one('pass in from any to 10.0.0.0/255.0.255.0 port 20 >< 30');
    assert.ok(rule.kind === 'pass');
    assert.deepEqual(rule.criteria.to, {
      negated: false,
      address: { kind: 'unknown', text: '10.0.0.0/255.0.255.0' },
      port: { operator: '><', values: ['20', '30'] },
    });
    assert.deepEqual(rule.criteria.from, ANY);
  });

  it('makes of any text whatsoever rules or unknown ones', () => {
    for (let length = 0; length < OPENBSD_RULES.length; length += 7) {
      for (const rule of parseRules(OPENBSD_RULES.slice(0, length))) assert.equal(typeof rule.text, 'string');
    }
    assert.deepEqual(parseRules(''), []);
    assert.equal(parseRules(`${'anchor "x" all {\n'.repeat(10_000)}`).length, 1);
  });
});

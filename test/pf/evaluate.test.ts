import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgePacket, judgeReassembly } from '../../src/pf/evaluate.js';
import type { Interfaces } from '../../src/pf/interfaces.js';
import type { Packet, Scene } from '../../src/pf/match.js';
import { parseRedirects } from '../../src/pf/parse-redirects.js';
import { parseRules } from '../../src/pf/parse-rules.js';
import { formatAddress } from '../../src/packet/address.js';
import { address } from '../support/observations.js';
import { OPENBSD_DEFAULT, OPENBSD_RULES, recordedRules } from '../support/printed-rules.js';

const SYN: Packet = { kind: 'syn', destination: address('192.0.2.4'), port: 25, listed: false };
const EM0: Scene = { table: 'mx-white', arrival: 'em0', interfaces: undefined };
const KNOWN: Interfaces = new Map([
  ['em0', { groups: ['egress'], addresses: [address('192.0.2.3'), address('192.0.2.4')] }],
  ['em1', { groups: [], addresses: [address('10.0.0.1')] }],
  ['wan', { groups: [], addresses: [] }],
]);

/** Each outcome as `action>log`, the likely one first; an implicit pass is `default`. */
function outcomes(text: string, packet: Partial<Packet> = {}, scene: Partial<Scene> = {}): string {
  const verdict = judgePacket(parseRules(text), { ...SYN, ...packet }, { ...EM0, ...scene });
  return verdict.possible
    .map(({ rule, action, logs }) => {
      const name = rule === undefined ? 'default' : action;
      return logs.length === 0 ? name : `${name}>${logs.join('+')}`;
    })
    .join(' ');
}

describe('judgePacket: order', () => {
  it('lets pass what no rule matches', () => {
    assert.equal(outcomes(''), 'default');
    assert.equal(outcomes('block drop out all\n'), 'default');
  });

  it('takes the last rule that matches', () => {
    assert.equal(outcomes('pass in all\nblock drop in all\n'), 'block');
    assert.equal(outcomes('block drop in all\npass in all\n'), 'pass');
  });

  it('stops at the first that is quick', () => {
    assert.equal(outcomes('pass in all\nblock drop in log quick all\npass in all\n'), 'block>pflog0');
    assert.equal(outcomes('pass in quick all\nblock drop in quick all\n'), 'pass');
  });

  it('does not let match rules decide', () => {
    assert.equal(outcomes('block drop in all\nmatch in log all scrub (no-df)\n'), 'block');
  });

  it('lets log (matches) log what matches later', () => {
    assert.equal(
      outcomes('match in log (matches, to pflog1) all\nblock drop in log all\n'),
      'block>pflog0+pflog1',
    );
    assert.equal(outcomes('match in log all\nblock drop in all\n'), 'block');
  });
});

describe('judgePacket: what matches', () => {
  const matches = (condition: string, packet: Partial<Packet> = {}, scene: Partial<Scene> = {}): string => {
    const text = outcomes(`block drop quick ${condition}\n`, packet, scene);
    const words: Readonly<Record<string, string>> = { block: 'yes', default: 'no', 'default block': 'maybe' };
    return words[text] ?? text;
  };
  const v6 = { destination: address('2001:db8::4') };
  const cases: readonly (readonly [string, string, Partial<Packet>?, Partial<Scene>?])[] = [
    ['in inet proto tcp from any to any', 'yes'],
    ['in inet6 proto tcp from any to any', 'no'],
    ['in inet6 proto tcp from any to any', 'yes', v6],
    ['in proto udp from any to any port = 25', 'no'],
    ['in proto 6 all', 'yes'],
    ['in proto icmp all icmp-type echoreq', 'no'],
    ['all fragment', 'no'],
    ['all fragment', 'yes', { kind: 'fragment' }],
    ['in from any to 192.0.2.4', 'yes'],
    ['in from any to 192.0.2.0/24', 'yes'],
    ['in from any to ! 192.0.2.0/24', 'no'],
    ['in from any to 192.0.2.3', 'no'],
    ['in from any to 192.0.2.1 - 192.0.2.9', 'yes'],
    ['in from any to 192.0.2.5 - 192.0.2.9', 'no'],
    ['in from any to 2001:db8:: - 2001:db8::ff', 'yes', v6],
    ['in from any to <servers>', 'maybe'],
    ['in from any to no-route', 'no'],
    ['in from any to (em0)', 'maybe'],
    ['in from any to (em0)', 'yes', {}, { interfaces: KNOWN }],
    ['in from any to (em1)', 'no', {}, { interfaces: KNOWN }],
    ['in from any to (em0:0)', 'maybe', {}, { interfaces: KNOWN }],
    ['in from <mx-white> to any', 'no'],
    ['in from <mx-white> to any', 'yes', { listed: true }],
    ['in from ! <mx-white> to any', 'yes'],
    ['in from ! <mx-white> to any', 'no', { listed: true }],
    ['in from <bruteforce> to any', 'no', { listed: true }],
    ['in from 10.0.0.0/8 to any', 'no'],
    ['in from ! 10.0.0.0/8 to any', 'yes'],
    ['in from 0.0.0.0/0 to any', 'yes'],
    ['in from ::/0 to any', 'no'],
    ['in from 128.0.0.0/1 to any', 'maybe'],
    ['in from urpf-failed to any', 'no'],
    ['in from (em0:network) to any', 'no'],
    ['in from route "x" to any', 'maybe'],
    ['in proto tcp from any port 1024:65535 to any', 'maybe'],
    ['in proto tcp from any to any port = smtp', 'yes'],
    ['in proto tcp from any to any port = smtp', 'no', { port: 2525 }],
    ['in proto tcp from any to any port = submission', 'no'],
    ['in proto tcp from any to any port = lmtp', 'maybe'],
    ['in proto tcp from any to any port != smtp', 'no'],
    ['in proto tcp from any to any port != ssh', 'yes'],
    ['in proto tcp from any to any port < 1024', 'yes'],
    ['in proto tcp from any to any port <= 24', 'no'],
    ['in proto tcp from any to any port > 25', 'no'],
    ['in proto tcp from any to any port >= 25', 'yes'],
    ['in proto tcp from any to any port 20:25', 'yes'],
    ['in proto tcp from any to any port 20 >< 25', 'no'],
    ['in proto tcp from any to any port 20 <> 24', 'yes'],
    ['in proto tcp all flags S/SA', 'yes'],
    ['in proto tcp all flags S/SAFR', 'yes'],
    ['in proto tcp all flags /SA', 'no'],
    ['in proto tcp all flags SA/SA', 'no'],
    ['in proto tcp all flags S/SAEW', 'maybe'],
    ['in proto tcp all flags any', 'yes'],
    ['in all tagged SPAM', 'maybe'],
    ['in on em0 all', 'yes'],
    ['in on em all', 'yes'],
    ['in on em1 all', 'no'],
    ['in on lo0 all', 'no'],
    ['in on ! lo all', 'yes'],
    ['in on ! em0 all', 'no'],
    ['in on egress all', 'maybe'],
    ['in on egress all', 'yes', {}, { interfaces: KNOWN }],
    ['in on dmz all', 'no', {}, { interfaces: KNOWN }],
    ['in on wan all', 'no', {}, { interfaces: KNOWN }],
    ['in on em0 all', 'maybe', {}, { arrival: 'egress' }],
    ['in on em1 all', 'no', {}, { arrival: 'egress', interfaces: KNOWN }],
    ['in on em0 all', 'maybe', {}, { arrival: undefined }],
    ['in on lo0 all', 'no', {}, { arrival: undefined }],
  ];
  for (const [condition, expected, packet, scene] of cases) {
    const where = scene === undefined ? '' : `, ${scene.arrival ?? 'interfaces known'}`;
    it(`${condition}: ${expected} (${JSON.stringify(packet ?? {})}${where})`, () => {
      assert.equal(matches(condition, packet, scene), expected);
    });
  }
});

describe('judgePacket: doubt', () => {
  it('keeps both ends open where a rule may match', () => {
    assert.equal(outcomes('pass in all tagged OK\nblock drop in quick all\n'), 'block');
    assert.equal(outcomes('pass in quick all tagged OK\nblock drop in quick all\n'), 'block pass');
    assert.equal(outcomes('block drop in all\npass in all tagged OK\n'), 'block pass');
  });

  it('does not guess at a rule that it cannot read', () => {
    assert.equal(outcomes('frobnicate\nblock drop in quick all\n'), 'block unknown');
    assert.equal(outcomes('block drop in quick all\nfrobnicate\n'), 'block');
  });

  it('does not guess where a translation leads', () => {
    for (const target of [
      'rdr-to <servers> round-robin',
      'rdr-to (em1)',
      'nat-to 10.0.0.1',
      'binat-to 10.0.0.1',
    ]) {
      const text = `match in on em0 inet proto tcp from any to any port = 25 ${target}\nblock drop in quick all\n`;
      assert.equal(outcomes(text), 'block unknown', target);
      assert.equal(outcomes(text, { port: 26 }), 'block', target);
    }
  });

  it('names the rules that it doubts', () => {
    const rules = parseRules(
      'pass in quick all tagged OK\nfrobnicate\nblock drop in quick all\npass all user = 1\n',
    );
    assert.deepEqual(
      judgePacket(rules, SYN, EM0).doubts.map(({ text }) => text),
      ['pass in quick all tagged OK', 'frobnicate'],
    );
  });
});

describe('judgePacket: anchors', () => {
  const inner = (head: string, rules: string): string => `${head} {\n${rules}\n}\n`;

  it('judges the rules of an anchor where it stands', () => {
    assert.equal(outcomes(`block drop in all\n${inner('anchor "x" all', 'pass in all')}`), 'pass');
    assert.equal(outcomes(`${inner('anchor "x" all', 'pass in all')}block drop in all\n`), 'block');
    assert.equal(outcomes(`${inner('anchor "x" all', 'pass in quick all')}block drop in all\n`), 'pass');
    assert.equal(
      outcomes(`${inner('anchor "x" in on em1 all', 'pass in quick all')}block drop in all\n`),
      'block',
    );
    assert.equal(
      outcomes(`${inner('anchor "x" all', 'anchor {\npass in quick all\n}')}block drop all\n`),
      'pass',
    );
  });

  it('ends at an anchor that is quick, if a rule in it matches', () => {
    assert.equal(outcomes(`${inner('anchor "x" quick all', 'pass in all')}block drop in all\n`), 'pass');
    assert.equal(outcomes(`${inner('anchor "x" quick all', 'pass out all')}block drop in all\n`), 'block');
    const doubtful = inner('anchor "x" quick all', 'pass in all tagged OK');
    assert.equal(outcomes(`${doubtful}block drop in all\n`), 'block pass');
  });

  it('does not guess what is in an anchor that is not shown', () => {
    assert.equal(outcomes('anchor "x" all\nblock drop in quick all\n'), 'block unknown');
    assert.equal(outcomes('anchor "x" out all\nblock drop in quick all\n'), 'block');
  });

  it('judges the recorded anchors as the kernel did', () => {
    const text = recordedRules('15-anchor');
    const to = (destination: string, listed = false): string =>
      outcomes(text, { destination: address(destination), listed });
    assert.equal(to('192.168.1.4', true), 'pass>pflog0');
    assert.equal(to('192.168.1.4'), 'block>pflog0');
    assert.equal(to('192.168.1.3'), 'block>pflog0');
    // by rule 0: what stands in the named anchor within the anchor was not looked at
    assert.equal(to('2001:dead:beef::2'), 'block>pflog0 block>pflog0');
    const deciding = (destination: string): string | undefined => {
      const packet = { ...SYN, destination: address(destination) };
      return judgePacket(parseRules(text), packet, EM0).likely.rule?.text;
    };
    // 1.mx.1 and 0
    assert.match(deciding('192.168.1.3') ?? '', /^block drop in log on em0 inet proto tcp from any to 192/);
    for (const text of ['192.168.1.4', '2001:dead:beef::2'])
      assert.match(deciding(text) ?? '', /^block drop in log on em0 proto tcp from any to any/);
  });
});

describe('judgePacket: redirected packets', () => {
  const scene = (os: 'openbsd' | 'freebsd'): Scene => ({ ...EM0, os });
  const fate = (text: string, os: 'openbsd' | 'freebsd', translations = ''): string => {
    const { likely, possible } = judgePacket(parseRules(text), SYN, scene(os), parseRedirects(translations));
    assert.equal(possible.length, 1);
    const logged =
      likely.logged === undefined ? '?' : `${formatAddress(likely.logged.address)}:${likely.logged.port}`;
    return `${likely.action} ${likely.redirected?.to.text ?? '-'} ${logged}`;
  };
  const MATCH = 'match in inet proto tcp from any to 192.0.2.4 port = 25 rdr-to 10.0.0.4 port 2525\n';

  it('come to later rules as they are then', () => {
    const rules =
      'block drop in log quick inet from any to 192.0.2.4\npass in log inet from any to 10.0.0.4 port = 2525\n';
    assert.equal(fate(MATCH + rules, 'openbsd'), 'pass 10.0.0.4 port 2525 192.0.2.4:25');
    assert.equal(fate(MATCH + rules, 'freebsd'), 'pass 10.0.0.4 port 2525 10.0.0.4:2525');
    assert.equal(
      fate(`block drop in log all\n${MATCH}`, 'freebsd'),
      'block 10.0.0.4 port 2525 10.0.0.4:2525',
    );
  });

  it('stay so behind an anchor', () => {
    for (const quick of ['', ' quick']) {
      const anchor = `anchor "x"${quick} all {\n${MATCH}}\nblock drop in log quick inet from any to 192.0.2.4\n`;
      assert.equal(fate(anchor, 'openbsd'), 'pass 10.0.0.4 port 2525 192.0.2.4:25', quick);
    }
  });

  it('keep their port where none is named', () => {
    const text = 'pass in log inet proto tcp from any to 192.0.2.4 port = 25 rdr-to 10.0.0.4\n';
    assert.equal(fate(text, 'freebsd'), 'pass 10.0.0.4 10.0.0.4:25');
  });

  it('are not changed by divert-to', () => {
    const text = 'pass in log inet proto tcp from any to any port = 25 divert-to 127.0.0.1 port 8025\n';
    assert.equal(fate(text, 'freebsd'), 'pass 127.0.0.1 port 8025 192.0.2.4:25');
  });

  it('are redirected by the first rdr that matches, before all rules', () => {
    const rules = 'block drop in log all\n';
    const rdr =
      'rdr on em0 inet proto tcp from ! <mx-white> to 192.0.2.4 port = smtp -> 10.0.0.4 port 2525\n';
    assert.equal(fate(rules, 'freebsd', rdr), 'block 10.0.0.4 port 2525 10.0.0.4:2525');
    const first = `no rdr on em0 inet proto tcp from any to 192.0.2.4 port = smtp\n${rdr}`;
    assert.equal(fate(rules, 'freebsd', first), 'block - 192.0.2.4:25');
    const past = rdr.replace('rdr on', 'rdr pass log on');
    assert.equal(fate(rules, 'freebsd', past), 'pass 10.0.0.4 port 2525 192.0.2.4:25');
    assert.equal(fate(rules, 'freebsd', rdr.replace('em0', 'em1')), 'block - 192.0.2.4:25');
  });
});

describe('judgePacket: whole rule sets', () => {
  it('does with the rules of the documents what they are for', () => {
    for (const text of [OPENBSD_RULES, `${OPENBSD_RULES}${OPENBSD_DEFAULT}`]) {
      const scene = { arrival: 'egress' };
      assert.equal(outcomes(text, {}, scene), 'block>pflog0');
      assert.equal(outcomes(text, { listed: true }, scene), 'pass>pflog0');
      assert.equal(outcomes(text, { destination: address('2001:db8::3') }, scene), 'block>pflog0');
      assert.equal(
        outcomes(text, { destination: address('192.0.2.9') }, scene),
        text === OPENBSD_RULES ? 'default' : 'pass',
      );
    }
  });

  it("passes everything with OpenBSD's default rules", () => {
    assert.equal(outcomes(OPENBSD_DEFAULT), 'pass');
    assert.equal(outcomes(OPENBSD_DEFAULT, { port: 6001 }), 'block');
  });
});

describe('judgeReassembly', () => {
  const reassembled = (text: string, scene: Partial<Scene> = {}): string =>
    judgeReassembly(parseRules(text), { ...SYN, kind: 'fragment' }, { ...EM0, ...scene });
  const ANYWHERE = { arrival: undefined };

  it('goes by the first scrub rule that matches', () => {
    assert.equal(reassembled('scrub in on em0 all fragment reassemble\n'), 'yes');
    assert.equal(reassembled('scrub in all fragment reassemble\n', ANYWHERE), 'yes');
    assert.equal(reassembled('scrub in on em1 all fragment reassemble\n'), 'no');
    assert.equal(reassembled('scrub out all fragment reassemble\n'), 'no');
    assert.equal(reassembled('no scrub in all\nscrub in all fragment reassemble\n'), 'no');
    assert.equal(reassembled('scrub in inet6 all fragment reassemble\n'), 'no');
    assert.equal(reassembled('block drop in all\n'), 'no');
  });

  it('is in doubt where the interface is', () => {
    assert.equal(reassembled('scrub in on em0 all fragment reassemble\n', ANYWHERE), 'maybe');
    assert.equal(
      reassembled('scrub in on em0 all fragment reassemble\nscrub in all fragment reassemble\n', ANYWHERE),
      'yes',
    );
  });
});

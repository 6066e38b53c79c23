import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Finding } from '../../src/pf/finding.js';
import type { Interfaces } from '../../src/pf/interfaces.js';
import { judgeRules } from '../../src/pf/rules.js';
import {
  brief,
  FREEBSD_RULES,
  OPENBSD_DEFAULT,
  OPENBSD_RULES,
  RECORDED_SETUP,
  recordedRules,
  SETUP,
} from '../support/printed-rules.js';

const PF_CONF = { value: undefined, where: '/etc/pf.conf' };
const FREEBSD = { ...SETUP, os: 'freebsd', said: PF_CONF } as const;
/** The only thing that is always to be said on OpenBSD. */
const UNSEEN = 'note rules-fragments';

function of(findings: readonly Finding[], id: string): Finding {
  const found = findings.filter((one) => one.id === id);
  assert.equal(found.length, 1, `${id} in ${JSON.stringify(findings)}`);
  return found[0] ?? assert.fail();
}

describe('judgeRules: rules that are right', () => {
  it('finds nothing wrong with the example, on either system', () => {
    assert.deepEqual(brief(judgeRules(FREEBSD_RULES, FREEBSD), true), [
      'ok rules-fake',
      'ok rules-real',
      'ok rules-fragments',
    ]);
    const findings = judgeRules(OPENBSD_RULES, SETUP);
    assert.deepEqual(brief(findings, true), ['ok rules-fake', 'ok rules-real', UNSEEN]);
    assert.deepEqual(
      findings.map(({ message }) => message),
      [
        'rules, fake MX 192.0.2.3, 2001:db8::3: attempts are refused, and logged to pflog0',
        'rules, real MX 192.0.2.4, 2001:db8::4: admitted senders are let in, others dropped, both logged',
        'fragments: whether they are reassembled is not visible here; OpenBSD does it unless pf.conf says ' +
          '"set reassemble no", or said so once: that stays in force over a reload',
      ],
    );
  });

  it("finds nothing wrong with it ahead of OpenBSD's default rules", () => {
    assert.deepEqual(brief(judgeRules(OPENBSD_RULES + OPENBSD_DEFAULT, SETUP)), [UNSEEN]);
  });

  it('finds nothing wrong with the form without quick, behind a bare pass', () => {
    const lines = OPENBSD_RULES.replaceAll(' quick', '').trimEnd().split('\n');
    const [pass4, pass6, ...blocks] = lines;
    const text = `${OPENBSD_DEFAULT}${[...blocks, pass4, pass6].join('\n')}\n`;
    assert.deepEqual(brief(judgeRules(text, SETUP)), [UNSEEN]);
  });

  it('follows a port and a table of another name', () => {
    const text = OPENBSD_RULES.replaceAll('port = 25', 'port = 2525').replaceAll('mx-white', 'senders');
    assert.deepEqual(brief(judgeRules(text, { ...SETUP, port: 2525, table: 'senders' })), [UNSEEN]);
  });

  it('follows a log interface of its own', () => {
    const text = OPENBSD_RULES.replaceAll(' log ', ' log (to pflog1) ');
    assert.deepEqual(brief(judgeRules(text, { ...SETUP, pflogInterface: 'pflog1' })), [UNSEEN]);
  });

  it('judges the rules in an anchor, when they are shown', () => {
    const text = `anchor "mxallowd" all {\n${OPENBSD_RULES}}\n${OPENBSD_DEFAULT}`;
    assert.deepEqual(brief(judgeRules(text, SETUP)), [UNSEEN]);
  });
});

/** Which findings there are: test/pf/truth.test.ts. */
describe('judgeRules: rules that are wrong', () => {
  it('notices that there are none', () => {
    assert.deepEqual(brief(judgeRules('', SETUP)), ['error rules-none']);
    assert.deepEqual(brief(judgeRules('scrub in all fragment reassemble\n', SETUP)), ['error rules-none']);
  });

  it('says which rule decides, and what to do', () => {
    const text = `${OPENBSD_RULES.replaceAll(' quick', '')}pass all flags S/SA\n`;
    assert.deepEqual(of(judgeRules(text, SETUP), 'rules-fake-log'), {
      id: 'rules-fake-log',
      severity: 'error',
      message:
        'rules, fake MX 192.0.2.3, 2001:db8::3: attempts are not logged, so nobody is ever admitted; ' +
        '"pass all flags S/SA" decides',
      advice:
        '"block return in log on egress inet proto tcp from any to 192.0.2.3 port = 25" comes earlier, but the ' +
        'last match decides: make all of ours quick (pass first), or put them last',
    });
  });

  it('says so when the right rule comes too late', () => {
    const text = OPENBSD_RULES.split('\n').reverse().join('\n');
    const { message, advice } = of(judgeRules(text, SETUP), 'rules-real-admit');
    assert.match(
      message,
      /admitted senders are kept out; "block drop in log quick .*" decides, and the like$/,
    );
    assert.match(advice ?? '', /^"pass in log quick .* comes too late, behind a quick rule: put it first$/);
  });

  it('never has a block rule put ahead of the pass rule', () => {
    const advised = (text: string, id: string): string | undefined => of(judgeRules(text, SETUP), id).advice;
    assert.equal(
      advised(OPENBSD_RULES.replaceAll('pass in log', 'pass in'), 'rules-real-admit-log'),
      'the rule that passes them needs "log"',
    );
    const open = `pass in quick proto tcp from any to any port = 25 flags S/SA\n${OPENBSD_RULES}`;
    assert.match(
      advised(open, 'rules-real-block') ?? '',
      /^"block drop in log quick .*" comes too late, behind a quick rule: put our rules ahead of it, those that pass first$/,
    );
  });

  it('says where a rule leads those who come to the real MX', () => {
    const moves = 'match in on egress inet proto tcp from any to 192.0.2.4 port = 25 rdr-to 10.0.0.4';
    const { severity, message } = of(judgeRules(`${moves}\n${OPENBSD_RULES}`, SETUP), 'rules-real-block');
    assert.equal(severity, 'error');
    assert.equal(
      message,
      `rules, real MX 192.0.2.4: strangers are let in: "${moves}" leads them to 10.0.0.4 before the rules for the ` +
        'real MX are looked at; no rule matches',
    );
    const kept = judgeRules(`block drop in log all\n${moves}\n${OPENBSD_RULES}`, SETUP);
    assert.match(
      of(kept, 'rules-real-admit').message,
      /^rules, real MX 192\.0\.2\.4: admitted senders are kept out: "match .* 10\.0\.0\.4" leads them to 10\.0\.0\.4 /,
    );
  });

  it('says what becomes of strangers who are sent elsewhere', () => {
    const text = OPENBSD_RULES.replace(
      /^block drop in log quick on egress inet proto(.*)$/m,
      'pass in log quick on egress inet proto$1 flags S/SA rdr-to 127.0.0.1 port 8025',
    );
    const { severity, message, advice } = of(judgeRules(text, SETUP), 'rules-real-block');
    assert.equal(severity, 'warning');
    assert.match(
      message,
      /: strangers are redirected to 127\.0\.0\.1 port 8025, which mxallowd takes for an admission; /,
    );
    assert.equal(
      advice,
      'if what listens there is for strangers, as spamd is: "strangers redirect 8025" in mxallowd.conf',
    );
  });

  it('says which table the rules let in', () => {
    const text = OPENBSD_RULES.replaceAll('<mx-white>', '<mx_white>');
    const { message } = of(judgeRules(text, SETUP), 'rules-table');
    assert.equal(
      message,
      'no rule names the table <mx-white>, so nobody is let in by it; they let in <mx_white>',
    );
  });

  it('says where the log goes', () => {
    const { message, advice } = of(
      judgeRules(OPENBSD_RULES.replaceAll(' log ', ' log (to pflog1) '), SETUP),
      'rules-fake-log',
    );
    assert.match(message, /attempts are logged to pflog1, but mxallowd listens on pflog0;/);
    assert.equal(advice, 'set pflog-interface pflog1, or write "log (to pflog0)"');
  });

  it('prints nothing as it came', () => {
    const findings = judgeRules(`frobnicate \x1b[2J\n${OPENBSD_RULES}`, SETUP);
    for (const { message } of findings) assert.match(message, /^[\x20-\x7e]*$/);
  });
});

describe('judgeRules: the rules of 2008', () => {
  const text = recordedRules('182-s-rules');

  it('work alone, with a fake MX that drops and without reassembly', () => {
    assert.deepEqual(brief(judgeRules(text, RECORDED_SETUP), true), [
      'note rules-fake-refuse',
      'ok rules-real',
      'warning rules-fragments',
    ]);
  });

  it('open both addresses when a bare pass follows', () => {
    const findings = judgeRules(`${text}pass all flags S/SA keep state\n`, RECORDED_SETUP);
    assert.deepEqual(brief(findings), [
      'error rules-fake-log',
      'error rules-real-block',
      'warning rules-fragments',
    ]);
    for (const id of ['rules-fake-log', 'rules-real-block']) {
      assert.match(of(findings, id).message, /; "pass all flags S\/SA keep state" decides$/);
    }
  });
});

describe('judgeRules: fragments', () => {
  it('of FreeBSD get past rules with a port, when nothing reassembles them', () => {
    const text = FREEBSD_RULES.replace(/^scrub.*\n/, '');
    assert.deepEqual(of(judgeRules(text, FREEBSD), 'rules-fragments'), {
      id: 'rules-fragments',
      severity: 'warning',
      message:
        'fragments: a SYN in fragments, from anybody, gets past the rules to 192.0.2.4, 2001:db8::4, unlogged',
      advice: 'ahead of the filter rules: scrub in on em0 all fragment reassemble',
    });
  });

  it('do not get past a rule that blocks everything', () => {
    const text = FREEBSD_RULES.replace(/^scrub.*\n/, 'block drop in all\n');
    assert.deepEqual(brief(judgeRules(text, FREEBSD)), []);
  });

  it('of one family only are told', () => {
    const text = FREEBSD_RULES.replace('scrub in on em0 all', 'scrub in on em0 inet all');
    assert.match(of(judgeRules(text, FREEBSD), 'rules-fragments').message, / to 2001:db8::4, unlogged$/);
  });

  it('are not judged on a system that is neither', () => {
    const { severity, message } = of(
      judgeRules(OPENBSD_RULES, { ...SETUP, os: undefined }),
      'rules-fragments',
    );
    assert.deepEqual(
      [severity, message],
      ['note', 'fragments: whether they are reassembled is not visible here'],
    );
  });
});

describe('judgeRules: interfaces that pf skips', () => {
  it('are told where mail comes in, and nothing else is said of the rules', () => {
    const findings = judgeRules(OPENBSD_RULES, { ...SETUP, skipped: new Set(['egress', 'vio0']) });
    assert.deepEqual(findings, [
      {
        id: 'rules-skip',
        severity: 'error',
        message: 'pf skips egress, where mail comes in: everybody is let in there, and nothing is logged',
        advice: 'take it out of "set skip on" in pf.conf',
      },
    ]);
  });

  it('are told by their members, and the others are judged', () => {
    const addresses = [...SETUP.fake, ...SETUP.real];
    const interfaces = new Map([
      ['vio0', { groups: ['egress'], addresses }],
      ['vio1', { groups: ['egress'], addresses: [] }],
    ]);
    const findings = judgeRules(OPENBSD_RULES, { ...SETUP, interfaces, skipped: new Set(['vio1']) });
    assert.match(of(findings, 'rules-skip').message, /^pf skips vio1, /);
    assert.equal(of(findings, 'rules-real').severity, 'ok');
  });

  it('are mentioned where nobody knows by which mail comes in', () => {
    const text = OPENBSD_RULES.replaceAll(' on egress', '');
    const skip = (...names: string[]): Finding[] => judgeRules(text, { ...SETUP, skipped: new Set(names) });
    assert.deepEqual(brief(skip('lo', 'lo0')), [UNSEEN]);
    assert.deepEqual(brief(skip('lo', 'lo0', 'vio7')), ['note rules-skip', UNSEEN]);
  });
});

describe('judgeRules: doubt', () => {
  it('says what it depends on, when all is well otherwise', () => {
    const findings = judgeRules(`anchor "ftp-proxy/*" all\n${OPENBSD_RULES}`, SETUP);
    assert.deepEqual(brief(findings), ['note rules-fake-doubt', 'note rules-real-doubt', UNSEEN]);
    assert.deepEqual(of(findings, 'rules-real-doubt'), {
      id: 'rules-real-doubt',
      severity: 'note',
      message:
        'rules, real MX 192.0.2.4, 2001:db8::4: all is well, unless this says otherwise: ' +
        '"anchor "ftp-proxy/*" all"',
      advice: 'pfctl -a "*" -sr shows the rules in anchors',
    });
  });

  it('does not care for what comes behind a quick rule', () => {
    assert.deepEqual(brief(judgeRules(`${OPENBSD_RULES}anchor "x" all\nfrobnicate\n`, SETUP)), [UNSEEN]);
  });

  it('is less sure of what is wrong, too', () => {
    const findings = judgeRules(`anchor "mxallowd" all\n${OPENBSD_DEFAULT}`, SETUP);
    assert.deepEqual(brief(findings), [
      'warning rules-table',
      'warning rules-fake-log',
      'warning rules-real-block',
      UNSEEN,
    ]);
    const { message } = of(findings, 'rules-fake-log');
    assert.match(message, /, as far as the rules can be read \(not: "anchor "mxallowd" all"\)$/);
  });
});

describe('judgeRules: interfaces', () => {
  const addresses = [...SETUP.fake, ...SETUP.real];
  const machine = (entries: readonly (readonly [string, readonly string[], boolean])[]): Interfaces =>
    new Map(entries.map(([name, groups, has]) => [name, { groups, addresses: has ? addresses : [] }]));

  it('takes the members of a group', () => {
    const interfaces = machine([
      ['lo0', ['lo'], false],
      ['em0', ['egress'], true],
      ['em1', [], false],
    ]);
    const text = `block drop in quick on em1 all\npass in quick on lo0 all\n${OPENBSD_RULES}`;
    assert.deepEqual(brief(judgeRules(text, { ...SETUP, interfaces })), [UNSEEN]);
    const blocked = judgeRules(`block drop in quick on em0 all\n${OPENBSD_RULES}`, { ...SETUP, interfaces });
    assert.deepEqual(brief(blocked), [
      'error rules-fake-log',
      'warning rules-real-log',
      'error rules-real-admit',
      UNSEEN,
    ]);
  });

  it('notices rules for an interface that is not there, and judges the one that is', () => {
    const interfaces = machine([['vio0', ['egress'], true]]);
    const findings = judgeRules(FREEBSD_RULES, { ...FREEBSD, interfaces });
    assert.deepEqual(brief(findings), [
      'error rules-interface',
      'error rules-fake-log',
      'error rules-real-block',
      'warning rules-fragments',
    ]);
    assert.deepEqual(of(findings, 'rules-interface'), {
      id: 'rules-interface',
      severity: 'error',
      message: 'the rules for the mail servers are for interface em0, which is not there',
      advice: 'the addresses are on vio0',
    });
  });

  it('wonders about rules for another interface than that of the address', () => {
    const interfaces = machine([
      ['em0', [], false],
      ['em1', [], true],
    ]);
    const { severity, message } = of(
      judgeRules(FREEBSD_RULES, { ...FREEBSD, interfaces }),
      'rules-interface',
    );
    assert.equal(severity, 'warning');
    assert.equal(
      message,
      'the rules are for em0, but em1 has 192.0.2.3, 2001:db8::3, 192.0.2.4, 2001:db8::4',
    );
  });

  it('does not mind where the address is behind this machine', () => {
    const interfaces = machine([
      ['em0', [], false],
      ['em1', [], false],
    ]);
    assert.deepEqual(brief(judgeRules(FREEBSD_RULES, { ...FREEBSD, interfaces })), []);
  });

  it('tells once what is the same by all interfaces of a group', () => {
    const interfaces = machine([
      ['em0', ['egress'], true],
      ['gif0', ['egress'], false],
    ]);
    assert.deepEqual(
      judgeRules(OPENBSD_RULES, { ...SETUP, interfaces }).map(({ message }) => message.split(': ')[0]),
      ['rules, fake MX 192.0.2.3, 2001:db8::3', 'rules, real MX 192.0.2.4, 2001:db8::4', 'fragments'],
    );
  });

  it('judges each interface by which mail comes in', () => {
    const text = `${OPENBSD_RULES.replaceAll('on egress', 'on em0')}block return in log quick on em1 inet proto tcp from any to 192.0.2.3 port = 25\n`;
    const findings = judgeRules(text, SETUP);
    assert.match(
      of(findings, 'rules-real-block').message,
      /^rules, real MX 192\.0\.2\.4 by em1, 2001:db8::4 by em1: /,
    );
  });

  it('ignores addresses of rules that are not ours', () => {
    const other = 'pass in on em7 inet proto tcp from any to 203.0.113.9 port = 25 flags S/SA\n';
    assert.deepEqual(brief(judgeRules(other + OPENBSD_RULES, SETUP)), [UNSEEN]);
  });
});

describe('judgeRules: strangers who are led elsewhere', () => {
  const ELSEWHERE = { ...SETUP, strangersPort: 10_025 };
  const redirect = (rules: string, how: string): string =>
    rules.replaceAll(/^block drop(.* to (\S+) port.*)$/gm, `pass$1 flags S/SA ${how}`);
  const RIGHT = redirect(OPENBSD_RULES, 'rdr-to $2 port 10025');

  it('finds nothing wrong when the rules lead them to the port, on either system', () => {
    const findings = judgeRules(RIGHT, ELSEWHERE);
    assert.deepEqual(brief(findings, true), ['ok rules-fake', 'ok rules-real', UNSEEN]);
    assert.match(
      of(findings, 'rules-real').message,
      /admitted senders are let in, others led to port 10025, both/,
    );
    const freebsd = redirect(FREEBSD_RULES, 'keep state rdr-to $2 port 10025');
    assert.deepEqual(brief(judgeRules(freebsd, { ...FREEBSD, strangersPort: 10_025, translations: '' })), []);
  });

  it('takes spamd beside them, whose own table is for whom it has let in', () => {
    const white =
      'pass in log quick on egress inet proto tcp from <spamd-white> to 192.0.2.4 port = 25 flags S/SA\n';
    const lines = redirect(OPENBSD_RULES, 'rdr-to 127.0.0.1 port 8025').split('\n');
    const text = [...lines.slice(0, 4), white.trim(), ...lines.slice(4)].join('\n');
    const only4 = {
      ...ELSEWHERE,
      strangersPort: 8025,
      real: SETUP.real.slice(0, 1),
      fake: SETUP.fake.slice(0, 1),
    };
    assert.deepEqual(brief(judgeRules(text, only4)), [UNSEEN]);
  });

  it('warns when they are dropped all the same, and says how to lead them there', () => {
    const found = of(judgeRules(OPENBSD_RULES, ELSEWHERE), 'rules-real-block');
    assert.equal(found.severity, 'warning');
    assert.match(found.message, /strangers are dropped, though mxallowd\.conf leads them to port 10025/);
    assert.match(found.advice ?? '', /mxallowd pf-conf/);
  });

  it('warns when they are led elsewhere and mxallowd.conf does not say so, or names another port', () => {
    const only4 = { ...SETUP, real: SETUP.real.slice(0, 1) };
    const unsaid = of(judgeRules(RIGHT, only4), 'rules-real-block');
    assert.equal(unsaid.severity, 'warning');
    assert.match(
      unsaid.message,
      /redirected to 192\.0\.2\.4 port 10025, which mxallowd takes for an admission/,
    );
    assert.match(unsaid.advice ?? '', /"strangers redirect 10025" in mxallowd\.conf/);
    const other = of(judgeRules(RIGHT, { ...only4, strangersPort: 8025 }), 'rules-real-block');
    assert.match(other.advice ?? '', /says "strangers redirect 8025": the two ports must be the same/);
  });

  it('warns of divert-to, which the log does not tell from letting in', () => {
    const text = redirect(OPENBSD_RULES, 'divert-to 127.0.0.1 port 10025');
    const found = of(judgeRules(text, ELSEWHERE), 'rules-real-block');
    assert.match(found.advice ?? '', /does not tell "divert-to" from letting in: write "rdr-to"/);
  });

  it('is an error when they are let in, or when those who are admitted are led there, too', () => {
    const letIn = OPENBSD_RULES.replaceAll('block drop in log', 'pass in');
    assert.equal(of(judgeRules(letIn, ELSEWHERE), 'rules-real-block').severity, 'error');
    const all = RIGHT.replaceAll(/^pass(.* from <mx-white> to (\S+) .*)$/gm, 'pass$1 rdr-to $2 port 10025');
    const found = of(judgeRules(all, ELSEWHERE), 'rules-real-admit');
    assert.equal(found.severity, 'error');
    assert.match(found.message, /admitted senders are led to port 10025 as strangers are/);
  });

  it('follows the rdr lines of FreeBSD before 15, and does not call them missing where they cannot be seen', () => {
    const passes = ['inet|192.0.2.4', 'inet6|2001:db8::4'].map((way) => {
      const [family = '', to = ''] = way.split('|');
      return `pass in log quick on em0 ${family} proto tcp from any to ${to} port = 10025 flags S/SA keep state`;
    });
    const rdr = [
      'rdr on em0 inet proto tcp from ! <mx-white> to 192.0.2.4 port = smtp -> 192.0.2.4 port 10025',
      'rdr on em0 inet6 proto tcp from ! <mx-white> to 2001:db8::4 port = smtp -> 2001:db8::4 port 10025',
    ];
    const text = `${passes.join('\n')}\n${FREEBSD_RULES}`;
    const setup = { ...FREEBSD, strangersPort: 10_025 };
    assert.deepEqual(brief(judgeRules(text, { ...setup, translations: rdr.join('\n') })), []);
    assert.deepEqual(brief(judgeRules(text, setup)), []);
    const without = judgeRules(text, { ...setup, translations: '' });
    assert.match(of(without, 'rules-real-block').message, /strangers are dropped, though/);
  });
});

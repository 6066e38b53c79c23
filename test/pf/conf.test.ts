import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  interfacesWith,
  logInterfaceProblem,
  rdrText,
  type RulesSpec,
  rulesText,
} from '../../src/pf/conf.js';
import { type Address, parseAddress } from '../../src/packet/address.js';
import { readRules, statementsOf } from '../support/pf-rules.js';

function addresses(...texts: string[]): Address[] {
  return texts.map((text) => parseAddress(text) ?? assert.fail(text));
}

const OPENBSD: RulesSpec = {
  system: 'openbsd',
  interfaces: ['egress'],
  fake: addresses('192.0.2.3', '2001:db8::3'),
  real: addresses('192.0.2.4', '2001:db8::4'),
  port: 25,
  table: 'mx-white',
  anchor: '',
  logInterface: 'pflog0',
  outbound: false,
  learns: false,
  strangersPort: undefined,
  spamd: false,
  knowsRdrTo: true,
  command: ['mxallowd', 'pf-conf', '--install'],
};
const FREEBSD: RulesSpec = { ...OPENBSD, system: 'freebsd', interfaces: ['em0'] };
const ALL = { table: false, reassembly: false };
const EXPECTED = {
  fake: ['192.0.2.3', '2001:db8::3'],
  real: ['192.0.2.4', '2001:db8::4'],
  interfaceName: 'egress',
  table: 'mx-white',
  ports: ['25'],
  stranger: 'block drop' as const,
};

function codeOf(text: string): string[] {
  return statementsOf(text).map((statement) => statement.text);
}

describe('the rules for a configuration', () => {
  it('are these, on OpenBSD', () => {
    assert.equal(
      rulesText(OPENBSD, ALL),
      `# pf rules for mxallowd. Generated: changes made here get lost.
# To write it anew, for OpenBSD:
#   mxallowd pf-conf --install

# No SYN slips past in fragments.
set reassemble yes

# The table that mxallowd fills.
table <mx-white> persist

# Who is in the table reaches the real MX.
pass in log quick on egress proto tcp from <mx-white> \\
    to { 192.0.2.4 2001:db8::4 } port 25
# The fake MX sends everybody on to the next MX.
block return in log quick on egress proto tcp \\
    to { 192.0.2.3 2001:db8::3 } port 25
# The others get no answer, and try again.
block drop in log quick on egress proto tcp to { 192.0.2.4 2001:db8::4 } port 25
`,
    );
  });

  it('do what examples/pf.conf does, on both systems', () => {
    assert.deepEqual(readRules(rulesText(OPENBSD, ALL), 'OpenBSD', EXPECTED).faults, []);
    const freebsd = { ...EXPECTED, interfaceName: 'em0' };
    assert.deepEqual(readRules(rulesText(FREEBSD, ALL), 'FreeBSD', freebsd).faults, []);
  });

  it('differ between the systems in the interface and in what puts fragments together', () => {
    const [openbsd, freebsd] = [
      codeOf(rulesText({ ...OPENBSD, interfaces: ['em0'] }, ALL)),
      codeOf(rulesText(FREEBSD, ALL)),
    ];
    assert.deepEqual(
      openbsd.filter((line) => !freebsd.includes(line)),
      ['set reassemble yes'],
    );
    assert.deepEqual(
      freebsd.filter((line) => !openbsd.includes(line)),
      ['scrub in on em0 all fragment reassemble'],
    );
  });

  it('log connections of the mail servers, and of nobody else, for outbound; everything else stays', () => {
    const text = rulesText({ ...OPENBSD, outbound: true }, ALL);
    const before = rulesText(OPENBSD, ALL);
    assert.ok(text.startsWith(before));
    assert.equal(
      text.slice(before.length),
      `# To whom the mail servers connect is let in (outbound).
pass out log quick on egress proto tcp \\
    from { 192.0.2.4 2001:db8::4 } to any port 25
`,
    );
    const other = rulesText(
      { ...FREEBSD, outbound: true, real: addresses('192.0.2.4'), logInterface: 'pflog1' },
      ALL,
    );
    assert.match(
      other,
      /^pass out log \(to pflog1\) quick on em0 proto tcp from 192\.0\.2\.4 to any port 25$/m,
    );
  });

  it('let strangers in while it learns, and everything else stays', () => {
    const text = rulesText({ ...OPENBSD, learns: true }, ALL);
    assert.deepEqual(readRules(text, 'OpenBSD', { ...EXPECTED, stranger: 'pass' }).faults, []);
    assert.equal(
      codeOf(text).at(-1),
      'pass in log quick on egress proto tcp to { 192.0.2.4 2001:db8::4 } port 25',
    );
  });

  it('log to another pflog interface, pass another port, fill another table', () => {
    const text = rulesText({ ...OPENBSD, logInterface: 'pflog1', port: 2525, table: 'good' }, ALL);
    const expected = { ...EXPECTED, ports: ['2525'], table: 'good' };
    assert.deepEqual(readRules(text, 'OpenBSD', expected).faults, []);
    assert.equal(text.match(/ log \(to pflog1\) quick /g)?.length, 3);
  });

  it('stay within 80 columns, however many addresses there are', () => {
    const many = addresses(
      ...Array.from({ length: 20 }, (_, i) => `2001:db8:1234:5678:9abc:def0:1234:${i + 1000}`),
    );
    const text = rulesText({ ...FREEBSD, interfaces: ['vtnet0', 'vtnet1'], real: many }, ALL);
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    const pass = codeOf(text).find((line) => line.startsWith('pass'));
    assert.equal(pass?.match(/2001:db8/g)?.length, 20);
    assert.match(pass ?? '', /on \{ vtnet0 vtnet1 \} proto tcp from <mx-white> to \{ 2001/);
    assert.match(text, /^scrub in on \{ vtnet0 vtnet1 \} all fragment reassemble$/m);
  });

  it('name an address that is configured twice once', () => {
    const text = rulesText({ ...OPENBSD, fake: addresses('192.0.2.3', '192.0.2.3') }, ALL);
    assert.match(text, /^block return in log quick on egress proto tcp to 192\.0\.2\.3 port 25$/m);
  });

  it('leave out what pf.conf says itself', () => {
    const text = rulesText(OPENBSD, { table: true, reassembly: true });
    assert.deepEqual(
      codeOf(text).map((line) => line.split(' ')[0]),
      ['pass', 'block', 'block'],
    );
  });

  it('for an anchor say what pf.conf needs, and set no option', () => {
    const text = rulesText({ ...OPENBSD, anchor: 'mx/in' }, ALL);
    assert.match(text, /^#   anchor "mx\/in"\n#   load anchor "mx\/in" from "FILE"$/m);
    assert.doesNotMatch(codeOf(text).join('\n'), /^set/m);
  });

  it('keep the command that made them in one comment, whatever it is', () => {
    const command = ['mxallowd', 'pf-conf', '-c', "/a'b\npass quick\\"];
    const text = rulesText({ ...OPENBSD, command }, ALL);
    assert.match(text, /^#   mxallowd pf-conf -c '\/a'\\''b\\x0apass quick\\x5c'$/m);
    assert.equal(codeOf(text).length, 5);
  });

  const bad: [string, Partial<RulesSpec>][] = [
    ['an interface', { interfaces: ['em0 quick'] }],
    ['no interface', { interfaces: [] }],
    ['a table', { table: 'x> to any' }],
    ['an anchor', { anchor: 'x"\npass' }],
    ['a log interface', { logInterface: 'em0' }],
  ];
  for (const [name, change] of bad) {
    it(`are not made with a name that is none: ${name}`, () => {
      assert.throws(() => rulesText({ ...OPENBSD, ...change }, ALL));
    });
  }
});

describe('the interfaces of the MX', () => {
  it('are those with its addresses, without loopback', () => {
    const machine = {
      lo0: [{ address: '192.0.2.3', internal: true }],
      em0: [
        { address: '192.0.2.4', internal: false },
        { address: '2001:db8::4', internal: false },
      ],
      em1: [{ address: '198.51.100.1', internal: false }],
      em2: undefined,
    };
    assert.deepEqual(interfacesWith([...OPENBSD.fake, ...OPENBSD.real], machine), ['em0']);
    assert.deepEqual(interfacesWith(OPENBSD.fake, machine), []);
  });
});

describe('the log interface', () => {
  it('must be one of pflog', () => {
    assert.equal(logInterfaceProblem('pflog12'), undefined);
    assert.match(logInterfaceProblem('em0') ?? '', /"em0": pf logs to interfaces named pflog0/);
  });
});

describe('the rules for strangers who are led elsewhere', () => {
  const rulesOf = (change: Partial<RulesSpec>): string =>
    rulesText({ ...OPENBSD, strangersPort: 10_025, ...change }, ALL).replace(
      /^[^]*\n# The fake MX/,
      '# The fake MX',
    );

  it('are pass rules with rdr-to, one for each address, on OpenBSD and FreeBSD 15', () => {
    for (const system of ['openbsd', 'freebsd'] as const) {
      const expected = `# The fake MX sends everybody on to the next MX.
block return in log quick on egress proto tcp \\
    to { 192.0.2.3 2001:db8::3 } port 25
# The others are led to port 10025.
pass in log quick on egress inet proto tcp to 192.0.2.4 port 25 \\
    rdr-to 192.0.2.4 port 10025
pass in log quick on egress inet6 proto tcp to 2001:db8::4 port 25 \\
    rdr-to 2001:db8::4 port 10025
`;
      assert.equal(rulesOf({ system }), expected);
    }
  });

  it('lead to spamd on OpenBSD, which knows IPv4 only, and let in whom it has let in', () => {
    const spec = { spamd: true, strangersPort: 8025, logInterface: 'pflog1' };
    assert.equal(
      rulesOf(spec),
      `# The fake MX sends everybody on to the next MX.
block return in log (to pflog1) quick on egress proto tcp \\
    to { 192.0.2.3 2001:db8::3 } port 25
# Whom spamd has let in reaches the real MX; spamlogd sees it.
pass in log quick on egress proto tcp from <spamd-white> to 192.0.2.4 port 25
# The others are led to spamd.
pass in log (to pflog1) quick on egress inet proto tcp to 192.0.2.4 port 25 \\
    rdr-to 127.0.0.1 port 8025
# spamd knows no IPv6: there the others get no answer.
block drop in log (to pflog1) quick on egress proto tcp to 2001:db8::4 port 25
`,
    );
    assert.match(rulesText({ ...OPENBSD, ...spec }, ALL), /^table <spamd-white> persist$/m);
  });

  it('pass what rdr has led to the port, on FreeBSD before 15, where rdr has a text of its own', () => {
    const spec = { ...FREEBSD, strangersPort: 10_025, knowsRdrTo: false };
    assert.equal(
      rdrText(spec),
      `# pf rules for mxallowd. Generated: changes made here get lost.
# This goes behind nat, and ahead of the filter rules.

# Who is not in the table is led to port 10025.
rdr on em0 inet proto tcp from ! <mx-white> to 192.0.2.4 port 25 \\
    -> 192.0.2.4 port 10025
rdr on em0 inet6 proto tcp from ! <mx-white> to 2001:db8::4 port 25 \\
    -> 2001:db8::4 port 10025
`,
    );
    const rules = codeOf(rulesText(spec, ALL)).slice(-2);
    assert.deepEqual(rules, [
      'pass in log quick on em0 proto tcp to { 192.0.2.4 2001:db8::4 } port 10025',
      'block drop in log quick on em0 proto tcp to { 192.0.2.4 2001:db8::4 } port 25',
    ]);
  });

  it('let them in while one looks first', () => {
    const text = rulesOf({ learns: true });
    assert.doesNotMatch(text, /rdr-to/);
    assert.match(text, /\(--learn\) the others get in as well[^]*\npass in log quick/);
  });

  it('are within 80 columns, with the longest addresses', () => {
    const longest = addresses('2001:db80:1111:2222:3333:4444:5555:6666');
    const spec = { ...OPENBSD, real: longest, strangersPort: 10_025, logInterface: 'pflog1' };
    for (const line of [
      ...rulesText(spec, ALL).split('\n'),
      ...rdrText({ ...FREEBSD, strangersPort: 10_025 }).split('\n'),
    ]) {
      assert.ok(line.length <= 80 || line.includes('rdr-to'), line);
    }
  });
});

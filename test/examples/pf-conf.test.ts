import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addressesOf, readRules, statementsOf, type System } from '../support/pf-rules.js';

const root = projectRoot();
const pfConfPath = join(root, 'examples', 'pf.conf');
const openbsd = readFileSync(pfConfPath, 'utf8');
const freebsd = exchange(openbsd);
const mxallowdConf = readFileSync(join(root, 'examples', 'mxallowd.conf'), 'utf8');

function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above this test');
    folder = parent;
  }
  return folder;
}

/** The exchange as the top of examples/pf.conf describes it. */
function exchange(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.endsWith(' # OpenBSD'))
    .map((line) => (line.startsWith('# FreeBSD: ') ? line.slice('# FreeBSD: '.length) : line))
    .join('\n');
}

describe('examples/pf.conf', () => {
  it('is faultless as OpenBSD reads it', () => {
    assert.deepEqual(readRules(openbsd, 'OpenBSD').faults, []);
  });

  it('is faultless as FreeBSD reads it after the exchange', () => {
    assert.deepEqual(readRules(freebsd, 'FreeBSD').faults, []);
  });

  it('is told apart: neither form suits the other system', () => {
    assert.notDeepEqual(readRules(openbsd, 'FreeBSD').faults, []);
    assert.notDeepEqual(readRules(freebsd, 'OpenBSD').faults, []);
  });

  it('exchanges what differs and nothing else', () => {
    const code = (text: string): string[] => statementsOf(text).map((statement) => statement.text);
    const onlyOpenbsd = code(openbsd).filter((text) => !code(freebsd).includes(text));
    const onlyFreebsd = code(freebsd).filter((text) => !code(openbsd).includes(text));
    assert.deepEqual(onlyOpenbsd, ['mx_if = "egress"', 'set reassemble yes']);
    assert.deepEqual(onlyFreebsd, ['mx_if = "em0"', 'scrub in on $mx_if all fragment reassemble']);
  });

  it('gives at its top a sed command that makes the same exchange', () => {
    const command = /^# +sed ((?:-e '[^']+' )+)pf\.conf > \S+$/m.exec(openbsd)?.[1];
    assert.ok(command !== undefined, 'no sed command at the top');
    const expressions = [...command.matchAll(/-e '([^']+)'/g)].flatMap(([, expression]) =>
      expression === undefined ? [] : ['-e', expression],
    );
    assert.equal(expressions.length, 4);
    assert.equal(execFileSync('sed', [...expressions, pfConfPath], { encoding: 'utf8' }), freebsd);
  });

  it('has three rules on each system: pass, block return, block drop', () => {
    for (const [text, system] of [
      [openbsd, 'OpenBSD'],
      [freebsd, 'FreeBSD'],
    ] as const) {
      const reading = readRules(text, system);
      assert.deepEqual([...reading.tables], ['mx-white']);
      assert.deepEqual(
        reading.rules.map((rule) => rule.action),
        ['pass', 'block return', 'block drop'],
      );
    }
  });

  it('stays faultless with a log interface of its own, as its end describes', () => {
    const own = openbsd.replace(/^((?:pass|block \w+) in) log quick/gm, '$1 log (to pflog1) quick');
    assert.equal(own.match(/^[pb].* log \(to pflog1\) quick/gm)?.length, 3);
    const tooWide = /wider than 80/;
    assert.deepEqual(
      readRules(own, 'OpenBSD').faults.filter((fault) => !tooWide.test(fault)),
      [],
    );
  });
});

describe('the check of examples/pf.conf', () => {
  const swap = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
  const passRule = /^pass .*\n/m;
  const breakages: [string, (text: string) => string, RegExp][] = [
    ['a missing final newline', (text) => text.slice(0, -1), /newline/],
    ['a line that is too wide', (text) => `${text}# ${'x'.repeat(79)}\n`, /80 columns/],
    ['a comment that swallows the next line', swap('# The fake MX', '# The \\\n# fake MX'), /backslash/],
    ['an undefined macro', swap('to $mx_fake', 'to $mx_false'), /mx_false is not defined/],
    ['a macro that is used too early', (text) => `block in on $mx_if\n${text}`, /not defined before/],
    ['an unused macro', (text) => `mx_old = "192.0.2.9"\n${text}`, /mx_old is not used/],
    ['a macro inside quotes', swap('mx_real = "{', 'mx_real = "{ $mx_fake'), /inside quotes/],
    ['an undeclared table', swap('from <mx-white>', 'from <mx-wite>'), /<mx-wite> is not declared/],
    ['a table without persist', swap('<mx-white> persist\n\n', '<mx-white>\n\n'), /must be persist/],
    ['a table with a list', swap('persist\n\n', 'persist { 198.51.100.7 }\n\n'), /no list/],
    [
      'a table name without <>',
      swap('table <mx-white> persist\n\n', 'table mx-white persist\n\n'),
      /needs <>/,
    ],
    ['an open brace', swap('2001:db8::3 }"', '2001:db8::3"'), /do not pair/],
    ['an open quote', swap('2001:db8::3 }"', '2001:db8::3 }'), /quote is not closed/],
    ['a rule without log', swap('block drop in log', 'block drop in'), /form ACTION/],
    ['a rule without quick', swap('return in log quick', 'return in log'), /form ACTION/],
    ['quick before in', swap('pass in log quick', 'pass quick in log'), /form ACTION/],
    ['log-all', swap('drop in log', 'drop in log-all'), /log-all/],
    ['a log interface that is none', swap('drop in log', 'drop in log (to em0)'), /pflog interface/],
    [
      'pass after the blocks',
      (text) => text.replace(passRule, '') + (passRule.exec(text)?.[0] ?? ''),
      /a listed source to 192\.0\.2\.4: block drop, not pass/,
    ],
    ['a fake MX that drops', swap('block return', 'block drop'), /stranger to 192\.0\.2\.3: block drop/],
    ['a real MX that refuses', swap('block drop', 'block return'), /stranger to 192\.0\.2\.4: block return/],
    ['a fake MX that is left out', swap(/^block return.*\n/m, ''), /192\.0\.2\.3: no rule/],
    ['a pass from anywhere', swap(' from <mx-white> to', ' to'), /stranger to 2001:db8::4: pass/],
    ['one family only', swap(' 2001:db8::4', ''), /mx_real has no IPv6/],
    ['a foreign address', swap('192.0.2.4', '192.168.1.4'), /documentation address/],
    ['a mistyped address', swap('192.0.2.4', '192.0.2.444'), /not an address/],
    ['another port', swap(/port smtp$/m, 'port 587'), /another port/],
    ['another interface', swap(/on \$mx_if proto/, 'on em7 proto'), /not on \$mx_if/],
    ['an unquoted include', (text) => `${text}include /etc/x\n`, /quoted/],
    ['an unknown statement', (text) => `${text}persist\n`, /neither macro/],
  ];
  for (const [name, damage, expected] of breakages) {
    it(`notices ${name}`, () => {
      for (const [text, system] of [
        [openbsd, 'OpenBSD'],
        [freebsd, 'FreeBSD'],
      ] as const) {
        const damaged = damage(text);
        assert.notEqual(damaged, text);
        assert.match(readRules(damaged, system).faults.join('\n'), expected, system);
      }
    });
  }

  const perSystem: [System, string, RegExp][] = [
    ['OpenBSD', 'scrub in all', /scrub is not a statement/],
    ['OpenBSD', 'nat on em0 from any to any -> (em0)', /translation is an option/],
    ['OpenBSD', 'no rdr on em0', /translation is an option/],
    ['OpenBSD', 'rdr-anchor "x"', /translation is an option/],
    ['OpenBSD', 'altq on em0', /altq is gone/],
    ['OpenBSD', 'set require-order yes', /require-order is gone/],
    ['FreeBSD', 'match in all scrub (no-df max-mss 1440)', /match is not known/],
    ['FreeBSD', 'pass in once', /once is not known/],
    ['FreeBSD', 'pass in from any to any rdr-to 192.0.2.4', /rdr-to are not known/],
    ['FreeBSD', 'pass in on egress', /no group egress/],
    ['FreeBSD', 'set reassemble yes', /set reassemble is not known/],
    ['FreeBSD', 'set skip on lo0', /in this order/],
  ];
  for (const [system, statement, expected] of perSystem) {
    it(`notices on ${system}: ${statement}`, () => {
      const text = (system === 'OpenBSD' ? openbsd : freebsd) + `${statement}\n`;
      assert.match(readRules(text, system).faults.join('\n'), expected);
    });
  }

  it('notices that fragments are not reassembled', () => {
    const lazyOpenbsd = openbsd.replace('set reassemble yes', 'set reassemble no');
    const lazyFreebsd = freebsd.replace(/^scrub.*\n/m, '');
    assert.match(readRules(lazyOpenbsd, 'OpenBSD').faults.join('\n'), /before fragments are reassembled/);
    assert.match(readRules(lazyFreebsd, 'FreeBSD').faults.join('\n'), /before fragments are reassembled/);
  });
});

describe('examples/mxallowd.conf', () => {
  const lines = mxallowdConf.split('\n');
  const active = lines.filter((line) => line !== '' && !line.startsWith('#'));
  const valuesOf = (name: string): string[] =>
    active.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

  it('names the addresses of the macros in pf.conf', () => {
    const { macros } = readRules(openbsd, 'OpenBSD');
    assert.deepEqual(valuesOf('fake-mailserver'), addressesOf(macros, 'mx_fake'));
    assert.deepEqual(valuesOf('real-mailserver'), addressesOf(macros, 'mx_real'));
    assert.equal(active.length, 4, 'nothing else is active');
  });

  it('shows every other option commented out, with its default, after a line that explains it', () => {
    const shown = lines.flatMap((line, index) => {
      if (!/^#\S/.test(line)) return [];
      assert.match(lines[index - 1] ?? '', /^# \S/, `no explanation above ${line}`);
      return [line.slice(1)];
    });
    assert.deepEqual(shown, [
      'whitelist-time 3600',
      'known-time 8d',
      'outbound',
      'allow 198.51.100.0/24',
      'allow-domain example.org',
      'dnswl list.dnswl.org',
      'dnswl-trust 1',
      'strangers drop',
      'port 25',
      'table mx-white',
      'anchor mxallowd',
      'pfctl /sbin/pfctl',
      'firewall nft',
      'nft /usr/sbin/nft',
      'nft-rules /etc/mxallowd.nft',
      'nft-hook both',
      'nft-priority -5',
      'nflog-group 23',
      'queue-num 23',
      'queue-length 8192',
      'fail-open',
      'dry-run',
      'queue-exit drop',
      'capture auto',
      'pflog-interface pflog0',
      'pcap-filter port 25',
      'ipv4-prefix 32',
      'ipv6-prefix 64',
      'max-entries 100000',
      'pid-file /var/run/mxallowd.pid',
      'user _mxallowd',
      'state-file /var/db/mxallowd/state',
      'control-socket /var/run/mxallowd.sock',
      'control-group wheel',
      'stdout',
      'quiet',
      'log-format text',
      'log-level info',
      'no-rdns-whitelist',
      'rdns-unconfirmed',
      'no-pool',
      'pool-window 3600',
      'dns-server 127.0.0.1',
      'dns-timeout 2',
      'fleet-url rediss://mx1@192.0.2.10',
      'fleet-password-file /etc/mxallowd.fleet',
      'fleet-ca /etc/ssl/mxallowd-store.crt',
      'fleet-site mx',
      'fleet-node mx1',
      'fleet-share 50%',
      'fleet-manual',
      'fleet-insecure',
    ]);
  });

  it('marks as an example what is no default', () => {
    for (const option of ['#allow ', '#anchor ']) {
      const start = lines.findIndex((line) => line.startsWith(option));
      let first = start;
      while ((lines[first - 1] ?? '') !== '') first--;
      assert.match(lines[first] ?? '', /^# For example: /, option);
    }
  });

  it('is plain: 80 columns, ASCII, no comment behind a value, a final newline', () => {
    for (const line of lines) {
      assert.match(line, /^[\x20-\x7e]{0,80}$/);
      assert.match(line, /^(#.*|[a-z0-9-]+( [^#]*\S)?|)$/);
    }
    assert.ok(mxallowdConf.endsWith('\n'));
  });

  it('names the table that pf.conf declares', () => {
    const [table] = readRules(openbsd, 'OpenBSD').tables;
    assert.ok(lines.includes(`#table ${table}`));
  });
});

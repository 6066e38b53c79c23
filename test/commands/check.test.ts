import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { command } from '../../src/commands/check.js';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import type { Finding } from '../../src/pf/finding.js';
import { packageFolder } from '../../src/version.js';
import { CLI, type CliResult, linesOf, runCli, runProgram, Scratch } from '../support/cli.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';
import { FREEBSD_RULES, OPENBSD_RULES } from '../support/printed-rules.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const scratch = new Scratch();
after(() => scratch.remove());
const EMPTY = scratch.file('empty.conf', 'state-file none\ncontrol-socket none\n');

/** Programs that come before the machine's own in PATH. */
function program(name: string, text: string): void {
  chmodSync(scratch.file(name, `#!/bin/sh\n${text}`), 0o755);
}
program(
  'ifconfig',
  `cat <<END
em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tinet 127.0.0.3 netmask 0xffffff00 broadcast 127.0.0.255
\tinet 127.0.0.4 netmask 0xffffffff
pflog0: flags=141<UP,RUNNING,PROMISC> metric 0 mtu 33160
\tgroups: pflog
END
`,
);
program('id', 'echo 1000\n');
program('tcpdump', 'exit 1\n');

/** A mail server on 127.0.0.4, and the port that nobody has on 127.0.0.3. */
async function startServer(host: string, port: number, greeting: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(greeting);
    socket.resume();
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

/** The rules of the documents for our addresses, IPv4 only. */
function rulesFor(flavour: Flavour, port: number): string[] {
  return linesOf(flavour === 'openbsd' ? OPENBSD_RULES : FREEBSD_RULES)
    .filter((line) => !line.includes('inet6'))
    .map((line) => line.replace(/192\.0\.2\./, '127.0.0.').replace(/port = (smtp|25)\b/, `port = ${port}`));
}

const ZONES = {
  'well.example': `
@ MX 10 mx1
@ MX 20 mx2
mx1 A 127.0.0.3
mx2 A 127.0.0.4`,
  'ill.example': `
@ MX 20 mx1
@ MX 10 mx2
@ MX 30 backup
mx1 CNAME fake
fake A 127.0.0.3
mx2 A 127.0.0.4
backup A 203.0.113.9`,
  'null.example': '@ MX 0 .',
  'none.example': '@ A 203.0.113.9',
  'list.example': '* A 127.0.0.255',
};

function checkTests(flavour: Flavour): void {
  // of the other systems what pfctl has a part in
  const once = { skip: flavour !== FLAVOURS[0] && 'nothing in it depends on pfctl' };
  let pfctl: PfctlStandIn;
  let dns: NameServer;
  let mail: Server;
  before(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
    pfctl.update((state) => {
      state.references = { '': { 'mx-white': 2 } };
    });
    dns = await NameServer.start(ZONES);
    mail = await startServer('127.0.0.4', 0, '220 mx2.well.example ESMTP\r\n');
    setRules(rulesFor(flavour, portOf(mail)));
  });
  after(async () => {
    mail.close();
    await dns.dispose();
    await pfctl.dispose();
  });

  function setRules(rules: readonly string[]): void {
    pfctl.update((state) => {
      state.rules = rules;
    });
  }

  function check(args: readonly string[], more: { dns?: string; real?: string } = {}): Promise<CliResult> {
    const path = `PATH=${scratch.folder}:${process.env['PATH'] ?? ''}`;
    const servers = ['-f', '127.0.0.3', '-r', more.real ?? '127.0.0.4', '--port', String(portOf(mail))];
    const tools = ['--pfctl', pfctl.path, '--tcpdump', scratch.path('tcpdump')];
    // who does not answer need not be waited for
    const timeout = more.dns === undefined ? '30' : '1';
    const resolver = ['--dns-server', more.dns ?? dns.address, '--dns-timeout', timeout];
    const all = [...servers, ...tools, ...resolver, '--user', 'nobody', ...args];
    return runProgram('/usr/bin/env', [path, process.execPath, CLI, 'check', '-c', EMPTY, ...all]);
  }

  async function findings(...args: Parameters<typeof check>): Promise<Map<string, Finding>> {
    const [first, ...rest] = args;
    const { stdout, stderr } = await check(['--json', ...first], ...rest);
    assert.equal(stderr, '');
    return new Map(
      linesOf(stdout).map((line) => {
        const one = JSON.parse(line) as Finding;
        return [one.id, one];
      }),
    );
  }

  function brief(all: ReadonlyMap<string, Finding>, ...ids: string[]): string[] {
    return ids.map((id) => `${all.get(id)?.severity}: ${all.get(id)?.message}`);
  }

  it('finds all well where all is well, and changes nothing', async () => {
    pfctl.putEntries(['198.51.100.1', '198.51.100.2'], 1_700_000_000);
    const state = (): string => readFileSync(join(pfctl.directory, 'tables.json'), 'latin1');
    const stateBefore = state();
    pfctl.clearCalls();
    const port = portOf(mail);
    const { status, stdout, stderr } = await check(['--domain', 'well.example']);
    assert.deepEqual(linesOf(stdout), [
      `ok       configuration: ${EMPTY} is right`,
      ...(process.getuid?.() === 0 ? ['ok       privileges: checked as root'] : linesOf(stdout).slice(1, 4)),
      'ok       user: nobody is there',
      'ok       fake MX 127.0.0.3: is on em0',
      'ok       real MX 127.0.0.4: is on em0',
      'ok       pf: is enabled',
      'ok       rules, fake MX 127.0.0.3: attempts are refused, and logged to pflog0',
      'ok       rules, real MX 127.0.0.4: admitted senders are let in, others dropped,',
      '         both logged',
      flavour === 'openbsd'
        ? 'note     fragments: whether they are reassembled is not visible here'
        : 'ok       fragments: a SYN in fragments does not get past the rules',
      'ok       table <mx-white>: 2 addresses',
      'ok       table limit: pf has room for 200000 addresses, of which mxallowd uses',
      '         170000 at most',
      'ok       pflog0: is there, and up',
      `ok       capture: ${scratch.path('tcpdump')} on pflog0`,
      `ok       fake MX 127.0.0.3: port ${port} refuses, as it should`,
      'ok       real MX 127.0.0.4: greets with "220 mx2.well.example ESMTP"',
      'ok       DNS of well.example: 10 mx1.well.example (fake), 20 mx2.well.example',
      '         (real)',
      'ok       MTA-STS of well.example: there is no policy, so senders go by the MX',
      '         records alone',
      'ok       DANE of well.example: no MX host has TLSA records, so senders do not',
      '         use it',
      '',
      process.getuid?.() === 0 && flavour !== 'openbsd' ? 'all is well: 18 checks' : '1 note',
    ]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.equal(state(), stateBefore);
    const asked = pfctl.calls().map(({ argv }) => argv.join(' '));
    // FreeBSD 15 counts right only in the rules
    const counted = flavour === 'freebsd15' ? ['-vv -s rules'] : [];
    assert.deepEqual(asked, [
      '-s info',
      '-s rules',
      '-v -s Interfaces',
      '-s nat',
      '-vv -s Tables',
      ...counted,
      '-s memory',
    ]);
    assert.ok(pfctl.calls().every(({ stdinLines }) => stdinLines === 0));
    pfctl.emptyTable();
  });

  it('tells all that is wrong at once, within 80 columns: status 2', async (t) => {
    const port = portOf(mail);
    const fake = await startServer('127.0.0.3', port, '');
    pfctl.update((state) => {
      state.enabled = false;
    });
    setRules([
      ...rulesFor(flavour, port).map((rule) => rule.replace(' quick', '')),
      'pass all flags S/SA keep state',
    ]);
    pfctl.destroyTable();
    t.after(() => {
      fake.close();
      pfctl.createTable();
      pfctl.update((state) => {
        state.enabled = true;
      });
      setRules(rulesFor(flavour, port));
    });
    const wrong = ['--domain', 'ill.example', '-p', 'pflog1', '-r', '127.0.0.5'];
    const { status, stdout, stderr } = await check(wrong);
    for (const line of linesOf(stdout)) assert.ok(line.length <= 80, line);
    assert.equal(stderr, '');
    assert.equal(status, 2);
    const told = stdout.replace(/\n {9}(?:-> | {3})?/g, ' ');
    for (const expected of [
      /^error +pf: is disabled: nothing is blocked, and nothing is logged pfctl -e$/m,
      /^error +rules, fake MX 127\.0\.0\.3: attempts are not logged, .*"pass all flags S\/SA keep state" decides/m,
      /^error +rules, real MX 127\.0\.0\.4, 127\.0\.0\.5: strangers are let in; /m,
      /^error +table <mx-white>: is not there write into pf\.conf: table <mx-white> persist$/m,
      /^error +pflog1: is not there: what pf logs is lost /m,
      /^error +fake MX 127\.0\.0\.3: something listens on its port \d+, /m,
      /^ok +real MX 127\.0\.0\.4: greets with "220 mx2\.well\.example ESMTP"$/m,
      /^error +real MX 127\.0\.0\.5: nothing listens on its port \d+ /m,
      /^note +DNS of ill\.example: 10 mx2\.ill\.example \(real\), 20 mx1\.ill\.example \(fake\), 30 backup\.ill\.example \(neither\)$/m,
      /^warning +DNS of ill\.example: mx1\.ill\.example is an alias of fake\.ill\.example: /m,
      /^warning +DNS of ill\.example: backup\.ill\.example \(203\.0\.113\.9\) is neither fake nor real: a way around /m,
      /^error +DNS of ill\.example: mx2\.ill\.example \(real\) has a lower number than mx1\.ill\.example \(fake\), /m,
      /^warning +DNS of ill\.example: no MX host has 127\.0\.0\.5, /m,
      /^8 errors, \d+ warnings?, \d+ notes?$/m,
    ]) {
      assert.match(told, expected);
    }
  });

  it('looks into anchors', async (t) => {
    const rules = rulesFor(flavour, portOf(mail));
    setRules([
      ...rules.slice(0, 1),
      'anchor "mx" all {',
      ...rules.slice(1),
      '}',
      'pass all flags S/SA keep state',
    ]);
    t.after(() => setRules(rules));
    const all = await findings([]);
    assert.deepEqual(
      ['rules-fake', 'rules-real', 'rules-fragments'].map((id) => all.get(id)?.severity),
      ['ok', 'ok', flavour === 'openbsd' ? 'note' : 'ok'],
    );
  });

  it('follows a table in an anchor, and notices one that cannot be filled', async (t) => {
    pfctl.update((state) => {
      state.tables.set('mx/mx-white', { ...(state.tables.get('/mx-white') ?? assert.fail()), anchor: 'mx' });
      const own = state.tables.get('/mx-white');
      if (own !== undefined) own.constant = true;
    });
    t.after(() => {
      pfctl.update((state) => {
        state.tables.delete('mx/mx-white');
        const own = state.tables.get('/mx-white');
        if (own !== undefined) own.constant = false;
      });
    });
    assert.deepEqual(brief(await findings(['--anchor', 'mx']), 'table'), [
      'ok: table <mx-white> of anchor "mx": 0 addresses',
    ]);
    assert.deepEqual(brief(await findings([]), 'table'), [
      'error: table <mx-white>: is const, so nobody can be added',
    ]);
  });

  it('notices that max-entries does not fit', async () => {
    assert.deepEqual(brief(await findings(['--max-entries', '180000']), 'table-limit'), [
      'warning: table limit: pf has room for 200000 addresses, of which mxallowd uses 170000 at most; ' +
        'max-entries is 180000',
    ]);
  });

  it('says plainly what it could not look at: status 1', async (t) => {
    pfctl.update((state) => {
      state.device = 'none';
    });
    t.after(() => {
      pfctl.update((state) => {
        state.device = 'read-write';
      });
    });
    const { status, stdout } = await check(['--json']);
    const [permission] = linesOf(stdout)
      .map((line) => JSON.parse(line) as Finding)
      .filter(({ severity }) => severity === 'warning');
    assert.deepEqual(permission, {
      id: 'pf-permission',
      severity: 'warning',
      message:
        `pf: cannot be asked, so neither rules nor table are checked: ${pfctl.path} ended with status 1: ` +
        'pfctl: /dev/pf: Permission denied',
      advice: 'run this as root',
    });
    assert.equal(status, 1);
  });

  it('says that pfctl, tcpdump or the user is missing', once, async () => {
    const missing = ['--pfctl', '/nonexistent/pfctl', '--tcpdump', '/nonexistent/tcpdump'];
    assert.deepEqual(brief(await findings(missing), 'pf-missing', 'capture'), [
      'error: pf: cannot be asked, so neither rules nor table are checked: /nonexistent/pfctl is not there',
      'error: capture: /nonexistent/tcpdump cannot be run',
    ]);
    assert.deepEqual(brief(await findings(['--user', 'nosuchuser']), 'user'), [
      'error: user: there is no user nosuchuser, so mxallowd does not start',
    ]);
  });

  it('notices a DNS allow list that has been asked too much', once, async () => {
    assert.deepEqual(brief(await findings(['--dnswl', 'list.example']), 'dnswl-wrong'), [
      'warning: dnswl list.example: it answers 127.0.0.255 about 127.0.0.1: too much was asked of it; nobody is let in by it',
    ]);
    assert.ok(![...(await findings([])).keys()].some((id) => id.startsWith('dnswl')));
  });

  it('does not wait for a pfctl that hangs', async (t) => {
    pfctl.setFault({ mode: 'hang', times: 1 });
    t.after(() => pfctl.setFault(null));
    assert.deepEqual(brief(await findings([]), 'pf-hangs'), [
      `error: pf: pfctl hangs (-s info), so neither rules nor table are checked: ${pfctl.path} did not end within 10 s`,
    ]);
  });

  it('tells a mail server that does not take mail', once, async (t) => {
    const busy = await startServer('127.0.0.6', portOf(mail), '554 no \x1b[2J\r\n');
    t.after(() => busy.close());
    assert.deepEqual(brief(await findings([], { real: '127.0.0.6' }), 'real-answers'), [
      'warning: real MX 127.0.0.6: greets with "554 no \\x1b[2J", not with 220',
    ]);
  });

  it('notices families that do not fit each other', once, async () => {
    const { message, severity } = (await findings(['-r', '::1'])).get('config-families') ?? assert.fail();
    assert.equal(severity, 'warning');
    assert.match(message, /^configuration: the real MX has an IPv6 address, the fake one has none: /);
  });

  it('tells domains without mail, and a DNS server that does not answer', once, async (t) => {
    const domains = ['null.example', 'none.example', 'no.such.domain.well.example'];
    const { status, stdout } = await check(domains.flatMap((domain) => ['--domain', domain]));
    assert.equal(status, 2);
    for (const line of [
      'error    DNS of null.example: it has a null MX (RFC 7505): it takes no mail',
      'error    DNS of none.example: there are no MX records',
      'error    DNS of no.such.domain.well.example: there is no such domain',
    ]) {
      assert.ok(linesOf(stdout).includes(line), line);
    }
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const all = await findings(['--domain', 'well.example'], { dns: silent.address });
    assert.deepEqual(brief(all, 'mx-failed'), [
      'warning: DNS of well.example: does not answer about MX records (ETIMEOUT)',
    ]);
  });

  it('says that DNS was not looked at, when no domain is named: no more than a note', once, async () => {
    const { status, stdout } = await check([]);
    assert.match(stdout, /^note {5}DNS: the MX records are not checked, for no domain is named$/m);
    assert.equal(status, 0);
  });
}

for (const flavour of FLAVOURS) {
  describe(`mxallowd check, with the pfctl of ${flavour}`, { skip: dnsUnavailable() }, () =>
    checkTests(flavour),
  );
}

describe('the command line of mxallowd check', { concurrency: true }, () => {
  it('is explained', async () => {
    const { status, stdout } = await runCli(['check', '--help']);
    assert.equal(status, 0);
    for (const line of linesOf(stdout)) assert.ok(line.length <= 80, line);
    for (const { name, help } of command.options) {
      assert.match(stdout.replace(/\s+/g, ' '), new RegExp(`--${name} ${help.replace(/[()]/g, '\\$&')}`));
    }
  });

  it('is told when it is wrong: status 64; the file: status 78', async () => {
    const servers = ['-c', EMPTY, '-f', '192.0.2.3', '-r', '192.0.2.4'];
    const wrong = await runCli([
      'check',
      ...servers,
      '--domain',
      'a..b',
      '--domain=\x1b',
      'x.example',
      '--bogus',
    ]);
    assert.deepEqual(linesOf(wrong.stderr), [
      'mxallowd: --bogus: unknown option',
      'mxallowd: --domain: "a..b" is not a domain name',
      'mxallowd: --domain: "\\x1b" is not a domain name',
      'mxallowd: "x.example" is not an option: a domain is named with --domain',
    ]);
    assert.deepEqual([wrong.status, wrong.stdout], [64, '']);
    const empty = await runCli(['check', ...servers, '--domain']);
    assert.match(empty.stderr, /^mxallowd: --domain needs a value$/m);
    assert.equal(empty.status, 64);
    const bad = scratch.file('bad.conf', 'bogus\n');
    const file = await runCli(['check', '-c', bad, ...servers.slice(2)]);
    assert.equal(file.stderr, `mxallowd: ${bad}:1: Unknown configfile option: bogus\n`);
    assert.equal(file.status, 78);
  });
});

/** What the check of examples/mxallowd.conf finds on the host with the mail servers. */
async function checkOn(
  { world }: Stage,
  ...options: readonly string[]
): Promise<{ status: number | null; findings: string[] }> {
  const config = join(packageFolder(), 'examples', 'mxallowd.conf');
  const user = world.mode === 'root' ? 'nobody' : 'root';
  const quiet = ['--state-file', 'none', '--control-socket', 'none'];
  const args = [process.execPath, CLI, 'check', '-c', config, '--user', user, ...quiet, ...options, '--json'];
  const { status, stdout } = await world.run('mx', args);
  const all = linesOf(stdout).map((line) => JSON.parse(line) as Finding);
  return { status, findings: all.map(({ severity, message }) => `${severity} ${message}`) };
}

function holds(told: readonly string[], ...expected: RegExp[]): void {
  for (const line of expected)
    assert.ok(
      told.some((one) => line.test(one)),
      `${line} in ${told.join('\n')}`,
    );
}

describe('mxallowd check on Linux, with queues', { skip: stageUnavailable() }, () => {
  it('looks at rules, the queue and who answers', async (t) => {
    const stage = await openStage();
    t.after(() => stage.close());
    const check = (): ReturnType<typeof checkOn> => checkOn(stage);
    const bare = await check();
    assert.equal(bare.status, 2);
    holds(
      bare.findings,
      /^ok fake MX 192\.0\.2\.3: is on eth0$/,
      /^error queue: no rule sends IPv4 connections to port 25 to queue 23$/,
      /^error queue: no rule sends IPv6 connections to port 25 to queue 23$/,
      /^ok fake MX 2001:db8::3: port 25 refuses, as it should$/,
      /^ok real MX 2001:db8::4: greets with "220 /,
    );

    // a queue of its own for the real MX, and a configuration that does not name it
    await stage.world.script(
      'iptables -A INPUT -d 192.0.2.4 -p tcp --dport 25 -j NFQUEUE --queue-num 24',
      'mx',
    );
    await loadQueueRule(stage.world, '--queue-num 23');
    const stray =
      /^error queue: "-A INPUT .*--queue-num 24": nobody answers queue 24 \(queue-num is 23\): these connections are dropped$/;
    const half = await check();
    assert.equal(half.status, 2);
    holds(half.findings, stray);
    await stage.world.script('iptables -D INPUT 1', 'mx');
    const alone = await check();
    assert.equal(alone.status, 1);
    holds(
      alone.findings,
      /^ok queue: ".*NFQUEUE --queue-num 23"$/,
      /^warning queue: no program answers queue 23: new connections are dropped$/,
      /^note fake MX 192\.0\.2\.3: no answer from port 25, from here/,
      /^note real MX 192\.0\.2\.4: no answer from port 25; from here it may be filtered/,
    );

    const daemon = StagedDaemon.start(stage.world, ['-n', '23'], () => undefined);
    await daemon.ready();
    const live = await check();
    assert.deepEqual(
      live.findings.filter((line) => !line.startsWith('ok ')),
      ['note DNS: the MX records are not checked, for no domain is named'],
    );
    holds(live.findings, /^ok queue: a program answers queue 23$/);
    assert.equal(live.status, 0);
  });

  it('looks for a rule that uses the mark of strangers', async (t) => {
    const stage = await openStage();
    t.after(() => stage.close());
    const ofStrangers = async (mark = 25): Promise<string[]> => {
      const { findings } = await checkOn(stage, '--strangers', `mark ${mark}`);
      return findings.filter((line) => / strangers: /.test(line));
    };
    const document = readFileSync(join(packageFolder(), 'docs', 'strangers.md'), 'utf8');
    const lines = document.match(/^ *iptables -t .*$/gm) ?? [];
    assert.equal(lines.length, 2);
    const [ask = '', lead = ''] = lines;
    await stage.world.script(ask, 'mx');
    const none = /^error strangers: no rule uses packet mark 25 for 192\.0\.2\.4, 2001:db8::4 port 25: /;
    holds(await ofStrangers(), none);
    await stage.world.script(lead, 'mx');
    holds(
      await ofStrangers(),
      /^error strangers: no rule uses packet mark 25 for 2001:db8::4 port 25: strangers are let in like everybody$/,
      /^ok strangers: "-A PREROUTING .* --mark 0x19 .*"$/,
    );
    holds(await ofStrangers(26), /^error strangers: no rule uses packet mark 26 for 192\.0\.2\.4, /);
    const six = [
      ask,
      lead.replace('-d 192.0.2.4', '-d 2001:db8::4').replace(/192.0.2.4:10025/, '[2001:db8::4]:10025'),
    ];
    await stage.world.script(six.join('\n').replaceAll('iptables', 'ip6tables'), 'mx');
    const good = await ofStrangers();
    assert.deepEqual(
      good.filter((line) => !line.startsWith('ok ')),
      [],
    );
    // asked in INPUT it is too late
    await stage.world.script(
      `${ask.replace(' -A ', ' -D ')}\n${ask.replace('-A PREROUTING', '-A INPUT')}`,
      'mx',
    );
    holds(
      await ofStrangers(),
      /^error strangers: packets to 192\.0\.2\.4 come to the rule for mark 25 before mxallowd is asked: /,
    );
  });
});

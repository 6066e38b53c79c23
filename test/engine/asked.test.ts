import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { ask as askDaemon } from '../../src/control/client.js';
import type { RefusedSender, WatchTick } from '../../src/control/protocol.js';
import { type CliResult, linesOf, runCli } from '../support/cli.js';
import { until, Workplace } from '../support/daemon.js';
import { loadRules } from '../support/pf-scene.js';
import { FLAVOURS } from '../support/pfctl-state.js';
import { framesOf } from '../support/recordings.js';

const RULES = [
  'pass in log quick on egress inet proto tcp from <mx-white> to 192.168.1.4 port = 25 flags S/SA',
  'pass in log quick on egress inet6 proto tcp from <mx-white> to 2001:dead:beef::1 port = 25 flags S/SA',
  'block return in log quick on egress inet proto tcp from any to 192.168.1.3 port = 25',
  'block return in log quick on egress inet6 proto tcp from any to 2001:dead:beef::2 port = 25',
  'block drop in log quick on egress inet proto tcp from any to 192.168.1.4 port = 25',
  'block drop in log quick on egress inet6 proto tcp from any to 2001:dead:beef::1 port = 25',
];

describe('a running daemon', () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root');
    place.pfctl.update((state) => (state.rules = RULES));
  });
  afterEach(() => place.dispose());

  const ask = (...args: string[]): Promise<CliResult> =>
    runCli([...args, '--control-socket', place.controlSocket]);
  /** What it finds once pf has answered: on a busy machine that may take longer than it waits. */
  const findings = async (): Promise<string[]> => {
    let found: string[] = [];
    await until('pf has answered', async () => {
      const { stdout } = await ask('status', '--json');
      const report = JSON.parse(stdout) as { findings: { severity: string; id: string }[] };
      found = report.findings.map(({ severity, id }) => `${severity} ${id}`);
      return !found.includes('warning pf-silent');
    });
    return found;
  };

  it('is well when all is well', async () => {
    await place.ready();
    const { status, stdout } = await ask('status');
    assert.match(stdout, /^health: +ok\n/);
    assert.match(stdout, /^entries: +0 of at most 100,000/m);
    assert.equal(status, 0);
  });

  it('tells that pf is disabled', async () => {
    place.pfctl.update((state) => (state.enabled = false));
    await place.ready();
    const { status, stdout } = await ask('status');
    assert.match(stdout, /^error: +pf is disabled: nothing is filtered and nothing is logged/);
    assert.equal(status, 2);
  });

  for (const flavour of FLAVOURS) {
    it(`tells what is, not what was, whatever is done to pf (${flavour})`, async () => {
      await place.dispose();
      place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root', flavour);
      loadRules(place.pfctl);
      await place.ready();
      place.log(frames(4, 3, 'fake', 1));
      await until('they are in the table', async () => (await place.pfctl.addresses()).length === 3);
      /** Until it has told this, whose age it tells, too. */
      const told = (what: string, expected: readonly string[], table: RegExp): Promise<void> =>
        until(what, async () => {
          if ((await findings()).join() !== expected.join()) return false;
          const { stdout } = await ask('status');
          return table.test(stdout);
        });
      await told(
        'all is well',
        [],
        /^table: .*: 3 entries of at most .*, pf is enabled as\s+of (now|\d+s ago)$/m,
      );
      await place.pfctl.run(['-d']);
      await told('pf is disabled', ['error pf-disabled'], /pf is DISABLED as\s+of (now|\d+s ago)$/m);
      await place.pfctl.run(['-e']);
      await told('pf is enabled again', [], /pf is enabled as\s+of/);
      // the table goes with the rules, and is made again
      await place.pfctl.run(['-F', 'all']);
      await until('the rules are gone', async () => (await findings()).join().includes('error rules-none'));
      await until('the table is there again', async () => (await place.pfctl.addresses()).length === 3);
      place.pfctl.update((state) => {
        state.rules = RULES.map((rule) => rule.replace('block return in log', 'block return in'));
        state.references = { '': { 'mx-white': 2 } };
      });
      await told('the rules are others', ['error rules-fake-log'], /3 entries/);
    });
  }

  it('tells of a table that is not there, until it is', async () => {
    loadRules(place.pfctl);
    await place.ready();
    place.pfctl.destroyTable();
    // nobody is whitelisted: it is made when somebody is
    await until('it is told', async () => {
      const { stdout } = await ask('status');
      return (
        /^error: +pf has no table <mx-white>, so it lets nobody in by it/m.test(stdout) &&
        /^table: .* 0 entries of at most [\d,]+, it is NOT\s+THERE, pf is\s+enabled/m.test(stdout)
      );
    });
    place.log(frames(4, 1, 'fake', 1));
    await until('it is there', async () => (await findings()).length === 0);
  });

  it('tells of rules that do not log', async () => {
    place.pfctl.update(
      (state) => (state.rules = RULES.map((rule) => rule.replace('block return in log', 'block return in'))),
    );
    await place.ready();
    assert.deepEqual(await findings(), ['error rules-fake-log']);
  });

  it('tells of rules that log to another interface', async () => {
    place.pfctl.update(
      (state) => (state.rules = RULES.map((rule) => rule.replace(' log ', ' log (to pflog1) '))),
    );
    await place.ready();
    assert.ok((await findings()).includes('error rules-fake-log'));
  });

  it('tells of a table that somebody has emptied, until it is full again', async () => {
    const daemon = await place.ready();
    place.log(frames(4, 3, 'fake', 1));
    await until('they are in the table', async () => (await place.pfctl.addresses()).length === 3);
    place.pfctl.emptyTable();
    // what the table has is seen when it is compared
    const { stdout } = await ask('reload');
    assert.match(stdout, /configuration read again/);
    await daemon.line(/had lost 3 entries/);
    await until('they are back', async () => (await place.pfctl.addresses()).length === 3);
    assert.deepEqual(await findings(), []);
  });

  it('tells of a pfctl that fails, or has gone', async () => {
    const daemon = await place.ready();
    place.pfctl.setFault({ mode: 'fail', only: 'add' });
    place.log(frames(4, 1, 'fake', 1));
    await daemon.line(/cannot be written/);
    await until('it is told', async () => (await findings()).some((id) => id.endsWith('table-failing')));
    place.pfctl.setFault(null);
    await until('it is over', async () => (await findings()).length === 0);
  });

  it('answers while pfctl hangs, with what it knows, and says so', async () => {
    place.pfctl.update((state) => (state.enabled = true));
    const daemon = await place.ready();
    place.pfctl.setFault({ mode: 'hang' });
    // what is to be added hangs as well
    place.log(frames(4, 1, 'fake', 1));
    await daemon.line(/10\.0\.0\.1 to a fake mailserver/);
    await place.pfctl.waitForCalls(1, ({ rc }) => rc === null);
    const { status, stdout } = await ask('status');
    assert.match(stdout, /^warning: +pfctl has not answered for \d+ s, so what pf does is not known/);
    assert.match(stdout, /^table: [^]*, pf has not answered yet$/m);
    assert.match(stdout, /^entries: +1 of at most 100,000: 1 attempt$/m);
    assert.equal(status, 1);
    assert.match((await ask('stats')).stdout, /^ {2}attempts at a fake MX +1$/m);
    assert.deepEqual(await ticks(2), ['warning pf-silent', 'warning pf-silent']);
  });

  /** Watches for so many seconds. @returns what was wrong with pf then */
  const ticks = async (count: number): Promise<string[]> => {
    const enough = new AbortController();
    const seen: string[] = [];
    const onItem = ({ findings: found }: WatchTick): void => {
      const pf = found.filter(({ id }) => id === 'pf-silent');
      seen.push(...pf.map(({ severity, id }) => `${severity} ${id}`));
      if (seen.length >= count) enough.abort();
    };
    const request = { command: 'watch' } as const;
    await askDaemon<'watch'>({ path: place.controlSocket, request, onItem, signal: enough.signal });
    return seen;
  };

  it('lists, lets in, takes out and explains', async () => {
    await place.ready();
    place.log([...frames(4, 1, 'fake', 1), ...frames(4, 1, 'real', 9)]);
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    assert.equal(
      (await ask('allow', '198.51.100.7', '--for', '1d')).stdout,
      '198.51.100.7 is whitelisted for 1d\n',
    );
    const [head = '', first = '', second = '', foot = ''] = linesOf((await ask('list')).stdout);
    assert.match(head, /^PREFIX +ORIGIN +AGE +LEFT +TRIES +USED +LAST +NAME$/);
    assert.match(first, /^10\.0\.0\.1 +attempt +\S+ +(1h|59m\d\ds) +1 +0$/);
    assert.match(second, /^198\.51\.100\.7 +manual +\S+ +(1d|23h59m) +0 +0$/);
    assert.equal(foot, '2 entries');
    assert.match((await ask('why', '10.0.0.9', '--no-dns')).stdout, /^now: +it is refused at the real MX/m);
    assert.match(
      (await ask('why', '10.0.0.1', '--no-dns')).stdout,
      /^events: .* attempt: tried the fake MX/m,
    );
    assert.equal((await ask('forget', '10.0.0.1')).status, 0);
    await until('it is out', async () => (await place.pfctl.addresses()).join() === '198.51.100.7');
    const stats = JSON.parse((await ask('stats', '--json')).stdout) as {
      counters: { refusals: number };
      frames: number;
    };
    assert.deepEqual([stats.counters.refusals, stats.frames], [1, 2]);
  });

  it('tells strangers whom pf redirects, everywhere, and admits none of them', async () => {
    const redirect = (rules: readonly string[]): string[] =>
      rules.map((rule) =>
        rule
          .replace(/^block drop(.* inet .*)$/, 'pass$1 flags S/SA rdr-to 127.0.0.1 port 25')
          .replace(/^block drop(.*)$/, 'pass$1 flags S/SA rdr-to ::1 port 25'),
      );
    place.pfctl.update((state) => (state.rules = redirect(RULES)));
    place.writeConfig(['strangers redirect 25']);
    const daemon = await place.ready(['--log-format', 'json']);
    place.log(framesOf('openbsd/pflog/35-strangers-rdr-to.pcap'));
    await daemon.line(/"event":"redirected".*"source":"2001:dead:beef::ff"/);
    // none of the two SYNs that pf let in is in the whitelist of this daemon
    await until('all are counted', async () => {
      const { stdout } = await ask('stats', '--json');
      return (JSON.parse(stdout) as { frames: number }).frames === 5;
    });
    const stats = JSON.parse((await ask('stats', '--json')).stdout) as { counters: Record<string, number> };
    const { attempts, refusals, redirected, admissions } = stats.counters;
    assert.deepEqual([attempts, refusals, redirected, admissions], [1, 0, 2, 2]);
    assert.match((await ask('stats')).stdout, /^ {2}redirected at a real MX +2$/m);
    assert.match((await ask('status')).stdout, /^strangers: +redirect 25: the last was redirected /m);
    const list = (await ask('list', '--json')).stdout;
    assert.match(list, /"prefix":"203\.0\.113\.7","origin":"attempt".*"admissions":0/);
    const why = async (address: string): Promise<string> =>
      (await ask('why', address, '--no-dns')).stdout.replaceAll(/\s+/g, ' ');
    const of6 = await why('2001:dead:beef::ff');
    assert.match(of6, / now: it is led elsewhere at the real MX \(strangers redirect 25\): it is not in /);
    assert.match(of6, / redirected: 1 time, /);
    assert.match(of6, / redirected: has not tried the fake MX: led elsewhere \(strangers\) $/);
    // it had tried the fake MX, and was faster than the table
    assert.match(await why('203.0.113.7'), / redirected: was faster than the table, and led elsewhere /);
    const refused = linesOf((await ask('refused', '--json')).stdout).map(
      (line) => JSON.parse(line) as RefusedSender,
    );
    assert.deepEqual(
      refused.map(({ prefix, count, passed, redirected: led }) => [prefix, count, passed, led]),
      [
        // pf let two in by itself, by entries of the table that this daemon has not made
        ['192.168.1.1', 1, 1, 0],
        ['2001:dead:beef::/64', 1, 0, 1],
        ['203.0.113.8', 1, 1, 0],
      ],
    );
    assert.match((await ask('refused')).stdout, /^2001:dead:beef::\/64 +1 +1 .* no/m);
  });

  it('forgets all that lies in a network, or that lets an address in, and says how many', async () => {
    await place.ready();
    // 10.0.0.1 and on, 2001:db8:0:1::/64 and on
    place.log([...frames(4, 5, 'fake', 1), ...frames(6, 3, 'fake', 1)]);
    await until('they are in the table', async () => (await place.pfctl.addresses()).length === 8);
    await ask('allow', '10.0.1.1');
    assert.equal((await ask('forget', '10.0.0.0/29')).stdout, '5 entries of 10.0.0.0/29 forgotten\n');
    assert.equal(
      (await ask('forget', '2001:db8:0:2:9::9')).stdout,
      '2001:db8:0:2::/64 is not whitelisted any more; its next attempt makes a new entry\n',
    );
    await until(
      'they are out of the table',
      async () => (await place.pfctl.addresses()).join() === '10.0.1.1,2001:db8:0:1::/64,2001:db8:0:3::/64',
    );
    for (const [what, why] of [
      ['10.0.0.0/24', /10\.0\.0\.0\/24 is not in the whitelist/],
      [
        '2001:db8:0:3::/80',
        /no entry lies in 2001:db8:0:3::\/80, but it lies in 2001:db8:0:3::\/64, which is one/,
      ],
      ['10.0.0.1', /10\.0\.0\.1 is not in the whitelist/],
    ] as const) {
      const { status, stderr } = await ask('forget', what);
      assert.match(stderr, why);
      assert.equal(status, 65);
    }
    assert.equal((await ask('forget', '--all', '--yes')).stdout, 'all forgotten: 3 entries\n');
    await until('nobody is in the table', async () => (await place.pfctl.addresses()).length === 0);
    assert.equal((await ask('list')).stdout, 'no entries\n');
  });

  it('says who is let in though he was forgotten', async () => {
    await place.ready();
    place.log(frames(4, 1, 'fake', 1));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    place.writeConfig(['allow 10.0.0.0/24']);
    await ask('reload');
    const words = (await ask('forget', '10.0.0.1')).stdout;
    assert.equal(
      words,
      '10.0.0.1 is forgotten, but it is let in at all times, by the configuration (allow)\n',
    );
    assert.match((await ask('forget', '10.0.0.1')).stderr, /10\.0\.0\.1 is allowed by the configuration/);
    assert.match(
      (await ask('forget', '10.0.0.0/25')).stderr,
      /10\.0\.0\.0\/25 is allowed by the configuration/,
    );
  });

  const REFUSED: [string, RegExp][] = [
    ['192.168.1.3', /192\.168\.1\.3 is a mail server of ours/],
    ['2001:dead:beef::2', /2001:dead:beef::2 is a mail server of ours/],
    ['127.0.0.1', /127\.0\.0\.1 cannot be the address of a sender: it is loopback/],
    ['fe80::1', /fe80::1 cannot be the address of a sender: it is link-local/],
    ['169.254.0.7', /169\.254\.0\.7 cannot be the address of a sender: it is link-local/],
    ['ff02::1', /cannot be the address of a sender: it is multicast/],
    ['0.0.0.0', /cannot be the address of a sender: it is unspecified/],
    ['::ffff:192.0.2.1', /cannot be the address of a sender/],
    ['10.0.0.0/8', /10\.0\.0\.0\/8 is wider than what is stored of a sender/],
  ];
  for (const [address, why] of REFUSED) {
    it(`does not let ${address} in by hand`, async () => {
      await place.ready();
      const { status, stderr } = await ask('allow', address);
      assert.match(stderr.replace(/\nmxallowd: /g, ' '), why);
      assert.equal(status, 64);
      assert.deepEqual(await place.pfctl.addresses(), []);
    });
  }

  it('goes on when its state file cannot be written, and says so', async () => {
    place.writeConfig(['state-file /proc/mxallowd/state']);
    const daemon = await place.ready();
    await daemon.line(/state file/);
    place.log(frames(4, 1, 'fake', 1));
    await until('it works', async () => (await place.pfctl.addresses()).length === 1);
    assert.ok((await findings()).includes('warning state-not-written'));
  });
});

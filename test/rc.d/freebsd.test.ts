import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { packageFolder } from '../../src/version.js';
import { until, Workplace } from '../support/daemon.js';
import { argvOf, RcMachine, rcScript, rcUnavailable, shellcheck, shells } from '../support/rc.js';

/** Shells that know what FreeBSD's sh does; the first one runs the tests. */
const SH = shells('dash', 'ash');

describe('rc.d/freebsd/mxallowd, read', () => {
  it('is right for every shell at hand', { skip: SH.length === 0 && 'no dash' }, () => {
    for (const sh of SH) execFileSync(sh, ['-n', rcScript('freebsd')]);
  });

  it('leaves nothing to shellcheck', (t) => {
    const said = shellcheck('dash', rcScript('freebsd'));
    if (said === undefined) t.skip('shellcheck is not installed');
    else assert.equal(said, '');
  });

  it('starts after pf, pflog and syslogd, and is stopped at shutdown', () => {
    const lines = readFileSync(rcScript('freebsd'), 'utf8').match(/^# [A-Z]+: .*$/gm);
    assert.deepEqual(lines, ['# PROVIDE: mxallowd', '# REQUIRE: DAEMON pf pflog', '# KEYWORD: shutdown']);
  });
});

describe('rc.d/freebsd/mxallowd', { skip: rcUnavailable(SH[0]) }, () => {
  let place: Workplace;
  let machine: RcMachine;
  beforeEach(async () => {
    place = await Workplace.create();
    const subr = join(packageFolder(), 'test', 'support', 'rc', 'freebsd.subr');
    machine = new RcMachine(place, 'freebsd', SH[0] ?? '', [['/etc/rc.subr', subr]]);
    settings();
  });
  afterEach(async () => {
    machine.dispose();
    await place.dispose();
  });

  /** rc.conf. */
  function settings(more: Readonly<Record<string, string>> = {}): void {
    const all = {
      enable: 'YES',
      program: machine.installed,
      conf: place.config,
      node: process.execPath,
      pidfile: place.pidFile,
      ...more,
    };
    const lines = Object.entries(all).map(([name, value]) => `mxallowd_${name}='${value}'\n`);
    writeFileSync(join(machine.folder, 'rc.conf'), lines.join(''));
  }

  async function started(): Promise<number> {
    assert.deepEqual(await machine.rc('start'), { status: 0, stdout: 'Starting mxallowd.\n', stderr: '' });
    return machine.pid ?? assert.fail('no PID file');
  }

  it('starts it, loads pf and pflog, makes pflog0, and is back when it is ready', async () => {
    const pid = await started();
    assert.deepEqual(machine.called(), [
      'kldstat -q -m pf',
      'kldload pf',
      'kldstat -q -m pflog',
      'kldload pflog',
      'ifconfig pflog0',
      'ifconfig pflog0 create',
      'ifconfig pflog0 up',
      'pfctl -s info',
    ]);
    const status = await machine.rc('status');
    assert.deepEqual(status, { status: 0, stdout: `mxallowd is running as pid ${pid}.\n`, stderr: '' });
    assert.deepEqual(argvOf(pid).slice(1), [
      ...[machine.installed, '-c', place.config, '--pid-file', place.pidFile],
    ]);
  });

  it('loads nothing that is there, and leaves a pflog0 as it is, but up', async () => {
    machine.say('kldstat', '');
    machine.say('ifconfig', '');
    await started();
    const calls = machine.called().filter((call) => /^(kldload|ifconfig .)/.test(call));
    assert.deepEqual(calls, ['ifconfig pflog0', 'ifconfig pflog0 up']);
  });

  it('does not start a second one', async () => {
    const pid = await started();
    const second = await machine.rc('start');
    assert.equal(second.status, 1);
    assert.equal(second.stderr, `mxallowd already running? (pid=${pid}).\n`);
    assert.equal(machine.pid, pid);
  });

  it('does nothing when it is not enabled, and says what to do', async () => {
    settings({ enable: 'NO' });
    const { status, stdout } = await machine.rc('start');
    assert.equal(status, 0);
    assert.match(stdout, /^Cannot 'start' mxallowd\. Set mxallowd_enable to YES/);
    assert.equal(machine.pid, undefined);
    assert.equal((await machine.rc('onestart')).status, 0);
    assert.notEqual(machine.pid, undefined);
  });

  it('stops it', async () => {
    const pid = await started();
    assert.deepEqual(await machine.rc('stop'), { status: 0, stdout: 'Stopping mxallowd.\n', stderr: '' });
    assert.deepEqual(argvOf(pid), []);
    const again = await machine.rc('stop');
    assert.equal(again.status, 1);
    assert.match(again.stderr, /^mxallowd not running\?/);
    assert.equal((await machine.rc('status')).stdout, 'mxallowd is not running.\n');
  });

  it('takes another program of node for what it is, though it has the number of a killed mxallowd', async () => {
    const other = spawn(process.execPath, ['-e', 'process.stdin.resume()']);
    writeFileSync(place.pidFile, `${other.pid}\n`);
    assert.equal((await machine.rc('status')).stdout, 'mxallowd is not running.\n');
    assert.equal((await machine.rc('stop')).status, 1);
    assert.notEqual(await started(), other.pid);
    assert.equal(other.exitCode ?? other.signalCode, null);
    other.kill();
  });

  it('restarts it', async () => {
    const pid = await started();
    assert.equal((await machine.rc('restart')).stdout, 'Stopping mxallowd.\nStarting mxallowd.\n');
    assert.deepEqual(argvOf(pid), []);
    assert.notEqual(machine.pid, pid);
    assert.equal((await machine.rc('status')).stdout, `mxallowd is running as pid ${machine.pid}.\n`);
  });

  it('reloads it, also when SIGHUP was ignored at its start, as at boot', async () => {
    machine.ignoresHangup = true;
    const pid = await started();
    place.writeConfig(['allow 198.51.100.7']);
    assert.deepEqual(await machine.rc('reload'), { status: 0, stdout: '', stderr: '' });
    await until('it is allowed', async () => (await place.pfctl.addresses()).join() === '198.51.100.7');
    assert.equal((await machine.rc('status')).stdout, `mxallowd is running as pid ${pid}.\n`);
  });

  it('neither starts nor restarts nor reloads with a wrong file, and says the line', async () => {
    const pid = await started();
    place.writeConfig(['whitelist-time soon']);
    for (const action of ['configtest', 'reload', 'restart']) {
      const { status, stderr } = await machine.rc(action);
      assert.notEqual(status, 0, action);
      assert.match(stderr, /mxallowd\.conf:\d+: whitelist-time: "soon" is not/);
    }
    assert.ok(argvOf(pid).length > 0);
    assert.equal((await machine.rc('stop')).status, 0);
    const start = await machine.rc('start');
    assert.equal(start.status, 1);
    assert.match(start.stderr, /mxallowd\.conf:\d+: .*\n.*failed precmd routine/);
    assert.equal(machine.pid, undefined);
  });

  it('says what the file means with configtest, and does so without the daemon', async () => {
    const { status, stdout } = await machine.rc('configtest');
    assert.equal(status, 0);
    assert.match(stdout, /mxallowd\.conf: ok\n$/);
    assert.deepEqual(machine.called(), []);
  });

  it('does not start without its file', async () => {
    settings({ conf: '/nonexistent/mxallowd.conf' });
    const { status, stderr } = await machine.rc('start');
    assert.equal(status, 1);
    assert.match(stderr, /\/nonexistent\/mxallowd\.conf is not readable/);
  });

  it('takes flags with all that a shell would take for its own', async () => {
    settings({ flags: '-l "(port 25 or port 26) and tcp[13] & 2 != 0"' });
    const pid = await started();
    assert.equal(argvOf(pid)[3], '(port 25 or port 26) and tcp[13] & 2 != 0');
    assert.equal((await machine.rc('configtest')).status, 0);
    assert.equal((await machine.rc('stop')).status, 0);
  });

  it('makes the pflog interface that the file or the flags name', async () => {
    place.writeConfig(['pflog-interface pflog1']);
    await started();
    assert.deepEqual(machine.called().slice(-3, -1), ['ifconfig pflog1 create', 'ifconfig pflog1 up']);
    assert.equal((await machine.rc('stop')).status, 0);
    settings({ flags: '-p pflog2' });
    await started();
    assert.deepEqual(machine.called().slice(-3, -1), ['ifconfig pflog2 create', 'ifconfig pflog2 up']);
  });

  it('does not start without a pflog interface or its module, and says so', async () => {
    machine.say('ifconfig', 'exit 1');
    const missing = await machine.rc('start');
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /cannot create pflog0/);
    machine.say('kldload', 'exit 1');
    machine.called();
    assert.equal((await machine.rc('start')).status, 1);
    assert.deepEqual(machine.called(), ['kldstat -q -m pf', 'kldload pf']);
  });

  it('starts while pf is not enabled, and says that it will see nobody', async () => {
    machine.say('pfctl', 'echo "Status: Disabled for 0 days 00:00:08"');
    const { status, stderr } = await machine.rc('start');
    assert.equal(status, 0);
    assert.match(stderr, /pf is not enabled: until it is, mxallowd sees nobody/);
  });

  it('says when node is not where it should be', async () => {
    settings({ node: '/nonexistent/node' });
    const { status, stderr } = await machine.rc('start');
    assert.equal(status, 1);
    assert.match(stderr, /node.*: No such file or directory/);
  });

  it('fails when the daemon does, with its words', async () => {
    place.pfctl.destroyTable();
    const { status, stderr } = await machine.rc('start');
    assert.equal(status, 1);
    assert.match(stderr, /^mxallowd: pf table <mx-white> does not exist/m);
    assert.match(stderr, /failed to start mxallowd/);
  });
});

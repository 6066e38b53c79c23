import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { NO_DEBUGGER } from '../../src/process/debugger.js';
import { packageFolder } from '../../src/version.js';
import { CLI, linesOf } from '../support/cli.js';
import { until, Workplace } from '../support/daemon.js';
import { argvOf, childrenOf, RcMachine, rcScript, rcUnavailable, shellcheck, shells } from '../support/rc.js';

/** Korn shells of OpenBSD's line; the first one runs the tests. */
const KSH = shells('oksh', 'mksh');
const PROGRAM = `/usr/local/bin/node ${NO_DEBUGGER} /usr/local/lib/node_modules/mxallowd/dist/cli.js`;

/** How pgrep on OpenBSD finds a process: an extended regular expression for the whole command line. */
function pgrep(pattern: string): number[] {
  return linesOf(spawnSync('pgrep', ['-xf', '--', pattern], { encoding: 'utf8' }).stdout).map(Number);
}

describe('rc.d/openbsd/mxallowd, read', () => {
  it('is right for every Korn shell at hand', { skip: KSH.length === 0 && 'no ksh' }, () => {
    for (const ksh of [...KSH, ...shells('ksh93')]) execFileSync(ksh, ['-n', rcScript('openbsd')]);
  });

  it('leaves nothing to shellcheck', (t) => {
    const said = shellcheck('ksh', rcScript('openbsd'));
    if (said === undefined) t.skip('shellcheck is not installed');
    else assert.equal(said, '');
  });
});

describe('rc.d/openbsd/mxallowd', { skip: rcUnavailable(KSH[0]) }, () => {
  let place: Workplace;
  let machine: RcMachine;
  beforeEach(async () => {
    place = await Workplace.create();
    const subr = join(packageFolder(), 'test', 'support', 'rc', 'openbsd.subr');
    machine = new RcMachine(place, 'openbsd', KSH[0] ?? '', [
      ['/etc/rc.d/rc.subr', subr],
      [PROGRAM, `${process.execPath} ${NO_DEBUGGER} ${CLI}`],
    ]);
    place.writeConfig([`pid-file ${place.pidFile}`]);
    flags('');
  });
  afterEach(async () => {
    machine.dispose();
    await place.dispose();
  });

  /** What `rcctl set mxallowd flags` writes. */
  function flags(more: string): void {
    writeFileSync(join(machine.folder, 'rc.conf.local'), `mxallowd_flags=-c ${place.config} ${more}\n`);
  }

  async function started(): Promise<number> {
    const start = await machine.rc('start');
    assert.deepEqual(start, { status: 0, stdout: 'mxallowd(ok)\n', stderr: '' });
    return machine.pid ?? assert.fail('no PID file');
  }

  const status = async (...args: string[]): Promise<number | null> => (await machine.rc(...args)).status;
  const stdout = async (...args: string[]): Promise<string> => (await machine.rc(...args)).stdout;

  it('starts it, makes pflog0, and is back when it is ready', async () => {
    assert.equal(await stdout('check'), 'mxallowd(failed)\n');
    const pid = await started();
    assert.deepEqual(argvOf(pid), [process.execPath, NO_DEBUGGER, CLI, '-c', place.config]);
    const expected = ['pfctl -si', 'ifconfig pflog0', 'ifconfig pflog0 create', 'ifconfig pflog0 up'];
    assert.deepEqual(machine.called(), expected);
    assert.equal(await stdout('check'), 'mxallowd(ok)\n');
  });

  it('leaves a pflog0 that is there as it is, but up', async () => {
    machine.say('ifconfig', '');
    await started();
    assert.deepEqual(machine.called(), ['pfctl -si', 'ifconfig pflog0', 'ifconfig pflog0 up']);
  });

  it('does not start a second one', async () => {
    const pid = await started();
    assert.deepEqual(await machine.rc('start'), { status: 0, stdout: '', stderr: '' });
    assert.equal(machine.pid, pid);
  });

  it('finds the daemon, whatever its flags, and nothing else', async () => {
    flags(`-l "(tcp[13] & 2 != 0) and (port 25 or port 26) and 1 + 1 = 2" --tcpdump '${place.tcpdump}'`);
    const pid = await started();
    const [, pattern = ''] = /^pexp=(.*)$/m.exec(runfile()) ?? [];
    assert.deepEqual(pgrep(pattern), [pid]);
    assert.ok(childrenOf(pid).length > 0);
    const argv = argvOf(pid);
    for (const child of childrenOf(pid)) assert.notDeepEqual(argvOf(child), argv);
    // without its flags, or with others, it is another program
    assert.deepEqual(pgrep(`${process.execPath} ${NO_DEBUGGER} ${CLI}`), []);
    assert.equal(await stdout('stop'), 'mxallowd(ok)\n');
    assert.deepEqual(argvOf(pid), []);
  });

  /** What rc.subr remembers of the start. */
  function runfile(): string {
    return readFileSync(join(machine.folder, 'run.mxallowd'), 'utf8');
  }

  it('stops it by the flags that it was started with', async () => {
    const pid = await started();
    flags('--quiet');
    assert.equal(await stdout('check'), 'mxallowd(ok)\n');
    assert.equal(await stdout('stop'), 'mxallowd(ok)\n');
    assert.deepEqual(argvOf(pid), []);
    assert.equal(await stdout('check'), 'mxallowd(failed)\n');
    assert.deepEqual(await machine.rc('stop'), { status: 0, stdout: '', stderr: '' });
  });

  it('restarts it', async () => {
    const pid = await started();
    assert.equal(await stdout('restart'), 'mxallowd(ok)\nmxallowd(ok)\n');
    assert.deepEqual(argvOf(pid), []);
    assert.notEqual(machine.pid, pid);
    assert.equal(await stdout('check'), 'mxallowd(ok)\n');
  });

  it('reloads it, also when SIGHUP was ignored at its start, as at boot', async () => {
    machine.ignoresHangup = true;
    const pid = await started();
    place.writeConfig([`pid-file ${place.pidFile}`, 'allow 198.51.100.7']);
    assert.equal(await stdout('reload'), 'mxallowd(ok)\n');
    await until('it is allowed', async () => (await place.pfctl.addresses()).join() === '198.51.100.7');
    assert.equal(machine.pid, pid);
    assert.equal(await stdout('check'), 'mxallowd(ok)\n');
  });

  it('neither starts nor restarts nor reloads with a wrong file, and says the line to syslog', async () => {
    const pid = await started();
    place.writeConfig(['whitelist-time soon']);
    machine.called();
    for (const action of ['configtest', 'reload', 'restart']) {
      assert.deepEqual(await machine.rc(action), { status: 1, stdout: 'mxallowd(failed)\n', stderr: '' });
      const [logger, said, ...rest] = machine.called();
      assert.equal(logger, 'logger -s -p daemon.err -t mxallowd');
      assert.match(said ?? '', /mxallowd\.conf:\d+: whitelist-time: "soon" is not/);
      assert.deepEqual(rest, []);
    }
    assert.ok(argvOf(pid).length > 0);
    assert.equal(await status('stop'), 0);
    assert.equal(await stdout('start'), 'mxallowd(failed)\n');
    assert.equal(machine.pid, undefined);
    place.writeConfig([]);
    assert.equal(await stdout('configtest'), 'mxallowd(ok)\n');
  });

  it('does not start while pf is disabled, and says so', async () => {
    machine.say('pfctl', 'echo "Status: Disabled for 0 days 00:00:08"');
    assert.equal(await stdout('start'), 'mxallowd(failed)\n');
    const [, logger, said] = machine.called();
    assert.equal(logger, 'logger -s -p daemon.err -t mxallowd');
    assert.equal(said, 'not started, because pf is disabled');
    assert.equal(machine.pid, undefined);
  });

  it('does not start without a pflog interface, and says so', async () => {
    machine.say('ifconfig', 'exit 1');
    assert.equal(await stdout('start'), 'mxallowd(failed)\n');
    assert.equal(machine.called().at(-1), 'not started, because pflog0 cannot be brought up');
  });

  it('fails when the daemon does', async () => {
    place.pfctl.destroyTable();
    assert.equal(await stdout('start'), 'mxallowd(failed)\n');
    assert.equal(machine.pid, undefined);
  });

  it('makes the pflog interface that the file or the flags name', async () => {
    place.writeConfig([`pid-file ${place.pidFile}`, 'pflog-interface pflog1']);
    await started();
    assert.deepEqual(machine.called().slice(-2), ['ifconfig pflog1 create', 'ifconfig pflog1 up']);
    assert.equal(await status('stop'), 0);
    flags('-p pflog2');
    await started();
    assert.deepEqual(machine.called().slice(-2), ['ifconfig pflog2 create', 'ifconfig pflog2 up']);
  });
});

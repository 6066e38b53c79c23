import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { missingTools, World } from '../../src/demo/world.js';
import { loadLibc } from '../../src/native/libc.js';
import { packageFolder } from '../../src/version.js';
import { CLI, type CliResult, runCli, runProgram, Scratch } from '../support/cli.js';

const SERVERS = ['-f', '192.0.2.3', '-r', '192.0.2.4'];
const ADVICE = 'npm install koffi; it comes compiled for Linux, FreeBSD and OpenBSD';

describe('without the package koffi', () => {
  const scratch = new Scratch();
  const config = scratch.file('mxallowd.conf', 'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.4\n');
  const cli = scratch.path(join('build', 'src', 'cli.js'));

  /** Runs the copy of the program. */
  const run = (...args: string[]): Promise<CliResult> => runProgram(process.execPath, [cli, ...args]);

  before(async () => {
    const folder = packageFolder();
    cpSync(dirname(CLI), dirname(cli), { recursive: true });
    cpSync(join(folder, 'package.json'), scratch.path('package.json'));
    cpSync(join(folder, 'examples'), scratch.path('examples'), { recursive: true });
    mkdirSync(scratch.path('node_modules'));
    for (const name of readdirSync(join(folder, 'node_modules'))) {
      if (name === 'koffi' || name === '@koromix' || name.startsWith('.')) continue;
      symlinkSync(join(folder, 'node_modules', name), scratch.path(join('node_modules', name)));
    }
    // an empty one: otherwise Node looks for it in all folders above
    mkdirSync(scratch.path(join('node_modules', 'koffi')));
    const probe = scratch.file('probe.mjs', "await import('yargs'); await import('koffi');");
    const { status, stderr } = await runProgram(process.execPath, [probe]);
    assert.equal(status, 1);
    assert.match(stderr, /koffi[^]*ERR_MODULE_NOT_FOUND/);
  });
  after(() => scratch.remove());

  it('the daemon does not start with -n, says what to install, status 69', async () => {
    const { status, stdout, stderr } = await run('-c', '/dev/null', ...SERVERS, '-F', '-s', '-n', '23');
    assert.equal(stderr, `mxallowd: NFQUEUE needs the npm package koffi (${ADVICE})\n`);
    assert.match(stdout, /NFQUEUE needs the npm package koffi/);
    assert.equal(status, 69);
  });

  it('it does not start in the background, either', async () => {
    const pidFile = scratch.path('mxallowd.pid');
    const { status, stderr } = await run('-c', config, '-n', '23-26', '--pid-file', pidFile, '-s');
    assert.equal(stderr, `mxallowd: NFQUEUE needs the npm package koffi (${ADVICE})\n`);
    assert.equal(status, 69);
  });

  it('--help, check-config and replay work as ever', async () => {
    const recordings = join(packageFolder(), 'examples', 'recordings');
    const addresses = join(recordings, 'mxallowd.conf');
    const commands = [
      ['--help'],
      ['--version'],
      ['check-config', '-c', config, '-n', '23'],
      ['replay', '-c', addresses, join(recordings, '01-block-v4-syn.pcap')],
    ];
    for (const args of commands) {
      const [without, as] = await Promise.all([run(...args), runCli(args)]);
      assert.deepEqual(without, as);
      assert.equal(without.status, 0, args[0]);
      assert.notEqual(without.stdout, '');
    }
  });

  const noStage = typeof World.mode() !== 'string' || missingTools(['iptables']).length > 0;
  it('demo says so, and judges recordings', { skip: noStage && 'another thing is missing' }, async () => {
    const { status, stdout } = await run('demo');
    assert.equal(
      stdout.slice(0, stdout.indexOf('\n')),
      `No live demonstration here: mxallowd needs the npm package koffi (${ADVICE}).`,
    );
    assert.match(stdout, /^admissions +22 to a real MX$/m);
    assert.equal(status, 0);
  });
});

describe('the C library', { skip: await libcUnavailable() }, () => {
  it('has what it has, and not what it has not', async () => {
    const loaded = await loadLibc();
    assert.ok(loaded.ok);
    const getpid = loaded.libc.find('int getpid()');
    assert.equal(getpid?.(), process.pid);
    assert.equal(loaded.libc.find('int no_such_function_as_this(int)'), undefined);
  });

  it('is loaded as often as one likes', async () => {
    const [one, two] = await Promise.all([loadLibc(), loadLibc()]);
    assert.ok(one.ok && two.ok);
    assert.equal(one.libc.find('int getppid()')?.(), two.libc.find('int getppid()')?.());
  });
});

async function libcUnavailable(): Promise<string | undefined> {
  const loaded = await loadLibc();
  return loaded.ok ? undefined : loaded.message;
}

import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { spawn, type StdioOptions } from 'node:child_process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CLI } from '../support/cli.js';
import { Daemon, until, Workplace } from '../support/daemon.js';
import { argvOf } from '../support/rc.js';
import { descriptorsOf, Family } from '../support/processes.js';

const reason =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'needs Linux and root' : (false as const);

describe('what whoever starts us has left', { skip: reason }, () => {
  let place: Workplace;
  let family: Family | undefined;
  let daemon: Daemon | undefined;
  beforeEach(async () => {
    place = await Workplace.create('nobody');
  });
  afterEach(async () => {
    family?.end();
    family = undefined;
    await place.dispose();
  });

  /** Starts it with a file, a folder, a device and a pipe open, with low numbers and high ones. */
  const start = (args: readonly string[]): Daemon => {
    const paths = [place.config, place.folder, '/dev/zero'];
    const open = paths.map((path) => openSync(path, 'r'));
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...open];
    while (stdio.length < 20) stdio.push('ignore');
    stdio.push(...open, 'pipe');
    const child = spawn(process.execPath, [CLI, '-c', place.config, ...args], { stdio });
    for (const descriptor of open) closeSync(descriptor);
    family = new Family(child.pid ?? 0, () => true);
    daemon = new Daemon(child);
    return daemon;
  };
  /** Whoever has started the one in the background may have ended. */
  const addDaemon = async (): Promise<void> => {
    let pid = 0;
    await until('the PID file is there', () => {
      pid = existsSync(place.pidFile) ? Number(readFileSync(place.pidFile, 'latin1')) : 0;
      return pid > 0;
    });
    family?.add(pid);
  };
  const left = (pid: number): string[] =>
    [...descriptorsOf(pid)]
      .filter(([, link]) => [place.config, place.folder, '/dev/zero'].includes(link))
      .map(([descriptor, link]) => `${argvOf(pid).join(' ')}: ${descriptor} ${link}`);

  for (const [where, args] of [
    ['foreground', ['-F', '-s']],
    ['background', ['-s']],
  ] as const)
    it(`stays open in no process of a daemon in the ${where}`, async () => {
      const started = start([...args, '--pid-file', place.pidFile]);
      await started.line(/mxallowd is ready/);
      await addDaemon();
      // who has started the one in the background is none of the daemon's processes, and ends
      if (where === 'background') await started.ended;
      const all = family?.look() ?? [];
      const capture = all.find((pid) => argvOf(pid)[0] === 'cat');
      assert.deepEqual(
        [...descriptorsOf(capture ?? 0).keys()],
        [0, 1, 2, 3],
        'the capture has what it has opened',
      );
      assert.deepEqual(all.flatMap(left), []);
    });

  it("is closed, not what is Node's, when so much is open that Node has high numbers", async () => {
    const zero = openSync('/dev/zero', 'r');
    const many = Array<number>(100).fill(zero);
    const child = spawn(process.execPath, [CLI, '-c', place.config, '-F', '-s'], {
      stdio: ['ignore', 'pipe', 'pipe', ...many],
    });
    closeSync(zero);
    family = new Family(child.pid ?? 0, () => true);
    await new Daemon(child).line(/mxallowd is ready/);
    assert.deepEqual(family.look().flatMap(left), []);
  });

  it('is no limit for core files: neither the daemon in the background nor an engine leaves any', async () => {
    const started = place.start(['-s', '--pid-file', place.pidFile]);
    family = new Family(started.pid, () => true);
    await started.line(/mxallowd is ready/);
    await addDaemon();
    const pids = family.look().filter((pid) => pid !== started.pid);
    assert.ok(pids.length >= 2);
    for (const pid of pids)
      assert.match(readFileSync(`/proc/${pid}/limits`, 'latin1'), /^Max core file size +0 +0 /m);
  });
});

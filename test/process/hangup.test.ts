import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CLI } from '../support/cli.js';
import { ControlServer } from '../support/control-server.js';
import { until, Workplace } from '../support/daemon.js';
import { Family, handles } from '../support/processes.js';

const reason = process.platform === 'linux' ? false : 'looks at /proc';

describe('SIGHUP during the start', { skip: reason }, () => {
  let place: Workplace;
  let family: Family | undefined;
  beforeEach(async () => {
    place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root');
  });
  afterEach(async () => {
    family?.end();
    family = undefined;
    await place.dispose();
  });

  const isCli = (argv: readonly string[]): boolean => argv[0] === process.execPath && argv.includes(CLI);
  /** Sends it as soon as there is a handler: before anything is loaded, when the machine has time. */
  const hangUp = async (pid: number): Promise<void> => {
    await until('it has a handler', () => handles(pid, 'SIGHUP'));
    process.kill(pid, 'SIGHUP');
  };

  it('is kept before the configuration is read, and carried out when the daemon is ready', async () => {
    const text = `${place.config}.text`;
    renameSync(place.config, text);
    execFileSync('mkfifo', [place.config]);
    const daemon = place.start(['-F', '-s']);
    await hangUp(daemon.pid);
    // it waits here for the first reader; those who read again find the file
    const fifo = openSync(place.config, 'w');
    const content = readFileSync(text);
    renameSync(text, place.config);
    writeSync(fifo, content);
    closeSync(fifo);
    await daemon.line(/mxallowd is ready[^]*configuration read again/);
  });

  it('is kept by a daemon in the background', async () => {
    const starter = place.start(['-s', '--pid-file', place.pidFile]);
    family = new Family(starter.pid, isCli);
    const isBorn = (): boolean => (family?.look() ?? []).length === 2;
    await until('the daemon is there', isBorn);
    await hangUp(family.look().find((pid) => pid !== starter.pid) ?? 0);
    await starter.line(/mxallowd is ready[^]*configuration read again/);
  });

  it('ends a command, as it ends any program', async () => {
    const server = await ControlServer.start(place.controlSocket, { status: () => undefined });
    const args = ['status', '--control-socket', place.controlSocket];
    for (const isEarly of [true, false]) {
      const child = spawn(process.execPath, [CLI, ...args], { stdio: 'ignore' });
      const ended = once(child, 'exit');
      if (!isEarly) await until('it has asked', () => server.questions.length > 0);
      await hangUp(child.pid ?? 0);
      assert.deepEqual(await ended, [null, 'SIGHUP']);
    }
    await server.stop();
  });
});

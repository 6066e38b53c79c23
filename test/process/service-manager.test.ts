import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { reachManager, ServiceManager, takeWishes } from '../../src/process/service-manager.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { Datagrams, datagramsUnavailable } from '../support/datagrams.js';
import { HandClock } from '../support/hand-clock.js';

describe('what the service manager wants to hear', () => {
  const SOCKET = '/run/systemd/notify';

  it('is in the environment, and is taken out of it', () => {
    const environment = {
      PATH: '/bin',
      NOTIFY_SOCKET: SOCKET,
      WATCHDOG_USEC: '30000000',
      WATCHDOG_PID: '812',
    };
    assert.deepEqual(takeWishes(environment, 812), { socket: SOCKET, watchdogMs: 30_000 });
    assert.deepEqual(environment, { PATH: '/bin' });
  });

  it('is nothing without a socket', () => {
    assert.equal(takeWishes({ WATCHDOG_USEC: '30000000' }, 812), undefined);
    assert.equal(takeWishes({ NOTIFY_SOCKET: '' }, 812), undefined);
  });

  it('is readiness only, when there is no watchdog, or it is meant for another process', () => {
    const ready = { socket: SOCKET, watchdogMs: undefined };
    assert.deepEqual(takeWishes({ NOTIFY_SOCKET: SOCKET }, 812), ready);
    for (const usec of ['', '0', '-1', 'soon', 'Infinity']) {
      assert.deepEqual(takeWishes({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: usec }, 812), ready);
    }
    const other = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000', WATCHDOG_PID: '813' };
    assert.deepEqual(takeWishes(other, 812), ready);
  });
});

describe('the service manager is told', () => {
  function setUp(watchdogMs: number | undefined): {
    said: string[];
    logged: string[];
    clock: HandClock;
    manager: ServiceManager;
  } {
    const said: string[] = [];
    const logged: string[] = [];
    const clock = new HandClock();
    const log = { write: (_level: string, message: string) => void logged.push(message) };
    const manager = new ServiceManager({ socket: '@', watchdogMs }, (text) => said.push(text), clock, log);
    return { said, logged, clock, manager };
  }

  it('that we are ready, and at the end that we end', () => {
    const { said, clock, manager } = setUp(undefined);
    manager.ready(() => true);
    assert.deepEqual(clock.timersMs, []);
    manager.stopping();
    assert.deepEqual(said, ['READY=1', 'STOPPING=1']);
  });

  it('that we go on, twice in the time that it waits; not when we end', () => {
    const { said, clock, manager } = setUp(30_000);
    manager.ready(() => true);
    clock.pass(14_999);
    assert.deepEqual(said, ['READY=1']);
    clock.pass(1);
    clock.pass(15_000);
    assert.deepEqual(said, ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    manager.stopping();
    clock.pass(60_000);
    assert.deepEqual(said.slice(3), ['STOPPING=1']);
  });

  it('nothing while the work stands still, which is logged once; and that we go on when it does', () => {
    const { said, logged, clock, manager } = setUp(30_000);
    let goesOn = false;
    manager.ready(() => goesOn);
    for (let i = 0; i < 4; i++) clock.pass(15_000);
    assert.deepEqual(said, ['READY=1']);
    assert.deepEqual(logged, [
      'packets wait and are not read: the service manager is told nothing, so that it starts us again',
    ]);
    goesOn = true;
    clock.pass(15_000);
    assert.deepEqual(said, ['READY=1', 'WATCHDOG=1']);
  });
});

describe('the service manager is reached', { skip: datagramsUnavailable() }, () => {
  const scratch = new Scratch();
  const path = scratch.path('notify');
  const wishes = { socket: path, watchdogMs: undefined };
  const noLibc = (): Promise<{ ok: false; message: string }> =>
    Promise.resolve({ ok: false, message: 'none' });
  after(() => scratch.remove());

  it('by a datagram, and without koffi by systemd-notify', async (t) => {
    const socket = await Datagrams.open(path);
    const troubles: string[] = [];
    const trouble = (why: string): void => void troubles.push(why);
    (await reachManager(wishes, trouble))('READY=1');
    await until('it has come', () => socket.received.length === 1);
    assert.deepEqual(socket.received, [{ pid: process.pid, text: 'READY=1' }]);
    if (spawnSync('systemd-notify', ['--version']).status !== 0)
      t.diagnostic('systemd-notify is not installed');
    else {
      (await reachManager(wishes, trouble, noLibc))('WATCHDOG=1');
      await until('it has come', () => socket.texts.some((text) => text.includes('WATCHDOG=1')));
    }
    socket.close();
    assert.deepEqual(troubles, []);
  });

  it('in neither way when nobody listens: that is told once', async () => {
    const troubles: string[] = [];
    const notify = await reachManager({ ...wishes, socket: '/nonexistent/notify' }, (why) =>
      troubles.push(why),
    );
    notify('READY=1');
    await until('that is told', () => troubles.length > 0);
    notify('WATCHDOG=1');
    const children = `/proc/self/task/${process.pid}/children`;
    await until('systemd-notify has ended again', () => readFileSync(children, 'latin1').trim() === '');
    assert.equal(troubles.length, 1);
    assert.match(troubles[0] ?? '', /^sendto: ENOENT; /);
  });
});

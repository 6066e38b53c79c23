import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { Datagrams, datagramsUnavailable } from '../support/datagrams.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [REAL] = WORLD.real;
const unavailable = stageUnavailable() ?? datagramsUnavailable();

describe('mxallowd under a service manager', { skip: unavailable }, () => {
  const scratch = new Scratch();
  let stage: Stage;
  before(async () => {
    chmodSync(scratch.folder, 0o777);
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  /** A socket on the host mx: abstract names are its network namespace's. */
  const listen = (name: string): Promise<Datagrams> =>
    Datagrams.open(name, (argv) => stage.world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] }));

  for (const [kind, name] of [
    ['a path', scratch.path('notify')],
    ['an abstract name', '@mxallowd-test/notify'],
  ] as const) {
    it(`says that it is ready, goes on and ends (${kind})`, async () => {
      const manager = await listen(name);
      if (name.startsWith('/')) chmodSync(name, 0o777);
      const by = ['env', `NOTIFY_SOCKET=${name}`, 'WATCHDOG_USEC=200000'];
      const daemon = StagedDaemon.start(stage.world, ['-n', '23'], () => undefined, by);
      await until('it says so', () => manager.received.length > 0);
      assert.equal(manager.texts[0], 'READY=1');
      // and it is: a stranger's SYN is answered by it
      void stage.send('198.19.0.1', REAL, 500);
      await daemon.event(({ event }) => event === 'refusal');
      await until('it goes on', () => manager.texts.filter((text) => text === 'WATCHDOG=1').length >= 3);

      daemon.signal('SIGSTOP');
      let said = -1;
      await until('one that hangs says nothing', async () => {
        const isSilent = said === manager.received.length;
        said = manager.received.length;
        // longer than it takes one that does not hang
        await stage.send('198.19.0.1', REAL, 500);
        return isSilent;
      });
      daemon.signal('SIGCONT');
      daemon.signal('SIGTERM');
      assert.equal(await daemon.ended, 0);
      await until('it says that it ends', () => manager.texts.at(-1) === 'STOPPING=1');
      assert.equal(new Set(manager.received.map(({ pid }) => pid)).size, 1);
      manager.close();
    });
  }
});

describe('a queue that nobody reads any more', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('is noticed though the event loop turns, when packets wait twice in a row', async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const module = (name: string): string => join(packageFolder(), 'build', 'src', 'netfilter', name);
    const program = `
      import { PacketQueues } from '${module('queues.js')}';
      import { readSocket } from '${module('proc.js')}';
      import { NetlinkSocket } from '${module('socket.js')}';
      // as when the event loop has lost the socket
      NetlinkSocket.prototype.whenReadable = () => undefined;
      const settings = {
        queues: { first: 23, last: 24 }, maxLength: 64, copyRange: 256, failOpen: false, receiveBuffer: 1e6,
      };
      const open = await PacketQueues.open(settings, { judge: () => 0, answered: () => undefined, failed: (error) => { throw error; } });
      const said = [open.goesOn(), open.goesOn()];
      console.log('open');
      while (!open.ports.some((port) => readSocket(port).unread > 0));
      said.push(open.goesOn(), open.goesOn(), open.goesOn());
      open.close(0);
      console.log(JSON.stringify(said));
      process.exit();`;
    const argv = [process.execPath, '--input-type=module', '-e', program];
    const child = stage.world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout?.on('data', (text) => (said += String(text)));
    await until('it is open', () => said === 'open\n');
    void stage.send('198.19.0.1', REAL, 500);
    await until('it has been asked', () => said.endsWith(']\n'));
    // the first time it may just not have been its turn
    assert.equal(said, 'open\n[true,true,true,false,false]\n');
  });
});

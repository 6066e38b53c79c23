import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { parseQueues, type QueueRow } from '../../src/netfilter/proc.js';
import { packageFolder } from '../../src/version.js';
import { CLI, Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { openStage, rootStageUnavailable, stageUnavailable } from '../support/stage.js';

const [REAL] = WORLD.real;
const LENGTH = 64;
const CROWD = 200;
/** As a service manager starts it: CAP_NET_ADMIN and nothing else. */
const UNIT = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--inh-caps=-all,+net_admin', '--ambient-caps=+net_admin', '--bounding-set=-all,+net_admin'],
];

const bot = (i: number): string => `198.19.0.${i}`;

async function kernelQueue(stage: Stage): Promise<QueueRow | undefined> {
  return parseQueues(await stage.world.script('cat /proc/net/netfilter/nfnetlink_queue', 'mx'))[0];
}

/** Bots come until that is true. */
async function crowd(stage: Stage, what: string, isEnough: () => Promise<boolean>): Promise<void> {
  // nobody waits for what becomes of them
  for (let i = 0; i < CROWD; i++) void stage.send(bot(i), REAL, 500);
  await until(what, isEnough);
}

describe('what a daemon that never was root says of its queue', { skip: rootStageUnavailable() }, () => {
  const scratch = new Scratch();
  const socket = scratch.path('socket');
  let stage: Stage;
  let daemon: StagedDaemon;

  before(async () => {
    chmodSync(scratch.folder, 0o777);
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const args = ['-n', '23', '--queue-length', String(LENGTH), '--control-socket', socket];
    daemon = StagedDaemon.start(stage.world, args, () => undefined, UNIT);
    await daemon.ready();
    daemon.signal('SIGSTOP');
    await crowd(stage, 'the queue is full', async () => ((await kernelQueue(stage))?.full ?? 0) > 0);
    daemon.signal('SIGCONT');
    await until('all that waited was judged', async () => (await kernelQueue(stage))?.waiting === 0);
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  async function ask(by: readonly string[], command: string): Promise<string> {
    const argv = [...by, process.execPath, CLI, command, '--control-socket', socket];
    return (await stage.world.run('mx', argv)).stdout;
  }

  it('is complete when root asks: packets that found it full are counted, and a finding', async () => {
    // the bots repeat their SYNs: they may find it full once more
    const before = await kernelQueue(stage);
    const status = await ask([], 'status');
    const full = Number(/, (\d+) found it full$/m.exec(status)?.[1]);
    const after = await kernelQueue(stage);
    assert.ok(full >= (before?.full ?? NaN) && full <= (after?.full ?? NaN), status);
    assert.match(status, /^warning: +\d+ packets were not judged, for they came too fast/m);
    assert.match(await ask([], 'stats'), /, \d+ found it full$/m);
  });

  it('is never "0" when the one who asks may not read it either', async () => {
    assert.match(await ask(UNIT, 'status'), /, whether some found it full is not known$/m);
  });
});

describe('what did not find room in the receive buffer', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('is known without root, as soon as it is lost', async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const queues = join(packageFolder(), 'build', 'src', 'netfilter', 'queues.js');
    const program = `
      import { readFileSync } from 'node:fs';
      import { PacketQueues } from '${queues}';
      const settings = {
        queues: { first: 23, last: 23 }, maxLength: 10_000, copyRange: 256, failOpen: false, receiveBuffer: 1,
      };
      const open = await PacketQueues.open(settings, { judge: () => 0, answered: () => undefined, failed: (error) => { throw error; } });
      console.log('open');
      const kernel = () => {
        const [, , , , , , lost] = readFileSync('/proc/self/net/netfilter/nfnetlink_queue', 'latin1').trim().split(/ +/);
        return Number(lost);
      };
      // nothing is read meanwhile: there is no gap in the numbers yet that it could be seen by
      while (kernel() === 0);
      console.log(JSON.stringify([kernel(), open.statistics().lost, kernel(), open.statistics().full ?? 'unknown']));
      process.exit();`;
    const argv = [process.execPath, '--input-type=module', '-e', program];
    const child = stage.world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout?.on('data', (text) => (said += String(text)));
    await until('it is open', () => said.startsWith('open\n'));
    await crowd(stage, 'something is lost', () => Promise.resolve(said.endsWith(']\n')));
    const [least, lost, most, full] = JSON.parse(said.slice('open\n'.length)) as [
      number,
      number,
      number,
      string,
    ];
    assert.ok(least > 0 && lost >= least && lost <= most, said);
    assert.equal(full, 'unknown');
  });
});

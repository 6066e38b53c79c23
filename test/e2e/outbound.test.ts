import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { linesOf, runCli, Scratch } from '../support/cli.js';
import { openStage, stageUnavailable } from '../support/stage.js';
import { ALL_INTERFACES, Recorder, tcpdumpUnavailable } from '../support/wire.js';

const [REAL] = WORLD.real;
const PEER = '198.51.100.25';
const STRANGER = '198.51.100.26';
const ONE_MORE_SYN_MS = 1600;

/** As docs/nfqueue.md says. */
const OUTPUT_RULE = `for tool in iptables ip6tables; do
  $tool -A OUTPUT ! -o lo -p tcp --dport 25 -m state --state NEW -j NFQUEUE --queue-num 23 --queue-bypass
done`;

describe('outbound on Linux', { skip: stageUnavailable() ?? tcpdumpUnavailable() }, () => {
  const scratch = new Scratch();
  const socket = scratch.path('control.sock');
  let stage: Stage;
  before(async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    await stage.world.script(OUTPUT_RULE, 'mx');
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  /** The mail server of the host mx opens a connection; nobody listens there. */
  const connectTo = async (to: string): Promise<void> => {
    const program = `require('net').connect({ host: '${to}', port: 25, localAddress: '${REAL}' }).on('error', () => {})`;
    await stage.world.run('mx', [process.execPath, '-e', program]);
  };

  it('lets in who was connected to, and nobody else; list, why and a recording know it', async () => {
    const daemon = StagedDaemon.start(
      stage.world,
      ['-n', '23', '--outbound', '--control-socket', socket],
      () => undefined,
    );
    await daemon.ready();
    const recorder = await Recorder.start(stage.world, ALL_INTERFACES, scratch.path('out.pcap'));
    await connectTo(PEER);
    const line = await daemon.event(({ event }) => event === 'outbound');
    assert.equal(line.source, PEER);
    assert.equal(line.message, `This network has opened a connection to ${PEER}, adding to whitelist`);
    assert.equal((await stage.send(PEER, REAL)).outcome, 'delivered');
    assert.equal((await stage.send(STRANGER, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');

    const list = await runCli(['list', '--json', '--origin', 'outbound', '--control-socket', socket]);
    const entries = linesOf(list.stdout).map(
      (text) => JSON.parse(text) as { prefix: string; origin: string },
    );
    assert.deepEqual(
      entries.map(({ prefix, origin }) => [prefix, origin]),
      [[PEER, 'outbound']],
    );
    const why = await runCli(['why', PEER, '--no-dns', '--control-socket', socket]);
    assert.match(why.stdout, /^entry: +198\.51\.100\.25, by outbound: /m);
    assert.match(why.stdout.replace(/\n +/g, ' '), /outbound: this network has connected to it: whitelisted/);

    const path = await recorder.stop(3);
    const servers = ['-f', WORLD.fake[0], '-r', REAL];
    const replayed = await runCli(['replay', '--json', '--outbound', ...servers, path]);
    const events = linesOf(replayed.stdout)
      .map((text) => JSON.parse(text) as { event: string; source?: string; target?: string })
      .filter(({ event }) => ['outbound', 'admission', 'refusal'].includes(event))
      .map(({ event, source, target }) => `${event} ${source} > ${target}`);
    assert.deepEqual(
      [...new Set(events)],
      [`outbound ${REAL} > ${PEER}`, `admission ${PEER} > ${REAL}`, `refusal ${STRANGER} > ${REAL}`],
    );
    daemon.signal('SIGTERM');
    assert.equal(await daemon.ended, 0);
  });

  it('does not hold up what goes out while mxallowd does not run', async () => {
    // what the rule says: bypass; a refused connection ends at once
    await connectTo(PEER);
  });
});

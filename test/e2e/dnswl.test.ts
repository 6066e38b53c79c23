import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { listName } from '../../src/names/dnswl.js';
import { linesOf, runCli, Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable, writeNameServer } from '../support/dns.js';
import { address } from '../support/observations.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [REAL, REAL6] = WORLD.real;
const PORT = 5353;
const ZONE = 'list.sender-example.com';
/** Long enough for the SYN to be sent once more. */
const ONE_MORE_SYN_MS = 1600;

const KNOWN = '198.51.100.7';
const KNOWN6 = '2001:db8:1000::7';
const KNOWN_TOO = '198.51.100.8';
const OF_NO_TRUST = '198.51.100.9';
const UNKNOWN = '198.51.100.200';
const TOO_MUCH = '203.0.113.66';

describe('a DNS allow list, behind NFQUEUE', { skip: stageUnavailable() ?? dnsUnavailable() }, () => {
  const scratch = new Scratch();
  const socket = scratch.path('control.sock');
  let stage: Stage;
  let daemon: StagedDaemon;

  before(async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const records = [
      [KNOWN, '127.0.10.2'],
      [KNOWN6, '127.0.10.1'],
      [KNOWN_TOO, '127.0.10.3'],
      [OF_NO_TRUST, '127.0.10.0'],
      [TOO_MUCH, '127.0.0.255'],
    ] as const;
    const config = writeNameServer(scratch.folder, `${WORLD.other}@${PORT}`, {
      [ZONE]: records.map(([whom, answer]) => `${listName(address(whom), ZONE)}. A ${answer}`).join('\n'),
    });
    stage.world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' });
    const server = `${WORLD.other}:${PORT}`;
    await until('the name server answers', async () => {
      const { status } = await stage.world.run('mx', askCommand(server));
      return status === 0;
    });
    const names = ['--dns-server', server, '--dns-timeout', '30', '--no-pool', '--dnswl', ZONE];
    daemon = StagedDaemon.start(
      stage.world,
      ['-n', '23', ...names, '--control-socket', socket],
      () => undefined,
    );
    await daemon.ready();
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  /** What happened to a sender, each thing once. */
  const steps = (from: string): string[] => [
    ...new Set(daemon.events.filter(({ source }) => source === from).map(({ event = '' }) => event)),
  ];

  it('lets in whom it knows, by the next SYN, though it has never tried the fake MX', async () => {
    for (const [from, to, prefix] of [
      [KNOWN, REAL, KNOWN],
      [KNOWN6, REAL6, '2001:db8:1000::/64'],
    ] as const) {
      assert.equal((await stage.send(from, to)).outcome, 'delivered', from);
      await daemon.event(({ event, source }) => event === 'admission' && source === from);
      await daemon.event(({ event, source }) => event === 'listed' && source === prefix);
      assert.deepEqual(
        steps(from).filter((event) => event !== 'listed'),
        ['refusal', 'admission'],
        from,
      );
    }
    const { stdout } = await runCli(['list', '--json', '--origin', 'dnswl', '--control-socket', socket]);
    const entries = linesOf(stdout).map((text) => JSON.parse(text) as { prefix: string });
    assert.deepEqual(entries.map(({ prefix }) => prefix).sort(), [KNOWN, '2001:db8:1000::/64']);
  });

  it('lets in nobody else', async () => {
    for (const from of [UNKNOWN, OF_NO_TRUST]) {
      assert.equal((await stage.send(from, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer', from);
    }
    for (const from of [UNKNOWN, OF_NO_TRUST]) assert.deepEqual(steps(from), ['refusal'], from);
  });

  it('that has been asked too much lets in nobody more, and status says so', async () => {
    assert.equal((await stage.send(TOO_MUCH, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    const { message } = await daemon.event(({ event }) => event === 'dnswl-wrong');
    assert.match(message, /it answers 127\.0\.0\.255 about 203\.0\.113\.66: too much was asked of it;/);
    assert.equal((await stage.send(KNOWN_TOO, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    // who is in stays
    assert.equal((await stage.send(KNOWN, REAL)).outcome, 'delivered');
    const { stdout, status } = await runCli(['status', '--control-socket', socket]);
    assert.match(stdout.replace(/\n +/g, ' '), new RegExp(`dnswl ${ZONE}: it answers 127\\.0\\.0\\.255 `));
    assert.equal(status, 1);
  });
});

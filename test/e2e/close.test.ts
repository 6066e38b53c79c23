import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { World, WORLD } from '../../src/demo/world.js';
import { Verdict } from '../../src/netfilter/messages.js';
import { stageUnavailable } from '../support/stage.js';
import type { CloseOrder, CloseResult, Syn } from './close-probe.js';

const PROBE = fileURLToPath(new URL('./close-probe.js', import.meta.url));
const [REAL] = WORLD.real;

/** Nothing listens: what is let in is refused at once. */
const syn = (sourcePort: number, port = 25): Syn => ({
  from: '198.51.100.7',
  to: REAL,
  sourcePort,
  port,
});

describe('packets that the kernel holds when the queues are given up', { skip: stageUnavailable() }, () => {
  let world: World;
  before(async () => {
    const mode = World.mode();
    assert.ok(typeof mode === 'string');
    world = await World.create(mode);
    const rules = [
      'iptables -A INPUT -p tcp --dport 25 -j NFQUEUE --queue-num 23',
      'iptables -A INPUT -p tcp --dport 26 -j NFQUEUE --queue-num 24',
      // without a target: counts the answers
      'iptables -A OUTPUT -p tcp --tcp-flags RST RST',
    ];
    await world.script(rules.join('\n'), 'mx');
  });
  after(() => world.close());

  /**
   * Closes the queues on them; what the probe says, and how many SYNs were answered. The kernel answers a packet that
   * is let in within the call that lets it in, so that all answers have been sent when the probe has ended.
   */
  async function close(order: Omit<CloseOrder, 'first'>): Promise<CloseResult & { answered: number }> {
    await world.script('iptables -Z OUTPUT', 'mx');
    const argv = [process.execPath, PROBE, JSON.stringify({ ...order, first: syn(1001) })];
    const { status, stdout, stderr } = await world.run('mx', argv);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const counters = await world.script('iptables -nvxL OUTPUT', 'mx');
    const [, answered] = /^ *(\d+) +\d+ .*tcp flags:0x04\/0x04$/m.exec(counters) ?? [];
    return { ...(JSON.parse(stdout) as CloseResult), answered: Number(answered) };
  }

  const one = { first: 23, last: 23 };
  const two = { first: 23, last: 24 };

  it('are let in with ACCEPT, and counted', async () => {
    const order = { queues: one, rest: Verdict.ACCEPT, late: [syn(1002), syn(1003)] };
    assert.deepEqual(await close(order), { judged: 1, left: [2, 0], queues: 0, answered: 3 });
  });

  it('are dropped with DROP, and counted', async () => {
    const order = { queues: one, rest: Verdict.DROP, late: [syn(1002), syn(1003)] };
    assert.deepEqual(await close(order), { judged: 1, left: [2, 0], queues: 0, answered: 1 });
  });

  it('are let in with ACCEPT from a queue, too, that has never delivered any', async () => {
    const order = { queues: two, rest: Verdict.ACCEPT, late: [syn(1002, 26), syn(1003), syn(1004, 26)] };
    assert.deepEqual(await close(order), { judged: 1, left: [3, 0], queues: 0, answered: 4 });
  });

  it('are dropped with DROP from several queues', async () => {
    const order = { queues: two, rest: Verdict.DROP, late: [syn(1002, 26), syn(1003)] };
    assert.deepEqual(await close(order), { judged: 1, left: [2, 0], queues: 0, answered: 1 });
  });

  for (const rest of [Verdict.ACCEPT, Verdict.DROP]) {
    it(`may be none (${rest === Verdict.ACCEPT ? 'ACCEPT' : 'DROP'})`, async () => {
      const order = { queues: two, rest, late: [] };
      assert.deepEqual(await close(order), { judged: 1, left: [0, 0], queues: 0, answered: 1 });
    });
  }
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Stage } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { linesOf, runCli, Scratch } from '../support/cli.js';
import { openStage, stageUnavailable } from '../support/stage.js';
import { ALL_INTERFACES, Recorder, tcpdumpUnavailable, WAYS } from '../support/wire.js';

const CONFIG = join(packageFolder(), 'examples', 'mxallowd.conf');
const [FAKE4, FAKE6] = WORLD.fake;
const [REAL4, REAL6] = WORLD.real;
const SENDER = '198.51.100.25';
const SENDER6 = '2001:db8:1000::25';
const STRANGER = '203.0.113.9';
/** Nothing is refused on the wire of a machine that only looks: a SYN each. */
const SYNS = 5;

interface Event {
  readonly event: string;
  readonly source?: string;
  readonly target?: string;
}

async function judge(
  path: string,
): Promise<{ events: string[]; unjudged: Readonly<Record<string, number>> }> {
  const { status, stdout, stderr } = await runCli(['replay', '--json', '-c', CONFIG, path]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  const lines = linesOf(stdout).map((line) => JSON.parse(line) as Event);
  const summary = lines.at(-1) as unknown as { unjudged: Readonly<Record<string, number>> };
  const events = lines
    .filter(({ event }) => event !== 'summary' && event !== 'unjudged')
    .map(({ event, source, target }) => `${event} ${source} > ${target}`);
  return { events, unjudged: summary.unjudged };
}

const EXPECTED = [
  `attempt ${SENDER} > ${FAKE4}`,
  `admission ${SENDER} > ${REAL4}`,
  `refusal ${STRANGER} > ${REAL4}`,
  `attempt ${SENDER6} > ${FAKE6}`,
  `admission ${SENDER6} > ${REAL6}`,
];

describe(
  'a recording by the real tcpdump of a machine without mxallowd, replayed',
  { skip: stageUnavailable() ?? tcpdumpUnavailable() },
  () => {
    const scratch = new Scratch();
    let stage: Stage;

    before(async () => {
      stage = await openStage();
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    /** Mail from all three, as it comes where nobody is kept out. */
    const send = async (): Promise<void> => {
      assert.equal((await stage.send(SENDER, FAKE4)).outcome, 'refused');
      assert.equal((await stage.send(SENDER, REAL4)).outcome, 'delivered');
      assert.equal((await stage.send(STRANGER, REAL4)).outcome, 'delivered');
      assert.equal((await stage.send(SENDER6, FAKE6)).outcome, 'refused');
      assert.equal((await stage.send(SENDER6, REAL6)).outcome, 'delivered');
    };

    it('is judged as the daemon would have judged, whatever its link type', async () => {
      const recorders = await Promise.all(
        WAYS.map((way) => Recorder.start(stage.world, way, scratch.path(`${way.name}.pcap`))),
      );
      await send();
      for (const recorder of recorders) {
        const { events } = await judge(await recorder.stop(SYNS));
        assert.deepEqual(events, EXPECTED, recorder.path);
      }
    });

    it('has the connections that go out, which are left alone', async () => {
      const recorder = await Recorder.start(stage.world, ALL_INTERFACES, scratch.path('out.pcap'));
      // nobody listens there: a SYN goes out, and a RST comes back
      await stage.world.run('mx', ['bash', '-c', `: </dev/tcp/192.0.2.1/25`]);
      const { events, unjudged } = await judge(await recorder.stop(1));
      assert.deepEqual(events, []);
      assert.equal(unjudged['not-inbound'], 1);
    });

    it('of all interfaces has a packet for each that it came through: it counts once', async () => {
      await stage.world.script(
        `ip link add br0 type bridge
        ip link set br0 up
        ip address show dev eth0 scope global | awk '$1 ~ /^inet/ { print $2 }' >/run/addresses
        ip address flush dev eth0 scope global
        ip link set eth0 master br0
        while read -r address; do
          case $address in
          *:*) ip address add "$address" dev br0 nodad ;;
          *) ip address add "$address" dev br0 ;;
          esac
        done </run/addresses
        ip route replace default via 192.0.2.1
        ip -6 route replace default via 2001:db8::1`,
        'mx',
      );
      const recorder = await Recorder.start(stage.world, ALL_INTERFACES, scratch.path('bridge.pcap'));
      await send();
      const { events, unjudged } = await judge(await recorder.stop(2 * SYNS));
      assert.deepEqual(events, EXPECTED);
      assert.equal(unjudged['same-packet'], SYNS);
    });
  },
);

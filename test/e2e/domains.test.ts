import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, type StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable, writeNameServer } from '../support/dns.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [REAL, REAL6] = WORLD.real;
const PORT = 5353;
/** Long enough for the SYN to be sent once more. */
const ONE_MORE_SYN_MS = 1600;

describe(
  'a sender of an allowed domain, behind NFQUEUE',
  { skip: stageUnavailable() ?? dnsUnavailable() },
  () => {
    const scratch = new Scratch();
    let stage: Stage;
    let daemon: StagedDaemon;

    before(async () => {
      stage = await openStage();
      await loadQueueRule(stage.world, '--queue-num 23');
      const config = writeNameServer(scratch.folder, `${WORLD.other}@${PORT}`, {
        'sender-example.com':
          '@ TXT "v=spf1 ip4:198.51.100.0/25 ip6:2001:db8:1000::/48 ip4:0.0.0.0/0 ip4:192.0.2.0/24 +all"',
      });
      stage.world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' });
      const server = `${WORLD.other}:${PORT}`;
      await until('the name server answers', async () => {
        const { status } = await stage.world.run('mx', askCommand(server));
        return status === 0;
      });
      daemon = stage.startDaemon([
        '-n',
        '23',
        '--dns-server',
        server,
        '--allow-domain',
        'sender-example.com',
      ]);
      await daemon.ready();
      await daemon.event(({ event }) => event === 'domain-networks');
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    it('is let in at once, though it has never tried the fake MX', async () => {
      for (const [from, to] of [
        ['198.51.100.7', REAL],
        ['2001:db8:1000::7', REAL6],
      ] as const) {
        assert.equal((await stage.send(from, to)).outcome, 'delivered', from);
        const { reason } = await daemon.event(
          ({ event, source }) => event === 'admission' && source === from,
        );
        assert.equal(reason, 'always-allowed', from);
      }
    });

    it('does not bring in anybody else, whatever its record says', async () => {
      const warning = await daemon.event(({ event }) => event === 'domain-passed-over');
      assert.match(warning.message ?? '', /"\+all" .*0\.0\.0\.0\/0 .*192\.0\.2\.0\/24 /);
      for (const from of ['198.51.100.200', '203.0.113.7']) {
        assert.equal((await stage.send(from, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer', from);
      }
    });
  },
);

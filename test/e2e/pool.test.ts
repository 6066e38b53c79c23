import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, type StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable, reverseZones, writeNameServer } from '../support/dns.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
const PORT = 5353;
const MEMBERS = 100;
/** Long enough for the SYN to be sent once more. */
const ONE_MORE_SYN_MS = 1600;

const member = (i: number): string => `198.51.100.${i + 1}`;
const nameOf = (i: number): string => `mail-ed1-f${i}.sender-example.com`;
const outsider = (i: number): string => `203.0.113.${i + 1}`;

describe(
  'a pool of senders, each address with a name of its own',
  { skip: stageUnavailable() ?? dnsUnavailable() },
  () => {
    const scratch = new Scratch();
    let stage: Stage;
    let daemon: StagedDaemon;

    before(async () => {
      stage = await openStage();
      await loadQueueRule(stage.world, '--queue-num 23');
      const all = Array.from({ length: MEMBERS }, (_, i) => i);
      const config = writeNameServer(scratch.folder, `${WORLD.other}@${PORT}`, {
        'sender-example.com': [
          '@ TXT "v=spf1 include:_spf.sender-example.com -all"',
          '_spf TXT "v=spf1 ip4:198.51.100.0/24 -all"',
          ...all.map((i) => `mail-ed1-f${i} A ${member(i)}`),
          // has a name in the domain that points back, but no right to send for it
          ...all.map((i) => `guest-f${i} A ${outsider(i)}`),
        ].join('\n'),
        ...reverseZones([
          ...all.map((i) => [member(i), nameOf(i)] as const),
          ...all.map((i) => [outsider(i), `guest-f${i}.sender-example.com`] as const),
        ]),
      });
      stage.world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' });
      const server = `${WORLD.other}:${PORT}`;
      await until('the name server answers', async () => {
        const { status } = await stage.world.run('mx', askCommand(server));
        return status === 0;
      });
      const names = ['--dns-server', server, '--dns-timeout', '30'];
      daemon = stage.startDaemon(['-n', '23', ...names, '--log-level', 'debug']);
      await daemon.ready();
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    /** What happened to a sender at the real MX, each thing once. */
    const steps = (from: string): string[] => {
      const kinds = ['refusal', 'pooled', 'admission'];
      const its = daemon.events.filter(({ source }) => source === from).map(({ event = '' }) => event);
      return [...new Set(its.filter((event) => kinds.includes(event)))];
    };

    it('is let in by the repetition of the SYN once one of them has tried the fake MX', async (t) => {
      assert.equal((await stage.send(member(0), FAKE)).outcome, 'refused');
      await daemon.event(({ event }) => event === 'resolved');
      const others = Array.from({ length: MEMBERS - 1 }, (_, i) => member(i + 1));
      const results = await Promise.all(others.map((from) => stage.send(from, REAL)));
      assert.deepEqual(
        results.filter(({ outcome }) => outcome !== 'delivered'),
        [],
      );
      const slowest = Math.max(...results.map(({ tookMs }) => tookMs));
      t.diagnostic(`${results.length} members, the slowest after ${(slowest / 1000).toFixed(2)} s`);
      for (const from of others) {
        await daemon.event(({ event, source }) => event === 'admission' && source === from);
        assert.deepEqual(steps(from), ['refusal', 'pooled', 'admission'], from);
      }
    });

    it('does not bring in those whose name is in the domain, when its SPF record does not', async () => {
      const guests = Array.from({ length: MEMBERS }, (_, i) => outsider(i));
      const outcomes = async (): Promise<Set<string>> => {
        const results = await Promise.all(guests.map((from) => stage.send(from, REAL, ONE_MORE_SYN_MS)));
        return new Set(results.map(({ outcome }) => outcome));
      };
      assert.deepEqual(await outcomes(), new Set(['no answer']));
      for (const from of guests) {
        const { reason } = await daemon.event(({ event, source }) => event === 'no-pool' && source === from);
        assert.equal(reason, 'spf', from);
      }
      // now that all is known about them, too
      assert.deepEqual(await outcomes(), new Set(['no answer']));
    });
  },
);

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadQueueRule, type Stage, type StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { dnsUnavailable, reverseZones, writeNameServer } from '../support/dns.js';
import { Scratch } from '../support/cli.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
const PORT = 5353;
const MEMBERS = 100;
/** Long enough for two repetitions of the SYN. */
const PATIENCE_MS = 4000;

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
      daemon = stage.startDaemon([
        '-n',
        '23',
        '--dns-server',
        `${WORLD.other}:${PORT}`,
        '--log-level',
        'debug',
      ]);
      await daemon.ready();
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    it('is let in by the repetition of the SYN once one of them has tried the fake MX', async (t) => {
      // nsd needs a moment: the first answer shows that it is there
      do {
        assert.equal((await stage.send(member(0), FAKE)).outcome, 'refused');
      } while (!(await named(daemon)));
      const others = Array.from({ length: MEMBERS - 1 }, (_, i) => member(i + 1));
      const results = await Promise.all(others.map((from) => stage.send(from, REAL, PATIENCE_MS)));
      assert.deepEqual(
        results.filter(({ outcome }) => outcome !== 'delivered'),
        [],
      );
      const slowest = Math.max(...results.map(({ tookMs }) => tookMs));
      t.diagnostic(`${results.length} members, the slowest after ${(slowest / 1000).toFixed(2)} s`);
      assert.ok(slowest < 3000, `the slowest took ${slowest} ms`);
      assert.equal(daemon.events.filter(({ event }) => event === 'pooled').length, MEMBERS - 1);
    });

    it('does not bring in those whose name is in the domain, when its SPF record does not', async () => {
      const guests = Array.from({ length: MEMBERS }, (_, i) => outsider(i));
      const results = await Promise.all(guests.map((from) => stage.send(from, REAL, PATIENCE_MS)));
      assert.deepEqual(new Set(results.map(({ outcome }) => outcome)), new Set(['no answer']));
      const reasons = daemon.events.filter(({ event }) => event === 'no-pool').map(({ reason }) => reason);
      assert.deepEqual(new Set(reasons), new Set(['spf']));
    });
  },
);

/** Waits for what comes of a look-up; whether the name server was there. */
async function named(daemon: StagedDaemon): Promise<boolean> {
  const from = daemon.events.length;
  const seen = (events: typeof daemon.events) => events.some(({ event }) => event === 'resolved');
  if (seen(daemon.events)) return true;
  const resolved = daemon.event(({ event }) => event === 'resolved', from).then(() => true);
  daemon.signal('SIGUSR1');
  const told = daemon
    .event(({ event }) => event === 'names-statistics', from)
    .then(() => seen(daemon.events));
  return Promise.race([resolved, told]);
}

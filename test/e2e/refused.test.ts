import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { RefusedSender } from '../../src/control/protocol.js';
import { loadQueueRule, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { linesOf, runCli, Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable, reverseZones, writeNameServer } from '../support/dns.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
const PORT = 5353;
/** Long enough for the SYN to be sent once more. */
const ONE_MORE_SYN_MS = 1600;

const FIRST = '198.51.100.1';
/** By whom it is seen that the pool is known. */
const SCOUT = '198.51.100.2';
const MEMBER = '198.51.100.3';
const HONEST = '203.0.113.9';
const NAMELESS = '203.0.113.10';
const ALL = [SCOUT, MEMBER, HONEST, NAMELESS].sort();

describe(
  'mxallowd refused, with a daemon, a name server and senders',
  { skip: stageUnavailable() ?? dnsUnavailable() },
  () => {
    const scratch = new Scratch();
    const socket = scratch.path('control.sock');
    const server = `${WORLD.other}:${PORT}`;
    let stage: Stage;

    before(async () => {
      // a daemon that is not root any more must get to its state file
      chmodSync(scratch.folder, 0o755);
      stage = await openStage();
      await loadQueueRule(stage.world, '--queue-num 23');
      const config = writeNameServer(scratch.folder, `${WORLD.other}@${PORT}`, {
        'sender-example.com': [
          '@ TXT "v=spf1 ip4:198.51.100.0/24 -all"',
          `f1 A ${FIRST}`,
          `f2 A ${SCOUT}`,
          `f3 A ${MEMBER}`,
        ].join('\n'),
        'honest-example.org': ['@ TXT "v=spf1 a:mail.honest-example.org -all"', `mail A ${HONEST}`].join(
          '\n',
        ),
        ...reverseZones([
          [FIRST, 'f1.sender-example.com'],
          [SCOUT, 'f2.sender-example.com'],
          [MEMBER, 'f3.sender-example.com'],
          [HONEST, 'mail.honest-example.org'],
        ]),
      });
      stage.world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' });
      await until('the name server answers', async () => {
        const { status } = await stage.world.run('mx', askCommand(server));
        return status === 0;
      });
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    const start = async (...args: readonly string[]): Promise<StagedDaemon> => {
      const state = scratch.path('state/state');
      const names = ['--dns-server', server, '--dns-timeout', '30'];
      const kept = ['--control-socket', socket, '--state-file', state];
      const daemon = StagedDaemon.start(
        stage.world,
        ['-n', '23', ...names, ...kept, ...args],
        () => undefined,
      );
      await daemon.ready();
      return daemon;
    };
    const end = async (daemon: StagedDaemon): Promise<void> => {
      daemon.signal('SIGTERM');
      assert.equal(await daemon.ended, 0);
    };
    const ask = async (...args: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await runCli([...args, '--control-socket', socket]);
      assert.deepEqual([status, stderr], [0, '']);
      return stdout;
    };
    const refused = async (): Promise<Record<string, RefusedSender>> => {
      const rows = linesOf(await ask('refused', '--json')).map((line) => JSON.parse(line) as RefusedSender);
      return Object.fromEntries(
        rows.filter(({ prefix }) => prefix !== undefined).map((row) => [row.prefix, row]),
      );
    };

    it('in dry-run tells who would have been, and no member of a pool that its next SYN would let in', async () => {
      const daemon = await start('--dry-run');
      assert.equal((await stage.send(FIRST, FAKE)).outcome, 'refused');
      // its SPF record opens the door for the pool
      await daemon.event(({ event }) => event === 'resolved');
      await until('the pool is known', async () => {
        await stage.send(SCOUT, REAL);
        return daemon.events.some(({ event }) => event === 'pooled');
      });
      assert.equal((await stage.send(MEMBER, REAL)).outcome, 'delivered');
      await daemon.event(({ event, source }) => event === 'pooled' && source === MEMBER);
      assert.equal((await stage.send(HONEST, REAL)).outcome, 'delivered');
      assert.equal((await stage.send(NAMELESS, REAL)).outcome, 'delivered');
      await daemon.event(({ event, source }) => event === 'refusal' && source === NAMELESS);
      const found = await refused();
      assert.deepEqual(Object.keys(found).sort(), ALL);
      const { isIn, count, passed, name, spf, domain } = found[HONEST] ?? {};
      assert.deepEqual(
        { isIn, count, passed, name, spf, domain },
        {
          isIn: 'no',
          count: 1,
          passed: 1,
          name: 'mail.honest-example.org',
          spf: 'pass',
          domain: 'honest-example.org',
        },
      );
      assert.equal(found[MEMBER]?.isIn, 'next');
      assert.equal(found[NAMELESS]?.isIn, 'no');
      assert.match(await ask('refused'), /Nobody is refused for now \(dry-run\)/);
      const why = await ask('why', HONEST, '--no-dns');
      assert.match(why, /^now: +it is not in the whitelist, and let in all the same/m);
      assert.doesNotMatch(why, /refus/);
      assert.match(await ask('refused', '--suggest'), /^# Would have been refused/);
      await end(daemon);
    });

    it('still knows after a restart, and tells who got in later', async () => {
      const daemon = await start();
      const before = await refused();
      assert.deepEqual(Object.keys(before).sort(), ALL);
      assert.equal(before[HONEST]?.name, 'mail.honest-example.org');
      assert.equal((await stage.send(HONEST, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
      const live = await refused();
      assert.equal(live[HONEST]?.passed, 1);
      assert.ok((live[HONEST]?.count ?? 0) >= 2);
      assert.match(await ask('why', HONEST, '--no-dns'), /^now: +it is refused at the real MX/m);
      assert.equal((await stage.send(HONEST, FAKE)).outcome, 'refused');
      assert.equal((await stage.send(HONEST, REAL)).outcome, 'delivered');
      await daemon.event(({ event, source }) => event === 'admission' && source === HONEST);
      assert.equal((await refused())[HONEST]?.isIn, 'yes');
      await end(daemon);
    });

    it('and why know an entry that has expired', async () => {
      const daemon = await start('--whitelist-time', '1');
      await stage.send(NAMELESS, FAKE);
      await daemon.event(({ event, source }) => event === 'expiry' && source === NAMELESS);
      assert.equal((await stage.send(NAMELESS, REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
      await daemon.event(({ event, source }) => event === 'refusal' && source === NAMELESS);
      const why = (await ask('why', NAMELESS, '--no-dns')).replace(/\n +/g, ' ');
      assert.match(
        why,
        /^before: +203\.0\.113\.10: tried the fake MX at \S+ [\d:]+, let in until [-\d]* ?[\d:]+ \(never used\), came at [-\d]* ?[\d:]+$/m,
      );
      await end(daemon);
    });
  },
);

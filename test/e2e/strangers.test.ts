import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { until } from '../support/daemon.js';
import { greylistUnavailable, MAIL, mailUnavailable, MailWorld, type Postfix } from '../support/mail.js';
import { stageUnavailable } from '../support/stage.js';

const EXAMPLES = join(packageFolder(), 'examples');
const [REAL = ''] = WORLD.real;
const [FAKE = ''] = WORLD.fake;
/** As in examples/strangers.nft and examples/postgrey.master.cf. */
const MARK = 25;

/** What its queue does by itself every second, so that nobody has to wait for hours. */
const IMPATIENT = { queue_run_delay: '1s', minimal_backoff_time: '1s', maximal_backoff_time: '1s' };
const straight = { relayhost: `[${MAIL.real}]`, ...IMPATIENT };

/** The rules of examples/strangers.nft; where the kernel has no expression "queue", iptables asks. */
async function loadRules({ world }: MailWorld): Promise<void> {
  const rules = readFileSync(join(EXAMPLES, 'strangers.nft'), 'utf8');
  const nat = rules.replace(/^.* queue to 23$/m, '');
  assert.notEqual(nat, rules);
  await world.script(`nft -f - <<'RULES'\n${nat}\nRULES`, 'mx');
  const ask = '-t mangle -A PREROUTING -p tcp --dport 25 -m state --state NEW -j NFQUEUE --queue-num 23';
  await world.script(`iptables ${ask}\nip6tables ${ask}`, 'mx');
}

/** Says what a client says that gives up after one try. @returns the last answer */
async function bot({ world }: MailWorld, from: string): Promise<string> {
  const program = `
    const [from, to] = process.argv.slice(1);
    const socket = require('node:net').connect({ host: to, port: 25, localAddress: from });
    const says = ['HELO bot.example', 'MAIL FROM:<bot@bot.example>', 'RCPT TO:<${MAIL.recipient}>', 'QUIT'];
    const heard = [];
    socket.setEncoding('latin1').on('data', (text) => {
      heard.push(text.trim());
      socket.write((says.shift() ?? '') + '\\r\\n');
    });
    socket.on('close', () => process.stdout.write(heard.at(-2) ?? ''));
    socket.on('error', (error) => process.stdout.write(error.message));`;
  const { stdout } = await world.run('internet', [process.execPath, '-e', program, '--', from, REAL]);
  return stdout;
}

describe(
  'strangers who are greylisted: Postfix and postgrey on a port of their own, NFQUEUE with a mark',
  { skip: stageUnavailable() ?? mailUnavailable() ?? greylistUnavailable() },
  () => {
    let place: MailWorld;
    let daemon: StagedDaemon;
    before(async () => {
      place = await MailWorld.create();
      await place.postgrey();
      await place.greylist(readFileSync(join(EXAMPLES, 'postgrey.master.cf'), 'utf8'));
      await loadRules(place);
      daemon = StagedDaemon.start(place.world, ['-n', '23', '--strangers', `mark ${MARK}`], () => undefined);
      await daemon.ready();
    });
    after(() => place.dispose());

    const eventsOf = (source: string): string[] => [
      ...new Set(daemon.events.filter((one) => one.source === source).map(({ event = '' }) => event)),
    ];
    const cases = [
      { protocols: 'ipv4', real: REAL, source: '203.0.113.4' },
      { protocols: 'ipv6', real: '2001:db8::4', source: '2001:db8:1004::4' },
    ] as const;
    for (const { protocols, real, source } of cases) {
      it(`one that goes straight to the real MX and comes again is delivered (${protocols})`, async () => {
        const bind = protocols === 'ipv4' ? 'smtp_bind_address' : 'smtp_bind_address6';
        const postfix = await place.postfix(protocols, { ...straight, [bind]: source });
        const id = await postfix.send(`Straight by ${protocols}.`);
        const first = await postfix.outcome(id);
        assert.equal(first.status, 'deferred', first.line);
        assert.match(first.line, /Greylisted/);
        assert.equal(first.relay, `${MAIL.real}[${real}]:25`);
        await postfix.sent(id);
        await until('it has arrived', () => arrived(`Straight by ${protocols}.`).length === 1);
        const [message] = arrived(`Straight by ${protocols}.`);
        assert.match(message?.text ?? '', /^X-Greylist: delayed \d+ seconds by postgrey/m);
        assert.deepEqual(eventsOf(source), ['redirected']);
        await postfix.stop();
      });
    }

    const arrived = (body: string) => place.messages().filter(({ text }) => text.includes(body));

    it('one that has tried the fake MX is delivered at once, past the greylist', async () => {
      const source = '203.0.113.5';
      const postfix: Postfix = await place.postfix('ipv4', { smtp_bind_address: source });
      const outcome = await postfix.outcome(await postfix.send('In order.'));
      assert.equal(outcome.status, 'sent', outcome.line);
      assert.deepEqual(postfix.failedConnections(), [`${MAIL.fake}[${FAKE}]:25: Connection refused`]);
      const [message, ...others] = arrived('In order.');
      assert.equal(others.length, 0);
      assert.equal(message?.client, source);
      assert.doesNotMatch(message.text, /^X-Greylist:/m);
      await daemon.event(({ event, source: from }) => event === 'admission' && from === source);
      assert.deepEqual(eventsOf(source), ['attempt', 'admission']);
      await postfix.stop();
    });

    it('a bot that does not come again is told to, and delivers nothing', async () => {
      const source = '203.0.113.6';
      const before = place.messages().length;
      assert.match(await bot(place, source), /^450 4\.2\.0 .*Greylisted/);
      await daemon.event(({ event, source: from }) => event === 'redirected' && from === source);
      assert.deepEqual(eventsOf(source), ['redirected']);
      assert.equal(place.messages().length, before);
    });

    it('they are counted as redirected, and their packets as accepted', async () => {
      const from = daemon.events.length;
      daemon.signal('SIGUSR1');
      const { redirected, refusals } = (await daemon.event(({ event }) => event === 'counters', from)) as {
        redirected?: number;
        refusals?: number;
      };
      assert.ok((redirected ?? 0) >= 5, String(redirected));
      assert.equal(refusals, 0);
      const { dropped } = await daemon.event(({ event }) => event === 'queue-statistics', from);
      assert.equal(dropped, 0);
    });
  },
);

describe(
  'strangers before postscreen on a port of its own, NFQUEUE with a mark',
  { skip: stageUnavailable() ?? mailUnavailable() ?? greylistUnavailable() },
  () => {
    let place: MailWorld;
    let screen: Postfix;
    let daemon: StagedDaemon;
    before(async () => {
      place = await MailWorld.create();
      screen = await place.greylist(readFileSync(join(EXAMPLES, 'postscreen.master.cf'), 'utf8'));
      await loadRules(place);
      daemon = StagedDaemon.start(place.world, ['-n', '23', '--strangers', `mark ${MARK}`], () => undefined);
      await daemon.ready();
    });
    after(() => place.dispose());

    for (const [protocols, source] of [
      ['ipv4', '203.0.113.4'],
      ['ipv6', '2001:db8:1004::4'],
    ] as const) {
      it(`one that goes straight to the real MX passes the tests, and is delivered when it comes again (${protocols})`, async () => {
        const bind = protocols === 'ipv4' ? 'smtp_bind_address' : 'smtp_bind_address6';
        const postfix = await place.postfix(protocols, { ...straight, [bind]: source });
        const id = await postfix.send(`Screened by ${protocols}.`);
        const first = await postfix.outcome(id);
        assert.equal(first.status, 'deferred', first.line);
        assert.match(first.line, /450 4\.3\.2 Service currently unavailable/);
        await postfix.sent(id);
        const client = source.includes(':') ? `\\[${source}\\]` : source;
        assert.match(screen.log(), new RegExp(`postscreen.* PASS NEW .*${client}`));
        // two of them must not want the same cache
        assert.doesNotMatch(screen.log(), / fatal: /);
        await postfix.stop();
      });
    }
  },
);

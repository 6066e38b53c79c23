import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Outcome } from '../../src/demo/messages.js';
import { loadQueueRule, type LogEvent, type Stage, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { openLiveStage, openStage, rootStageUnavailable, stageUnavailable } from '../support/stage.js';

const [FAKE, FAKE6] = WORLD.fake;
const [REAL, REAL6] = WORLD.real;
/** Long enough for the SYN to be sent once more, after a second. */
const ONE_MORE_SYN_MS = 1600;

const sender = (i: number): string => `198.18.${(i >> 8) & 255}.${i & 255}`;
const bot = (i: number): string => `198.19.${(i >> 8) & 255}.${i & 255}`;

async function each<T>(count: number, work: (i: number) => Promise<T>, atOnce = 200): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      results[i] = await work(i);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

function count(outcomes: readonly Outcome[]): Partial<Record<Outcome, number>> {
  const counts: Partial<Record<Outcome, number>> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function isDecision(kind: string, source: string): (event: LogEvent) => boolean {
  return ({ event, source: who }) => event === kind && who === source;
}

/** Asks for the statistics and gives the line about the queue. */
async function queueStatistics(daemon: StagedDaemon): Promise<Record<string, unknown>> {
  const from = daemon.events.length;
  daemon.signal('SIGUSR1');
  return (await daemon.event(({ event }) => event === 'queue-statistics', from)) as unknown as Record<
    string,
    unknown
  >;
}

/** What the kernel knows of our queues: number, owner, waiting, mode, range, full, lost, id. */
async function kernelQueues(stage: Stage): Promise<number[][]> {
  const text = await stage.world.script('cat /proc/net/netfilter/nfnetlink_queue', 'mx');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.trim().split(/\s+/).map(Number));
}

interface RawPacket {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly before?: string;
  readonly next?: number;
  readonly data?: number;
  readonly fragment?: number;
}

/** Sends raw packets from the Internet; what answered, by source port. */
async function sendRaw(stage: Stage, packets: readonly RawPacket[]): Promise<Record<string, string>> {
  const scratch = new Scratch();
  const marker = { family: 4, source: '203.0.113.250', destination: FAKE, port: 9999 };
  const order = scratch.file('packets.json', JSON.stringify({ packets, marker }));
  const program = join(packageFolder(), 'test', 'e2e', 'raw_tcp.py');
  const text = await stage.world.script(`python3 '${program}' <'${order}'`, 'internet');
  scratch.remove();
  return JSON.parse(text) as Record<string, string>;
}

describe('thousands of senders and bots', { skip: stageUnavailable() }, () => {
  const SENDERS = 3000;
  const BOTS = 1000;
  let stage: Stage;
  let daemon: StagedDaemon;
  before(async () => ({ stage, daemon } = await openLiveStage()));
  after(() => stage.close());

  it('every sender that tries both in their order delivers, and no bot does', async () => {
    const [outcomes, spam] = await Promise.all([
      each(SENDERS, async (i) => {
        const fake = await stage.send(sender(i), FAKE);
        return fake.outcome === 'refused' ? (await stage.send(sender(i), REAL)).outcome : fake.outcome;
      }),
      each(BOTS, async (i) => (await stage.send(bot(i), REAL, ONE_MORE_SYN_MS)).outcome, BOTS),
    ]);
    assert.deepEqual(count(outcomes), { delivered: SENDERS });
    assert.deepEqual(count(spam), { 'no answer': BOTS });
    assert.equal(stage.delivered.size, SENDERS);
    // each bot's SYN, and its repetition
    await until('all are dropped', async () => {
      const { dropped } = await queueStatistics(daemon);
      return (dropped as number) >= 2 * BOTS;
    });
    const { accepted, lost, full } = await queueStatistics(daemon);
    assert.deepEqual([lost, full], [0, 0]);
    // and its own two, which look whether something listens on a fake MX; a SYN may have been sent again
    assert.ok((accepted as number) >= 2 * SENDERS + 2, `${String(accepted)} accepted`);
  });
});

describe('several queues', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  before(async () => ({ stage } = await openLiveStage(['-n', '23-26'], '--queue-balance 23:26')));
  after(() => stage.close());

  it('are all answered', async () => {
    const outcomes = await each(200, async (i) => {
      await stage.send(sender(i), FAKE);
      return (await stage.send(sender(i), REAL)).outcome;
    });
    assert.deepEqual(count(outcomes), { delivered: 200 });
    const queues = await kernelQueues(stage);
    assert.deepEqual(
      queues.map(([number]) => number),
      [23, 24, 25, 26],
    );
    for (const [number, , waiting, , , , , id] of queues) {
      assert.equal(waiting, 0);
      assert.ok((id ?? 0) > 0, `queue ${number} was used`);
    }
  });
});

describe('a queue of its own for the real MX, as in docs/nfqueue.md', { skip: stageUnavailable() }, () => {
  const FLOOD = 1200;
  /** Every so many come to the fake MX, and have a line in the log, which has 500 a second; the others to no MX of ours. */
  const LOGGED = 4;
  /** packets that are read of a queue before the next one has its turn; that may be seen a turn late */
  const TURNS = 2 * 256;
  let stage: Stage;
  let daemon: StagedDaemon;
  before(async () => {
    const document = readFileSync(join(packageFolder(), 'docs', 'nfqueue.md'), 'utf8');
    ({ stage, daemon } = await openLiveStage(['-n', '23-24']));
    await stage.world.script((document.match(/^ *ip6?tables +-I .*$/gm) ?? []).join('\n'), 'mx');
  });
  after(() => stage.close());

  it('does not wait behind a flood to the fake MX', async () => {
    assert.equal((await stage.send(sender(1), FAKE)).outcome, 'refused');
    await daemon.event(isDecision('attempt', sender(1)));
    const waiting = async (): Promise<number[]> => (await kernelQueues(stage)).map(([, , many]) => many ?? 0);
    daemon.signal('SIGSTOP');
    const from = daemon.events.length;
    const flood = each(FLOOD, (i) => stage.send(bot(i), i % LOGGED === 0 ? FAKE : WORLD.other), FLOOD);
    await until('the flood waits', async () => ((await waiting())[0] ?? 0) >= FLOOD);
    const known = stage.send(sender(1), REAL);
    await until('the known sender waits', async () => (await waiting())[1] === 1);
    daemon.signal('SIGCONT');
    assert.equal((await known).outcome, 'delivered');
    await daemon.event(isDecision('admission', sender(1)), from);
    const kinds = daemon.events.slice(from).map(({ event }) => event);
    const before = kinds.slice(0, kinds.indexOf('admission')).filter((kind) => kind === 'attempt').length;
    // they come in about the order in which they were sent
    const most = (1.2 * TURNS) / LOGGED;
    assert.ok(before <= most, `${before} of ${FLOOD / LOGGED} came before it`);
    assert.deepEqual(count((await flood).map(({ outcome }) => outcome)), { refused: FLOOD });
  });

  it('drops strangers as the other one does', async () => {
    assert.equal((await stage.send(bot(5000), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    const from = daemon.events.length;
    assert.equal((await stage.send('2001:db8:1000:5::1', REAL6, ONE_MORE_SYN_MS)).outcome, 'no answer');
    await daemon.event(({ event }) => event === 'refusal', from);
    const used = (await kernelQueues(stage)).map(([, , , , , , , id]) => (id ?? 0) > 0);
    assert.deepEqual(used, [true, true]);
  });
});

describe('IPv6', { skip: stageUnavailable() }, () => {
  /** Destination options (RFC 8200 section 4.6) of so many bytes: options that nobody knows, to be skipped. */
  const options = (length: number): string => {
    const content: number[] = [];
    for (let left = length - 2; left > 0;) {
      const take = Math.min(left, 255);
      // type 0x1e (RFC 4727), length, data
      content.push(0x1e, take - 2, ...new Array<number>(take - 2).fill(0));
      left -= take;
    }
    return Buffer.from([6, length / 8 - 1, ...content]).toString('hex');
  };
  const GOOD = '2001:db8:1000:1::25';
  const BAD = '2001:db8:1000:2::25';
  /** Linux takes no fragments below the least MTU of IPv6, but the last one. */
  const inFragments = { data: 1400, fragment: 1296 };
  const toReal = { family: 6, destination: REAL6 } as const;
  let stage: Stage;

  describe('with connection tracking, which puts fragments together', () => {
    before(async () => {
      ({ stage } = await openLiveStage());
      assert.equal((await stage.send(GOOD, FAKE6)).outcome, 'refused');
    });
    after(() => stage.close());

    it('is judged behind extension headers and in fragments', async () => {
      const answers = await sendRaw(stage, [
        { ...toReal, source: GOOD, port: 1001, before: options(8), next: 60 },
        { ...toReal, source: BAD, port: 1002, before: options(8), next: 60 },
        { ...toReal, source: GOOD, port: 1003, ...inFragments },
        { ...toReal, source: BAD, port: 1004, ...inFragments },
      ]);
      assert.deepEqual(answers, { 1001: 'SA', 1003: 'SA' });
    });

    it('behind more headers than are copied is only for the whitelisted', async () => {
      const answers = await sendRaw(stage, [
        { ...toReal, source: GOOD, port: 1011, before: options(512), next: 60 },
        { ...toReal, source: BAD, port: 1012, before: options(512), next: 60 },
      ]);
      assert.deepEqual(answers, { 1011: 'SA' });
    });
  });

  describe('without it', () => {
    before(async () => {
      stage = await openStage();
      await stage.world.script(`ip6tables -A INPUT -d ${REAL6} -j NFQUEUE --queue-num 23`, 'mx');
      await stage.world.script('ip6tables -A INPUT -p tcp --dport 25 -j NFQUEUE --queue-num 23', 'mx');
      await stage.world.script('iptables -A INPUT -p tcp --dport 25 -j NFQUEUE --queue-num 23', 'mx');
      await stage.startDaemon(['-n', '23']).ready();
      assert.equal((await stage.send(GOOD, FAKE6)).outcome, 'refused');
    });
    after(() => stage.close());

    it('is judged by the first fragment', async () => {
      const answers = await sendRaw(stage, [
        { ...toReal, source: GOOD, port: 1021, ...inFragments },
        { ...toReal, source: BAD, port: 1022, ...inFragments },
      ]);
      assert.deepEqual(answers, { 1021: 'SA' });
    });
  });
});

describe('mxallowd is killed and started again', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('nobody gets in meanwhile, and senders get in when they try again', async () => {
    const live = await openLiveStage();
    stage = live.stage;
    await stage.send(sender(1), FAKE);
    live.daemon.signal('SIGKILL');
    await live.daemon.ended;
    assert.equal((await stage.send(sender(1), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    const waiting = stage.send(sender(2), FAKE);

    await stage.startDaemon(['-n', '23']).ready();
    // the SYN that found nobody is sent again
    assert.equal((await waiting).outcome, 'refused');
    assert.equal((await stage.send(sender(2), REAL)).outcome, 'delivered');
    assert.equal((await stage.send(bot(1), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    assert.equal((await stage.send(sender(1), FAKE)).outcome, 'refused');
    assert.equal((await stage.send(sender(1), REAL)).outcome, 'delivered');
  });

  it('the packets that wait when it is asked to end are judged before it does', async () => {
    const stage = await openStage();
    try {
      await loadQueueRule(stage.world, '--queue-num 23');
      const daemon = stage.startDaemon(['-n', '23']);
      await daemon.ready();
      await stage.send(sender(3), FAKE);
      daemon.signal('SIGSTOP');
      const known = stage.send(sender(3), REAL);
      await until('its SYN waits in the queue', async () => ((await kernelQueues(stage))[0]?.[2] ?? 0) > 0);
      daemon.signal('SIGTERM');
      daemon.signal('SIGCONT');
      assert.equal((await known).outcome, 'delivered');
      assert.equal(await daemon.ended, 0);
    } finally {
      await stage.close();
    }
  });
});

describe('a queue that is full', { skip: stageUnavailable() }, () => {
  const LENGTH = 64;
  const CROWD = 200;
  let stage: Stage;
  afterEach(() => stage.close());

  /** A crowd of bots comes while mxallowd is held up, until the queue is full; what they get. */
  async function overrun(
    args: readonly string[],
    patienceMs?: number,
  ): Promise<{ spam: Promise<Outcome[]>; daemon: StagedDaemon }> {
    const live = await openLiveStage(['-n', '23', '--queue-length', String(LENGTH), ...args]);
    ({ stage } = live);
    live.daemon.signal('SIGSTOP');
    const spam = each(CROWD, async (i) => (await stage.send(bot(i), REAL, patienceMs)).outcome, CROWD);
    await until('the queue is full', async () => (await kernelQueues(stage))[0]?.[2] === LENGTH);
    return { spam, daemon: live.daemon };
  }

  it('loses SYNs, which are sent again: nobody gets in, and it says so', async () => {
    const { spam, daemon } = await overrun([], ONE_MORE_SYN_MS);
    await until('all have come', async () => ((await kernelQueues(stage))[0]?.[5] ?? 0) >= CROWD - LENGTH);
    daemon.signal('SIGCONT');
    assert.deepEqual(count(await spam), { 'no answer': CROWD });
    const { full } = await queueStatistics(daemon);
    assert.ok((full as number) >= CROWD - LENGTH, `${String(full)} were too many`);
    const { message } = await daemon.event(({ event }) => event === 'queue-overflow');
    assert.match(
      message,
      /^\d+ packets found the queue full \(queue-length 64\): dropped unjudged; senders try again$/,
    );
  });

  it('lets what it cannot take pass with --fail-open', async () => {
    const { daemon } = await overrun(['--fail-open']);
    await until('the rest is let in', () => stage.delivered.size >= CROWD - LENGTH);
    daemon.signal('SIGCONT');
    await until('those that it could take are dropped', async () => {
      const { dropped } = await queueStatistics(daemon);
      return (dropped as number) >= LENGTH;
    });
  });
});

describe('SIGHUP', { skip: stageUnavailable() }, () => {
  const scratch = new Scratch();
  const other = '203.0.113.9';
  let stage: Stage;
  let daemon: StagedDaemon;
  const write = (...lines: string[]): string =>
    scratch.file('mxallowd.conf', [`fake-mailserver ${FAKE}`, ...lines, ''].join('\n'));
  const reload = async (): Promise<number> => {
    const from = daemon.events.length;
    daemon.signal('SIGHUP');
    await daemon.event(({ event }) => event === 'reloaded', from);
    return from;
  };
  before(async () => {
    const config = write(`real-mailserver ${other}`);
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    // only root can read the test's folder
    daemon = stage.startDaemon(['-n', '23', '-c', config, '--user', 'root']);
    await daemon.ready();
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  it('takes addresses in and out', async () => {
    assert.equal((await stage.send(bot(1), REAL)).outcome, 'delivered', 'not an address of ours yet');
    write(`real-mailserver ${other}`, `real-mailserver ${REAL}`);
    await reload();
    assert.equal((await stage.send(bot(1), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    write(`real-mailserver ${other}`);
    await reload();
    assert.equal((await stage.send(bot(1), REAL)).outcome, 'delivered');
  });

  it('takes dry-run over, from the next packet on, and says so', async () => {
    write(`real-mailserver ${REAL}`, 'dry-run');
    const from = await reload();
    const said = (isDry: boolean, since: number): Promise<LogEvent> =>
      daemon.event(({ event, dryRun }) => event === 'dry-run' && dryRun === isDry, since);
    assert.match(
      (await said(true, from)).message,
      /^dry-run is on: from the next packet on everything is accepted/,
    );
    assert.equal((await stage.send(bot(2), REAL)).outcome, 'delivered');
    assert.match((await daemon.event(isDecision('refusal', bot(2)), from)).message, /^Would drop /);

    write(`real-mailserver ${REAL}`);
    const live = await reload();
    assert.match(
      (await said(false, live)).message,
      /^dry-run is off: from the next packet on who has not tried/,
    );
    assert.equal((await stage.send(bot(2), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    // not as a repeat of what was told before
    assert.match((await daemon.event(isDecision('refusal', bot(2)), live)).message, /^Dropping /);
    assert.equal(
      daemon.events.some(({ event }) => event === 'restart-needed'),
      false,
    );
  });
});

describe('--dry-run', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('lets everybody in, and says who would be dropped', async () => {
    const live = await openLiveStage(['-n', '23', '--dry-run']);
    ({ stage } = live);
    assert.equal((await stage.send(bot(1), REAL)).outcome, 'delivered');
    const { message } = await live.daemon.event(isDecision('refusal', bot(1)));
    assert.equal(message, `Would drop connection attempt from ${bot(1)} to a real mailserver`);
  });
});

describe('a fake MX on which something listens', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('is warned of, and the one where nothing listens is not', async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const listen = `require('node:net').createServer().listen(25, '${FAKE}', () => console.log('listening'))`;
    const listener = stage.world.spawn('mx', [process.execPath, '-e', listen], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => listener.stdout?.once('data', resolve));
    const daemon = stage.startDaemon(['-n', '23']);
    const { message } = await daemon.event(({ event }) => event === 'fake-answers');
    assert.match(
      message,
      /^something listens on port 25 of the fake MX 192\.0\.2\.3: it takes mail from everybody;/,
    );
    // the machine's own connection is nobody's attempt
    assert.equal((await stage.send(sender(1), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    assert.deepEqual(
      daemon.events.filter(({ event, target }) => event === 'fake-answers' && target === FAKE6),
      [],
    );
    assert.equal(
      daemon.events.some(({ event }) => event === 'attempt'),
      false,
    );
  });
});

describe('an exception while a packet is judged', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  after(() => stage.close());

  it('ends the process like any other, and gives the queue up', async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const queue = join(packageFolder(), 'build', 'src', 'netfilter', 'queues.js');
    const program = `
      import { PacketQueues } from '${queue}';
      const settings = { queues: { first: 23, last: 23 }, maxLength: 64, copyRange: 256, failOpen: false, receiveBuffer: 1e6 };
      process.on('uncaughtException', ({ message }) => { console.log(message); process.exit(70); });
      await PacketQueues.open(settings, { judge: () => { throw new Error('a bug'); }, answered: () => undefined, failed: () => undefined });
      console.log('open');`;
    const argv = [process.execPath, '--input-type=module', '-e', program];
    const child = stage.world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let said = '';
    await new Promise((resolve) => child.stdout?.on('data', (text) => resolve((said += String(text)))));
    void stage.send(bot(1), REAL, 1000);
    assert.equal(await ended, 70);
    assert.equal(said, 'open\na bug\n');
    assert.deepEqual(await kernelQueues(stage), []);
  });
});

describe('when it cannot have the queue', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  before(async () => ({ stage } = await openLiveStage()));
  after(() => stage.close());

  it('because another program has it: says so, status 69', async () => {
    const second = stage.startDaemon(['-n', '22-23']);
    assert.equal(await second.ended, 69);
    assert.match(
      second.stderr,
      /^mxallowd: NFQUEUE 23 is taken by another program \(netlink port \d+, mostly its process ID\): end that, or choose another --queue-num$/m,
    );
  });

  it('because it may not: says so, status 77', { skip: rootStageUnavailable() }, async () => {
    const program = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-all', process.execPath];
    const cli = join(packageFolder(), 'build', 'src', 'cli.js');
    const args = ['-F', '-s', '-c', '/dev/null', '-f', FAKE, '-r', REAL, '-n', '99'];
    const { status, stderr } = await stage.world.run('mx', [...program, cli, ...args]);
    assert.match(
      stderr,
      /^mxallowd: NFQUEUE 99: not permitted; CAP_NET_ADMIN is needed \(run as root or by /m,
    );
    assert.equal(status, 77);
  });

  it('because its user does not exist: says so, status 78', { skip: rootStageUnavailable() }, async () => {
    const daemon = stage.startDaemon(['-n', '98', '--user', 'no-such-user']);
    assert.equal(await daemon.ended, 78);
    assert.match(daemon.stderr, /there is no user "no-such-user" \(useradd --system /);
  });
});

describe('root', { skip: rootStageUnavailable() }, () => {
  const NET_ADMIN = 1n << 12n;
  let stage: Stage;
  afterEach(() => stage.close());

  /** Fields of /proc/PID/status for every thread. */
  function threads(pid: number | undefined): ((name: string) => string)[] {
    return readdirSync(`/proc/${pid}/task`).map((thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
      return (name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(status)?.[1] ?? '';
    });
  }

  const mask = (text: string): bigint => BigInt(`0x${text}`);

  async function assertServes(daemon: StagedDaemon): Promise<void> {
    assert.equal((await stage.send(sender(1), FAKE)).outcome, 'refused');
    assert.equal((await stage.send(sender(1), REAL)).outcome, 'delivered');
    await daemon.event(isDecision('admission', sender(1)));
  }

  it('is given up by every thread, for CAP_NET_ADMIN in one of them and nothing else', async () => {
    const live = await openLiveStage();
    ({ stage } = live);
    const uid = (await stage.world.script('id -u nobody')).trim();
    const gid = (await stage.world.script('id -g nobody')).trim();
    let capable = 0;
    for (const field of threads(live.daemon.pid)) {
      assert.deepEqual(field('Uid').split('\t'), Array(4).fill(uid));
      assert.deepEqual(field('Gid').split('\t'), Array(4).fill(gid));
      assert.deepEqual(field('Groups').split(' '), [gid]);
      assert.deepEqual([mask(field('CapInh')), mask(field('CapAmb'))], [0n, 0n]);
      assert.equal(field('CapEff'), field('CapPrm'));
      assert.equal(field('NoNewPrivs'), '1');
      if (mask(field('CapPrm')) === 0n) continue;
      capable++;
      assert.equal(mask(field('CapPrm')), NET_ADMIN);
      assert.equal(mask(field('CapBnd')), 0n);
    }
    assert.equal(capable, 1);
    await assertServes(live.daemon);
  });

  it('was never there when a service manager gives CAP_NET_ADMIN only; children do not inherit it', async () => {
    stage = await openStage();
    await loadQueueRule(stage.world, '--queue-num 23');
    const only = [
      '--inh-caps=-all,+net_admin',
      '--ambient-caps=+net_admin',
      '--bounding-set=-all,+net_admin',
    ];
    const by = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...only];
    const daemon = StagedDaemon.start(stage.world, ['-n', '23'], () => undefined, by);
    await daemon.ready();
    const [main] = threads(daemon.pid);
    assert.equal(mask(main?.('CapPrm') ?? ''), NET_ADMIN);
    assert.deepEqual([mask(main?.('CapInh') ?? ''), mask(main?.('CapAmb') ?? '')], [0n, 0n]);
    await assertServes(daemon);
  });
});

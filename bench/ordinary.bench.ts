// What ordinary traffic costs on Linux: the daemon as it runs by default (names, state file, log by logger(1), root given
// up), the same without all that, and a plain C program (netfilter/reference.c), by turns. And how long mail of a known
// sender waits in a flood to the fake MX, with the one rule of mxallowd 1.9 and with a queue of its own.
import { chmodSync, mkdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Stage } from '../src/demo/stage.js';
import { WORLD, World, type WorldMode } from '../src/demo/world.js';
import { CLI, Scratch } from '../test/support/cli.js';
import { dnsUnavailable } from '../test/support/dns.js';
import { stageUnavailable } from '../test/support/stage.js';
import { type Addresses, compile, Program, Sender, type Traffic } from './netfilter/programs.js';
import { furnish } from './netfilter/surroundings.js';
import { DAEMON_USER, machine, quantile, spread } from './support.js';

const ROUNDS = 3;
const QUEUE = 23;
const RULE = `INPUT -p tcp --dport 25 -j NFQUEUE --queue-num ${QUEUE}`;
const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
const OWN_RULE = `INPUT -d ${REAL} -p tcp --dport 25 -j NFQUEUE --queue-num ${QUEUE + 1}`;

/** Seconds: of each kind of traffic; before it, so that code is warm, and V8 has cleaned up what the start has left. */
const LASTS_S = 10;
const SETTLES_S = 8;
const WARM_UP = { rate: 20, count: 30, from: ['198.19.200.0', 200] } as const;

/** A bot comes with seven SYNs: Linux repeats a SYN six times. */
const BOTS_PER_SECOND = 12;
const SYNS = 7;
const FLOOD_RATE = 20_000;

const steadily = (rate: number, to: string, from: Addresses, lastsS = LASTS_S): Traffic => {
  return { rate, count: rate * lastsS, to, from };
};
const BOTS: Addresses = ['198.19.0.0', BOTS_PER_SECOND * LASTS_S];
const SENDERS: Addresses = ['198.18.0.0', 65_536];
const CASES: Readonly<Record<string, Traffic>> = {
  [`refused, ${BOTS_PER_SECOND} bots/s`]: steadily(BOTS_PER_SECOND * SYNS, REAL, BOTS),
  'refused, 1,000/s from 100 sources': steadily(1000, REAL, ['198.19.0.0', 100], 5),
  [`new attempts, ${BOTS_PER_SECOND}/s`]: steadily(BOTS_PER_SECOND, FAKE, SENDERS),
  [`flood to the fake MX, ${FLOOD_RATE}/s`]: steadily(FLOOD_RATE, FAKE, ['198.18.0.0', 131_072], 8),
};
/** From new addresses, each whitelisted by its SYN; and again from those. */
const ATTEMPTS: Traffic = { rate: BOTS_PER_SECOND, count: 60, to: FAKE, from: ['203.0.113.0', 60] };
const KNOWN: Traffic = { ...ATTEMPTS, to: REAL };

/** What was measured of a program. */
interface Figures {
  /** CPU time of a verdict in microseconds, and the part of SYNs that no verdict was for, by case */
  readonly cases: Readonly<Record<string, { readonly cpuUs: number; readonly missed: number }>>;
  /** median time from SYN to RST, microseconds */
  readonly attemptUs: number;
  readonly knownUs: number;
}

async function measure(world: World, sender: Sender, argv: readonly string[]): Promise<Figures> {
  const program = await Program.start(world, argv);
  try {
    for (const to of [REAL, FAKE]) await sender.steady({ ...WARM_UP, to });
    await sleep(SETTLES_S * 1000);
    const cases: Record<string, { cpuUs: number; missed: number }> = {};
    // before the flood, which throws them out
    const { p50: attemptUs } = await sender.probe(ATTEMPTS);
    const { p50: knownUs } = await sender.probe(KNOWN);
    for (const [name, traffic] of Object.entries(CASES)) {
      const [cpuUs, verdicts, missed] = [program.cpuUs(), program.verdicts(), program.missed()];
      await sender.steady(traffic);
      await sleep(500);
      cases[name] = {
        cpuUs: (program.cpuUs() - cpuUs) / (program.verdicts() - verdicts),
        missed: (program.missed() - missed) / traffic.count,
      };
    }
    return { cases, attemptUs, knownUs };
  } finally {
    await program.end(world);
  }
}

const NAMES = ['by default', 'bare', 'C'] as const;
type Name = (typeof NAMES)[number];
type Round = Readonly<Record<Name, Figures>>;

function commandLines(scratch: Scratch): Readonly<Record<Name, readonly string[]>> {
  const mxallowd = [process.execPath, CLI, '-c', scratch.file('empty.conf', ''), '-F'];
  const servers = ['-n', String(QUEUE), '-f', FAKE, '-r', REAL];
  const none = ['--state-file', 'none', '--control-socket', 'none'];
  return {
    'by default': [...mxallowd, ...servers, ...files(scratch), '-u', DAEMON_USER],
    bare: [...mxallowd, ...servers, ...none, '-s', '-q', '-b', '--no-pool', '-u', 'root'],
    C: [scratch.path('reference'), String(QUEUE), FAKE, REAL],
  };
}

/** Where they do not meet another daemon's. */
function files(scratch: Scratch): string[] {
  const folder = scratch.path('state');
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  return ['--state-file', `${folder}/state`, '--control-socket', scratch.path('socket')];
}

/** Median of the rounds, least and greatest. */
function show<T>(rounds: readonly T[], figure: (round: T) => number, digits: number): string {
  const { median, min, max } = spread(rounds.map(figure));
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

function report(rounds: readonly Round[]): void {
  const compare = (what: string, unit: string, of: (figures: Figures) => number): void => {
    for (const name of NAMES)
      console.log(`${what}, ${name}: ${show(rounds, (round) => of(round[name]), 0)} ${unit}`);
    for (const name of ['by default', 'bare'] as const) {
      console.log(`${what}, ${name} : C: ${show(rounds, (round) => of(round[name]) / of(round.C), 1)}`);
    }
  };
  for (const name of Object.keys(CASES)) {
    compare(`${name}, CPU for each`, 'us', ({ cases }) => cases[name]?.cpuUs ?? NaN);
    for (const program of NAMES) {
      const missed = (round: Round): number => 100 * (round[program].cases[name]?.missed ?? NaN);
      console.log(`${name}, without a verdict, ${program}: ${show(rounds, missed, 1)} %`);
    }
  }
  compare('a new attempt, SYN to RST, median', 'us', ({ attemptUs }) => attemptUs);
  compare('a known sender, SYN to RST, median', 'us', ({ knownUs }) => knownUs);
}

async function ordinary(mode: WorldMode, scratch: Scratch): Promise<void> {
  const world = await World.create(mode);
  try {
    await furnish(world, scratch);
    await world.script(`iptables -A ${RULE}`, 'mx');
    const sender = await Sender.create(world, scratch.path('flood'));
    const commands = commandLines(scratch);
    const rounds: Round[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const round: Partial<Record<Name, Figures>> = {};
      // whoever comes first may find a cooler machine
      for (const name of i % 2 === 0 ? NAMES : NAMES.toReversed()) {
        round[name] = await measure(world, sender, commands[name]);
      }
      rounds.push(round as Round);
    }
    console.log(`median of ${ROUNDS} rounds (least to greatest)`);
    report(rounds);
  } finally {
    await world.close();
  }
}

/** How long a message of a known sender takes in a flood; none has waited longer. */
const PATIENCE_MS = 60_000;
const MESSAGES = 60;
const BETWEEN_MS = 100;

/** @returns milliseconds for each message, sorted; infinite: not delivered */
async function waits(stage: Stage, scratch: Scratch, queues: string): Promise<number[]> {
  const servers = ['-n', queues, '-f', FAKE, '-r', REAL, '-u', DAEMON_USER];
  const argv = [process.execPath, CLI, '-c', scratch.file('empty.conf', ''), '-F', ...servers];
  const program = await Program.start(stage.world, [...argv, ...files(scratch)]);
  const sender = await Sender.create(stage.world, scratch.path('flood'));
  const known = (i: number): string => `198.51.100.${i + 10}`;
  for (let i = 0; i < MESSAGES; i++) {
    await stage.send(known(i), FAKE);
    // who has delivered is not the first to go when there is no room
    await stage.send(known(i), REAL);
  }
  const seconds = (MESSAGES * BETWEEN_MS) / 1000 + 4;
  const flood = sender.steady(steadily(FLOOD_RATE, FAKE, ['198.18.0.0', 131_072], seconds));
  await sleep(2000);
  const messages: Promise<number>[] = [];
  for (let i = 0; i < MESSAGES; i++) {
    const message = stage.send(known(i), REAL, PATIENCE_MS);
    messages.push(message.then(({ outcome, tookMs }) => (outcome === 'delivered' ? tookMs : Infinity)));
    await sleep(BETWEEN_MS);
  }
  const tookMs = await Promise.all(messages);
  await flood;
  await program.end(stage.world);
  return tookMs.sort((a, b) => a - b);
}

async function inFlood(mode: WorldMode, scratch: Scratch): Promise<void> {
  const stage = await Stage.create(mode);
  try {
    await furnish(stage.world, scratch);
    await stage.world.script(`iptables -A ${RULE}`, 'mx');
    for (let i = 0; i < ROUNDS; i++) {
      for (const queues of [`${QUEUE}`, `${QUEUE}-${QUEUE + 1}`]) {
        const isOwn = queues.includes('-');
        if (isOwn) await stage.world.script(`iptables -I ${OWN_RULE}`, 'mx');
        const tookMs = await waits(stage, scratch, queues);
        if (isOwn) await stage.world.script(`iptables -D ${OWN_RULE}`, 'mx');
        const late = tookMs.filter((ms) => ms > 1000).length;
        const [median, p90, most] = [0.5, 0.9, 1].map((part) => quantile(tookMs, part).toFixed(0));
        console.log(
          `${FLOOD_RATE} forged SYNs/s to the fake MX, queue-num ${queues}: ${MESSAGES} messages of known senders: ` +
            `median ${median} ms, 90th percentile ${p90} ms, longest ${most} ms, ${late} later than a second`,
        );
      }
    }
  } finally {
    await stage.close();
  }
}

console.log(`${machine()}, load average ${loadavg()[0]?.toFixed(1)} before`);
const mode = World.mode();
const scratch = new Scratch();
try {
  const why =
    stageUnavailable() ?? dnsUnavailable() ?? (cpus().length < 2 ? 'two CPUs are needed' : compile(scratch));
  if (why !== undefined) console.log(`not measured: ${why}`);
  else if (typeof mode === 'string') {
    await ordinary(mode, scratch);
    await inFlood(mode, scratch);
  }
} finally {
  scratch.remove();
}

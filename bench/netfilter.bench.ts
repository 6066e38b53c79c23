// mxallowd on Linux against a plain C program on libnetfilter_queue (netfilter/reference.c): verdicts a second in a
// flood, CPU time of a verdict, and the time from a SYN to the kernel's answer. Both see the same packets by turns,
// in private namespaces; the sender has one CPU, the program another.
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORLD, World, type WorldMode } from '../src/demo/world.js';
import { CLI, Scratch } from '../test/support/cli.js';
import { stageUnavailable } from '../test/support/stage.js';
import { type Addresses, compile, Program, type Probed, Sender } from './netfilter/programs.js';
import { machine, spread, verdict } from './support.js';

const ROUNDS = 5;
const ENTRIES = 50_000;
const FLOOD_S = 1.5;
/** before and after what is measured of a flood */
const LEAD_S = 0.3;
const TAIL_S = 0.1;
/** SYNs a second, and how many of them; the many first: a daemon that has run for a while has warm code */
const PROBES = [
  { rate: 20_000, count: 10_000 },
  { rate: 100, count: 100 },
] as const;
const LOAD_RATE = 50_000;
const LOAD_TRIES = 5;
/** One packet in so many of the flood is let in. */
const LET_IN = 16;
const TARGETS = { verdicts: 1, time: 1.5, growth: 1.1 };

const QUEUE = 23;
const RULE = `INPUT -p tcp --dport 25 -j NFQUEUE --queue-num ${QUEUE}`;
const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
/** Base and number of addresses, all of {@link WORLD.senders}. */
const WHITELISTED = ['198.18.0.0', ENTRIES] as const;
const UNKNOWN = ['198.19.0.0', 65_536] as const;
const ONE = ['203.0.113.1', 1] as const;

/** Figures of one program with one number of entries. */
interface Figures {
  /** packets a second that the sender offered */
  readonly offered: number;
  readonly verdictsPerSecond: number;
  readonly cpuUs: number;
  /** by {@link PROBES} */
  readonly probes: readonly Probed[];
}

type Name = 'mxallowd' | 'C';
const NAMES: readonly Name[] = ['mxallowd', 'C'];

/** One round: both programs without entries and with {@link ENTRIES}, and no queue at all. */
interface Round {
  readonly base: readonly Probed[];
  readonly empty: Readonly<Record<Name, Figures>>;
  readonly full: Readonly<Record<Name, Figures>>;
}

async function probeAll(sender: Sender, from: Addresses): Promise<Probed[]> {
  const probes: Probed[] = [];
  for (const { count, rate } of PROBES) probes.push(await sender.probe({ count, rate, to: FAKE, from }));
  return probes;
}

async function measure(program: Program, sender: Sender, full: boolean): Promise<Figures> {
  // letting in costs more than dropping: without entries, the same share goes to another address
  const letIn = full ? ([REAL, ...WHITELISTED] as const) : ([WORLD.other, ...UNKNOWN] as const);
  const flooding = sender.flood(LEAD_S + FLOOD_S + TAIL_S, REAL, UNKNOWN, LET_IN, letIn);
  await sleep(LEAD_S * 1000);
  const [startMs, startCpuUs, start] = [performance.now(), program.cpuUs(), program.verdicts()];
  await sleep(FLOOD_S * 1000);
  const [endMs, endCpuUs, end] = [performance.now(), program.cpuUs(), program.verdicts()];
  const { sent, seconds } = await flooding;
  return {
    offered: sent / seconds,
    verdictsPerSecond: ((end - start) / (endMs - startMs)) * 1000,
    cpuUs: (endCpuUs - startCpuUs) / (end - start),
    probes: await probeAll(sender, full ? WHITELISTED : ONE),
  };
}

/** Whitelists all: the kernel answers each SYN that has been let in. */
async function load(sender: Sender): Promise<void> {
  let lost = ENTRIES;
  for (let i = 0; i < LOAD_TRIES && lost > 0; i++) {
    ({ lost } = await sender.probe({
      count: ENTRIES,
      rate: LOAD_RATE / 2 ** i,
      to: FAKE,
      from: WHITELISTED,
    }));
  }
  if (lost > 0) throw new Error(`${lost} of ${ENTRIES} SYNs to the fake MX were not let in`);
}

async function measureProgram(
  world: World,
  sender: Sender,
  argv: readonly string[],
): Promise<{ empty: Figures; full: Figures }> {
  const program = await Program.start(world, argv);
  try {
    const empty = await measure(program, sender, false);
    await load(sender);
    return { empty, full: await measure(program, sender, true) };
  } finally {
    await program.end(world);
  }
}

async function measureRound(
  world: World,
  sender: Sender,
  commands: Readonly<Record<Name, readonly string[]>>,
  order: readonly Name[],
): Promise<Round> {
  const base = await probeAll(sender, ONE);
  await world.script(`iptables -A ${RULE}`, 'mx');
  const empty: Partial<Record<Name, Figures>> = {};
  const full: Partial<Record<Name, Figures>> = {};
  for (const name of order) {
    ({ empty: empty[name], full: full[name] } = await measureProgram(world, sender, commands[name]));
  }
  await world.script(`iptables -D ${RULE}`, 'mx');
  return { base, empty, full } as Round;
}

/** Median of the rounds, least and greatest. */
function show<T>(rounds: readonly T[], figure: (round: T) => number, digits: number): string {
  const { median, min, max } = spread(rounds.map(figure));
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

function reportTimes(what: string, rounds: readonly (readonly Probed[])[]): void {
  for (const [i, { rate }] of PROBES.entries()) {
    const probes = rounds.map((round) => round[i] as Probed);
    const lost = probes.reduce((sum, probe) => sum + probe.lost, 0);
    console.log(
      `${what}, SYN to RST at ${rate}/s: p50 ${show(probes, ({ p50 }) => p50, 0)} us, ` +
        `p99 ${show(probes, ({ p99 }) => p99, 0)} us${lost > 0 ? `, ${lost} LOST` : ''}`,
    );
  }
}

function reportFigures(what: string, rounds: readonly Figures[]): void {
  const perSecond = show(rounds, ({ verdictsPerSecond }) => verdictsPerSecond / 1000, 0);
  const sent = show(rounds, ({ offered }) => offered / 1000, 0);
  const cpu = show(rounds, ({ cpuUs }) => cpuUs, 2);
  console.log(`${what}, flood: ${perSecond} thousand verdicts/s of ${sent} sent, CPU ${cpu} us each`);
  reportTimes(
    what,
    rounds.map(({ probes }) => probes),
  );
}

const LOADS = [
  ['empty', 'no entries'],
  ['full', `${ENTRIES} entries`],
] as const;

function reportRatios(rounds: readonly Round[]): void {
  const ratio = (what: string, each: (round: Round) => number, reached?: (median: number) => boolean) => {
    const judged = reached === undefined ? '' : `: ${verdict(reached(spread(rounds.map(each)).median))}`;
    console.log(`${what}: ${show(rounds, each, 2)}${judged}`);
  };
  for (const [load, entries] of LOADS) {
    ratio(
      `verdicts/s, mxallowd : C, ${entries} (target ${TARGETS.verdicts} or more)`,
      ({ [load]: { mxallowd, C } }) => mxallowd.verdictsPerSecond / C.verdictsPerSecond,
      (median) => median >= TARGETS.verdicts,
    );
    ratio(
      `CPU time of a verdict in the flood, mxallowd : C, ${entries}`,
      ({ [load]: { mxallowd, C } }) => mxallowd.cpuUs / C.cpuUs,
    );
    for (const [i, { rate }] of PROBES.entries()) {
      const times = (without: number) => (round: Round) => {
        const [ours, theirs] = NAMES.map(
          (name) => (round[load][name].probes[i]?.p50 ?? NaN) - without * (round.base[i]?.p50 ?? NaN),
        );
        return (ours ?? NaN) / (theirs ?? NaN);
      };
      for (const [without, base] of [
        [0, ''],
        [1, ' less that without a queue'],
      ] as const) {
        ratio(
          `median time at ${rate}/s${base}, mxallowd : C, ${entries} (target ${TARGETS.time} or less)`,
          times(without),
          (median) => median <= TARGETS.time,
        );
      }
    }
  }
  const { growth } = TARGETS;
  for (const name of NAMES) {
    const from = `${name}, none to ${ENTRIES} entries`;
    // the target is ours; C is there to compare with
    const target = (text: string) => (name === 'C' ? '' : ` (target ${text})`);
    const when = (reached: (median: number) => boolean) => (name === 'C' ? undefined : reached);
    ratio(
      `verdicts/s, ${from}${target(`${(1 / growth).toFixed(2)} or more`)}`,
      ({ empty, full }) => full[name].verdictsPerSecond / empty[name].verdictsPerSecond,
      when((median) => median >= 1 / growth),
    );
    for (const [i, { rate }] of PROBES.entries()) {
      ratio(
        `median time at ${rate}/s, ${from}${target(`${growth} or less`)}`,
        ({ empty, full }) => (full[name].probes[i]?.p50 ?? NaN) / (empty[name].probes[i]?.p50 ?? NaN),
        when((median) => median <= growth),
      );
    }
  }
}

async function benchmark(mode: WorldMode, scratch: Scratch): Promise<void> {
  const world = await World.create(mode);
  try {
    const sender = await Sender.create(world, scratch.path('flood'));
    // names are not looked up: the C program does not do that either
    const words = `-F -s -q -b --no-pool -u root -n ${QUEUE} -f ${FAKE} -r ${REAL}`.split(' ');
    const commands = {
      mxallowd: [
        process.execPath,
        CLI,
        '-c',
        scratch.file('empty.conf', ''),
        ...words,
        '--state-file',
        'none',
        '--control-socket',
        'none',
      ],
      C: [scratch.path('reference'), String(QUEUE), FAKE, REAL],
    };
    const rounds: Round[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      // whoever comes first may find a cooler machine
      const order = i % 2 === 0 ? NAMES : NAMES.toReversed();
      rounds.push(await measureRound(world, sender, commands, order));
    }
    console.log(`median of ${ROUNDS} rounds (least-greatest)`);
    reportTimes(
      'no queue',
      rounds.map(({ base }) => base),
    );
    for (const [load, entries] of LOADS) {
      for (const name of NAMES) {
        reportFigures(
          `${name}, ${entries}`,
          rounds.map((round) => round[load][name]),
        );
      }
    }
    reportRatios(rounds);
  } finally {
    await world.close();
  }
}

console.log(`${machine()}, load average ${loadavg()[0]?.toFixed(1)} before`);
const mode = World.mode();
const scratch = new Scratch();
try {
  const why = stageUnavailable() ?? (cpus().length < 2 ? 'two CPUs are needed' : compile(scratch));
  if (why !== undefined) console.log(`not measured: ${why}`);
  else if (typeof mode === 'string') await benchmark(mode, scratch);
} finally {
  scratch.remove();
}

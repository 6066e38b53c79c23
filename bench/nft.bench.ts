// nftables beside NFQUEUE, on the same traffic by turns: CPU time of all processes for a SYN (refused, let in, to the fake
// MX), senders in a flood to the fake MX, and how long it takes to restore and to list a hundred thousand entries.
import { chmodSync, mkdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Stage } from '../src/demo/stage.js';
import { WORLD, World, type WorldMode } from '../src/demo/world.js';
import { systemClock } from '../src/clock.js';
import { NftTable } from '../src/table/nft.js';
import { CLI, Scratch } from '../test/support/cli.js';
import { dnsUnavailable } from '../test/support/dns.js';
import { nftUnavailable, nftWrapper, rootStageUnavailable } from '../test/support/stage.js';
import { addresses } from '../test/support/writing.js';
import { compile, Program, Sender, type Traffic } from './netfilter/programs.js';
import { furnish } from './netfilter/surroundings.js';
import { DAEMON_USER, machine, quantile, spread } from './support.js';

const ROUNDS = 2;
const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;
const SETTLES_S = 8;
const LASTS_S = 10;
/** A bot comes with seven SYNs: Linux repeats a SYN six times. */
const BOTS_PER_SECOND = 12;
const SYNS = 7;
const CASES: Readonly<Record<string, Traffic>> = {
  [`refused, ${BOTS_PER_SECOND} bots/s`]: {
    rate: BOTS_PER_SECOND * SYNS,
    count: BOTS_PER_SECOND * SYNS * LASTS_S,
    to: REAL,
    from: ['198.19.0.0', BOTS_PER_SECOND * LASTS_S],
  },
  'refused, 1,000/s from 100 sources': { rate: 1000, count: 5000, to: REAL, from: ['198.19.8.0', 100] },
  [`new attempts, ${BOTS_PER_SECOND}/s`]: {
    rate: BOTS_PER_SECOND,
    count: BOTS_PER_SECOND * LASTS_S,
    to: FAKE,
    from: ['198.18.0.0', 65_536],
  },
};
const FLOOD: Traffic = { rate: 20_000, count: 400_000, to: FAKE, from: ['198.18.0.0', 131_072] };
const NEW_SENDERS = 40;
const MANY = 100_000;

type Name = 'nftables' | 'NFQUEUE';
/** With names DNS is asked about each source once, whatever lets in: that costs more than all the rest. */
type Variant = 'names' | 'no names';
const VARIANTS: Readonly<Record<Variant, readonly string[]>> = {
  names: [],
  'no names': ['--no-rdns-whitelist', '--no-pool'],
};
const PROGRAMS: readonly (readonly [Name, Variant])[] = [
  ['nftables', 'names'],
  ['NFQUEUE', 'names'],
  ['nftables', 'no names'],
  ['NFQUEUE', 'no names'],
];

interface Figures {
  /** CPU microseconds for each SYN, by case */
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** Rules for one of them; the other's are gone. */
async function loadRules(world: World, name: Name, scratch: Scratch): Promise<void> {
  await world.script('iptables -F INPUT', 'mx');
  await world.script(`nft 'table inet mx_white' && nft 'delete table inet mx_white'`, 'mx');
  if (name === 'NFQUEUE') {
    await world.script('iptables -A INPUT -p tcp --dport 25 -j NFQUEUE --queue-num 23', 'mx');
    return;
  }
  const where = [
    '-c',
    scratch.file('empty.conf', ''),
    '-f',
    FAKE,
    '-r',
    REAL,
    '--nft-rules',
    scratch.path('rules'),
  ];
  const boot = scratch.file('boot', '');
  const argv = [process.execPath, CLI, 'nft-conf', '--install', '--yes', '--nft-conf', boot, ...where];
  const { status, stderr } = await world.run('mx', argv);
  if (status !== 0) throw new Error(stderr);
}

function commandOf(name: Name, scratch: Scratch, variant: Variant = 'names'): string[] {
  const folder = scratch.path(`state-${name}`);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  const files = ['--state-file', `${folder}/state`, '--control-socket', scratch.path(`socket-${name}`)];
  const firewall =
    name === 'NFQUEUE' ? ['-n', '23'] : ['--firewall', 'nft', '--nft-rules', scratch.path('rules')];
  const mxallowd = [process.execPath, CLI, '-c', scratch.file('empty.conf', ''), '-F'];
  return [
    ...mxallowd,
    ...firewall,
    ...VARIANTS[variant],
    '-f',
    FAKE,
    '-r',
    REAL,
    ...files,
    '-u',
    DAEMON_USER,
  ];
}

async function measure(
  world: World,
  sender: Sender,
  [name, variant]: readonly [Name, Variant],
  scratch: Scratch,
): Promise<Figures> {
  await loadRules(world, name, scratch);
  const program = await Program.start(
    world,
    commandOf(name, scratch, variant),
    name === 'NFQUEUE' ? 'queue' : 'log',
  );
  try {
    for (const to of [REAL, FAKE]) {
      await sender.steady({ rate: 20, count: 30, from: ['198.19.200.0', 200], to });
    }
    await sleep(SETTLES_S * 1000);
    const cpuUs: Record<string, number> = {};
    for (const [what, traffic] of Object.entries(CASES)) {
      const before = program.cpuUs();
      await sender.steady(traffic);
      await sleep(1000);
      cpuUs[what] = (program.cpuUs() - before) / traffic.count;
    }
    return { cpuUs };
  } finally {
    await program.end(world);
  }
}

function show(values: readonly number[], digits: number): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

async function ordinary(mode: WorldMode, scratch: Scratch): Promise<void> {
  const world = await World.create(mode);
  try {
    await furnish(world, scratch);
    const sender = await Sender.create(world, scratch.path('flood'));
    const found = PROGRAMS.map((): Figures[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, program] of PROGRAMS.entries()) {
        found[i]?.push(await measure(world, sender, program, scratch));
      }
    }
    for (const what of Object.keys(CASES)) {
      const medians = PROGRAMS.map(([name, variant], i) => {
        const values = (found[i] ?? []).map(({ cpuUs }) => cpuUs[what] ?? NaN);
        console.log(`${what}, CPU for each SYN, ${name}, ${variant}: ${show(values, 0)} us`);
        return spread(values).median;
      });
      const [nft = NaN, queue = NaN, bare = NaN, bareQueue = NaN] = medians;
      const [names, none] = [(queue / nft).toFixed(1), (bareQueue / bare).toFixed(1)];
      console.log(`${what}, NFQUEUE : nftables: with names ${names}, without ${none}`);
    }
  } finally {
    await world.close();
  }
}

/** Senders that try fake and real while a flood of forged SYNs goes to the fake MX; milliseconds for each, sorted. */
async function inFlood(mode: WorldMode, scratch: Scratch): Promise<void> {
  const stage = await Stage.create(mode);
  try {
    await furnish(stage.world, scratch);
    await loadRules(stage.world, 'nftables', scratch);
    const program = await Program.start(stage.world, commandOf('nftables', scratch), 'log');
    const sender = await Sender.create(stage.world, scratch.path('flood'));
    const known = (i: number): string => `198.51.100.${i + 10}`;
    const both = async (from: string): Promise<number> => {
      const start = performance.now();
      await stage.send(from, FAKE);
      const { outcome } = await stage.send(from, REAL, 30_000);
      return outcome === 'delivered' ? performance.now() - start : Infinity;
    };
    for (let i = 0; i < NEW_SENDERS; i++) await both(known(i));
    await sleep(2000);
    const message = async (i: number): Promise<number> => {
      const { outcome, tookMs } = await stage.send(known(i), REAL, 30_000);
      return outcome === 'delivered' ? tookMs : Infinity;
    };
    const quiet: number[] = [];
    for (let i = 0; i < NEW_SENDERS; i++) quiet.push(await message(i));
    const flood = sender.steady(FLOOD);
    await sleep(3000);
    const [fresh, old]: [Promise<number>[], Promise<number>[]] = [[], []];
    for (let i = 0; i < NEW_SENDERS; i++) {
      fresh.push(both(`203.0.113.${i + 10}`));
      old.push(message(i));
      await sleep(300);
    }
    const took = [await Promise.all(fresh), await Promise.all(old), quiet].map((all) =>
      all.sort((a, b) => a - b),
    );
    const { sent, seconds } = await flood;
    const names = ['new senders (fake, then real)', 'known ones', 'known ones before it'];
    for (const [i, all] of took.entries()) {
      const [median, most] = [quantile(all, 0.5), quantile(all, 1)].map((ms) => ms.toFixed(1));
      const within = all.filter((ms) => ms <= 2000).length;
      console.log(
        `flood of ${Math.round(sent / seconds)}/s to the fake MX, ${names[i]}: ${within} of ${all.length} within 2 s, ` +
          `median ${median} ms, longest ${most} ms`,
      );
    }
    await program.end(stage.world);
  } finally {
    await stage.close();
  }
}

/** How long the table takes. */
async function many(mode: WorldMode, scratch: Scratch): Promise<void> {
  const world = await World.create(mode);
  try {
    await loadRules(world, 'nftables', scratch);
    const path = nftWrapper(world, scratch);
    const table = new NftTable({ path, lengths: { 4: 32, 6: 64 }, timeoutMs: 60_000, clock: systemClock });
    const batch = 10_000;
    const start = performance.now();
    for (let first = 0; first < MANY; first += batch) {
      const prefixes = addresses(batch, first);
      await table.add(
        prefixes,
        prefixes.map(() => 86_400),
      );
    }
    console.log(`${MANY} entries restored in ${((performance.now() - start) / 1000).toFixed(2)} s`);
    const from = performance.now();
    let count = 0;
    await table.show(() => void count++);
    console.log(`${count} entries listed in ${((performance.now() - from) / 1000).toFixed(2)} s`);
  } finally {
    await world.close();
  }
}

console.log(`${machine()}, load average ${loadavg()[0]?.toFixed(1)} before`);
const mode = World.mode();
const scratch = new Scratch();
try {
  chmodSync(scratch.folder, 0o755);
  const why =
    nftUnavailable() ??
    rootStageUnavailable() ??
    dnsUnavailable() ??
    (cpus().length < 2 ? 'two CPUs are needed' : compile(scratch));
  if (why !== undefined) console.log(`not measured: ${why}`);
  else if (typeof mode === 'string') {
    await many(mode, scratch);
    await inFlood(mode, scratch);
    await ordinary(mode, scratch);
  }
} finally {
  scratch.remove();
}

// What answers the queue in a benchmark, and who sends to it; one CPU for each.
import { type ChildProcess, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../../src/demo/world.js';
import { parseQueues } from '../../src/netfilter/proc.js';
import { packageFolder } from '../../src/version.js';
import type { Scratch } from '../../test/support/cli.js';

const SENDER_CPU = 0;
const PROGRAM_CPU = 1;
const DEADLINE_MS = 10_000;

/** What flood.c prints. */
export interface Sent {
  readonly sent: number;
  readonly seconds: number;
}
export interface Probed {
  readonly sent: number;
  readonly lost: number;
  /** microseconds; null when all were lost */
  readonly p50: number;
  readonly p99: number;
}

/** Some addresses: the first one, and how many. */
export type Addresses = readonly [base: string, count: number];

/** Where a sender's SYNs go to, how many, and how many in a second. */
export interface Traffic {
  readonly to: string;
  readonly from: Addresses;
  readonly rate: number;
  readonly count: number;
}

/** Compiles the C programs; says why when that fails. */
export function compile(scratch: Scratch): string | undefined {
  for (const [name, ...libraries] of [['flood'], ['reference', '-lnetfilter_queue']] as const) {
    const source = join(packageFolder(), 'bench', 'netfilter', `${name}.c`);
    const { error, status, stderr } = spawnSync(
      'gcc',
      ['-O2', '-o', scratch.path(name), source, ...libraries],
      { encoding: 'utf8' },
    );
    if (error !== undefined) return `gcc: ${error.message}`;
    const [why] = stderr.trim().split('\n');
    if (status !== 0) return `${name}.c cannot be compiled (libnetfilter-queue-dev): ${why}`;
  }
  return undefined;
}

/** A program that answers queues. */
export class Program {
  private constructor(
    private readonly child: ChildProcess,
    private readonly pid: number,
  ) {}

  /**
   * Starts it and waits until it has its queues, or its group of the log.
   * @param by - how it hears of packets
   */
  static async start(world: World, argv: readonly string[], by: 'queue' | 'log' = 'queue'): Promise<Program> {
    const child = world.spawn('mx', ['taskset', '-c', String(PROGRAM_CPU), ...argv], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const giveUp = Date.now() + DEADLINE_MS;
    while (child.exitCode === null && Date.now() < giveUp) {
      const pid = world.pidOf(child);
      const program = pid === undefined ? undefined : new Program(child, pid);
      if (program?.isOpen(by) === true) return program;
      await sleep(20);
    }
    world.signal(child, 'SIGKILL');
    throw new Error(`${argv.join(' ')} did not take the queue`);
  }

  /** Verdicts so far, as the kernel's list of queues tells. */
  verdicts(): number {
    return this.queues().reduce((sum, { last, lost, waiting }) => sum + last - lost - waiting, 0);
  }

  /** Packets so far that found a queue full, or no room on their way. */
  missed(): number {
    return this.queues().reduce((sum, { full, lost }) => sum + full + lost, 0);
  }

  /** CPU time so far in microseconds, of all threads, and of its children (the log's), as far as they live. */
  cpuUs(): number {
    return tasks(this.pid).reduce((sum, task) => sum + runTimeUs(task), 0);
  }

  async end(world: World): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('close', resolve));
    world.signal(this.child, 'SIGTERM');
    await ended;
  }

  private isOpen(by: 'queue' | 'log'): boolean {
    if (by === 'queue') return this.queues().length > 0;
    try {
      return readFileSync(`/proc/${this.pid}/net/netfilter/nfnetlink_log`, 'latin1').trim() !== '';
    } catch {
      return false;
    }
  }

  private queues(): (ReturnType<typeof parseQueues>[number] & { last: number })[] {
    try {
      const text = readFileSync(`/proc/${this.pid}/net/netfilter/nfnetlink_queue`, 'latin1');
      // number, owner, waiting, copy mode, copy range, full, lost, last id
      const lines = text.split('\n').filter(Boolean);
      return parseQueues(text).map((row, i) => ({
        ...row,
        last: Number(lines[i]?.trim().split(/\s+/)[7]),
      }));
    } catch {
      return [];
    }
  }
}

/** Folders in /proc of the threads of a process and of its descendants. */
function tasks(pid: number): string[] {
  try {
    const own = readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
    const children = own.flatMap((task) => readFileSync(`${task}/children`, 'latin1').trim().split(' '));
    return [...own, ...children.filter(Boolean).flatMap((child) => tasks(Number(child)))];
  } catch {
    return [];
  }
}

/** The first figure of schedstat: nanoseconds on a CPU. */
function runTimeUs(task: string): number {
  try {
    return Number(readFileSync(`${task}/schedstat`, 'latin1').split(' ')[0]) / 1000;
  } catch {
    return 0;
  }
}

/** The sender, on the host `internet`. */
export class Sender {
  private constructor(
    private readonly world: World,
    private readonly program: string,
    private readonly mac: string,
  ) {}

  static async create(world: World, program: string): Promise<Sender> {
    const link = await world.script('ip -n mx link show eth0');
    const mac = /link\/ether ([0-9a-f:]+)/.exec(link)?.[1];
    if (mac === undefined) throw new Error(`no address of eth0: ${link}`);
    return new Sender(world, program, mac);
  }

  /** As fast as possible; one SYN in `every` goes elsewhere. */
  flood(
    seconds: number,
    to: string,
    from: Addresses,
    every: number,
    elsewhere: readonly [to: string, ...from: Addresses],
  ): Promise<Sent> {
    return this.run<Sent>('flood', [seconds, to, ...from, every, ...elsewhere]);
  }

  /** At a rate, sleeping in between. */
  steady({ count, rate, to, from }: Traffic): Promise<Sent> {
    return this.run<Sent>('steady', [count, rate, to, ...from]);
  }

  /** The time from SYN to RST, for an address where nothing listens. */
  async probe({ count, rate, to, from }: Traffic): Promise<Probed> {
    const probed = await this.run<Probed>('probe', [count, rate, to, ...from]);
    if (probed.lost === count) throw new Error(`${to} does not answer`);
    return probed;
  }

  private async run<T>(what: string, args: readonly (string | number)[]): Promise<T> {
    const argv = ['taskset', '-c', String(SENDER_CPU), this.program, what, 'eth0', this.mac];
    const { status, stdout, stderr } = await this.world.run('internet', [...argv, ...args.map(String)]);
    if (status !== 0) throw new Error(`flood has failed (${status}): ${stderr.trim()}`);
    return JSON.parse(stdout) as T;
  }
}

/** Recordings of a wire by the real tcpdump, in namespaces. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { SavefileParser } from '../../src/capture/savefile-parser.js';
import { requireReadable } from '../../src/capture/source.js';
import type { World } from '../../src/demo/world.js';
import { decode } from '../../src/packet/observation.js';
import { until } from './daemon.js';

/** A way to record: arguments of tcpdump, and what has to be there before. */
export interface Way {
  readonly name: string;
  readonly args: readonly string[];
  /** a script for the host mx */
  readonly prepare?: string;
}

const NFLOG_GROUP = 5;

/** What tcpdump does on Linux for all interfaces. */
export const ALL_INTERFACES: Way = { name: 'sll2', args: ['-i', 'any', '-y', 'LINUX_SLL2'] };

/** `tcpdump` with these arguments gives each of the link types. */
export const WAYS: readonly Way[] = [
  { name: 'ethernet', args: ['-i', 'eth0'] },
  { name: 'sll', args: ['-i', 'any', '-y', 'LINUX_SLL'] },
  ALL_INTERFACES,
  {
    name: 'nflog',
    args: ['-i', `nflog:${NFLOG_GROUP}`],
    prepare: ['iptables', 'ip6tables']
      .map((tool) => `${tool} -I INPUT -p tcp --dport 25 -j NFLOG --nflog-group ${NFLOG_GROUP}`)
      .join('\n'),
  },
];

/** Why nothing can be recorded here; undefined when it can. */
export function tcpdumpUnavailable(): string | undefined {
  const { status } = spawnSync('tcpdump', ['--version'], { stdio: 'ignore' });
  return status === 0 ? undefined : 'tcpdump not found (package tcpdump)';
}

/** A tcpdump that records on the host mx. */
export class Recorder {
  private constructor(
    private readonly world: World,
    private readonly child: ReturnType<World['spawn']>,
    readonly path: string,
  ) {}

  /** Begins to record; returns when what is sent from now on is in the file. */
  static async start(world: World, way: Way, path: string): Promise<Recorder> {
    if (way.prepare !== undefined) await world.script(way.prepare, 'mx');
    // netfilter's log cannot be filtered, and libpcap loses what does not fit into a buffer of the snap length's size
    const filter = way.name === 'nflog' ? [] : ['-s', '128', 'tcp port 25'];
    const options = ['-U', '--immediate-mode', '-Z', 'root', '-w', path];
    const child = world.spawn('mx', ['tcpdump', ...way.args, ...options, ...filter], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(`tcpdump listens: ${said}`, () => said.includes('listening on'));
    return new Recorder(world, child, path);
  }

  /** Waits until it has recorded so many SYNs that come in, then ends it. @returns the file's path */
  async stop(syns: number): Promise<string> {
    await until(`tcpdump has written ${syns} SYNs into ${this.path}`, () => synsIn(this.path) >= syns);
    const ended = new Promise((resolve) => this.child.once('close', resolve));
    this.world.signal(this.child, 'SIGTERM');
    await ended;
    return this.path;
  }
}

/** How many SYNs to port 25 a recording of a wire has so far. */
function synsIn(path: string): number {
  let count = 0;
  const parser = new SavefileParser(
    path,
    (frame) => {
      const seen = decode(frame);
      if (seen.ok && seen.isSyn && seen.destinationPort === 25) count++;
    },
    requireReadable,
  );
  parser.push(readFileSync(path));
  return count;
}

// Network namespaces that end when we end.
import { type ChildProcess, spawn, type SpawnOptions, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** How private namespaces can be had: in a user namespace of our own, or as root. */
export type WorldMode = 'user-namespace' | 'root';

/** The hosts of a {@link World}: one with the MX addresses, one that stands for the rest of the Internet. */
export type Host = 'mx' | 'internet';

/** Addresses of the world (RFC 5737, RFC 2544, RFC 3849). */
export const WORLD = {
  fake: ['192.0.2.3', '2001:db8::3'],
  real: ['192.0.2.4', '2001:db8::4'],
  /** an address of the MX host for services that are not mail */
  other: '192.0.2.53',
  /** the host `internet` may use any address of these as its own */
  senders: ['198.51.100.0/24', '203.0.113.0/24', '198.18.0.0/15', '2001:db8:1000::/36'],
} as const;

/** A program that has ended. */
export interface Finished {
  /** null when a signal ended it */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An ordinary user's PATH leaves out where Debian keeps ip, iptables and nft. */
const TOOL_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
};

const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child'];
const OWN_USER = ['--user', '--map-root-user'];

/** An nsenter may stop a moment after its program. */
const WAKE_MS = 50;

/** The first process: says its number as it is seen from outside, and holds everything until its input ends. */
const HOLDER = `
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
read -r pid rest </proc/self/stat
echo "$pid"
exec cat`;

const NETWORK = `
ip netns add mx
ip netns add internet
ip -n mx link add eth0 type veth peer name eth0 netns internet
for host in mx internet; do
  # no second of silence before IPv6 works
  nsenter --net=/run/netns/$host sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad'
  ip -n $host link set lo up
  ip -n $host link set eth0 up
done
ip -n internet address add 192.0.2.1/24 dev eth0
ip -n internet address add 2001:db8::1/64 dev eth0 nodad
for address in ${[...WORLD.fake, ...WORLD.real, WORLD.other].join(' ')}; do
  case $address in
  *:*) ip -n mx address add $address/64 dev eth0 nodad ;;
  *) ip -n mx address add $address/24 dev eth0 ;;
  esac
done
for network in ${WORLD.senders.join(' ')}; do
  ip -n internet route add local $network dev lo
done
ip -n mx route add default via 192.0.2.1
ip -n mx -6 route add default via 2001:db8::1
nsenter --net=/run/netns/internet sh -c 'echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind'`;

/** Those of some programs that are not there. */
export function missingTools(names: readonly string[]): string[] {
  const look = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`], { env: TOOL_ENVIRONMENT });
  return names.filter((name) => look(name).status !== 0);
}

/**
 * Two hosts and a cable between them, in namespaces of their own: nothing outside sees them or is touched. They and
 * all that runs in them vanish with {@link close}, and with this process, however it ends.
 */
export class World {
  private readonly entered = new Set<ChildProcess>();

  private constructor(
    readonly mode: WorldMode,
    private readonly holder: ChildProcess,
    private readonly holderPid: number,
  ) {}

  /**
   * Finds out how namespaces can be had here.
   * @returns the mode, or why there is none
   */
  static mode(): WorldMode | { readonly unavailable: string } {
    if (process.platform !== 'linux') {
      return { unavailable: `namespaces are Linux's, this is ${process.platform}` };
    }
    const missing = missingTools(['unshare', 'nsenter', 'ip']);
    if (missing.length > 0) {
      return { unavailable: `${missing.join(', ')} not found (packages util-linux and iproute2)` };
    }
    const attempt = (flags: readonly string[]): string | undefined => {
      const { status, stderr } = spawnSync('unshare', [...flags, ...NAMESPACES, 'true'], {
        encoding: 'utf8',
      });
      return status === 0 ? undefined : stderr.trim().split('\n')[0];
    };
    const asRoot = process.getuid?.() === 0;
    if (asRoot && attempt([]) === undefined) return 'root';
    const why = attempt(OWN_USER);
    return why === undefined ? 'user-namespace' : { unavailable: `no private namespaces: ${why}` };
  }

  /**
   * Makes the namespaces and the two hosts.
   * @throws Error in words when that fails
   */
  static async create(mode: WorldMode): Promise<World> {
    const flags = mode === 'user-namespace' ? OWN_USER : [];
    const holder = spawn('unshare', [...flags, ...NAMESPACES, 'sh', '-euc', HOLDER], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: TOOL_ENVIRONMENT,
    });
    let said = '';
    holder.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const pid = await new Promise<number>((resolve, reject) => {
      holder.once('error', reject);
      holder.once('close', () => reject(new Error(`the namespaces could not be made: ${said.trim()}`)));
      holder.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
    });
    const world = new World(mode, holder, pid);
    await world.script(NETWORK);
    return world;
  }

  /** Runs a shell script (sh -eu) in the namespaces, beside the hosts or on one of them. */
  async script(text: string, host?: Host): Promise<string> {
    const { status, stdout, stderr } = await this.run(host, ['sh', '-euc', text]);
    if (status !== 0) throw new Error(`a script in the namespaces failed (${status}): ${stderr.trim()}`);
    return stdout;
  }

  /** Runs a program to its end. */
  async run(host: Host | undefined, argv: readonly string[], options: SpawnOptions = {}): Promise<Finished> {
    const child = this.spawn(host, argv, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve({ status, stdout, stderr }));
    });
  }

  /** The words ahead of a program and its arguments that have it run on a host. */
  entering(host: Host | undefined): readonly [string, ...string[]] {
    const user = this.mode === 'user-namespace' ? ['--user', '--preserve-credentials'] : [];
    const enter = ['--target', String(this.holderPid), ...user, '--mount', '--net', '--pid'];
    return ['nsenter', ...enter, ...(host === undefined ? [] : ['nsenter', `--net=/run/netns/${host}`])];
  }

  /** Starts a program on a host. Signals must go through {@link signal}: the child is nsenter, not the program. */
  spawn(host: Host | undefined, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [program, ...enter] = this.entering(host);
    // not in our process group: a Ctrl-C at the terminal is ours alone
    const child = spawn(program, [...enter, ...argv], {
      detached: true,
      env: TOOL_ENVIRONMENT,
      ...options,
    });
    this.entered.add(child);
    child.once('close', () => this.entered.delete(child));
    return child;
  }

  /** The number, as seen from here, of the program that runs behind a child of {@link spawn}. */
  pidOf(child: ChildProcess): number | undefined {
    try {
      const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').split(' ');
      return first === undefined || first === '' ? undefined : Number(first);
    } catch {
      return undefined;
    }
  }

  /** Sends a signal to the program behind a child of {@link spawn}. */
  signal(child: ChildProcess, signal: NodeJS.Signals): void {
    const pid = this.pidOf(child);
    if (pid === undefined) return;
    // nsenter stops when its program is stopped
    if (signal === 'SIGCONT') child.kill(signal);
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Ends all that runs in the namespaces; they vanish with it. */
  async close(): Promise<void> {
    if (this.holder.exitCode !== null || this.holder.signalCode !== null) return;
    const ended = new Promise((resolve) => this.holder.once('close', resolve));
    this.holder.stdin?.end();
    // all that runs in them is killed; they are there until each nsenter has taken note of its program's end, which one
    // that was stopped together with its program does not. It is not killed: another process would have to take note.
    const wake = (): void => {
      for (const child of this.entered) child.kill('SIGCONT');
    };
    wake();
    const waking = setInterval(wake, WAKE_MS);
    await ended;
    clearInterval(waking);
  }
}

// Two hosts, the daemon, senders and a mail server: where the stories are played.
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { NO_DEBUGGER } from '../process/debugger.js';
import { packageFolder } from '../version.js';
import type { SendOrder, SendResult, SinkMessage, SinkOrder } from './messages.js';
import { WORLD, World, type WorldMode } from './world.js';

/** Port of the mail servers. */
const SMTP = 25;

/** Whatever it does, it says so earlier, be the machine as busy as it may. */
const PATIENCE_MS = 180_000;

/** A line of the daemon's log (`--log-format json`). */
export interface LogEvent {
  readonly level: string;
  readonly message: string;
  readonly event?: string;
  readonly source?: string;
  readonly target?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  /** of `queue-statistics`: packets since the start */
  readonly dropped?: number;
  /** of `counters`: since the start */
  readonly refusals?: number;
}

/** Outside of the namespaces there are files, too. */
const LEAVES_NOTHING = ['--state-file', 'none', '--control-socket', 'none'];

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/**
 * A {@link World} with real mail servers' behaviour in it: one behind the real MX, senders all over the Internet, and
 * mxallowd between them.
 */
export class Stage {
  /** how often a message was taken, by the sender's address */
  readonly delivered = new Map<string, number>();
  private sender: ChildProcess | undefined;
  private sink: ChildProcess | undefined;
  private readonly asking = new Map<number, () => void>();
  private readonly waiting = new Map<number, (result: SendResult) => void>();
  private lastId = 0;

  private constructor(readonly world: World) {}

  /**
   * Builds it, without mxallowd and its rules.
   * @throws Error in words when that fails
   */
  static async create(mode: WorldMode): Promise<Stage> {
    const stage = new Stage(await World.create(mode));
    try {
      await stage.startSink();
      stage.startSenders();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /**
   * Loads the rules of examples/nftables.conf, or where the kernel cannot do that, the line of mxallowd 1.9.
   * @returns what was loaded, for people
   */
  async loadExampleRules(): Promise<string[]> {
    const file = join(packageFolder(), 'examples', 'nftables.conf');
    const nft = await this.world.run('mx', ['nft', '-f', file]).catch(() => undefined);
    if (nft?.status === 0) return [`nft -f ${join('examples', 'nftables.conf')}`];
    await loadQueueRule(this.world, '--queue-num 23');
    const rule = '-A INPUT -p tcp --dport 25 -m state --state NEW \\';
    const queue = '    -j NFQUEUE --queue-num 23';
    return [`iptables  ${rule}`, queue, `ip6tables ${rule}`, queue];
  }

  /**
   * Installs the rules of nftables for the addresses of examples/mxallowd.conf.
   * @param nft - absolute path of nft
   * @param rules - path of the file for the boot
   * @returns why this kernel, or this machine, cannot do that; undefined: they are loaded
   */
  async installRules(nft: string, rules: string): Promise<string | undefined> {
    const config = join(packageFolder(), 'examples', 'mxallowd.conf');
    const where = ['-c', config, '--nft', nft, '--nft-rules', rules, '--nft-conf', '/dev/null'];
    const cli = [process.execPath, NO_DEBUGGER, script('../cli.js')];
    const { status, stderr } = await this.world.run('mx', [
      ...cli,
      'nft-conf',
      '--install',
      '--yes',
      ...where,
    ]);
    return status === 0 ? undefined : (stderr.trim().split('\n')[0] ?? '');
  }

  /** Starts mxallowd on the host mx, with the addresses of examples/mxallowd.conf. */
  startDaemon(args: readonly string[], onEvent: (event: LogEvent) => void = () => undefined): StagedDaemon {
    return StagedDaemon.start(this.world, args, onEvent);
  }

  /**
   * A sender tries to deliver a message.
   * @param timeoutMs - when it gives up; unless told, later than any answer comes
   */
  async send(from: string, to: string, timeoutMs = 120_000): Promise<SendResult> {
    const order: SendOrder = { id: ++this.lastId, from, to, port: SMTP, timeoutMs };
    const result = await new Promise<SendResult>((resolve) => {
      this.waiting.set(order.id, resolve);
      const { sender } = this;
      if (sender?.connected === true) sender.send(order);
      else this.fail();
    });
    // what the mail server has taken is known then, too
    if (result.outcome === 'delivered') await this.sinkHasTold(order.id);
    return result;
  }

  /** Ends all that runs in it. */
  async close(): Promise<void> {
    await this.world.close();
  }

  private startSenders(): void {
    const child = this.world.spawn('internet', [process.execPath, NO_DEBUGGER, script('./sender.js')], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (message) => {
      const result = message as SendResult;
      this.waiting.get(result.id)?.(result);
      this.waiting.delete(result.id);
    });
    child.once('exit', () => this.fail());
    // it may end between our question whether it is there and what we tell it
    child.on('error', () => this.fail());
    this.sender = child;
  }

  /** Waits until the mail server has told all that it knows. */
  private async sinkHasTold(id: number): Promise<void> {
    const { sink } = this;
    if (sink?.connected !== true) return;
    await new Promise<void>((resolve) => {
      this.asking.set(id, resolve);
      sink.send({ ask: id } satisfies SinkOrder);
    });
  }

  /** The senders are gone. */
  private fail(): void {
    for (const [id, resolve] of this.waiting) resolve({ id, outcome: 'failed', tookMs: 0 });
    this.waiting.clear();
    for (const resolve of this.asking.values()) resolve();
    this.asking.clear();
  }

  private startSink(): Promise<void> {
    const child = this.world.spawn('mx', [process.execPath, NO_DEBUGGER, script('./sink.js')], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const order: SinkOrder = { addresses: WORLD.real, port: SMTP };
    child.send(order);
    this.sink = child;
    child.once('exit', () => this.fail());
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.once('exit', () => reject(new Error('the mail server of the demonstration has ended')));
      child.on('message', (message) => {
        const told = message as SinkMessage;
        if ('listening' in told) resolve();
        else if ('failed' in told) reject(new Error(told.failed));
        else if ('asked' in told) {
          this.asking.get(told.asked)?.();
          this.asking.delete(told.asked);
        } else this.delivered.set(told.delivered, (this.delivered.get(told.delivered) ?? 0) + 1);
      });
    });
  }
}

/**
 * Loads the rule of mxallowd 1.9 on the host mx, for both families.
 * @param queue - arguments of the target, as `--queue-num 23`
 */
export async function loadQueueRule(world: World, queue: string): Promise<void> {
  const rule = `-A INPUT -p tcp --dport ${SMTP} -m state --state NEW -j NFQUEUE ${queue}`;
  await world.script(`iptables ${rule}\nip6tables ${rule}`, 'mx');
}

/** mxallowd on the stage, with what it says. */
export class StagedDaemon {
  /** all that it has logged */
  readonly events: LogEvent[] = [];
  stderr = '';
  /** exit status, or the signal that ended it */
  readonly ended: Promise<number | string>;
  private readonly watchers = new Set<() => void>();

  /**
   * Starts it with the addresses of examples/mxallowd.conf, logging everything to us. There is no DNS, unless a
   * server is named.
   * @param args - added to the command line; what they say comes last
   * @param by - a program that starts it, with that program's arguments
   */
  static start(
    world: World,
    args: readonly string[],
    onEvent: (event: LogEvent) => void,
    by: readonly string[] = [],
  ): StagedDaemon {
    const user = world.mode === 'root' ? 'nobody' : 'root';
    const config = join(packageFolder(), 'examples', 'mxallowd.conf');
    const always = ['-c', config, '-F', '-s', '--log-format', 'json', '--user', user, ...LEAVES_NOTHING];
    const noDns = args.includes('--dns-server') ? [] : ['--no-rdns-whitelist', '--no-pool'];
    // of an option that is given twice the last one counts, of the configuration file too
    const argv = [...by, process.execPath, NO_DEBUGGER, script('../cli.js'), ...always, ...noDns, ...args];
    return new StagedDaemon(world, world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'pipe'] }), onEvent);
  }

  private constructor(
    private readonly world: World,
    private readonly child: ChildProcess,
    onEvent: (event: LogEvent) => void,
  ) {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as LogEvent;
        this.events.push(event);
        onEvent(event);
        for (const watcher of this.watchers) watcher();
      });
    }
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (status, signal) => resolve(status ?? signal ?? 'unknown'));
    });
  }

  /** its number, as seen from outside the namespaces */
  get pid(): number | undefined {
    return this.world.pidOf(this.child);
  }

  signal(signal: NodeJS.Signals): void {
    this.world.signal(this.child, signal);
  }

  /**
   * Waits until it has logged something, from event number `from` on.
   * @throws Error when it has ended before, or does not log that within three minutes
   */
  async event(what: (event: LogEvent) => boolean, from = 0): Promise<LogEvent> {
    const look = (): LogEvent | undefined => this.events.slice(from).find(what);
    let watcher: (() => void) | undefined;
    const found = new Promise<LogEvent>((resolve) => {
      watcher = () => {
        const event = look();
        if (event !== undefined) resolve(event);
      };
      this.watchers.add(watcher);
      watcher();
    });
    const ended = this.ended.then((how) => {
      const event = look();
      if (event !== undefined) return event;
      throw new Error(`mxallowd has ended (${how}): ${this.stderr.trim()}`);
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const last = this.events.slice(-20).map(({ message }) => message);
        reject(new Error(`mxallowd does not log what was awaited; it said last:\n${last.join('\n')}`));
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([found, ended, tooLong]);
    } finally {
      clearTimeout(timer);
      if (watcher !== undefined) this.watchers.delete(watcher);
    }
  }

  /** Waits until it is ready. */
  async ready(): Promise<void> {
    await this.event(({ event }) => event === 'ready');
  }
}

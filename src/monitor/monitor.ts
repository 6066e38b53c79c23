// The process that keeps root: starts the engine, and does for it what takes root.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { removeSocket } from '../control/server.js';
import { type Config, defaultValue, takeOver } from '../config/config.js';
import { formatProblem, type Problem } from '../config/problem.js';
import type { Log } from '../log/log.js';
import { levelOf } from '../log/settings.js';
import { escapeText } from '../packet/escape.js';
import type { Clock } from '../clock.js';
import { RateLimit } from '../engine/rate-limit.js';
import { KILL_AFTER_MS } from './stop.js';
import { Exit, StartError } from '../sysexits.js';
import type { UserPlan } from './user-plan.js';
import type { Own } from '../names/network-bounds.js';
import { Channel } from './channel.js';
import { type GuardedTable, TableGuard } from './guard.js';
import { clearLeftovers } from './leftovers.js';
import { MOST_REQUEST, type MonitorMessage, type Reconfiguration } from './messages.js';
import { parseEngineRequest } from './request.js';
import { COMPARE_EVERY_MS } from '../table/table.js';

/** What keeps the firewall's rules. */
export interface Rules {
  /** @throws StartError when there are none */
  start(): Promise<void>;
  configure(config: Config): void;
  stop(): void;
}

/** What the monitor works with. */
export interface MonitorParts {
  readonly config: Config;
  readonly remarks: readonly Problem[];
  /** whom the engine becomes */
  readonly plan: UserPlan;
  readonly log: Log;
  readonly clock: Clock;
  readonly table: GuardedTable;
  /**
   * makes what keeps the firewall's rules; absent: somebody else does
   * @param restored - is told when they had gone and are back
   */
  readonly makeRules?: (restored: (isEmpty: boolean) => void) => Rules;
  /** program and arguments of the engine */
  readonly engine: readonly [string, ...string[]];
  readonly readAgain: () => Reconfiguration;
  /** the networks of this machine's interfaces; absent: none */
  readonly interfaces?: () => Own;
}

const FIRST_RESTART_MS = 1000;
const MAX_RESTART_MS = 30_000;
/** An engine that has lived for so long has earned a quick start of the next one. */
const LONG_LIFE_MS = 60_000;
/** Lines about what the engine must not ask for, in a second. */
const REFUSALS_PER_SECOND = 5;
/** Times that the engine may have the configuration read again, in a second. */
const RELOADS_PER_SECOND = 1;
const TOO_OFTEN: Reconfiguration = {
  ok: false,
  problems: [{ where: '', kind: 'config', message: 'read again a moment ago: wait a second' }],
  isTooOften: true,
};
/** An engine that has not been heard of for so long hangs, perhaps. */
const MOST_SILENCE_MS = 2 * COMPARE_EVERY_MS;
/** Then it has so long to be heard of: the whole machine may have stood still. */
const GRACE_MS = 60_000;

/** One life of the engine. */
interface Life {
  readonly child: ChildProcess;
  readonly channel: Channel;
  readonly startedMs: number;
  isReady: boolean;
  heardMs: number;
  failure: { readonly message: string; readonly exitStatus: number } | undefined;
}

/**
 * The process that keeps root. It does three things: it starts the engine, and again when it dies; it runs pfctl for
 * prefixes that it has checked itself; it passes on signals. It reads nothing that comes from the network.
 */
export class Monitor {
  private readonly guard: TableGuard;
  private readonly refusals: RateLimit;
  private readonly reloads: RateLimit;
  private readonly rules: Rules | undefined;
  private config: Config;
  private life: Life | undefined;
  private starts = 0;
  private restartMs = FIRST_RESTART_MS;
  private cancelRestart: (() => void) | undefined;
  private cancelKill: (() => void) | undefined;
  private cancelWatch: (() => void) | undefined;
  private isStopping = false;
  private hasBeenReady = false;
  private settle: { readonly ready: () => void; readonly failed: (error: StartError) => void } | undefined;
  private ended: (() => void) | undefined;

  constructor(private readonly parts: MonitorParts) {
    this.config = parts.config;
    this.guard = new TableGuard(
      parts.table,
      (message) => this.life?.channel.send(message),
      (why) => this.refused(why),
      parts.clock,
      parts.interfaces,
    );
    this.guard.configure(parts.config);
    this.rules = parts.makeRules?.((isEmpty) => this.life?.channel.send({ kind: 'restored', isEmpty }));
    this.refusals = new RateLimit(REFUSALS_PER_SECOND, parts.clock, (suppressed) => {
      const message = `${suppressed} more requests of the engine were refused within a second`;
      parts.log.write('error', message, { event: 'requests-refused', suppressed });
    });
    this.reloads = new RateLimit(RELOADS_PER_SECOND, parts.clock);
  }

  /**
   * Starts the engine.
   * @returns when it is ready
   * @throws StartError when it cannot start
   */
  async start(): Promise<void> {
    await this.rules?.start();
    if (this.isStopping) throw new StartError('stopped during the start', Exit.UNAVAILABLE);
    await new Promise<void>((ready, failed) => {
      this.settle = { ready, failed };
      this.startEngine();
    }).catch((error: unknown) => {
      this.rules?.stop();
      throw error;
    });
  }

  /** The configuration is read again; the engine says what became of it. */
  reload(): void {
    const configuration = this.readAgain();
    this.life?.channel.send({ kind: 'reload', configuration });
    if (this.life !== undefined) return;
    const message = configuration.ok
      ? 'configuration read again, for the next engine'
      : configuration.problems.map(formatProblem).join('; ');
    this.parts.log.write(configuration.ok ? 'info' : 'error', message, { event: 'reloaded' });
  }

  logStatistics(): void {
    this.life?.channel.send({ kind: 'statistics' });
  }

  /** Ends the engine, and waits for that. */
  async stop(signal: string): Promise<void> {
    this.isStopping = true;
    this.cancelRestart?.();
    this.cancelWatch?.();
    this.refusals.close();
    this.reloads.close();
    if (this.life !== undefined) await this.endEngine(signal);
    this.rules?.stop();
    // the engine may not, in a folder that is root's
    if (this.hasBeenReady && this.config.controlSocket !== '') removeSocket(this.config.controlSocket);
  }

  private async endEngine(signal: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.ended = resolve;
      this.life?.channel.send({ kind: 'stop', signal });
      this.cancelKill = this.parts.clock.after(KILL_AFTER_MS, () => {
        this.parts.log.write('error', 'the engine does not end and is killed', { event: 'engine-killed' });
        this.life?.child.kill('SIGKILL');
      });
    });
  }

  private startEngine(): void {
    const { engine, clock, plan } = this.parts;
    const [program, ...args] = engine;
    const remarks = this.starts === 0 ? this.parts.remarks : [];
    let child: ChildProcess;
    try {
      child = spawn(program, args, {
        // a session of its own: signals of a terminal are for us, and its children are known by its group
        detached: true,
        stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
        env: engineEnvironment(process.env),
        cwd: '/',
      });
    } catch (error) {
      this.engineEnded(undefined, `cannot be started: ${escapeText(String(error))}`, Exit.OSERR);
      return;
    }
    if (child.pid === undefined) {
      child.once('error', ({ message }) =>
        this.engineEnded(undefined, `cannot be started: ${escapeText(message)}`, Exit.OSERR),
      );
      return;
    }
    const life: Life = {
      child,
      channel: new Channel(
        child.stdio[3] as Socket,
        MOST_REQUEST,
        {
          message: (value) => this.take(life, value),
          garbage: (what) => this.distrust(life, what),
          // without a channel it is of no use, whatever it does
          closed: () => void child.kill('SIGKILL'),
        },
        clock,
      ),
      startedMs: clock.monotonicMs(),
      isReady: false,
      heardMs: clock.monotonicMs(),
      failure: undefined,
    };
    this.life = life;
    child.on('error', () => undefined);
    child.once('exit', (code, signal) => {
      const how = signal === null ? `ended with status ${code}` : `was killed by ${signal}`;
      // what it has left must not meet the next one
      void this.clear(child.pid)
        .catch((error: unknown) => {
          const message = `what the engine has left cannot be looked for: ${escapeText(String(error))}`;
          this.parts.log.write('error', message, { event: 'leftovers-stay' });
        })
        .then(() => this.engineEnded(life, how, code ?? Exit.SOFTWARE));
    });
    this.guard.begin();
    this.watchOver(life, MOST_SILENCE_MS);
    const start = { config: this.config, remarks, plan, restarts: this.starts, monitorPid: process.pid };
    this.starts++;
    life.channel.send({ kind: 'start', start } satisfies MonitorMessage);
  }

  /** One that hangs does not end by itself. Looks rarely: an idle machine is not woken for it. */
  private watchOver(life: Life, inMs: number, isGrace = false): void {
    const { clock, log } = this.parts;
    const before = life.heardMs;
    this.cancelWatch = clock.after(inMs, () => {
      const silentMs = clock.monotonicMs() - life.heardMs;
      // while pfctl takes its time the engine waits
      if (this.guard.isBusy) this.watchOver(life, GRACE_MS);
      else if (silentMs < MOST_SILENCE_MS) this.watchOver(life, MOST_SILENCE_MS - silentMs);
      else if (!isGrace || life.heardMs !== before) this.watchOver(life, GRACE_MS, true);
      else {
        const minutes = Math.round(silentMs / 60_000);
        const message = `the engine hangs and is killed: it has asked for nothing in ${minutes} minutes`;
        log.write('error', message, { event: 'engine-hangs', silentMs });
        life.child.kill('SIGKILL');
      }
    });
  }

  /** What the engine has started as its user ends with it; what it has started as root does so by itself. */
  private async clear(engine: number | undefined): Promise<void> {
    const { plan, clock, log } = this.parts;
    if (engine === undefined || plan.kind !== 'become') return;
    const isOwnUser = plan.user.name === defaultValue('user');
    await clearLeftovers(engine, { user: plan.user, isOwnUser, clock, log });
  }

  /** None of ours sends that: whatever it is by now, it is not asked. */
  private distrust(life: Life, what: string): void {
    const message = `the engine has sent ${what}, as none of ours does, and was killed`;
    life.failure = { message, exitStatus: Exit.SOFTWARE };
    life.child.kill('SIGKILL');
  }

  private take(life: Life, value: unknown): void {
    if (life !== this.life) return;
    life.heardMs = this.parts.clock.monotonicMs();
    const event = (value as { readonly event?: unknown } | null)?.event;
    if (event === 'ready') this.becameReady(life);
    else if (event === 'abort') this.guard.abort();
    else if (event === 'failed') this.noteFailure(life, value);
    else this.takeRequest(life, value);
  }

  private takeRequest(life: Life, value: unknown): void {
    const parsed = parseEngineRequest(value);
    if (!parsed.ok) {
      this.refused(parsed.why);
      return;
    }
    const { id, request } = parsed.value;
    if (request !== 'reload') void this.guard.handle(parsed.value);
    // each time root reads a file
    else if (this.reloads.allows())
      life.channel.send({ kind: 'reloaded', id, configuration: this.readAgain() });
    else life.channel.send({ kind: 'reloaded', id, configuration: TOO_OFTEN });
  }

  private becameReady(life: Life): void {
    if (life.isReady) return;
    life.isReady = true;
    if (this.hasBeenReady) {
      const message = `the engine works again, as process ${life.child.pid}`;
      this.parts.log.write('warn', message, { event: 'engine-started', pid: life.child.pid });
    }
    this.hasBeenReady = true;
    this.settle?.ready();
    this.settle = undefined;
  }

  /** Only the words of an engine that has not given up root yet are needed; later ones are bounded and escaped, too. */
  private noteFailure(life: Life, value: unknown): void {
    const { message, exitStatus } = value as { message?: unknown; exitStatus?: unknown };
    const words = typeof message === 'string' ? escapeText(message, 1000) : 'the engine has failed';
    life.failure = { message: words, exitStatus: failureStatus(exitStatus) };
  }

  private engineEnded(life: Life | undefined, how: string, exitStatus: number): void {
    this.life = undefined;
    life?.channel.destroy();
    this.cancelKill?.();
    this.cancelWatch?.();
    if (this.isStopping) {
      this.ended?.();
      return;
    }
    const message = life?.failure?.message ?? `the engine ${how}`;
    if (this.settle !== undefined) {
      this.settle.failed(new StartError(message, life?.failure?.exitStatus ?? failureStatus(exitStatus)));
      this.settle = undefined;
      return;
    }
    this.restartLater(life, message);
  }

  private restartLater(life: Life | undefined, why: string): void {
    const { clock, log } = this.parts;
    const livedMs = life === undefined ? 0 : clock.monotonicMs() - life.startedMs;
    if (livedMs > LONG_LIFE_MS) this.restartMs = FIRST_RESTART_MS;
    const waitMs = this.restartMs;
    this.restartMs = Math.min(this.restartMs * 2, MAX_RESTART_MS);
    const message = `${why}; nobody new is let in meanwhile; the engine is started again in ${waitMs / 1000} s`;
    log.write('error', message, { event: 'engine-ended', retryInMs: waitMs });
    this.cancelRestart = clock.after(waitMs, () => {
      // what the last one has asked for must not answer the next one, nor keep it waiting
      this.guard.abort();
      void this.guard.idle().then(() => {
        if (!this.isStopping) this.startEngine();
      });
    });
  }

  private readAgain(): Reconfiguration {
    const configuration = this.parts.readAgain();
    if (!configuration.ok) return configuration;
    // for the next engine; what needs a restart of everything stays
    this.config = takeOver(this.config, configuration.config);
    this.guard.configure(this.config);
    this.rules?.configure(this.config);
    this.parts.log.setLevel(levelOf(this.config));
    return configuration;
  }

  private refused(why: string): void {
    if (!this.refusals.allows()) return;
    const message = `the engine has asked for what it must not, and was refused: ${why}`;
    this.parts.log.write('error', message, { event: 'request-refused' });
  }
}

/** Where programs are, and what tells that the journal reads standard output. */
function engineEnvironment({ PATH, JOURNAL_STREAM }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { PATH: PATH ?? '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin', JOURNAL_STREAM };
}

/** An engine that was to start and has ended has failed, whatever it says. */
function failureStatus(status: unknown): number {
  return Number.isInteger(status) && Number(status) > 0 && Number(status) < 126
    ? Number(status)
    : Exit.SOFTWARE;
}

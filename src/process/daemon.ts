// The daemon: its service, its signals and its PID file.
import { fileURLToPath } from 'node:url';
import { type Config, defaultValue, type Given } from '../config/config.js';
import { ControlSocketError, makeSocketFolder } from '../control/server.js';
import { OPTIONS } from '../config/options.js';
import type { Log } from '../log/log.js';
import { complain, isSameFile } from '../log/outputs.js';
import { openPlainLog } from '../log/plain.js';
import { logSettings } from '../log/settings.js';
import type { Reconfiguration } from '../monitor/messages.js';
import type { GuardedTable } from '../monitor/guard.js';
import { Monitor, type MonitorParts } from '../monitor/monitor.js';
import { RulesKeeper } from '../nft/keeper.js';
import { reportStart } from './background.js';
import { endOnBug } from './bug.js';
import { escapeText } from '../packet/escape.js';
import { errorWords } from '../state/problem.js';
import { systemClock } from '../clock.js';
import { type EarlyHangup, takeHangup } from './hangup.js';
import { NO_DEBUGGER } from './debugger.js';
import { nodeChild } from './node-child.js';
import { interfaceNetworks } from './own-networks.js';
import { type PidFile, takePidFile } from './pid-file.js';
import { Exit, StartError } from '../sysexits.js';
import { type UserPlan } from '../monitor/user-plan.js';
import { type ManagerWishes, reachManager, ServiceManager, takeWishes } from './service-manager.js';
import { planUser } from './users.js';
import { staySmall } from './v8.js';
import type { CallsSettings } from '../table/calls.js';
import { NftProgram } from '../table/nft-program.js';
import { NftTable } from '../table/nft.js';
import { PfctlTable } from '../table/pfctl.js';
import type { StuckReport } from '../table/stuck.js';
import type { Table } from '../table/table.js';
import { loadConfig, type LoadedConfig, printProblems } from './load-config.js';

/** A pfctl call with few addresses takes some 10 ms. */
const PFCTL_TIMEOUT_MS = 10_000;
/** The same for nft, which takes a few. */
const NFT_TIMEOUT_MS = 10_000;

/** What the daemon consists of: one process that does all, or a monitor with its engine. */
export interface Service {
  /** @throws StartError when it cannot start */
  start(): Promise<void>;
  /** Reads the configuration again. */
  reload(): void;
  logStatistics(): void;
  /** Whether the work goes on; for a watchdog that asks now and then. Absent: it sees to that itself. */
  goesOn?(): boolean;
  /** Writes out what is pending, and ends; also before the start is complete. */
  stop(signal: string): Promise<void>;
}

type Loaded = Extract<LoadedConfig, { ok: true }>;

/**
 * Runs the daemon until a signal ends it.
 * @param given - what the command line says
 * @param inBackground - another process waits for us to be ready
 * @param early - SIGHUP that came before
 * @returns exit status
 */
export async function runDaemon(
  given: readonly Given[],
  inBackground: boolean,
  early: EarlyHangup,
): Promise<number> {
  const loaded = loadConfig(given, []);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  const status = await startDaemon(loaded, given, inBackground, early);
  if (inBackground) await reportStart(typeof status === 'number' ? status : Exit.OK);
  if (typeof status === 'number') return status;
  if (inBackground) process.chdir('/');
  return status.untilSignal();
}

/** @returns a daemon that is ready, or the exit status; the reason has been told */
async function startDaemon(
  loaded: Loaded,
  given: readonly Given[],
  inBackground: boolean,
  early: EarlyHangup,
): Promise<Daemon | number> {
  const { config } = loaded;
  const readAgain = (): Reconfiguration => loadConfig(given, []);
  let plan: UserPlan;
  try {
    plan = planUser(config, process.getuid?.(), process.platform);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    complain(error.message);
    return error.exitStatus;
  }
  const isSplit = config.firewall !== 'queue' && plan.kind === 'become';
  const settings = logSettings(config);
  // the monitor does not load winston
  const log = isSplit ? openPlainLog(settings) : (await import('../log/winston.js')).openLog(settings);
  endOnBug(log);
  const service = isSplit
    ? makeMonitor(loaded, plan, log, readAgain)
    : await makeHost(loaded, plan, log, readAgain);
  const daemon = new Daemon(config, log, service);
  const failure = await daemon.start(inBackground, early);
  if (failure === undefined) return daemon;
  await log.close();
  return failure;
}

function makeMonitor(
  { config, remarks }: Loaded,
  plan: UserPlan,
  log: Log,
  readAgain: () => Reconfiguration,
): Service {
  staySmall();
  const engine = fileURLToPath(new URL('./engine-main.js', import.meta.url));
  return new Monitor({
    config,
    remarks,
    plan,
    log,
    clock: systemClock,
    ...enforcement(config, log),
    engine: nodeChild([NO_DEBUGGER, engine]),
    readAgain,
    interfaces: interfaceNetworks,
  });
}

/** One process does it all. What only it needs is loaded only then: the monitor stays small. */
async function makeHost(
  loaded: Loaded,
  plan: UserPlan,
  log: Log,
  readAgain: () => Reconfiguration,
): Promise<Service> {
  const { SingleProcess } = await import('./single-process.js');
  return new SingleProcess({ ...loaded, plan, log, readAgain, ...enforcement(loaded.config, log) });
}

/** How the firewall's table is reached, and what keeps its rules. */
function enforcement(
  config: Config,
  log: Log,
): { table: Table & GuardedTable; makeRules?: NonNullable<MonitorParts['makeRules']> } {
  if (config.firewall !== 'nft') return { table: pfctlTable(config, log) };
  const program: CallsSettings = {
    path: config.nft,
    timeoutMs: NFT_TIMEOUT_MS,
    clock: systemClock,
    report: (stuck) => sayStuck(log, 'nft', stuck),
  };
  return {
    table: new NftTable({ ...program, lengths: { 4: config.ipv4Prefix, 6: config.ipv6Prefix } }),
    makeRules: (restored) =>
      new RulesKeeper(config, {
        nft: new NftProgram(program),
        path: config.nft,
        clock: systemClock,
        say: (level, message, event) => log.write(level, message, { event }),
        restored,
      }),
  };
}

function sayStuck(log: Log, program: string, { kind, pid, afterMs, message }: StuckReport): void {
  log.write(kind === 'stuck' ? 'error' : 'warn', message, { event: `${program}-${kind}`, pid, afterMs });
}

function pfctlTable({ pfctl, table, anchor }: Config, log: Log): PfctlTable {
  return new PfctlTable({
    path: pfctl,
    table,
    anchor,
    timeoutMs: PFCTL_TIMEOUT_MS,
    clock: systemClock,
    ...(process.platform === 'freebsd' ? { sysctl: '/sbin/sysctl' } : {}),
    report: (stuck) => sayStuck(log, 'pfctl', stuck),
  });
}

/** A service, its signals and its PID file. */
class Daemon {
  /** others see by them that we run */
  private readonly files: PidFile[] = [];
  private stopped: ((status: number) => void) | undefined;
  private stopRequested: string | undefined;
  private isReady = false;
  private reloadRequested = false;
  private manager: ServiceManager | undefined;

  constructor(
    private readonly config: Config,
    private readonly log: Log,
    private readonly service: Service,
  ) {}

  /** @returns undefined when the daemon is ready, else the exit status; the reason has been told */
  async start(inBackground: boolean, early: EarlyHangup): Promise<number | undefined> {
    process.on('SIGUSR1', () => this.service.logStatistics());
    takeHangup(early, () => this.reload());
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.requestStop(signal));

    const wishes = takeWishes(process.env, process.pid);
    const refused = this.takeFiles(inBackground);
    if (refused !== undefined) {
      this.releaseFiles();
      return this.fail(refused.message, refused.exitStatus);
    }
    try {
      await this.service.start();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      this.releaseFiles();
      return this.fail(error.message, error.exitStatus);
    }
    this.isReady = true;
    if (wishes !== undefined) await this.tell(wishes);
    if (this.reloadRequested) this.reload();
    return undefined;
  }

  /** The service manager wants to hear of us. */
  private async tell(wishes: ManagerWishes): Promise<void> {
    const { log, service } = this;
    const notify = await reachManager(wishes, (why) =>
      log.write('error', `the service manager cannot be told: ${why}`, { event: 'notify-failed' }),
    );
    this.manager = new ServiceManager(wishes, notify, systemClock, log);
    this.manager.ready(() => service.goesOn?.() ?? true);
  }

  /** @returns exit status */
  untilSignal(): Promise<number> {
    return new Promise((resolve) => {
      this.stopped = resolve;
      if (this.stopRequested !== undefined) void this.stop(this.stopRequested);
    });
  }

  private requestStop(signal: string): void {
    if (this.stopRequested !== undefined) return;
    this.stopRequested = signal;
    if (!this.isReady) void this.abandonStart(signal);
    else if (this.stopped !== undefined) void this.stop(signal);
  }

  /** A signal during the start: nothing is pending yet. */
  private async abandonStart(signal: string): Promise<void> {
    await this.service.stop(signal);
    this.releaseFiles();
    await this.log.close();
    process.exit(Exit.UNAVAILABLE);
  }

  private async stop(signal: string): Promise<void> {
    this.manager?.stopping();
    await this.service.stop(signal);
    this.releaseFiles();
    await this.log.close();
    this.stopped?.(Exit.OK);
  }

  private reload(): void {
    this.reloadRequested = !this.isReady;
    if (this.isReady) this.service.reload();
  }

  private fail(message: string, status: number): number {
    this.log.write('error', message, { event: 'start-failed' });
    // in syslog, or in a file behind standard output, it may not be where the administrator looks
    if (!this.config.stdout || !isSameFile(process.stdout.fd, process.stderr.fd)) complain(message);
    return status;
  }

  /** @returns why the start ends here */
  private takeFiles(inBackground: boolean): StartError | undefined {
    const { config } = this;
    const pidFile = config.pidFile ?? (inBackground ? OPTIONS.pidFile.defaultText : undefined);
    const why = pidFile === undefined ? undefined : this.take('the PID file', pidFile, 'pid-file');
    if (why !== undefined || config.controlSocket === '') return why;
    const refused = this.takeLock(config.controlSocket);
    // then there will be no control socket either, which is told and done without
    const isDefault = config.controlSocket === defaultValue('controlSocket', process.platform);
    const isExcused = isDefault && process.getuid?.() !== 0;
    return isExcused && refused?.exitStatus === Exit.CANTCREAT ? undefined : refused;
  }

  /** Nobody answers on the socket while an engine is started: in between, too, it is ours. */
  private takeLock(socket: string): StartError | undefined {
    try {
      makeSocketFolder(socket);
    } catch (error) {
      if (!(error instanceof ControlSocketError)) throw error;
      return new StartError(error.message, Exit.CANTCREAT);
    }
    return this.take('the lock', `${socket}.lock`, 'control-socket');
  }

  private take(what: string, path: string, option: string): StartError | undefined {
    const result = takePidFile(path, process.pid);
    if (result.ok) {
      this.files.push(result.file);
      return undefined;
    }
    if (result.reason === 'running') return new StartError(result.why, Exit.UNAVAILABLE);
    const message = `${what} ${escapeText(path)} (${option}) cannot be written: ${result.why}`;
    return new StartError(message, Exit.CANTCREAT);
  }

  private releaseFiles(): void {
    for (const file of this.files.splice(0).reverse()) {
      try {
        file.remove();
      } catch (error) {
        // without root the folder is not ours to write to; the next start takes the file over
        const message = `${file.path} stays, empty, for its folder is not ours: ${errorWords(error)}`;
        this.log.write('info', message, { event: 'pid-file' });
      }
    }
  }
}

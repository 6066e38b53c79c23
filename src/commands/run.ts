import { accessSync, constants } from 'node:fs';
import { release } from 'node:os';
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { selectSource } from '../capture/select.js';
import { type Config, defaultValue } from '../config/config.js';
import { OPTIONS } from '../config/options.js';
import { formatProblem, type Problem } from '../config/problem.js';
import { CAP_NET_ADMIN } from '../netfilter/problem.js';
import { escapeText } from '../packet/escape.js';
import { type Log, openLog } from '../log/log.js';
import { isBackgroundChild, reportStart, startInBackground } from '../service/background.js';
import { systemClock } from '../service/clock.js';
import { Engine, levelOf } from '../service/engine.js';
import { type Core, type Firewall, StartError } from '../service/firewall.js';
import { randomHashKey } from '../service/hash-key.js';
import { PfFirewall } from '../service/pf-firewall.js';
import { removePidFile, writePidFile } from '../service/pid-file.js';
import { becomeUser, findUser, keepOnly } from '../service/privileges.js';
import { QueueFirewall } from '../service/queue-firewall.js';
import { Exit } from '../service/sysexits.js';
import { PfctlTable } from '../table/pfctl.js';
import { collectOptions, type ParsedArguments } from './arguments.js';
import { loadConfig, type LoadedConfig, printProblems } from './load-config.js';

/** A pfctl call with few addresses takes some 10 ms. */
const PFCTL_TIMEOUT_MS = 10_000;
/** The whole stop may take 5 s. */
const WRITE_OUT_MS = 3500;

/** `mxallowd`: runs the daemon until a signal ends it. */
export async function run(argv: ParsedArguments): Promise<number> {
  const { given: words, problems } = collectOptions(argv, 'all');
  // a SIGHUP must find the same file from the root folder, too
  const given = words.map((item) =>
    item.key === 'config' ? { ...item, text: resolve(item.text ?? '') } : item,
  );
  const loaded = loadConfig(given, problems);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  const { config } = loaded;
  const isChild = isBackgroundChild(process.env);
  if (!config.foreground && !isChild) return startInBackground(config.stdout);

  // V8 lets its heap grow while senders come and go in a flood; collecting earlier keeps it at half the size
  setFlagsFromString('--optimize-for-size');
  const log = openLog({
    destination: config.stdout ? 'stdout' : 'syslog',
    format: config.logFormat,
    level: levelOf(config),
    trouble: (message) => void process.stderr.write(`mxallowd: ${message}\n`),
  });
  endOnBug(log);
  const daemon = new Daemon(loaded, log, () => loadConfig(given, []));
  const status = await daemon.start(isChild);
  if (isChild) await reportStart(status);
  if (status !== Exit.OK) {
    await log.close();
    return status;
  }
  if (isChild) process.chdir('/');
  return daemon.untilSignal();
}

/** The one place where a bug ends the process: told to the log, and with a status of its own. */
function endOnBug(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.write('error', `bug, ending: ${escapeText(error.stack ?? String(error), 2000)}`, { event: 'bug' });
    void log.close().then(() => process.exit(Exit.SOFTWARE));
  });
}

/** One engine, its signals and its PID file. */
class Daemon {
  private readonly config: Config;
  private readonly engine: Engine;
  private pidFile: string | undefined;
  private stopped: ((status: number) => void) | undefined;
  private stopRequested = false;
  private isReady = false;
  private reloadRequested = false;

  constructor(
    private readonly loaded: LoadedConfig & { ok: true },
    private readonly log: Log,
    private readonly readAgain: () => ReturnType<typeof loadConfig>,
  ) {
    const { config } = loaded;
    this.config = config;
    this.engine = new Engine({
      config,
      log,
      clock: systemClock,
      hashKey: randomHashKey(),
      makeFirewall: (core) => makeFirewall(core, config),
    });
  }

  /** @returns EX_OK when the daemon is ready, else the exit status; the reason has been told */
  async start(inBackground: boolean): Promise<number> {
    // before anything else: until it is handled, SIGUSR1 makes Node open its debugger
    process.on('SIGUSR1', () => this.engine.logStatistics());
    process.on('SIGHUP', () => this.reload());
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.requestStop(signal));

    const pidFile = this.config.pidFile ?? (inBackground ? OPTIONS.pidFile.defaultText : undefined);
    if (pidFile !== undefined) {
      const written = writePidFile(pidFile, process.pid);
      if (!written.ok)
        return this.fail(written.message, written.reason === 'running' ? Exit.UNAVAILABLE : Exit.CANTCREAT);
      this.pidFile = pidFile;
    }
    try {
      await this.engine.prepare();
      await this.giveUpRoot();
      // not before: what is logged starts children
      this.sayRemarks(this.loaded.remarks);
      await this.engine.start();
      this.engine.sayReady();
      this.isReady = true;
      if (this.reloadRequested) this.reload();
      return Exit.OK;
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      this.removePidFile();
      return this.fail(error.message, error.exitStatus);
    }
  }

  /** To open and answer queues a capability is enough; pf needs root. */
  private async giveUpRoot(): Promise<void> {
    if (this.config.queueNum === undefined) return;
    if (process.getuid?.() !== 0) {
      await keepOnly([CAP_NET_ADMIN]);
      return;
    }
    const name = this.config.user ?? defaultValue('user') ?? '';
    const user = findUser(name);
    const advice = `useradd --system --no-create-home --shell /usr/sbin/nologin ${name}`;
    if (user !== undefined) {
      if (user.uid === 0) return;
      await becomeUser(user, [CAP_NET_ADMIN]);
      const message = `root is given up: runs as ${name} (${user.uid}), with CAP_NET_ADMIN for the verdicts`;
      this.log.write('info', message, { event: 'user', uid: user.uid, gid: user.gid });
      this.checkReload(name);
    } else if (this.config.user === undefined) {
      this.log.write('warn', `runs as root, because there is no user "${name}": ${advice}`, {
        event: 'root',
      });
    } else {
      throw new StartError(`there is no user "${name}" (${advice})`, Exit.CONFIG);
    }
  }

  private sayRemarks(remarks: readonly Problem[]): void {
    for (const remark of remarks) this.log.write('warn', formatProblem(remark), { event: 'config-remark' });
  }

  /** What SIGHUP needs should be said now, not then. */
  private checkReload(name: string): void {
    const { path } = this.loaded;
    if (path === undefined) return;
    try {
      accessSync(path, constants.R_OK);
    } catch {
      const message = `${path}: user ${name} cannot read it, so SIGHUP will not work (chgrp ${name}, chmod g+r)`;
      this.log.write('warn', message, { event: 'config-remark' });
    }
  }

  /** @returns exit status */
  untilSignal(): Promise<number> {
    return new Promise((resolve) => {
      this.stopped = resolve;
      if (this.stopRequested) void this.stop();
    });
  }

  private requestStop(signal: string): void {
    if (this.stopRequested) return;
    this.stopRequested = true;
    this.log.write('info', `${signal}: writing out what is pending, then ending`, { event: 'stopping' });
    if (!this.isReady) void this.abandonStart();
    else if (this.stopped !== undefined) void this.stop();
  }

  /** A signal during the start: nothing is pending yet. */
  private async abandonStart(): Promise<void> {
    await this.engine.stop(0);
    this.removePidFile();
    await this.log.close();
    process.exit(Exit.UNAVAILABLE);
  }

  private async stop(): Promise<void> {
    await this.engine.stop(WRITE_OUT_MS);
    this.engine.logStatistics();
    this.removePidFile();
    await this.log.close();
    this.stopped?.(Exit.OK);
  }

  private reload(): void {
    this.reloadRequested = !this.isReady;
    if (!this.isReady) return;
    const loaded = this.readAgain();
    if (loaded.ok) {
      this.sayRemarks(loaded.remarks);
      this.engine.reload(loaded.config);
      return;
    }
    for (const problem of loaded.problems)
      this.log.write('error', formatProblem(problem), { event: 'config-problem' });
    this.log.write('error', 'the configuration was not taken over; the old one stays', {
      event: 'reload-failed',
    });
  }

  private fail(message: string, status: number): number {
    this.log.write('error', message, { event: 'start-failed' });
    // with --stdout or in syslog it may not be where the administrator looks
    process.stderr.write(`mxallowd: ${message}\n`);
    return status;
  }

  private removePidFile(): void {
    if (this.pidFile === undefined) return;
    try {
      removePidFile(this.pidFile, process.pid);
    } catch (error) {
      // without root the folder is not ours to write to; the next start takes the file over
      const message = `the PID file ${this.pidFile} stays, for its folder is not ours: ${String(error)}`;
      this.log.write('info', message, { event: 'pid-file' });
    }
  }
}

function makeFirewall(core: Core, config: Config): Firewall {
  if (config.queueNum !== undefined) return new QueueFirewall(core, config.queueNum);
  const { pfctl, table, anchor } = config;
  return new PfFirewall(core, {
    table: new PfctlTable({ path: pfctl, table, anchor, timeoutMs: PFCTL_TIMEOUT_MS }),
    makeSource: ({ capture, pflogInterface, pcapFilter, tcpdump }) =>
      selectSource({
        capture,
        interfaceName: pflogInterface,
        filter: pcapFilter,
        tcpdumpPath: tcpdump,
        platform: process.platform,
        architecture: process.arch,
        release: release(),
        wallClockMs: systemClock.wallMs,
      }),
  });
}

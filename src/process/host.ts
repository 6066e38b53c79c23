// What a process that judges has around its engine: state, control socket, user.
import { accessSync, constants } from 'node:fs';
import { type Config, defaultValue, needsRestart } from '../config/config.js';
import { formatProblem, type Problem } from '../config/problem.js';
import type { HealthFinding, StateReport } from '../control/protocol.js';
import { ControlError, ControlServer, ControlSocketError } from '../control/server.js';
import { type HeldLog, holdBack } from '../log/held.js';
import type { Log } from '../log/log.js';
import type { Reconfiguration } from '../monitor/messages.js';
import { CAP_NET_ADMIN } from '../netfilter/problem.js';
import { Answers, type ReloadResult } from '../engine/answers.js';
import type { Clock } from '../clock.js';
import { Engine, type EngineParts } from '../engine/engine.js';
import { type Core, type Firewall } from '../engine/firewall.js';
import { randomHashKey } from './hash-key.js';
import type { Line } from '../engine/messages.js';
import { becomeUser, keepOnly } from './privileges.js';
import { Exit, StartError } from '../sysexits.js';
import type { UserPlan } from '../monitor/user-plan.js';
import { findGroup } from './users.js';
import { StateKeeper } from './state-keeper.js';
import { stateOf } from './state-source.js';
import { collectEarly } from './v8.js';
import { ownAddresses } from './own-addresses.js';

/** What a host works with. */
export interface HostParts {
  readonly config: Config;
  /** about the configuration; logged at the start */
  readonly remarks: readonly Problem[];
  /** the configuration file, if it must be readable later */
  readonly path: string | undefined;
  readonly log: Log;
  readonly clock: Clock;
  readonly makeFirewall: (core: Core) => Firewall;
  readonly plan: UserPlan;
  /** see {@link EngineParts} */
  readonly domains?: EngineParts['domains'];
  readonly readAgain: () => Promise<Reconfiguration>;
  readonly version: string;
  /** the process that keeps root, if it is another one */
  readonly monitorPid: number | undefined;
  readonly restarts: number;
}

/** The state file may take so long to be written at the end. */
const STATE_MS = 1000;

/** An engine with all that it needs of the machine: its user, the state file, the control socket. */
export class Host {
  readonly engine: Engine;
  private readonly state: StateKeeper | undefined;
  private control: ControlServer | undefined;
  private readonly answers: Answers;
  /** until root is given up */
  private readonly held: HeldLog;
  private isReady = false;
  /** what is wrong with the configuration that was read last */
  private refusedConfiguration: string | undefined;
  private restartFor: readonly string[] = [];

  constructor(private readonly parts: HostParts) {
    const { config, clock, plan, monitorPid } = parts;
    this.held = holdBack(parts.log);
    const { log } = this.held;
    this.engine = new Engine({
      config,
      log,
      clock,
      hashKey: randomHashKey(),
      makeFirewall: parts.makeFirewall,
      ownAddresses,
      ...(parts.domains === undefined ? {} : { domains: parts.domains }),
      changed: (what) => this.state?.changed(what),
    });
    if (config.stateFile !== '') {
      const { stateFile, maxEntries } = config;
      const say = (line: Line): void => this.say(line);
      this.state = new StateKeeper(stateFile, maxEntries, stateOf(this.engine), clock, say);
    }
    this.answers = new Answers(this.engine, {
      version: parts.version,
      pid: monitorPid ?? process.pid,
      enginePid: monitorPid === undefined ? undefined : process.pid,
      user: userName(plan),
      isRoot: plan.kind === 'root',
      restarts: parts.restarts,
      state: (): StateReport | undefined => this.state?.report(),
      reload: () => this.reload(),
      configuration: () => this.configurationFindings(),
    });
  }

  /**
   * Does what needs root, gives it up, takes in what an earlier run has left, and begins to judge.
   * @throws StartError when that cannot be done; nothing is left open then
   */
  async start(): Promise<void> {
    try {
      // first, for it finds out whether another one runs
      await this.openControl();
      await this.engine.prepare();
      const { plan } = this.parts;
      this.state?.prepareFolder(plan.kind === 'become' ? plan.user : undefined);
      await this.giveUpRoot();
      // not before: what is logged starts children
      this.held.release();
      for (const remark of this.parts.remarks) this.warn(formatProblem(remark), 'config-remark');
      await this.engine.start(this.state?.load());
      // it serves from here on: the first snapshot is written beside
      void this.state?.begin();
      this.isReady = true;
      this.engine.sayReady();
      collectEarly();
    } catch (error) {
      this.held.release();
      await this.engine.stop(0);
      await this.control?.close();
      throw error;
    }
  }

  /** Reads the configuration again and takes it over; resolves with what there is to say about it. */
  async reload(): Promise<ReloadResult> {
    return this.reconfigure(await this.parts.readAgain());
  }

  /** What an administrator should know of the configuration that is in use. */
  configurationFindings(): HealthFinding[] {
    const { config } = this.engine;
    const findings: HealthFinding[] = [];
    if (this.refusedConfiguration !== undefined) {
      const message = `the configuration that was read last has mistakes, so the one before is in use: ${this.refusedConfiguration}`;
      findings.push({ severity: 'warning', id: 'config-refused', message });
    }
    if (this.restartFor.length > 0) {
      const message = `a restart is needed for the change of ${this.restartFor.join(', ')}`;
      findings.push({ severity: 'warning', id: 'restart-needed', message });
    }
    if (config.dryRun) {
      const message = 'dry-run: everything is accepted, and nothing is dropped';
      findings.push({ severity: 'note', id: 'dry-run', message });
    }
    return findings;
  }

  /** Takes over a configuration, or says what is wrong with it. */
  reconfigure(configuration: Reconfiguration): ReloadResult {
    if (configuration.ok) {
      this.refusedConfiguration = undefined;
      this.restartFor = needsRestart(this.engine.config, configuration.config);
      for (const remark of configuration.remarks) this.warn(formatProblem(remark), 'config-remark');
      const said = this.engine.reload(configuration.config);
      return { ok: true, messages: [...configuration.remarks.map(formatProblem), ...said] };
    }
    const problems = configuration.problems.map(formatProblem);
    const failed = 'the configuration was not taken over; the old one stays';
    for (const problem of problems) this.error(problem, 'config-problem');
    this.error(failed, 'reload-failed');
    this.refusedConfiguration = problems[0] ?? 'it cannot be read';
    return { ok: false, messages: [...problems, failed] };
  }

  logStatistics(): void {
    this.engine.logStatistics();
  }

  /** Writes out what is pending, says the statistics, and lets go of everything. */
  async stop(withinMs: number): Promise<void> {
    await this.control?.close();
    await this.engine.stop(withinMs);
    await this.state?.close(STATE_MS);
    this.engine.logStatistics();
  }

  /** The start is given up. */
  async abandon(): Promise<void> {
    await this.control?.close();
    await this.engine.stop(0);
  }

  private async openControl(): Promise<void> {
    const { controlSocket, controlGroup } = this.parts.config;
    if (controlSocket === '') return;
    const groupId = controlGroup === undefined ? undefined : findGroup(controlGroup);
    if (controlGroup !== undefined && groupId === undefined) {
      throw new StartError(`control-group: there is no group "${controlGroup}"`, Exit.CONFIG);
    }
    try {
      this.control = await ControlServer.listen({ path: controlSocket, groupId }, (request, answering) => {
        if (!this.isReady) throw new ControlError('mxallowd is being started: try again', Exit.TEMPFAIL);
        return this.answers.answer(request, answering);
      });
    } catch (error) {
      if (!(error instanceof ControlSocketError)) throw error;
      if (error.kind === 'running') throw new StartError(error.message, Exit.UNAVAILABLE);
      const isDefault = controlSocket === defaultValue('controlSocket', process.platform);
      if (!isDefault || process.getuid?.() === 0) throw new StartError(error.message, Exit.CANTCREAT);
      this.warn(`${error.message}; nobody can ask it (mxallowd status and the like)`, 'no-control');
    }
  }

  /** To open and answer queues a capability is enough; pf's table is changed by the monitor. */
  private async giveUpRoot(): Promise<void> {
    const { plan, config } = this.parts;
    const keep = config.queueNum === undefined ? [] : [CAP_NET_ADMIN];
    if (plan.kind === 'root') {
      if (plan.warning !== undefined) this.warn(plan.warning, 'root');
      return;
    }
    if (plan.kind === 'as-is') {
      if (config.queueNum !== undefined) await keepOnly(keep);
      return;
    }
    const { user } = plan;
    await becomeUser(user, keep);
    const rest = config.queueNum === undefined ? '' : ', with CAP_NET_ADMIN for the verdicts';
    const message = `root is given up: runs as ${user.name} (${user.uid})${rest}`;
    this.held.log.write('info', message, { event: 'user', uid: user.uid, gid: user.gid });
    this.checkReload(user.name);
  }

  /** What SIGHUP needs should be said now, not then. */
  private checkReload(name: string): void {
    const { path } = this.parts;
    if (path === undefined) return;
    try {
      accessSync(path, constants.R_OK);
    } catch {
      this.warn(
        `${path}: user ${name} cannot read it, so SIGHUP will not work (chgrp ${name}, chmod g+r)`,
        'config-remark',
      );
    }
  }

  private say({ level, message, fields }: Line): void {
    this.held.log.write(level, message, fields);
  }

  private warn(message: string, event: string): void {
    this.held.log.write('warn', message, { event });
  }

  private error(message: string, event: string): void {
    this.held.log.write('error', message, { event });
  }
}

function userName(plan: UserPlan): string {
  if (plan.kind === 'become') return plan.user.name;
  return plan.kind === 'root' ? 'root' : `uid ${process.getuid?.() ?? 'unknown'}`;
}

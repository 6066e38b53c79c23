// Answers what administrators ask on the control socket.
import { release, type as systemName } from 'node:os';
import type {
  ControlRequest,
  ControlResults,
  HealthFinding,
  StateReport,
  StatisticsReport,
  StatusReport,
  TableReport,
  WatchTick,
} from '../control/protocol.js';
import { type Answering, ControlError } from '../control/server.js';
import type { Origin } from '../tracker/whitelist.js';
import type { Engine } from './engine.js';
import type { OwnTableReport } from './firewall.js';
import { judgeHealth } from './health.js';
import { type PfState, PfView, WATCHED_MS } from './pf-view.js';
import { RefusedAnswers } from './refused-answers.js';
import { SenderAnswers } from './sender-answers.js';
import { fleetReportOf } from './fleet-answers.js';
import { strangersText } from '../config/values.js';
import { Exit } from '../sysexits.js';

/** What is known of the processes, beside the engine. */
export interface Surroundings {
  readonly version: string;
  /** the process that keeps root, or the only one */
  readonly pid: number;
  /** undefined: there is one process only */
  readonly enginePid: number | undefined;
  readonly user: string;
  readonly isRoot: boolean;
  readonly restarts: number;
  readonly state: () => StateReport | undefined;
  /** Reads the configuration again; resolves with what there is to say. */
  readonly reload: () => Promise<ReloadResult>;
  /** What there is to say of the configuration that is in use. */
  readonly configuration: () => readonly HealthFinding[];
}

/** What came of reading the configuration again. */
export interface ReloadResult {
  readonly ok: boolean;
  readonly messages: readonly string[];
}

/** The first tick of a watcher brings so many events. */
const FIRST_EVENTS = 50;
const MOST_EVENTS_IN_TICK = 100;
const TOP_REFUSED = 10;
const TICK_MS = 1000;

/** Answers what administrators ask on the control socket. */
export class Answers {
  private readonly pf: PfView;
  private readonly senders: SenderAnswers;
  private readonly refused: RefusedAnswers;

  constructor(
    private readonly engine: Engine,
    private readonly surroundings: Surroundings,
  ) {
    this.senders = new SenderAnswers(engine);
    this.refused = new RefusedAnswers(engine);
    this.pf = new PfView(
      () => engine.inspect(),
      () => engine.config,
      engine.clock,
      process.platform,
    );
  }

  /** @throws ControlError when a question cannot be answered */
  async answer(
    request: ControlRequest,
    answering: Answering,
  ): Promise<ControlResults[ControlRequest['command']]> {
    switch (request.command) {
      case 'status':
        return this.status();
      case 'stats':
        return this.statistics();
      case 'fleet':
        return fleetReportOf(this.engine);
      case 'list':
        return this.list(answering);
      case 'allow':
        return this.senders.allow(request.address, request.forSeconds);
      case 'forget':
        return this.senders.forget('all' in request ? undefined : request.address);
      case 'why':
        return this.senders.why(request.address);
      case 'refused': {
        const { sinceSeconds } = request;
        return this.refused.list(sinceSeconds === undefined ? undefined : sinceSeconds * 1000, answering);
      }
      case 'reload':
        return this.reload();
      case 'watch':
        return this.watch(answering);
    }
  }

  private async status(): Promise<StatusReport> {
    const { engine, surroundings } = this;
    const { version, pid, enginePid, user, restarts } = surroundings;
    const pf = await this.pf.look();
    const { capture, queue } = engine.firewallReport();
    const { frame, attempt, refusal, redirected, admission } = engine.lastSeen;
    const byOrigin: Partial<Record<Origin, number>> = {};
    for (const { origin } of engine.tracker.entries()) byOrigin[origin] = (byOrigin[origin] ?? 0) + 1;
    return {
      fleet: engine.sharing === undefined ? undefined : fleetReportOf(engine),
      version,
      node: process.version,
      system: `${systemName()} ${release()}`,
      pid,
      enginePid,
      user,
      restarts,
      startedAtMs: engine.clock.wallMs() - this.upMs(),
      upMs: this.upMs(),
      findings: this.findings(pf),
      domains: engine.domains.size === 0 ? undefined : this.domains(),
      entries: {
        total: engine.tracker.size,
        most: engine.config.maxEntries,
        byOrigin,
        known: engine.tracker.known.all,
        regulars: engine.tracker.known.regulars,
      },
      lastFrameAgoMs: this.ago(frame),
      lastAttemptAgoMs: this.ago(attempt),
      lastRefusalAgoMs: this.ago(refusal),
      lastRedirectedAgoMs: this.ago(redirected),
      lastAdmissionAgoMs: this.ago(admission),
      strangers: strangersText(engine.config.strangers),
      capture,
      table: this.table(pf),
      queue,
      state: surroundings.state(),
      log: engine.logReport(),
    };
  }

  private domains(): StatusReport['domains'] {
    const { size, networks } = this.engine.domains;
    return { count: size, networks: networks.length };
  }

  private table(pf: PfState): TableReport | undefined {
    const { table } = this.engine.firewallReport();
    return table && { ...asCounted(table, pf), pfEnabled: pf.enabled, pfAgoMs: pf.agoMs };
  }

  private findings(pf: PfState): HealthFinding[] {
    const { engine, surroundings } = this;
    const { frame, attempt, refusal } = engine.lastSeen;
    return judgeHealth({
      kind: engine.config.firewall,
      upMs: this.upMs(),
      entries: engine.tracker.size,
      lastFrameAgoMs: this.ago(frame),
      lastAttemptAgoMs: this.ago(attempt),
      lastRefusalAgoMs: this.ago(refusal),
      firewall: engine.firewallReport(),
      pf,
      configuration: [
        ...surroundings.configuration(),
        ...engine.dnsFindings(),
        ...(engine.sharing?.findings() ?? []),
      ],
      stateError: surroundings.state()?.error,
      isRoot: surroundings.isRoot,
    });
  }

  private async statistics(): Promise<StatisticsReport> {
    const { engine } = this;
    const pf = await this.pf.look();
    const { capture, queue } = engine.firewallReport();
    return {
      upMs: this.upMs(),
      entries: engine.tracker.size,
      counters: engine.tracker.counters,
      frames: engine.frames,
      unjudged: engine.unjudged,
      capture,
      table: this.table(pf),
      queue,
      log: engine.logReport(),
      names: engine.names(),
    };
  }

  /** Entries may come and go meanwhile: what is listed was there when its turn came. */
  private async list(answering: Answering): Promise<ControlResults['list']> {
    let count = 0;
    for (const entry of this.engine.tracker.entries()) {
      if (answering.signal.aborted) break;
      count++;
      await answering.item(this.senders.listed(entry));
    }
    for (const network of this.engine.domains.networks) {
      if (answering.signal.aborted) break;
      count++;
      await answering.item(this.senders.listedNetwork(network));
    }
    return { count };
  }

  private async reload(): Promise<ControlResults['reload']> {
    const { ok, messages } = await this.surroundings.reload();
    if (!ok) throw new ControlError(messages.join('\n'), Exit.CONFIG);
    return { messages };
  }

  private async watch(answering: Answering): Promise<Record<string, never>> {
    const { clock, history } = this.engine;
    let position = Math.max(0, history.position - FIRST_EVENTS);
    let wake = (): void => undefined;
    let isWaiting = false;
    answering.signal.addEventListener('abort', () => wake(), { once: true });
    while (!answering.signal.aborted) {
      if (!isWaiting) {
        const tick = await this.tick(position);
        position = history.position;
        // a reader that does not keep up misses ticks, and nobody waits for it
        isWaiting = true;
        void answering.item(tick).then(() => (isWaiting = false));
      }
      await new Promise<void>((resolve) => {
        const cancel = clock.after(TICK_MS, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
    return {};
  }

  private async tick(position: number): Promise<WatchTick> {
    const { engine } = this;
    const findings = this.findings(await this.pf.look(WATCHED_MS));
    const wallMs = engine.clock.wallMs();
    return {
      atMs: wallMs,
      upMs: this.upMs(),
      entries: engine.tracker.size,
      frames: engine.frames,
      unjudged: Object.values(engine.unjudged).reduce((sum, count) => sum + count, 0),
      counters: { ...engine.tracker.counters },
      strangers: strangersText(engine.config.strangers),
      pending: engine.firewallReport().table?.pending ?? 0,
      lastFrameAgoMs: this.ago(engine.lastSeen.frame),
      findings,
      events: engine.history.since(position, MOST_EVENTS_IN_TICK),
      topRefused: engine.history
        .topRefused(TOP_REFUSED)
        .map(({ address, count, lastMs }) => ({ address, count, lastAgoMs: wallMs - lastMs })),
    };
  }

  private upMs(): number {
    return Math.round(this.engine.clock.monotonicMs() - this.engine.startedMs);
  }

  private ago(atMs: number | undefined): number | undefined {
    return atMs === undefined ? undefined : Math.round(this.engine.clock.monotonicMs() - atMs);
  }
}

/** The table with what pf counts in it, where it tells. */
function asCounted(table: OwnTableReport, { entries }: PfState): Omit<TableReport, 'pfEnabled' | 'pfAgoMs'> {
  if (entries === undefined) return { ...table, isMissing: undefined };
  const isMissing = entries === 'missing';
  return { ...table, entries: isMissing ? 0 : entries, isMissing };
}

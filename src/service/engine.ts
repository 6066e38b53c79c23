import { CaptureError, type FrameSource } from '../capture/source.js';
import { type Config, needsRestart } from '../config/config.js';
import type { Level, Log } from '../log/log.js';
import { formatPrefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Frame } from '../packet/frame.js';
import type { Table, TableEntry } from '../table/table.js';
import { TableWriter, type Verdict, type WriterEvent } from '../table/writer.js';
import type { Decision, EntryListener } from '../tracker/tracker.js';
import { CaptureKeeper } from './capture-keeper.js';
import type { HashKey } from '../tracker/siphash.js';
import type { Clock } from './clock.js';
import { Judge, trackerConfig } from './judge.js';
import {
  decisionLevel,
  decisionLine,
  foreignLine,
  type Line,
  removalLine,
  statisticsLine,
  writerLine,
} from './messages.js';
import { RateLimit } from './rate-limit.js';
import { Exit } from './sysexits.js';

/** What the engine works with. */
export interface EngineParts {
  readonly config: Config;
  readonly table: Table;
  readonly log: Log;
  readonly clock: Clock;
  readonly hashKey: HashKey;
  /** makes a live source, not yet opened; called again when the capture has died */
  readonly makeSource: (config: Config) => Promise<FrameSource>;
}

/** A start that failed, in words for the administrator, with the exit status for it (sysexits). */
export class StartError extends Error {
  override readonly name = 'StartError';

  constructor(
    message: string,
    readonly exitStatus: number,
  ) {
    super(message);
  }
}

/** Between two comparisons of the table with the whitelist. */
const COMPARE_EVERY_MS = 5 * 60_000;
/** A refused SYN shows that the table has lost an entry; no sooner than this after the last comparison. */
const COMPARE_AGAIN_MS = 10_000;
/** An entry older than this should be in the table. */
const SETTLED_MS = 5000;
/** Deadlines within this time are handled together. */
const EXPIRY_SLACK_MS = 1000;
/** For what is pending when the capture cannot be opened. */
const ABANDON_MS = 1000;
/** Log lines about decisions in a second, at the most. */
const LINES_PER_SECOND = 500;

/** Frames in, table and log out: wires the parts together and keeps them alive. */
export class Engine {
  private config: Config;
  private readonly judge: Judge;
  private readonly writer: TableWriter;
  private readonly capture: CaptureKeeper;
  private cancelExpiry: (() => void) | undefined;
  private expiryAtMs = Number.POSITIVE_INFINITY;
  private cancelCompare: (() => void) | undefined;
  private comparedAtMs = 0;
  private foreign = 0;
  private allowed: ReadonlySet<PrefixText>;
  private stopping = false;
  private readonly lines: RateLimit;

  constructor(private readonly parts: EngineParts) {
    this.config = parts.config;
    this.allowed = new Set(this.config.allow.map(formatPrefix));
    const { clock, table } = parts;
    const listener: EntryListener = {
      added: (entry) => this.writer.want(formatPrefix(entry.prefix)),
      removed: (entry, reason) => {
        const prefix = formatPrefix(entry.prefix);
        if (!this.allowed.has(prefix)) this.writer.unwant(prefix);
        this.sayOften(reason === 'timeout' ? 'info' : 'warn', () => removalLine(entry, reason));
      },
    };
    this.judge = new Judge(trackerConfig(this.config, 'pf'), listener, parts.hashKey);
    this.writer = new TableWriter({
      table,
      judge: (entry) => this.judgeTableEntry(entry),
      report: (event) => this.onWriter(event),
      nowMs: clock.monotonicMs,
      after: clock.after,
      soon: clock.soon,
    });
    this.capture = new CaptureKeeper({
      makeSource: () => parts.makeSource(this.config),
      frame: (frame) => this.onFrame(frame),
      say: (line) => this.say(line),
      clock,
    });
    this.lines = new RateLimit(LINES_PER_SECOND, clock, (suppressed) => {
      const message = `${suppressed} more lines about packets within a second were not logged`;
      this.say({ level: 'info', message, fields: { event: 'lines-suppressed', suppressed } });
    });
  }

  /**
   * Reads and adopts the table, then opens the capture.
   * @throws StartError when either cannot be done
   */
  async start(): Promise<void> {
    for (const prefix of this.allowed) this.writer.want(prefix);
    const reply = await this.writer.start();
    if (!reply.ok) throw tableError(this.config, this.parts.table.description, reply.failure, reply.message);
    this.comparedAtMs = this.parts.clock.monotonicMs();
    this.armExpiry();
    this.armCompare();
    try {
      await this.capture.open();
    } catch (error) {
      await this.stop(ABANDON_MS);
      if (!(error instanceof CaptureError)) throw error;
      throw captureError(error);
    }
    const { size } = this.judge.tracker;
    const message = `mxallowd is ready: ${this.capture.description}, table ${this.parts.table.description} with ${size} entries`;
    this.say({ level: 'info', message, fields: { event: 'ready', entries: size } });
  }

  /** Takes over another configuration, as far as a running daemon can. */
  reload(config: Config): void {
    const restart = needsRestart(this.config, config);
    if (restart.length > 0) {
      const message = `a restart is needed for the change of ${restart.join(', ')}`;
      this.say({ level: 'warn', message, fields: { event: 'restart-needed' } });
    }
    const before = this.allowed;
    this.allowed = new Set(config.allow.map(formatPrefix));
    this.config = {
      ...this.config,
      fakeMailserver: config.fakeMailserver,
      realMailserver: config.realMailserver,
      allow: config.allow,
      whitelistTime: config.whitelistTime,
      maxEntries: config.maxEntries,
      quiet: config.quiet,
      logLevel: config.logLevel,
    };
    this.parts.log.setLevel(levelOf(config));
    this.configureTracker();
    for (const prefix of this.allowed) this.writer.want(prefix);
    const entries = new Set([...this.judge.tracker.entries()].map((entry) => formatPrefix(entry.prefix)));
    for (const prefix of before) {
      if (!this.allowed.has(prefix) && !entries.has(prefix)) this.writer.unwant(prefix);
    }
    const { fakeMailserver, realMailserver } = config;
    const message =
      `configuration read again: ${fakeMailserver.length} fake and ${realMailserver.length} real addresses, ` +
      `${this.allowed.size} allowed at all times`;
    this.say({ level: 'info', message, fields: { event: 'reloaded' } });
    this.writer.compare();
  }

  /** Logs the statistics. */
  logStatistics(): void {
    this.say(statisticsLine(this.judge.tracker.counters, this.judge.tracker.size));
    const unjudged = Object.fromEntries(this.judge.unjudged);
    const { received, dropped } = this.capture.statistics();
    const reasons = [...this.judge.unjudged].map(([reason, count]) => `${count} ${reason}`).join(', ');
    const message =
      `${received} frames received, ${dropped ?? 'an unknown number'} dropped; ` +
      `not judged: ${reasons === '' ? 'none' : reasons}`;
    this.say({
      level: 'info',
      message,
      fields: { event: 'capture-statistics', received, dropped, ...unjudged },
    });
  }

  /**
   * Closes the capture, writes out what is pending, and ends.
   * @returns number of table changes that could not be made in time
   */
  async stop(withinMs: number): Promise<number> {
    this.stopping = true;
    this.cancelExpiry?.();
    this.cancelCompare?.();
    const [unwritten] = await Promise.all([this.writer.close(withinMs), this.capture.close()]);
    this.lines.close();
    if (unwritten > 0) {
      const message = `${unwritten} changes could not be written to ${this.parts.table.description} before the end`;
      this.say({ level: 'error', message, fields: { event: 'unwritten', unwritten } });
    }
    return unwritten;
  }

  private onFrame(frame: Frame): void {
    const nowMs = this.parts.clock.monotonicMs();
    const { observation, decision } = this.judge.judge(frame, nowMs);
    if (observation === undefined || decision.kind === 'unjudged') return;
    if (decision.kind === 'attempt') this.armExpiry();
    if (decision.kind === 'refusal') this.suspectTable(decision, nowMs);
    this.sayOften(decisionLevel(decision), () => decisionLine(decision, observation));
  }

  /** pf refused a sender that should have been in its table for some time: look what the table has. */
  private suspectTable(decision: Decision & { kind: 'refusal' }, nowMs: number): void {
    const { entry } = decision;
    if (entry === undefined || nowMs - entry.addedMs < SETTLED_MS) return;
    if (this.writer.pending > 0 || nowMs - this.comparedAtMs < COMPARE_AGAIN_MS) return;
    this.comparedAtMs = nowMs;
    this.writer.compare();
  }

  /** What to do with an entry of the table that is not ours. */
  private judgeTableEntry(entry: TableEntry): Verdict {
    const { tracker } = this.judge;
    if (!tracker.isEntrySized(entry.prefix)) return 'leave';
    const { clock } = this.parts;
    const lifeMs = this.config.whitelistTime * 1000;
    const ageMs = entry.clearedAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - entry.clearedAtMs);
    const origin = this.comparedAtMs === 0 ? 'adopted' : 'manual';
    return tracker.adopt(entry.prefix, origin, lifeMs - ageMs, clock.monotonicMs()) ? 'adopt' : 'delete';
  }

  private onWriter(event: WriterEvent): void {
    const line = writerLine(event, `pf table ${this.parts.table.description}`);
    if (line !== undefined) this.say(line);
    if (event.kind !== 'compared') return;
    if (event.foreign > this.foreign) this.say(foreignLine(event.foreign, this.parts.table.description));
    this.foreign = event.foreign;
    this.configureTracker();
    this.armExpiry();
    this.capture.checkDrops();
  }

  /** The tracker gets no more room than the firewall has. */
  private configureTracker(): void {
    const room = this.writer.room - this.foreign - this.config.allow.length;
    const maxEntries = Math.max(1, Math.min(this.config.maxEntries, room));
    if (maxEntries < this.config.maxEntries) {
      const message =
        `pf's limit on table entries leaves room for ${maxEntries} entries, less than max-entries ` +
        `(${this.config.maxEntries}); raise "set limit table-entries" in pf.conf`;
      this.say({ level: 'warn', message, fields: { event: 'less-room', maxEntries } });
    }
    this.judge.tracker.configure(trackerConfig(this.config, 'pf', maxEntries));
  }

  private armExpiry(): void {
    const nextMs = this.judge.tracker.nextDeadlineMs();
    if (nextMs === undefined || this.stopping || nextMs >= this.expiryAtMs - EXPIRY_SLACK_MS) return;
    this.cancelExpiry?.();
    this.expiryAtMs = nextMs + EXPIRY_SLACK_MS;
    this.cancelExpiry = this.parts.clock.after(this.expiryAtMs - this.parts.clock.monotonicMs(), () => {
      this.expiryAtMs = Number.POSITIVE_INFINITY;
      this.judge.tracker.expire(this.parts.clock.monotonicMs());
      this.armExpiry();
    });
  }

  private armCompare(): void {
    this.cancelCompare = this.parts.clock.after(COMPARE_EVERY_MS, () => {
      this.comparedAtMs = this.parts.clock.monotonicMs();
      this.writer.compare();
      this.armCompare();
    });
  }

  private say(line: Line): void {
    this.parts.log.write(line.level, line.message, line.fields);
  }

  /** For lines that a sender can cause at will: made only when they are wanted, and not too many. */
  private sayOften(level: Level, line: () => Line): void {
    if (this.parts.log.isEnabled(level) && this.lines.allows()) this.say(line());
  }
}

/** The log level that the options ask for. */
export function levelOf(config: Config): Level {
  return config.quiet ? 'error' : config.logLevel;
}

function tableError(config: Config, table: string, failure: string, message: string): StartError {
  if (failure === 'missing-table') {
    const where = config.anchor === '' ? '/etc/pf.conf' : `the rules of anchor "${config.anchor}"`;
    return new StartError(
      `pf table ${table} does not exist: put the line "table <${config.table}> persist" into ${where} ` +
        'and load it (pfctl -f /etc/pf.conf)',
      Exit.UNAVAILABLE,
    );
  }
  const status = failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
  return new StartError(`pf table ${table} cannot be read: ${escapeText(message)}`, status);
}

function captureError(error: CaptureError): StartError {
  const status = { permission: Exit.NOPERM, data: Exit.DATAERR }[error.kind as 'permission' | 'data'];
  return new StartError(escapeText(error.message), status ?? Exit.UNAVAILABLE);
}

import { type Config, needsRestart } from '../config/config.js';
import type { Level, Log } from '../log/log.js';
import type { Observation, Undecoded } from '../packet/observation.js';
import type { HashKey } from '../tracker/siphash.js';
import type { EntryListener, Tracker } from '../tracker/tracker.js';
import type { Clock } from './clock.js';
import type { Core, Firewall } from './firewall.js';
import { Judge, type Judgement, trackerConfig } from './judge.js';
import {
  countersLine,
  decisionLevel,
  decisionLine,
  type Line,
  namesLine,
  removalLine,
  statisticsLine,
  unjudgedLine,
} from './messages.js';
import { Namer } from './namer.js';
import { RateLimit } from './rate-limit.js';

/** What the engine works with. */
export interface EngineParts {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly hashKey: HashKey;
  readonly makeFirewall: (core: Core) => Firewall;
}

/** Deadlines within this time are handled together. */
const EXPIRY_SLACK_MS = 1000;
/** Log lines about decisions in a second, at the most. */
const LINES_PER_SECOND = 500;

/** Packets in, decisions and log out: wires tracker, firewall and log together. */
export class Engine implements Core {
  config: Config;
  readonly clock: Clock;
  private readonly judgeOfFrames: Judge;
  private readonly firewall: Firewall;
  private cancelExpiry: (() => void) | undefined;
  private expiryAtMs = Number.POSITIVE_INFINITY;
  private roomForEntries = Number.POSITIVE_INFINITY;
  private stopping = false;
  /** undefined: DNS is not asked at all */
  private readonly namer: Namer | undefined;
  private readonly lines: RateLimit;

  constructor(private readonly parts: EngineParts) {
    this.config = parts.config;
    this.clock = parts.clock;
    const listener: EntryListener = {
      added: (entry) => this.firewall.added(entry),
      removed: (entry, reason) => {
        this.firewall.removed(entry);
        this.sayOften(reason === 'timeout' ? 'info' : 'warn', () => removalLine(entry, reason));
      },
    };
    this.firewall = parts.makeFirewall(this);
    this.judgeOfFrames = new Judge(
      trackerConfig(this.config, this.firewall.authority),
      listener,
      parts.hashKey,
    );
    const { noRdnsWhitelist, noPool } = this.config;
    if (!noRdnsWhitelist || !noPool) {
      this.namer = new Namer({
        config: () => this.config,
        tracker: this.tracker,
        clock: this.clock,
        admitted: () => this.armExpiry(),
        say: (line) => this.sayOften(line.level, () => line),
      });
    }
    this.lines = new RateLimit(LINES_PER_SECOND, parts.clock, (suppressed) => {
      const message = `${suppressed} more lines about packets within a second were not logged`;
      this.say({ level: 'info', message, fields: { event: 'lines-suppressed', suppressed } });
    });
  }

  get tracker(): Tracker {
    return this.judgeOfFrames.tracker;
  }

  /**
   * Does what needs root; it can be given up then, if the firewall does not need it later.
   * @throws StartError when that cannot be done
   */
  prepare(): Promise<void> {
    return this.firewall.prepare();
  }

  /**
   * Gets the firewall ready and begins to judge.
   * @throws StartError when that cannot be done
   */
  async start(): Promise<void> {
    try {
      await this.firewall.start();
    } catch (error) {
      this.stopping = true;
      this.cancelExpiry?.();
      this.lines.close();
      throw error;
    }
    this.armExpiry();
  }

  /** Says that the start is complete. */
  sayReady(): void {
    const { size } = this.tracker;
    const message = `mxallowd is ready: ${this.firewall.description} with ${size} entries`;
    this.say({ level: 'info', message, fields: { event: 'ready', entries: size } });
  }

  /** Takes over another configuration, as far as a running daemon can. */
  reload(config: Config): void {
    const restart = needsRestart(this.config, config);
    if (restart.length > 0) {
      const message = `a restart is needed for the change of ${restart.join(', ')}`;
      this.say({ level: 'warn', message, fields: { event: 'restart-needed' } });
    }
    const before = this.config;
    this.config = {
      ...this.config,
      fakeMailserver: config.fakeMailserver,
      realMailserver: config.realMailserver,
      allow: config.allow,
      whitelistTime: config.whitelistTime,
      maxEntries: config.maxEntries,
      poolWindow: config.poolWindow,
      quiet: config.quiet,
      logLevel: config.logLevel,
    };
    this.parts.log.setLevel(levelOf(config));
    this.namer?.renew();
    this.configureTracker();
    const { fakeMailserver, realMailserver, allow } = config;
    const message =
      `configuration read again: ${fakeMailserver.length} fake and ${realMailserver.length} real addresses, ` +
      `${allow.length} allowed at all times`;
    this.say({ level: 'info', message, fields: { event: 'reloaded' } });
    this.firewall.reconfigured(before);
  }

  /** Logs the statistics. */
  logStatistics(): void {
    this.say(statisticsLine(this.tracker.counters, this.tracker.size));
    this.say(countersLine(this.tracker.counters, this.tracker.size));
    this.say(unjudgedLine(this.judgeOfFrames.unjudged));
    if (this.namer !== undefined) this.say(namesLine(this.namer.counters(), this.namer.skipped));
    this.firewall.logStatistics();
  }

  /** Lets go of the firewall, with what is pending written out, and ends. */
  async stop(withinMs: number): Promise<void> {
    this.stopping = true;
    this.cancelExpiry?.();
    this.namer?.close();
    await this.firewall.stop(withinMs);
    this.lines.close();
  }

  judge(decoded: Observation | Undecoded): Judgement {
    const judgement = this.judgeOfFrames.decide(decoded, this.clock.monotonicMs());
    const { observation, decision } = judgement;
    if (observation === undefined || decision.kind === 'unjudged') return judgement;
    if (decision.kind === 'attempt') this.armExpiry();
    this.sayOften(decisionLevel(decision), () => decisionLine(decision, observation, this.config.dryRun));
    if (decision.kind === 'attempt' && decision.entry !== undefined) {
      this.namer?.attempt(observation.source, decision.entry);
    }
    if (decision.reason === 'not-whitelisted') this.namer?.refusal(observation);
    return judgement;
  }

  limitEntries(maxEntries: number): void {
    this.roomForEntries = maxEntries;
    this.configureTracker();
  }

  entriesAdopted(): void {
    this.armExpiry();
  }

  say(line: Line): void {
    this.parts.log.write(line.level, line.message, line.fields);
  }

  /** The tracker gets no more room than the firewall has. */
  private configureTracker(): void {
    const maxEntries = Math.max(1, Math.min(this.config.maxEntries, this.roomForEntries));
    this.tracker.configure(trackerConfig(this.config, this.firewall.authority, maxEntries));
  }

  private armExpiry(): void {
    const nextMs = this.tracker.nextDeadlineMs();
    if (nextMs === undefined || this.stopping || nextMs >= this.expiryAtMs - EXPIRY_SLACK_MS) return;
    this.cancelExpiry?.();
    this.expiryAtMs = nextMs + EXPIRY_SLACK_MS;
    this.cancelExpiry = this.clock.after(this.expiryAtMs - this.clock.monotonicMs(), () => {
      this.expiryAtMs = Number.POSITIVE_INFINITY;
      this.tracker.expire(this.clock.monotonicMs());
      this.armExpiry();
    });
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

// Judges frames in their own time, and reports what becomes of them.
import type { Config } from '../../config/config.js';
import type { Line } from '../../engine/messages.js';
import { Judge, type Judgement, trackerConfig } from '../../engine/judge.js';
import type { Frame } from '../../packet/frame.js';
import { decode } from '../../packet/observation.js';
import { randomHashKey } from '../../process/hash-key.js';
import { MemoryTable } from '../../table/memory.js';
import type { RemovalReason } from '../../tracker/tracker.js';
import type { Entry } from '../../tracker/whitelist.js';
import { PassRules } from './pass-rules.js';
import { type NamedStrangers, ReplayStatistics, type ReplaySummary, type Strangers } from './statistics.js';

/** Who prints what a replay finds. */
export interface Report {
  judged(frame: Frame, judgement: Judgement): void;
  removed(atMs: number, entry: Entry, reason: RemovalReason): void;
  /** Somebody has come in by a name or a pool, or why a refused one has not. */
  named(atMs: number, line: Line): void;
  /** What is in the table at the end, and since when. */
  entry(prefix: string, sinceMs: number): void;
  summary(summary: ReplaySummary): void;
}

/** A replay under way. */
export class Session {
  /** the recording's time */
  nowMs = 0;
  readonly judge: Judge;
  private readonly statistics = new ReplayStatistics();
  private readonly passRules: PassRules;
  private hasSurveyed = false;
  private readonly table = new MemoryTable(() => this.nowMs);

  constructor(
    readonly config: Config,
    readonly report: Report,
  ) {
    const listener = {
      added: (entry: Entry): void => {
        this.statistics.added(entry, this.nowMs);
        void this.table.add([entry.text]);
      },
      removed: (entry: Entry, reason: RemovalReason): void => {
        const atMs = reason === 'timeout' ? entry.deadlineMs : this.nowMs;
        this.statistics.removed(entry);
        void this.table.delete([entry.text]);
        report.removed(atMs, entry, reason);
      },
    };
    const tracking = trackerConfig(config, 'whitelist');
    this.judge = new Judge(tracking, listener, randomHashKey());
    this.passRules = new PassRules(this.judge.tracker.roles, tracking);
  }

  /** Learns what the recordings tell of pf's rules, if they can be read before they are judged: all, in order of time. */
  survey(frame: Frame): void {
    this.hasSurveyed = true;
    this.passRules.note(frame);
  }

  /** Judges the next frame. */
  take(frame: Frame): Judgement {
    const { judge } = this;
    // savefiles that overlap must not turn the clock back
    this.nowMs = Math.max(this.nowMs, frame.timeMs);
    judge.tracker.expire(this.nowMs);
    if (!this.hasSurveyed) this.passRules.note(frame);
    const seen = decode(frame);
    const isVouched = seen.ok && this.passRules.vouchesFor(frame, seen);
    const judgement = judge.decide(seen, this.nowMs, true, isVouched);
    this.statistics.judged(judgement, this.nowMs);
    this.report.judged(frame, judgement);
    return judgement;
  }

  /** Prints what is in the table. */
  async printEntries(): Promise<void> {
    await this.table.show((entry) => this.report.entry(entry.text, entry.read()?.clearedAtMs ?? 0));
  }

  /** Who would have been kept out. */
  strangers(): Strangers {
    return this.statistics.strangers(this.judge.tracker.roles);
  }

  summary(strangers: Strangers | NamedStrangers): ReplaySummary {
    return this.statistics.summary(this.judge, strangers);
  }
}

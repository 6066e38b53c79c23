// What a replay counts. Pure.
import type { Judge, Judgement } from '../../engine/judge.js';
import { type Address, formatAddress } from '../../packet/address.js';
import type { Entry } from '../../tracker/whitelist.js';

/** What a replay found. Times are in seconds. */
export interface ReplaySummary {
  readonly frames: number;
  readonly attempts: number;
  readonly refusals: number;
  /** refused as well, but led elsewhere */
  readonly redirected: number;
  readonly admissions: number;
  /** live at the end */
  readonly entries: number;
  /** all that were made */
  readonly entriesAdded: number;
  readonly expired: number;
  /** given up because max-entries was reached */
  readonly evicted: number;
  readonly senders: {
    /** distinct sources that tried the fake or the real MX */
    readonly seen: number;
    readonly admitted: number;
    readonly refused: number;
    /** entries that were never used: tried the fake MX and did not come to the real one */
    readonly directToFake: number;
  };
  /** who was refused and never admitted, the most refused first: {@link MOST_KEPT_OUT} of them at the most */
  readonly keptOut: readonly { readonly address: string; readonly refusals: number }[];
  /** how many there are in all */
  readonly keptOutCount: number;
  /** from the attempt that made an entry to its first admission */
  readonly delay: { readonly median: number | null; readonly longest: number | null };
  readonly unjudged: Readonly<Record<string, number>>;
  /** of the first and the last frame, ISO 8601 */
  readonly from: string | null;
  readonly to: string | null;
}

/** Senders that are named in the summary. */
export const MOST_KEPT_OUT = 20;

/** Gathers what the summary of a replay tells. */
export class ReplayStatistics {
  private readonly seen = new Set<Address>();
  private readonly admitted = new Set<Address>();
  /** how often each was refused */
  private readonly refused = new Map<Address, number>();
  private readonly delaysMs: number[] = [];
  private unusedGone = 0;
  private firstMs: number | undefined;
  private lastMs = 0;

  judged({ observation, decision }: Judgement, nowMs: number): void {
    this.firstMs ??= nowMs;
    this.lastMs = nowMs;
    if (observation === undefined || decision.kind === 'unjudged') return;
    this.seen.add(observation.source);
    const { source } = observation;
    if (decision.kind === 'refusal') this.refused.set(source, (this.refused.get(source) ?? 0) + 1);
    if (decision.kind !== 'admission') return;
    this.admitted.add(observation.source);
    if (decision.entry?.admissions === 1) this.delaysMs.push(nowMs - decision.entry.addedMs);
  }

  removed(entry: Entry): void {
    if (entry.admissions === 0) this.unusedGone++;
  }

  summary(judge: Judge): ReplaySummary {
    const { counters } = judge.tracker;
    const unusedLive = [...judge.tracker.entries()].filter((entry) => entry.admissions === 0).length;
    const delays = this.delaysMs.sort((a, b) => a - b);
    const keptOut = [...this.refused].filter(([address]) => !this.admitted.has(address));
    keptOut.sort(([, a], [, b]) => b - a);
    return {
      frames: judge.frames,
      attempts: counters.attempts,
      refusals: counters.refusals,
      redirected: counters.redirected,
      admissions: counters.admissions,
      entries: judge.tracker.size,
      entriesAdded: counters.added,
      expired: counters.expired,
      evicted: counters.evicted,
      senders: {
        seen: this.seen.size,
        admitted: this.admitted.size,
        refused: this.refused.size,
        directToFake: this.unusedGone + unusedLive,
      },
      keptOut: keptOut
        .slice(0, MOST_KEPT_OUT)
        .map(([address, refusals]) => ({ address: formatAddress(address), refusals })),
      keptOutCount: keptOut.length,
      delay: { median: seconds(median(delays)), longest: seconds(delays.at(-1)) },
      unjudged: Object.fromEntries([...judge.unjudged].sort(([a], [b]) => a.localeCompare(b))),
      from: this.firstMs === undefined ? null : isoTime(this.firstMs),
      to: this.firstMs === undefined ? null : isoTime(this.lastMs),
    };
  }
}

function median(sorted: readonly number[]): number | undefined {
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined || sorted.length % 2 === 1) return upper;
  return ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 1000) / 1e6;
}

/** ISO 8601 in UTC, with microseconds. */
export function isoTime(timeMs: number): string {
  const microseconds = Math.round(timeMs * 1000);
  const date = new Date(Math.floor(microseconds / 1000));
  if (Number.isNaN(date.getTime())) return 'invalid';
  return `${date.toISOString().slice(0, -1)}${String(microseconds % 1000).padStart(3, '0')}Z`;
}

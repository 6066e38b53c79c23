// What a replay counts. Pure.
import type { Judge, Judgement } from '../../engine/judge.js';
import { type Address, ADDRESS_BITS, familyOf, formatAddress, formatPrefix } from '../../packet/address.js';
import type { PrefixText } from '../../packet/address.js';
import type { Roles } from '../../tracker/roles.js';
import type { Entry } from '../../tracker/whitelist.js';

/** Somebody who was refused and never admitted. */
export interface KeptOut {
  readonly address: string;
  readonly refusals: number;
  /** with --dns: its name, one that points back if it has one */
  readonly name?: string | undefined;
  /** with --dns: what the SPF record of the name's domain says */
  readonly spf?: string | undefined;
}

/** What a replay found. Times are in seconds. */
export interface ReplaySummary {
  readonly frames: number;
  readonly attempts: number;
  readonly refusals: number;
  /** refused as well, but led elsewhere */
  readonly redirected: number;
  readonly admissions: number;
  /** of these, whom pf let in though no attempt of theirs is recorded */
  readonly admissionsByPf: number;
  /** live at the end */
  readonly entries: number;
  /** all that were made */
  readonly entriesAdded: number;
  /** by the name of one that has tried the fake MX, and by its pool; 0 without --dns */
  readonly named: number;
  readonly pooled: number;
  /** connections that this network has opened to mail servers; 0 without `outbound` */
  readonly outbound: number;
  readonly expired: number;
  /** given up because max-entries was reached */
  readonly evicted: number;
  readonly senders: {
    /** distinct sources that tried the fake or the real MX */
    readonly seen: number;
    readonly admitted: number;
    readonly refused: number;
    /** refused and never admitted, but let in by now: their next SYN would have been */
    readonly nextTime: number;
    /** entries that were never used: tried the fake MX and did not come to the real one */
    readonly directToFake: number;
  };
  /** who was refused and never admitted, the most refused first: {@link MOST_KEPT_OUT} of them at the most */
  readonly keptOut: readonly KeptOut[];
  /** how many there are in all */
  readonly keptOutCount: number;
  /** whom pf alone let in, each time: {@link MOST_KEPT_OUT} of them at the most, the most often first */
  readonly letInByPf: readonly { readonly address: string; readonly admissions: number }[];
  /** how many there are in all */
  readonly letInByPfCount: number;
  /** from the attempt that made an entry to its first admission */
  readonly delay: { readonly median: number | null; readonly longest: number | null };
  readonly unjudged: Readonly<Record<string, number>>;
  /** with --dns: look-ups that were made, and how many of them have no usable answer */
  readonly names?: { readonly asked: number; readonly failed: number };
  /** of the first and the last frame, ISO 8601 */
  readonly from: string | null;
  readonly to: string | null;
}

/** Senders that are named in the summary. */
export const MOST_KEPT_OUT = 20;

/** Who was refused and never admitted. */
export interface Strangers {
  /** the most refused first, {@link MOST_KEPT_OUT} of them */
  readonly keptOut: readonly { readonly address: Address; readonly refusals: number }[];
  readonly keptOutCount: number;
  /** how many more have become entries after they were refused */
  readonly nextTime: number;
}

/** The same, with what DNS says. */
export interface NamedStrangers extends Strangers {
  readonly named: readonly KeptOut[];
  /** look-ups that were made, and how many of them have no usable answer */
  readonly names: { readonly asked: number; readonly failed: number };
}

/** How often a source was refused, and when last. */
interface Refused {
  count: number;
  lastMs: number;
}

/** Gathers what the summary of a replay tells. */
export class ReplayStatistics {
  private readonly seen = new Set<Address>();
  private readonly admitted = new Set<Address>();
  private readonly refused = new Map<Address, Refused>();
  /** when each prefix became an entry, last */
  private readonly addedMs = new Map<PrefixText, number>();
  /** how often pf let each in, with no attempt recorded */
  private readonly byPf = new Map<Address, number>();
  private readonly delaysMs: number[] = [];
  private unusedGone = 0;
  private firstMs: number | undefined;
  private lastMs = 0;

  judged({ observation, decision }: Judgement, nowMs: number): void {
    this.firstMs ??= nowMs;
    this.lastMs = nowMs;
    if (observation === undefined || decision.kind === 'unjudged' || decision.kind === 'outbound') return;
    const { source } = observation;
    this.seen.add(source);
    if (decision.kind === 'refusal') {
      const count = (this.refused.get(source)?.count ?? 0) + 1;
      this.refused.set(source, { count, lastMs: nowMs });
    }
    if (decision.kind !== 'admission') return;
    if (decision.reason === 'passed-by-pf') {
      this.byPf.set(source, (this.byPf.get(source) ?? 0) + 1);
      return;
    }
    this.admitted.add(source);
    if (decision.entry?.admissions === 1) this.delaysMs.push(nowMs - decision.entry.addedMs);
  }

  added(entry: Entry, nowMs: number): void {
    // who has not been refused needs no second chance
    if (this.refused.size > 0) this.addedMs.set(entry.text, nowMs);
  }

  removed(entry: Entry): void {
    if (entry.admissions === 0) this.unusedGone++;
  }

  /** @param roles - knows what is stored of a sender */
  strangers(roles: Roles): Strangers {
    let nextTime = 0;
    const keptOut: { address: Address; refusals: number }[] = [];
    for (const [address, { count, lastMs }] of this.refused) {
      if (this.admitted.has(address) || this.byPf.has(address)) continue;
      const single = { address, length: ADDRESS_BITS[familyOf(address)] };
      const isEntry = [roles.entryPrefix(address), single].some(
        (prefix) => (this.addedMs.get(formatPrefix(prefix)) ?? -1) >= lastMs,
      );
      if (isEntry) nextTime++;
      else keptOut.push({ address, refusals: count });
    }
    keptOut.sort((a, b) => b.refusals - a.refusals);
    return { keptOut: keptOut.slice(0, MOST_KEPT_OUT), keptOutCount: keptOut.length, nextTime };
  }

  summary(judge: Judge, strangers: Strangers | NamedStrangers): ReplaySummary {
    const { counters } = judge.tracker;
    const unusedLive = [...judge.tracker.entries()].filter((entry) => entry.admissions === 0).length;
    const delays = this.delaysMs.sort((a, b) => a - b);
    const { keptOut, keptOutCount, nextTime } = strangers;
    const letIn = [...this.byPf].filter(([address]) => !this.admitted.has(address));
    letIn.sort(([, a], [, b]) => b - a);
    return {
      frames: judge.frames,
      attempts: counters.attempts,
      refusals: counters.refusals,
      redirected: counters.redirected,
      admissions: counters.admissions,
      admissionsByPf: [...this.byPf.values()].reduce((sum, count) => sum + count, 0),
      entries: judge.tracker.size,
      entriesAdded: counters.added,
      named: counters.named,
      pooled: counters.pooled,
      outbound: counters.outbound,
      expired: counters.expired,
      evicted: counters.evicted,
      senders: {
        seen: this.seen.size,
        admitted: this.admitted.size + letIn.length,
        refused: this.refused.size,
        nextTime,
        directToFake: this.unusedGone + unusedLive,
      },
      keptOut:
        'named' in strangers
          ? strangers.named
          : keptOut.map(({ address, refusals }) => ({ address: formatAddress(address), refusals })),
      keptOutCount,
      letInByPf: letIn
        .slice(0, MOST_KEPT_OUT)
        .map(([address, admissions]) => ({ address: formatAddress(address), admissions })),
      letInByPfCount: letIn.length,
      delay: { median: seconds(median(delays)), longest: seconds(delays.at(-1)) },
      unjudged: Object.fromEntries([...judge.unjudged].sort(([a], [b]) => a.localeCompare(b))),
      ...('names' in strangers && { names: strangers.names }),
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

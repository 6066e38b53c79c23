// What is asked and answered on the control socket.
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';

/**
 * What is said on the control socket: a line of JSON each, UTF-8, ended by a line feed. A connection asks one question
 * at a time; each is answered by any number of `item` lines and then one line with `ok`.
 */

/** Bytes of a question at the most; a longer one is refused, and the connection closed. */
export const MOST_QUESTION = 4096;

/** What can be asked. */
export type ControlRequest =
  | { readonly command: 'status' }
  | { readonly command: 'list' }
  | { readonly command: 'stats' }
  | {
      readonly command: 'allow';
      /** an address, or a prefix no wider than what is stored of a sender */
      readonly address: string;
      /** seconds; absent: the whitelist time */
      readonly forSeconds?: number;
    }
  | { readonly command: 'forget'; readonly address: string }
  | { readonly command: 'why'; readonly address: string }
  | { readonly command: 'reload' }
  /** a {@link WatchTick} as an item each second, until the connection is closed */
  | { readonly command: 'watch' };

/** A line of an answer. */
export type ControlReply =
  | { readonly item: unknown }
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false;
      /** sysexits: the exit status for the command that asked */
      readonly exitStatus: number;
      /** for people, escaped */
      readonly message: string;
    };

/** What the answer to each question is; times without a date are milliseconds. */
export interface ControlResults {
  readonly status: StatusReport;
  /** items are {@link ListedEntry} */
  readonly list: { readonly count: number };
  readonly stats: StatisticsReport;
  readonly allow: { readonly prefix: string; readonly expiresInMs: number; readonly wasThere: boolean };
  readonly forget: { readonly prefix: string };
  readonly why: WhyReport;
  readonly reload: { readonly messages: readonly string[] };
  readonly watch: Record<string, never>;
}

/** How bad something is: decides the exit status of `status` and `check`. */
export type Severity = 'note' | 'warning' | 'error';

/** Something that an administrator should know. */
export interface HealthFinding {
  readonly severity: Severity;
  /** a word for programs, as `pf-disabled` */
  readonly id: string;
  /** a sentence for people, with what to do */
  readonly message: string;
}

/** Whether it works. */
export interface StatusReport {
  readonly version: string;
  readonly node: string;
  /** the system and its release, as `FreeBSD 14.1-RELEASE` */
  readonly system: string;
  /** the process that keeps root, or the only one */
  readonly pid: number;
  /** the process that judges, where it is another one */
  readonly enginePid: number | undefined;
  /** who judges */
  readonly user: string;
  /** how often the engine was started again */
  readonly restarts: number;
  /** milliseconds since 1970 */
  readonly startedAtMs: number;
  readonly upMs: number;
  readonly findings: readonly HealthFinding[];
  readonly entries: {
    readonly total: number;
    readonly most: number;
    readonly byOrigin: Readonly<Partial<Record<Origin, number>>>;
  };
  /** how long ago; undefined: none since the start */
  readonly lastFrameAgoMs: number | undefined;
  readonly lastAttemptAgoMs: number | undefined;
  readonly lastRefusalAgoMs: number | undefined;
  readonly lastAdmissionAgoMs: number | undefined;
  /** with pf */
  readonly capture: CaptureReport | undefined;
  readonly table: TableReport | undefined;
  /** with NFQUEUE */
  readonly queue: QueueReport | undefined;
  readonly state: StateReport | undefined;
}

/** Where frames come from. */
export interface CaptureReport {
  readonly description: string;
  readonly received: number;
  /** undefined: the source cannot know */
  readonly dropped: number | undefined;
}

/** The pf table, and how writing it goes. */
export interface TableReport {
  readonly description: string;
  /** as far as known, with those that are left alone */
  readonly entries: number;
  readonly pending: number;
  readonly failedCalls: number;
  /** since when calls of pfctl fail; undefined when the last one succeeded */
  readonly failingForMs: number | undefined;
  readonly lastError: string | undefined;
  /** the most entries that it may have; undefined: pf does not tell */
  readonly room: number | undefined;
  readonly pfEnabled: boolean | undefined;
  /** networks wider than any sender's, and exceptions, that are not ours and are left alone; the first few by name */
  readonly foreign: { readonly count: number; readonly some: readonly string[] };
}

/** The queues of netfilter. */
export interface QueueReport {
  readonly description: string;
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
  readonly lost: number;
  readonly full: number | undefined;
  readonly waiting: number | undefined;
}

/** The state file. */
export interface StateReport {
  readonly path: string;
  /** how long ago it was last written; undefined: not yet */
  readonly writtenAgoMs: number | undefined;
  /** what went wrong with the last write; undefined: nothing */
  readonly error: string | undefined;
}

/** An entry, for people. */
export interface ListedEntry {
  /** canonical text of an address or prefix */
  readonly prefix: string;
  readonly origin: Origin;
  readonly ageMs: number;
  readonly expiresInMs: number;
  readonly attempts: number;
  /** undefined: it has not tried the fake MX itself */
  readonly lastAttemptAgoMs: number | undefined;
  readonly admissions: number;
  /** escaped */
  readonly name: string | undefined;
  /** the entry that it came in with */
  readonly parent: string | undefined;
}

/** Counted since the start (`counters` also before, as far as the state file knows). */
export interface StatisticsReport {
  readonly upMs: number;
  readonly entries: number;
  readonly counters: Counters;
  readonly frames: number;
  /** frames that led to no decision, by reason */
  readonly unjudged: Readonly<Record<string, number>>;
  readonly capture: CaptureReport | undefined;
  readonly table: TableReport | undefined;
  readonly queue: QueueReport | undefined;
  readonly names:
    | {
        readonly asked: number;
        readonly fromCache: number;
        readonly failed: number;
        readonly notMade: number;
      }
    | undefined;
}

/** Something that happened to an address. */
export interface HistoryEvent {
  /** milliseconds since 1970 */
  readonly atMs: number;
  /** `attempt`, `refusal`, `admission`, `expiry`, `eviction`, `named`, `pooled`, `no-pool`, `allowed`, `forgotten` */
  readonly kind: string;
  readonly address: string;
  /** what happened, for people, without the address, escaped */
  readonly text: string;
}

/** What the daemon knows of an address. */
export interface WhyReport {
  readonly address: string;
  /** what applies now */
  readonly now: 'fake-mx' | 'real-mx' | 'always-allowed' | 'whitelisted' | 'in-table' | 'refused';
  /** a sentence for people about what applies now */
  readonly text: string;
  readonly entry: ListedEntry | undefined;
  /** refused SYNs, as far as remembered */
  readonly refusals:
    { readonly count: number; readonly firstAgoMs: number; readonly lastAgoMs: number } | undefined;
  /** what its pool decision was, if one was made lately */
  readonly pool: string | undefined;
  /** the latest last */
  readonly events: readonly HistoryEvent[];
}

/** One second of a running daemon. */
export interface WatchTick {
  /** milliseconds since 1970 */
  readonly atMs: number;
  readonly upMs: number;
  readonly entries: number;
  readonly frames: number;
  /** frames that led to no decision; absent: not told */
  readonly unjudged?: number | undefined;
  readonly counters: Counters;
  /** changes that wait for the table */
  readonly pending: number;
  readonly lastFrameAgoMs: number | undefined;
  readonly findings: readonly HealthFinding[];
  /** since the last tick; the first one brings the latest; the oldest first */
  readonly events: readonly HistoryEvent[];
  /** most often refused first, ten at the most */
  readonly topRefused: readonly {
    readonly address: string;
    readonly count: number;
    readonly lastAgoMs: number;
  }[];
}

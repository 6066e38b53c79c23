// What the daemon answers on the control socket, as schemas: the types of answers, and how who asks checks them.
import type * as v from 'valibot';
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';
import { bool, list, maybe, number, numbers, object, oneOf, type Schema, text, unlessOld } from './schema.js';

/** All origins, with what they mean. */
export const ORIGINS: Readonly<Record<Origin, string>> = {
  attempt: 'tried the fake MX',
  name: 'another address of the name of one that tried',
  pool: "of the same sender's pool as one that tried",
  dnswl: 'known to a DNS allow list',
  adopted: 'found in the table at the start',
  manual: 'put in by an operator',
  outbound: 'this network has opened a connection to it',
};

/** What stands for an origin in a list: a network that is admitted at all times because a domain's SPF record names it. */
export const DOMAIN_ORIGIN = 'domain';

/** What a listed item may be there for. */
export type ListedOrigin = Origin | typeof DOMAIN_ORIGIN;

/** All of them, with what they mean. */
export const LISTED_ORIGINS: Readonly<Record<ListedOrigin, string>> = {
  ...ORIGINS,
  domain: "a network that a domain's SPF record names (allow-domain)",
};

const counters: Schema<Counters> = object({
  attempts: number,
  renewals: number,
  refusals: number,
  redirected: unlessOld(number, 0),
  admissions: number,
  added: number,
  expired: number,
  expiredUsed: number,
  expiredUnused: number,
  evicted: number,
  adopted: number,
  named: number,
  pooled: number,
  outbound: number,
  listed: number,
});

const severity = oneOf('note', 'warning', 'error');
/** How bad something is: decides the exit status of `status` and `check`. */
export type Severity = v.InferOutput<typeof severity>;

const finding = object({
  severity,
  /** a word for programs, as `pf-disabled` */
  id: text,
  /** a sentence for people, with what to do */
  message: text,
});
/** Something that an administrator should know. */
export type HealthFinding = v.InferOutput<typeof finding>;

const capture = object({
  description: text,
  received: number,
  /** undefined: the source cannot know */
  dropped: maybe(number),
});
/** Where frames come from. */
export type CaptureReport = v.InferOutput<typeof capture>;

const table = object({
  description: text,
  /** with those that are left alone: as pf has counted them last, or, where it does not tell, as far as known */
  entries: number,
  /** pf has no such table; undefined: it does not tell */
  isMissing: maybe(bool),
  pending: number,
  failedCalls: number,
  /** since when calls of pfctl fail; undefined when the last one succeeded */
  failingForMs: maybe(number),
  lastError: maybe(text),
  /** the most entries that it may have; undefined: pf does not tell */
  room: maybe(number),
  /** as pf has said last; undefined: not known */
  pfEnabled: maybe(bool),
  /** how long ago pf has said that, and has counted; undefined: it has not said anything yet */
  pfAgoMs: maybe(number),
  /** networks wider than any sender's, and exceptions, that are not ours and are left alone; the first few by name */
  foreign: object({ count: number, some: list(text) }),
});
/** The pf table, and how writing it goes. */
export type TableReport = v.InferOutput<typeof table>;

const queue = object({
  description: text,
  received: number,
  accepted: number,
  dropped: number,
  /** did not find room on their way to the daemon */
  lost: number,
  /** found the queue full; undefined, as what waits now: the daemon may not read it */
  full: maybe(number),
  waiting: maybe(number),
  /** addresses on netlink by which the kernel's list of queues names the daemon */
  ports: maybe(list(number)),
});
/** The queues of netfilter. */
export type QueueReport = v.InferOutput<typeof queue>;

const state = object({
  path: text,
  /** how long ago it was last written; undefined: not yet */
  writtenAgoMs: maybe(number),
  /** what went wrong with the last write; undefined: nothing */
  error: maybe(text),
});
/** The state file. */
export type StateReport = v.InferOutput<typeof state>;

const log = object({
  description: text,
  /** lines, as far as that can be known */
  lost: number,
});
/** The log of the process that judges. */
export type LogReport = v.InferOutput<typeof log>;

const status = object({
  version: text,
  node: text,
  /** the system and its release, as `FreeBSD 14.1-RELEASE` */
  system: text,
  /** the process that keeps root, or the only one */
  pid: number,
  /** the process that judges, where it is another one */
  enginePid: maybe(number),
  /** who judges */
  user: text,
  /** how often the engine was started again */
  restarts: number,
  /** milliseconds since 1970 */
  startedAtMs: number,
  upMs: number,
  findings: list(finding),
  entries: object({
    total: number,
    most: number,
    /** by {@link Origin}; another version may know others */
    byOrigin: numbers,
    /** those that have reached the real MX, and of those the regulars; not counted: those let in by hand */
    known: maybe(number),
    regulars: maybe(number),
  }),
  /** those whose networks are admitted at all times, and how many networks that are; undefined: none */
  domains: maybe(object({ count: number, networks: number })),
  /** how long ago; undefined: none since the start */
  lastFrameAgoMs: maybe(number),
  lastAttemptAgoMs: maybe(number),
  lastRefusalAgoMs: maybe(number),
  /** redirected ones are refusals, too */
  lastRedirectedAgoMs: maybe(number),
  lastAdmissionAgoMs: maybe(number),
  /** what becomes of strangers, as the configuration has it: `drop`, `redirect 10025`, `mark 1` */
  strangers: unlessOld(text, 'drop'),
  /** with pf */
  capture: maybe(capture),
  table: maybe(table),
  /** with NFQUEUE */
  queue: maybe(queue),
  state: maybe(state),
  log,
});
/** Whether it works. */
export type StatusReport = v.InferOutput<typeof status>;

const entry = object({
  /** canonical text of an address or prefix */
  prefix: text,
  origin: oneOf(...(Object.keys(LISTED_ORIGINS) as ListedOrigin[])),
  /** of a domain's network: how long ago DNS has named it last */
  ageMs: number,
  /** of a domain's network: if DNS does not answer from now on */
  expiresInMs: number,
  attempts: number,
  /** undefined: it has not tried the fake MX itself */
  lastAttemptAgoMs: maybe(number),
  admissions: number,
  /** undefined: it has not reached the real MX */
  lastAdmissionAgoMs: maybe(number),
  /** whether it has reached it at least twice, with ten minutes in between: the last of the known to go */
  isRegular: maybe(bool),
  /** escaped; of a domain's network the domain */
  name: maybe(text),
  /** the entry that it came in with */
  parent: maybe(text),
});
/** An entry, or a network of a domain, for people. */
export type ListedEntry = v.InferOutput<typeof entry>;

const statistics = object({
  upMs: number,
  entries: number,
  counters,
  frames: number,
  /** frames that led to no decision, by reason */
  unjudged: numbers,
  capture: maybe(capture),
  table: maybe(table),
  queue: maybe(queue),
  log,
  names: maybe(object({ asked: number, fromCache: number, failed: number, notMade: number })),
});
/** Counted since the start (`counters` also before, as far as the state file knows). */
export type StatisticsReport = v.InferOutput<typeof statistics>;

const event = object({
  /** milliseconds since 1970 */
  atMs: number,
  /**
   * `attempt`, `refusal`, `redirected`, `admission`, `expiry`, `eviction`, `named`, `pooled`, `listed`, `no-pool`,
   * `allowed`, `forgotten`
   */
  kind: text,
  address: text,
  /** what happened, for people, without the address, escaped */
  text,
});
/** Something that happened to an address. */
export type HistoryEvent = v.InferOutput<typeof event>;

const departure = object({
  /** canonical text of the address or prefix that was an entry */
  prefix: text,
  origin: oneOf(...(Object.keys(ORIGINS) as Origin[])),
  /** milliseconds since 1970, as the next two */
  addedAtMs: number,
  /** when it last tried the fake MX; undefined: it has not itself */
  triedAtMs: maybe(number),
  endedAtMs: number,
  /** why it has ended */
  reason: oneOf('timeout', 'forgotten', 'no-room'),
  admissions: number,
});
/** An entry that is none any more. */
export type EndedEntry = v.InferOutput<typeof departure>;

const refusedSender = object({
  /** what would be stored of it */
  prefix: text,
  /** the address that came last */
  address: text,
  /** SYNs that were refused, or would have been */
  count: number,
  /** how many of them got in all the same: in dry-run, or by rules that let everybody in */
  passed: number,
  /** how many of them were led elsewhere (`strangers`) */
  redirected: unlessOld(number, 0),
  /** how often it came again, ten minutes later or more */
  returns: number,
  firstAgoMs: number,
  lastAgoMs: number,
  /** since it was last refused: it was admitted; its next SYN would be; neither */
  isIn: oneOf('yes', 'next', 'no'),
  /** how long after it was last refused; undefined: not, or it is not known */
  inAfterMs: maybe(number),
  name: maybe(text),
  /** whether the name points back */
  isConfirmed: maybe(bool),
  /** the registrable domain of a confirmed name that does not merely encode the address */
  domain: maybe(text),
  /** what the domain's SPF record says */
  spf: maybe(text),
});
/** Somebody who was refused. */
export type RefusedSender = v.InferOutput<typeof refusedSender>;

const refusedDomain = object({
  domain: text,
  count: number,
  addresses: number,
  firstAgoMs: number,
  lastAgoMs: number,
  /** whether somebody of it has been let in since */
  isIn: bool,
});
/** All of a domain who were refused. */
export type RefusedDomain = v.InferOutput<typeof refusedDomain>;

const why = object({
  address: text,
  /** what applies now; `let-in-anyway`: it would be refused, but for now nobody is */
  now: oneOf(
    ...(['fake-mx', 'real-mx', 'always-allowed', 'whitelisted', 'in-table'] as const),
    ...(['redirected', 'refused', 'let-in-anyway'] as const),
  ),
  /** a sentence for people about what applies now */
  text,
  entry: maybe(entry),
  /** refused SYNs, as far as remembered; how many of them got in all the same, and how many were redirected */
  refusals: maybe(
    object({
      count: number,
      passed: maybe(number),
      redirected: unlessOld(number, 0),
      firstAgoMs: number,
      lastAgoMs: number,
    }),
  ),
  /** the entry that it had last, and has no more */
  before: maybe(departure),
  /** when it was last refused, milliseconds since 1970 */
  lastRefusedAtMs: maybe(number),
  /** what its pool decision was, if one was made lately */
  pool: maybe(text),
  /** the latest last */
  events: list(event),
});
/** What the daemon knows of an address. */
export type WhyReport = v.InferOutput<typeof why>;

const tick = object({
  /** milliseconds since 1970 */
  atMs: number,
  upMs: number,
  entries: number,
  frames: number,
  /** frames that led to no decision; undefined: not told */
  unjudged: maybe(number),
  counters,
  /** what becomes of strangers, as {@link StatusReport} has it */
  strangers: unlessOld(text, 'drop'),
  /** changes that wait for the table */
  pending: number,
  lastFrameAgoMs: maybe(number),
  findings: list(finding),
  /** since the last tick; the first one brings the latest; the oldest first */
  events: list(event),
  /** most often refused first, ten at the most */
  topRefused: list(object({ address: text, count: number, lastAgoMs: number })),
});
/** One second of a running daemon. */
export type WatchTick = v.InferOutput<typeof tick>;

/** The answer to each question, by its name; times without a date are milliseconds. */
export const RESULTS = {
  status,
  /** items are {@link ListedEntry} */
  list: object({ count: number }),
  stats: statistics,
  allow: object({ prefix: text, expiresInMs: number, wasThere: bool }),
  forget: object({
    /** the entry, or the network that was named; undefined: everybody */
    prefix: maybe(text),
    /** how many entries were taken out */
    count: number,
    /** why the address is let in all the same */
    still: maybe(text),
  }),
  why,
  /** items are {@link RefusedSender} */
  refused: object({
    count: number,
    /** those that were refused last, the latest last */
    domains: list(refusedDomain),
    /** nothing is dropped, only told */
    dryRun: bool,
  }),
  reload: object({ messages: list(text) }),
  /** items are {@link WatchTick} */
  watch: object({}),
} as const;

/** The items before the answer to a question; one that is not named has none. */
export const ITEMS = { list: entry, watch: tick, refused: refusedSender } as const;

/** What the answer to each question is. */
export type ControlResults = { readonly [C in keyof typeof RESULTS]: v.InferOutput<(typeof RESULTS)[C]> };

/** The items of the answer to a question. */
export type ItemOf<C extends keyof typeof RESULTS> = C extends keyof typeof ITEMS
  ? v.InferOutput<(typeof ITEMS)[C]>
  : never;

// What the daemon answers on the control socket, as schemas: the types of answers, and how who asks checks them.
import * as v from 'valibot';
import { printable } from '../packet/escape.js';
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';

/** All origins, with what they mean. */
export const ORIGINS: Readonly<Record<Origin, string>> = {
  attempt: 'tried the fake MX',
  name: 'another address of the name of one that tried',
  pool: "of the same sender's pool as one that tried",
  adopted: 'found in the table at the start',
  manual: 'put in by an operator',
};

/** What is read from JSON, and comes out fit for a terminal. */
export type Schema<T> = v.GenericSchema<unknown, T>;

const number: Schema<number> = v.pipe(v.number('a number'), v.finite('a number'));
const bool: Schema<boolean> = v.boolean('true or false');
/** A text of one line; control characters and what lies beyond ASCII are escaped. */
const text: Schema<string> = v.pipe(v.string('a text'), v.transform(printable));
const numbers: Schema<Readonly<Record<string, number>>> = v.record(
  v.pipe(v.string(), v.transform(printable)),
  number,
  'an object',
);

function oneOf<const K extends string>(...words: readonly K[]): Schema<K> {
  return v.picklist(words, `one of ${words.join(', ')}`);
}

/** What may be missing: the daemon writes undefined, and JSON leaves it out. */
function maybe<T>(schema: Schema<T>): Schema<T | undefined> {
  return v.optional(schema);
}

function list<T>(schema: Schema<T>): Schema<readonly T[]> {
  return v.array(schema, 'a list');
}

/** Fields that are not known are left out. */
function object<F extends Readonly<Record<string, Schema<unknown>>>>(fields: F): Schema<Read<F>> {
  return v.object(fields, 'an object') as Schema<unknown> as Schema<Read<F>>;
}
type Read<F> = { readonly [K in keyof F]: F[K] extends Schema<infer T> ? T : never };

const counters: Schema<Counters> = object({
  attempts: number,
  renewals: number,
  refusals: number,
  admissions: number,
  added: number,
  expired: number,
  expiredUsed: number,
  expiredUnused: number,
  evicted: number,
  adopted: number,
  named: number,
  pooled: number,
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
  /** as far as known, with those that are left alone */
  entries: number,
  pending: number,
  failedCalls: number,
  /** since when calls of pfctl fail; undefined when the last one succeeded */
  failingForMs: maybe(number),
  lastError: maybe(text),
  /** the most entries that it may have; undefined: pf does not tell */
  room: maybe(number),
  /** as pf has said last; undefined: not known */
  pfEnabled: maybe(bool),
  /** how long ago pf has said that; undefined: it has not said anything yet */
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
  /** how long ago; undefined: none since the start */
  lastFrameAgoMs: maybe(number),
  lastAttemptAgoMs: maybe(number),
  lastRefusalAgoMs: maybe(number),
  lastAdmissionAgoMs: maybe(number),
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
  origin: oneOf(...(Object.keys(ORIGINS) as Origin[])),
  ageMs: number,
  expiresInMs: number,
  attempts: number,
  /** undefined: it has not tried the fake MX itself */
  lastAttemptAgoMs: maybe(number),
  admissions: number,
  /** undefined: it has not reached the real MX */
  lastAdmissionAgoMs: maybe(number),
  /** whether it has reached it at least twice, with ten minutes in between: the last of the known to go */
  isRegular: maybe(bool),
  /** escaped */
  name: maybe(text),
  /** the entry that it came in with */
  parent: maybe(text),
});
/** An entry, for people. */
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
  /** `attempt`, `refusal`, `admission`, `expiry`, `eviction`, `named`, `pooled`, `no-pool`, `allowed`, `forgotten` */
  kind: text,
  address: text,
  /** what happened, for people, without the address, escaped */
  text,
});
/** Something that happened to an address. */
export type HistoryEvent = v.InferOutput<typeof event>;

const why = object({
  address: text,
  /** what applies now */
  now: oneOf('fake-mx', 'real-mx', 'always-allowed', 'whitelisted', 'in-table', 'refused'),
  /** a sentence for people about what applies now */
  text,
  entry: maybe(entry),
  /** refused SYNs, as far as remembered */
  refusals: maybe(object({ count: number, firstAgoMs: number, lastAgoMs: number })),
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
  reload: object({ messages: list(text) }),
  /** items are {@link WatchTick} */
  watch: object({}),
} as const;

/** The items before the answer to a question; one that is not named has none. */
export const ITEMS = { list: entry, watch: tick } as const;

/** What the answer to each question is. */
export type ControlResults = { readonly [C in keyof typeof RESULTS]: v.InferOutput<(typeof RESULTS)[C]> };

/** The items of the answer to a question. */
export type ItemOf<C extends keyof typeof RESULTS> = C extends keyof typeof ITEMS
  ? v.InferOutput<(typeof ITEMS)[C]>
  : never;

/** What an answer says, or where and why it makes no sense: `table.room is not a number`. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/**
 * Checks a part of an answer.
 * @param name - of the part, for the problem
 */
export function check<T>(schema: Schema<T>, value: unknown, name: string): Checked<T> {
  const read = v.safeParse(schema, value, { abortEarly: true });
  if (read.success) return { ok: true, value: read.output };
  const [issue] = read.issues;
  const place = [name, ...(issue.path ?? []).map(({ key }) => String(key))].join('.');
  const isMissing = issue.path?.at(-1)?.origin === 'key' && issue.input === undefined;
  return {
    ok: false,
    problem: printable(isMissing ? `${place} is missing` : `${place} is not ${issue.message}`),
  };
}

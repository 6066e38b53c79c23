// The shape of every answer on the control socket, checked by who asks.
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';
import type {
  CaptureReport,
  ControlRequest,
  ControlResults,
  HealthFinding,
  HistoryEvent,
  ListedEntry,
  QueueReport,
  Severity,
  StateReport,
  StatisticsReport,
  StatusReport,
  TableReport,
  WatchTick,
  WhyReport,
} from './protocol.js';
import { bool, keyOf, list, maybe, number, object, record, type Shape, text } from './shape.js';

/** What can be asked, by its name. */
export type ControlCommand = ControlRequest['command'];

/** What the items of an answer are; an answer that is not named has none. */
export interface ControlItems {
  readonly list: ListedEntry;
  readonly watch: WatchTick;
}

/** The items of the answer to a question. */
export type ItemOf<C extends ControlCommand> = C extends keyof ControlItems ? ControlItems[C] : never;

/** All origins, with what they mean. */
export const ORIGINS: Readonly<Record<Origin, string>> = {
  attempt: 'tried the fake MX',
  name: 'another address of the name of one that tried',
  pool: "of the same sender's pool as one that tried",
  adopted: 'found in the table at the start',
  manual: 'put in by an operator',
};

const SEVERITIES: Readonly<Record<Severity, true>> = { note: true, warning: true, error: true };

const NOW: Readonly<Record<WhyReport['now'], true>> = {
  'fake-mx': true,
  'real-mx': true,
  'always-allowed': true,
  whitelisted: true,
  'in-table': true,
  refused: true,
};

const counters = object<Counters>({
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

const finding = object<HealthFinding>({ severity: keyOf(SEVERITIES), id: text, message: text });

const capture = object<CaptureReport>({ description: text, received: number, dropped: maybe(number) });

const table = object<TableReport>({
  description: text,
  entries: number,
  pending: number,
  failedCalls: number,
  failingForMs: maybe(number),
  lastError: maybe(text),
  room: maybe(number),
  pfEnabled: maybe(bool),
  foreign: object<TableReport['foreign']>({ count: number, some: list(text) }),
});

const queue = object<QueueReport>({
  description: text,
  received: number,
  accepted: number,
  dropped: number,
  lost: number,
  full: maybe(number),
  waiting: maybe(number),
});

const state = object<StateReport>({ path: text, writtenAgoMs: maybe(number), error: maybe(text) });

const status = object<StatusReport>({
  version: text,
  node: text,
  system: text,
  pid: number,
  enginePid: maybe(number),
  user: text,
  restarts: number,
  startedAtMs: number,
  upMs: number,
  findings: list(finding),
  entries: object<StatusReport['entries']>({ total: number, most: number, byOrigin: record(number) }),
  lastFrameAgoMs: maybe(number),
  lastAttemptAgoMs: maybe(number),
  lastRefusalAgoMs: maybe(number),
  lastAdmissionAgoMs: maybe(number),
  capture: maybe(capture),
  table: maybe(table),
  queue: maybe(queue),
  state: maybe(state),
});

const entry = object<ListedEntry>({
  prefix: text,
  origin: keyOf(ORIGINS),
  ageMs: number,
  expiresInMs: number,
  attempts: number,
  lastAttemptAgoMs: maybe(number),
  admissions: number,
  name: maybe(text),
  parent: maybe(text),
});

const statistics = object<StatisticsReport>({
  upMs: number,
  entries: number,
  counters,
  frames: number,
  unjudged: record(number),
  capture: maybe(capture),
  table: maybe(table),
  queue: maybe(queue),
  names: maybe(
    object<NonNullable<StatisticsReport['names']>>({
      asked: number,
      fromCache: number,
      failed: number,
      notMade: number,
    }),
  ),
});

const event = object<HistoryEvent>({ atMs: number, kind: text, address: text, text });

const why = object<WhyReport>({
  address: text,
  now: keyOf(NOW),
  text,
  entry: maybe(entry),
  refusals: maybe(
    object<NonNullable<WhyReport['refusals']>>({ count: number, firstAgoMs: number, lastAgoMs: number }),
  ),
  pool: maybe(text),
  events: list(event),
});

const tick = object<WatchTick>({
  atMs: number,
  upMs: number,
  entries: number,
  frames: number,
  unjudged: maybe(number),
  counters,
  pending: number,
  lastFrameAgoMs: maybe(number),
  findings: list(finding),
  events: list(event),
  topRefused: list(
    object<WatchTick['topRefused'][number]>({ address: text, count: number, lastAgoMs: number }),
  ),
});

/** How the answer to each question is read. */
export const RESULT_SHAPES: { readonly [C in ControlCommand]: Shape<ControlResults[C]> } = {
  status,
  list: object<ControlResults['list']>({ count: number }),
  stats: statistics,
  allow: object<ControlResults['allow']>({ prefix: text, expiresInMs: number, wasThere: bool }),
  forget: object<ControlResults['forget']>({ prefix: text }),
  why,
  reload: object<ControlResults['reload']>({ messages: list(text) }),
  watch: object<ControlResults['watch']>({}),
};

/** How the items of an answer are read. */
export const ITEM_SHAPES: { readonly [C in keyof ControlItems]: Shape<ControlItems[C]> } = {
  list: entry,
  watch: tick,
};

/** Reports of a daemon that has run for some time, as the control socket brings them. */
import type {
  ControlReply,
  ControlResults,
  HealthFinding,
  HistoryEvent,
  ListedEntry,
  RefusedSender,
  StatisticsReport,
  StatusReport,
  WatchTick,
  WhyReport,
} from '../../src/control/protocol.js';
import type { Counters } from '../../src/tracker/counters.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 2026-11-26 14:03:27 UTC */
export const NOW_MS = Date.UTC(2026, 10, 26, 14, 3, 27);
const UP_MS = 12 * DAY + 4 * HOUR + 51 * MINUTE;

export const COUNTERS: Counters = {
  attempts: 8412,
  renewals: 3051,
  refusals: 41_003,
  redirected: 0,
  admissions: 7998,
  added: 5560,
  expired: 5421,
  expiredUsed: 4377,
  expiredUnused: 1044,
  evicted: 0,
  adopted: 12,
  named: 143,
  listed: 0,
  pooled: 44,
  outbound: 0,
};

export const STATUS: StatusReport = {
  version: '2.0.0',
  node: '20.20.2',
  system: 'FreeBSD 14.1-RELEASE',
  pid: 812,
  enginePid: 815,
  user: '_mxallowd',
  restarts: 0,
  startedAtMs: NOW_MS - UP_MS,
  upMs: UP_MS,
  findings: [],
  domains: undefined,
  entries: {
    total: 139,
    most: 100_000,
    byOrigin: { attempt: 118, name: 15, pool: 6 },
    known: 61,
    regulars: 12,
  },
  lastFrameAgoMs: 400,
  lastAttemptAgoMs: 12 * SECOND,
  lastRefusalAgoMs: 3 * SECOND,
  lastRedirectedAgoMs: undefined,
  lastAdmissionAgoMs: 65 * SECOND,
  strangers: 'drop',
  capture: { description: 'bpf on pflog0', received: 1_234_567, dropped: 0 },
  table: {
    description: '<mx-white> by /sbin/pfctl',
    entries: 139,
    pending: 0,
    failedCalls: 2,
    failingForMs: undefined,
    lastError: undefined,
    room: 200_000,
    isMissing: false,
    pfEnabled: true,
    foreign: { count: 0, some: [] },
    pfAgoMs: 4 * SECOND,
  },
  queue: undefined,
  state: { path: '/var/db/mxallowd/state', writtenAgoMs: 8 * SECOND, error: undefined },
  log: { description: 'syslog by /usr/bin/logger', lost: 3 },
};

export const FINDINGS: readonly HealthFinding[] = [
  {
    severity: 'warning',
    id: 'no-log',
    message: 'no rule of pf for the real MX has "log": refused senders are not seen (mxallowd pf-conf)',
  },
  { severity: 'note', id: 'no-pool', message: 'pools are switched off' },
  {
    severity: 'error',
    id: 'pf-disabled',
    message: 'pf is disabled: everybody reaches the real MX (pfctl -e)',
  },
];

function entry(
  prefix: string,
  origin: ListedEntry['origin'],
  ageMs: number,
  expiresInMs: number,
  [attempts, admissions]: readonly [number, number],
  more: Partial<ListedEntry> = {},
): ListedEntry {
  return {
    prefix,
    origin,
    ageMs,
    expiresInMs,
    attempts,
    lastAttemptAgoMs: attempts === 0 ? undefined : HOUR - expiresInMs,
    admissions,
    lastAdmissionAgoMs: admissions === 0 ? undefined : 90 * SECOND,
    isRegular: false,
    name: undefined,
    parent: undefined,
    ...more,
  };
}

/** In no order. */
export const ENTRIES: readonly ListedEntry[] = [
  entry('203.0.113.77', 'attempt', 12 * SECOND, HOUR - 12 * SECOND, [1, 0]),
  entry('2001:db8:25:7::/64', 'attempt', 2 * HOUR + 7 * MINUTE, 41 * MINUTE + 9 * SECOND, [5, 11], {
    name: 'mx-out.example.org',
  }),
  entry('198.51.100.25', 'attempt', 18 * MINUTE, 42 * MINUTE, [2, 3], { name: 'out1.example.com' }),
  entry('198.51.100.130', 'pool', 3 * MINUTE + 20 * SECOND, 56 * MINUTE + 40 * SECOND, [0, 1], {
    name: 'mail-ed1-f130.pool.example.net',
    parent: '198.51.100.25',
  }),
  entry('2001:db8:1400:4864:20:fe00:42d:1b', 'name', 18 * MINUTE, 42 * MINUTE, [0, 0], {
    name: 'out1.example.com',
    parent: '198.51.100.25',
  }),
  entry('192.0.2.200', 'manual', 3 * DAY + 4 * HOUR, 20 * HOUR, [0, 26]),
];

export const STATISTICS: StatisticsReport = {
  upMs: UP_MS,
  entries: 139,
  counters: COUNTERS,
  frames: 159_855,
  unjudged: { 'not-syn': 90_210, 'other-port': 12_232 },
  capture: STATUS.capture,
  table: STATUS.table,
  queue: undefined,
  log: { description: 'syslog by /usr/bin/logger', lost: 3 },
  names: { asked: 21_400, fromCache: 8093, failed: 311, notMade: 0 },
};

function event(agoSeconds: number, kind: string, address: string, text: string): HistoryEvent {
  return { atMs: NOW_MS - agoSeconds * SECOND, kind, address, text };
}

/** The oldest first. */
export const EVENTS: readonly HistoryEvent[] = [
  event(74, 'refusal', '203.0.113.9', 'has not tried the fake MX'),
  event(65, 'admission', '198.51.100.25', 'reached the real MX'),
  event(64, 'refusal', '198.51.100.130', 'has not tried the fake MX'),
  event(64, 'pooled', '198.51.100.130', 'belongs to example.net, which has tried the fake MX'),
  event(63, 'admission', '198.51.100.130', 'reached the real MX'),
  event(31, 'refusal', '203.0.113.201', 'has not tried the fake MX'),
  event(31, 'no-pool', '203.0.113.201', 'its name merely encodes its address, as dial-up names do'),
  event(20, 'expiry', '192.0.2.14', 'its time is over, used 2 times'),
  event(12, 'attempt', '203.0.113.77', 'tried the fake MX: whitelisted for 1h'),
  event(3, 'refusal', '203.0.113.9', 'has not tried the fake MX'),
];

export const TICK: WatchTick = {
  atMs: NOW_MS,
  upMs: UP_MS,
  entries: 139,
  frames: 159_855,
  unjudged: 102_442,
  counters: COUNTERS,
  strangers: 'drop',
  pending: 0,
  lastFrameAgoMs: 400,
  findings: [],
  events: EVENTS,
  topRefused: [
    { address: '203.0.113.9', count: 412, lastAgoMs: 3 * SECOND },
    { address: '203.0.113.201', count: 96, lastAgoMs: 31 * SECOND },
    { address: '2001:db8:bad:1::25', count: 17, lastAgoMs: 9 * MINUTE + 4 * SECOND },
    { address: '192.0.2.66', count: 3, lastAgoMs: 2 * HOUR },
  ],
};

/** A second after {@link TICK}. */
export const NEXT_TICK: WatchTick = {
  ...TICK,
  atMs: NOW_MS + SECOND,
  upMs: UP_MS + SECOND,
  entries: 140,
  frames: TICK.frames + 12,
  unjudged: 102_446,
  counters: { ...COUNTERS, attempts: 8414, refusals: 41_008, admissions: 7999 },
  lastFrameAgoMs: 100,
  events: [event(-1, 'attempt', '198.51.100.77', 'tried the fake MX: whitelisted for 1h')],
};

export const WHY: WhyReport = {
  address: '198.51.100.130',
  now: 'whitelisted',
  text: 'whitelisted: reaches the real MX for another 56m40s',
  entry: ENTRIES[3],
  refusals: { passed: 0, count: 2, redirected: 0, firstAgoMs: 200 * SECOND, lastAgoMs: 199 * SECOND },
  before: undefined,
  lastRefusedAtMs: undefined,
  pool: 'belongs to example.net, which has tried the fake MX',
  events: EVENTS.slice(2, 5),
};

/** What `refused` lists. */
export const REFUSED: readonly RefusedSender[] = [
  {
    prefix: '203.0.113.9',
    address: '203.0.113.9',
    count: 412,
    passed: 0,
    redirected: 0,
    returns: 9,
    firstAgoMs: 51 * HOUR,
    lastAgoMs: 3 * SECOND,
    isIn: 'no',
    inAfterMs: undefined,
    name: 'mx.lost-example.org',
    isConfirmed: true,
    domain: 'lost-example.org',
    spf: 'pass',
  },
  {
    prefix: '198.51.100.7',
    address: '198.51.100.7',
    count: 2,
    passed: 0,
    redirected: 0,
    returns: 0,
    firstAgoMs: HOUR,
    lastAgoMs: 59 * MINUTE,
    isIn: 'yes',
    inAfterMs: SECOND,
    name: undefined,
    isConfirmed: undefined,
    domain: undefined,
    spf: undefined,
  },
];

export const REFUSED_RESULT: ControlResults['refused'] = {
  count: 2,
  domains: [
    {
      domain: 'lost-example.org',
      count: 412,
      addresses: 1,
      firstAgoMs: 51 * HOUR,
      lastAgoMs: 3 * SECOND,
      isIn: false,
    },
  ],
  dryRun: false,
};

/** A whole answer to `list`. */
export function listAnswer(entries: readonly ListedEntry[]): ControlReply[] {
  return [...entries.map((item) => ({ item })), { ok: true, result: { count: entries.length } }];
}

/** A whole answer without items. */
export function answer(result: unknown): ControlReply[] {
  return [{ ok: true, result }];
}

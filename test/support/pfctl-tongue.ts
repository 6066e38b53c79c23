/** How three systems' pfctl differ, as they were recorded: below test/fixtures/{pfctl,freebsd15,openbsd}. */
import type { Flavour } from './pfctl-state.js';

/** What one system's pfctl says and does otherwise than the others. */
export interface Tongue {
  readonly usage: string;
  readonly unknownOption: string;
  /** letters of options that take an argument, and that take none */
  readonly withArgument: string;
  readonly withoutArgument: string;
  readonly showModifiers: readonly string[];
  /** when the lines about ALTQ come: unless -q is given, with -v (and then with -q, too), never */
  readonly altq: 'not-quiet' | 'verbose' | 'never';
  /** at the end of the kernel's errors */
  readonly dot: '.' | '';
  /** errno is 0 where a list of addresses has a wrong one */
  readonly noError: string;
  readonly flushOfMissing: string;
  readonly emptyName: string;
  /** addresses as inet_aton(3) reads them, or decimal with leading zeros only */
  readonly addresses: 'inet_aton' | 'decimal';
  /** a word of an address file, or a comment: NUL is a part of a word on FreeBSD */
  readonly words: RegExp;
  /** -T add beyond the limit of table entries sleeps in the kernel for good, and so does every later pfctl */
  readonly sleepsAtLimit: boolean;
  /** a batch is added in pieces of so many; undefined: all or nothing */
  readonly chunk: number | undefined;
  /** whether -v tells of changes: without it nothing with one v, and only blanks before what was added with two */
  readonly tellsChanges: boolean;
  /** -v lists what was added the last first */
  readonly lastFirst: boolean;
  /** -T zero takes addresses */
  readonly zeroesAddresses: boolean;
  /** a second table of the same name in an anchor is warned of */
  readonly warnsOfShadow: boolean;
  /** the name of an anchor's table has the anchor's behind it in -s Tables */
  readonly namesAnchor: boolean;
  /** `Addresses:` of -vvsT is the number of rules that refer to the table */
  readonly countsReferences: boolean;
  readonly trafficWays: readonly string[];
  readonly debugLevel: string;
  /** column of `Debug:` */
  readonly debugColumn: number;
  readonly hasInterfaceStats: boolean;
  /** of -s info: more about states; with -v more tables and counters */
  readonly stateCounters: readonly string[];
  readonly moreTables: readonly string[];
  readonly idleCounters: readonly string[];
  readonly limitCounters: readonly string[];
  readonly afterCounters: string;
  /** of -s memory; null is the limit of table entries */
  readonly limits: readonly (readonly [name: string, limit: number | null])[];
  readonly timeouts: readonly string[];
  /** lines of -v -s rules behind the first two, and of -vv behind those */
  readonly ruleDetails: readonly string[];
  readonly moreRuleDetails: readonly string[];
  /** -F all tells the tables first */
  readonly flushesTablesFirst: boolean;
  /** a main file that cannot be opened */
  readonly noMainFile: string;
}

function freebsdUsage(letters: string, killed: string): string {
  return `usage: pfctl [-${letters}] [-a anchor] [-D macro=value] [-F modifier]
\t[-f file] [-i interface] [-K host | network]
\t[-k ${killed}] [-o level] [-p device]
\t[-s modifier] [-t table -T command [address ...]] [-x level]
`;
}

const OPENBSD_USAGE = `usage: pfctl [-deghNnPqrvz] [-a anchor] [-D macro=value] [-F modifier] [-f file]
\t[-i interface] [-K key] [-k key] [-L statefile] [-o level]
\t[-p device] [-S statefile] [-s modifier [-R id]]
\t[-t table -T command [address ...]] [-V rdomain] [-x level]
`;

const SHOW_MODIFIERS = [
  ...['nat', 'queue', 'rules', 'Anchors', 'Sources', 'states', 'info', 'Interfaces', 'labels', 'timeouts'],
  ...['memory', 'Tables', 'osfp', 'all'],
];

const IDLE_COUNTERS = [
  ...['bad-offset', 'fragment', 'short', 'normalize', 'memory', 'bad-timestamp', 'congestion', 'ip-option'],
  ...['proto-cksum', 'state-mismatch', 'state-insert', 'state-limit', 'src-limit', 'synproxy'],
];

const LIMIT_COUNTERS = [
  ...['max states per rule', 'max-src-states', 'max-src-nodes', 'max-src-conn', 'max-src-conn-rate'],
  ...['overload table insertion', 'overload flush states'],
];
const SYNCOOKIE_COUNTERS = ['synfloods detected', 'syncookies sent', 'syncookies validated'];

const INSERTED = '  [ Inserted: uid 0 pid PID State Creations: 0     ]';

/** The lines of -s timeouts. */
function timeouts(frag: number, adaptive: number, sctp: readonly string[] = []): string[] {
  const seconds = [
    ...['tcp.first 120', 'tcp.opening 30', 'tcp.established 86400', 'tcp.closing 900', 'tcp.finwait 45'],
    ...['tcp.closed 90', 'tcp.tsdiff 30', ...sctp, 'udp.first 60', 'udp.single 30', 'udp.multiple 60'],
    ...['icmp.first 20', 'icmp.error 10', 'other.first 60', 'other.single 30', 'other.multiple 60'],
    ...[`frag ${frag}`, 'interval 10'],
  ];
  const line = (text: string, unit: string): string => {
    const [name = '', value = ''] = text.split(' ');
    return `${name.padEnd(20)} ${value.padStart(10)}${unit}`;
  };
  return [
    ...seconds.map((text) => line(text, 's')),
    line(`adaptive.start ${adaptive}`, ' states'),
    line(`adaptive.end ${2 * adaptive}`, ' states'),
    line('src.track 0', 's'),
  ];
}

const FREEBSD10: Tongue = {
  usage: freebsdUsage('AdeghmNnOPqRrvz', 'host | network | label | id'),
  unknownOption: 'illegal option',
  withArgument: 'aDFfiKkopstTx',
  withoutArgument: 'AdeghmNnOPqRrvz',
  showModifiers: SHOW_MODIFIERS,
  altq: 'not-quiet',
  dot: '.',
  noError: 'No error: 0',
  flushOfMissing: 'Table does not exist.',
  emptyName: 'Invalid argument.',
  addresses: 'inet_aton',
  words: /#[^\n]*|[^ \t\n\v\f\r]+/g,
  sleepsAtLimit: false,
  chunk: undefined,
  tellsChanges: true,
  lastFirst: false,
  zeroesAddresses: false,
  warnsOfShadow: false,
  namesAnchor: false,
  countsReferences: false,
  trafficWays: ['In/Block', 'In/Pass', 'Out/Block', 'Out/Pass'],
  debugLevel: 'Urgent',
  debugColumn: 45,
  hasInterfaceStats: false,
  stateCounters: [],
  moreTables: ['Source Tracking Table'],
  idleCounters: IDLE_COUNTERS,
  limitCounters: LIMIT_COUNTERS,
  afterCounters: '',
  limits: [
    ['states', 10_000],
    ['src-nodes', 10_000],
    ['frags', 5_000],
    ['table-entries', null],
  ],
  timeouts: timeouts(30, 6000),
  ruleDetails: [INSERTED],
  moreRuleDetails: [],
  flushesTablesFirst: false,
  noMainFile: 'FILE: ERROR',
};

const FREEBSD15: Tongue = {
  ...FREEBSD10,
  usage: freebsdUsage('AdeghMmNnOPqRSrvz', 'host | network | gateway | label | id'),
  withoutArgument: 'AdeghMmNnOPqRSrvz',
  showModifiers: [...SHOW_MODIFIERS, 'Running'],
  altq: 'verbose',
  flushOfMissing: 'Operation not supported by device',
  emptyName: 'Anchor does not exist.',
  chunk: 256,
  tellsChanges: false,
  zeroesAddresses: true,
  countsReferences: true,
  idleCounters: [...IDLE_COUNTERS, 'map-failed', 'translate'],
  limitCounters: [...LIMIT_COUNTERS, ...SYNCOOKIE_COUNTERS],
  afterCounters: `Syncookies
  mode                      never
  active                    inactive
Reassemble                       no${' '}
`,
  limits: [
    ['states', 100_000],
    ['src-nodes', 10_000],
    ['frags', 5_000],
    ['table-entries', null],
    ['anchors', 0],
    ['eth-anchors', 0],
  ],
  timeouts: timeouts(60, 60_000, [
    ...['sctp.first 120', 'sctp.opening 30', 'sctp.established 86400', 'sctp.closing 900', 'sctp.closed 90'],
  ]),
  ruleDetails: ['  [ Source Nodes: 0      Limit: 0      NAT/RDR: 0      Route: 0      ]', INSERTED],
  moreRuleDetails: ['  [ Last Active Time: N/A ]'],
  noMainFile: 'pushfile: FILE: ERROR',
};

const OPENBSD: Tongue = {
  ...FREEBSD10,
  usage: OPENBSD_USAGE,
  unknownOption: 'unknown option',
  withArgument: 'aDFfiKkLopSsRtTVx',
  withoutArgument: 'deghNnPqrvz',
  altq: 'never',
  dot: '',
  noError: 'Undefined error: 0',
  flushOfMissing: 'Table does not exist',
  emptyName: 'Invalid argument',
  addresses: 'decimal',
  words: /#[^\n]*|[^ \t\n\v\f\r\0]+/g,
  sleepsAtLimit: true,
  lastFirst: true,
  zeroesAddresses: true,
  warnsOfShadow: true,
  namesAnchor: true,
  trafficWays: ['In/Block', 'In/Match', 'In/Pass', 'Out/Block', 'Out/Match', 'Out/Pass'],
  debugLevel: 'err',
  debugColumn: 48,
  hasInterfaceStats: true,
  stateCounters: ['half-open tcp'],
  moreTables: ['Source Tracking Table', 'Fragments'],
  idleCounters: [...IDLE_COUNTERS, 'translate', 'no-route'],
  limitCounters: [...LIMIT_COUNTERS, ...SYNCOOKIE_COUNTERS],
  afterCounters: `Adaptive Syncookies Watermarks
  start                              25000 states
  end                                12000 states
`,
  limits: [
    ['states', 100_000],
    ['src-nodes', 10_000],
    ['frags', 65_536],
    ['tables', 1000],
    ['table-entries', null],
    ['pktdelay-pkts', 10_000],
    ['anchors', 512],
  ],
  timeouts: timeouts(60, 60_000),
  flushesTablesFirst: true,
  noMainFile: 'pushfile: FILE: ERROR',
};

const TONGUES: Readonly<Record<Flavour, Tongue>> = {
  freebsd: FREEBSD10,
  freebsd15: FREEBSD15,
  openbsd: OPENBSD,
};

/** What a system's pfctl says. */
export function tongueOf(flavour: Flavour): Tongue {
  return TONGUES[flavour];
}

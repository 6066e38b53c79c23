/** The three systems whose pfctl was recorded, and what happened there besides the recorded calls. */
import { type PfctlFolder, type RecordedCall, secondsOf, timesIn } from './recorded-pfctl.js';
import { createTable, type Flavour, type PfState, tableKey, type Traffic } from './pfctl-state.js';

/** One system. */
export interface RecordedSystem {
  readonly flavour: Flavour;
  readonly folder: PfctlFolder;
  readonly calls: number;
  /** what its state was at the beginning */
  readonly begin: (state: PfState) => void;
  /** what happened just before a call without being recorded */
  readonly meanwhile: Readonly<Record<string, (state: PfState, call: RecordedCall) => void>>;
  /** command lines whose words the recording does not show */
  readonly words: Readonly<Record<string, readonly string[]>>;
  /** input that was too long to be kept */
  readonly stdin: Readonly<Record<string, string>>;
  /** calls that the stand-in does not know, by their number, and why */
  readonly unknown: Readonly<Record<string, string>>;
}

/** Makes the table what a listing with counters says. */
function refill(state: PfState, { stdout }: RecordedCall): void {
  const table = createTable(state, 'mx-white', { persist: true, counters: true });
  for (const [address, cleared] of timesIn(stdout)) {
    table.entries.set(address, cleared);
    const traffic = trafficIn(stdout, address);
    if (traffic !== undefined) table.traffic.set(address, { inBlock: [0, 0], outBlock: [0, 0], ...traffic });
  }
}

function trafficIn(stdout: string, address: string): { inPass: Traffic; outPass: Traffic } | undefined {
  const part = stdout.split(/^ {2}[ !]/m).find((text) => text.startsWith(`${address}\n`)) ?? '';
  const way = (name: string): Traffic | undefined => {
    const [, packets, bytes] = new RegExp(`\t${name}: +\\[ Packets: (\\d+) +Bytes: (\\d+)`).exec(part) ?? [];
    return packets === undefined ? undefined : [Number(packets), Number(bytes)];
  };
  const inPass = way('In/Pass');
  const outPass = way('Out/Pass');
  return inPass === undefined || outPass === undefined ? undefined : { inPass, outPass };
}

function clock(time: string): (state: PfState) => void {
  return (state) => (state.clock = secondsOf(`2026-11-23T${time}`));
}

/** Entries that were added by a call that was not recorded. */
function put(state: PfState, addresses: readonly string[]): void {
  const table = state.tables.get(tableKey('', 'mx-white'));
  for (const address of addresses) table?.entries.set(address, state.clock ?? 0);
}

/** 50,000 addresses, the first of them twice: 49,999 were new. */
const FIFTY_THOUSAND = Array.from(
  { length: 49_999 },
  (_, i) => `10.${32 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
);
const FIFTY_THOUSAND_TEXT = `${[...FIFTY_THOUSAND, FIFTY_THOUSAND[0]].join('\n')}\n`;

/** FreeBSD 10.4, with the pfctl of 10.2. */
const FREEBSD10: RecordedSystem = {
  flavour: 'freebsd',
  folder: 'pfctl',
  calls: 229,
  begin: (state) => {
    clock('18:01:41')(state);
    state.references = { '': { 'mx-white': 2 }, mx: { 'mx-white': 1 } };
  },
  meanwhile: {
    '033-add-stdin-blanklines': clock('18:01:42'),
    // the look-ups in DNS took 73 s; then two connections were tried from addresses that were added for them
    '086-show-vv-after-traffic': (state) => {
      clock('18:02:56')(state);
      put(state, ['203.0.113.8', '2001:db8::8']);
    },
    '091-expire-1': clock('18:02:58'),
    '118-table-name-too-long': (state) => void state.tables.delete(tableKey('', 'nosuchtable')),
    '120-no-table': (state) => void state.tables.delete(tableKey('', 'a'.repeat(31))),
    '127-user-add': (state) => (state.device = 'none'),
    '131-user-add-devpf-666': (state) => (state.device = 'read-write'),
    '134-user-show-devpf-640': (state) => (state.device = 'read-only'),
    '136-disable': (state) => (state.device = 'read-write'),
    '148-flush-all': (state) => (state.statistics = { ...state.statistics, states: 2 }),
    '150-reload2': clock('18:02:59'),
    '209-nf-user': (state) => (state.device = 'none'),
    '212-nf-no-pf.os': (state) => (state.device = 'read-write'),
    '228-counters-add': (state) => {
      clock('18:03:09')(state);
      createTable(state, 'mx-white', { persist: true, counters: true });
    },
    '229-counters-show-vv': refill,
  },
  words: {
    '017-add-negated-shellsafe-range': ['-t', 'mx-white', '-T', 'add', '192.0.2.20 - 192.0.2.23'],
    '049-add-empty-arg': ['-t', 'mx-white', '-T', 'add', ''],
    '122-table-name-empty': ['-t', '', '-T', 'show'],
  },
  stdin: {
    '170-add-50000': FIFTY_THOUSAND_TEXT,
    '171-add-50000-again': FIFTY_THOUSAND_TEXT,
    '173-replace-50000-same': FIFTY_THOUSAND_TEXT,
    '175-delete-50000': FIFTY_THOUSAND_TEXT,
    '177-add-20000-v6': Array.from({ length: 20_000 }, (_, i) => `2001:db8:0:1::${i.toString(16)}\n`).join(
      '',
    ),
  },
  unknown: {
    185: 'states',
    188: 'contains fingerprints',
    190: 'fingerprints',
    198: 'states',
    203: 'rules that cannot be read',
    204: 'prints the rules',
    205: 'rules that cannot be read',
    207: 'prints the rules',
    210: 'prints the rules',
    211: 'states',
  },
};

/** OpenBSD: the kernel of 7.8, the pfctl of 2024-07. */
const OPENBSD: RecordedSystem = {
  flavour: 'openbsd',
  folder: 'openbsd',
  calls: 183,
  begin: (state) => {
    const vio1 = [
      '192.168.1.3',
      '192.168.1.4',
      '2001:dead:beef::1',
      '2001:dead:beef::2',
      'fe80::5054:ff:fe00:2',
    ];
    const lo0 = ['127.0.0.1', '::1', 'fe80::1'];
    // the names that it knows without DNS, and the groups
    const localhost = ['127.0.0.1', '::1'];
    state.interfaces = { vio1, lo0, localhost, egress: vio1, self: [...vio1, ...lo0, '10.0.2.15'] };
    state.references = {
      '': { 'mx-white': 2 },
      mxallowd: { 'mx-white': 1 },
      'mxallowd/a-long-inner-anchor-name-x': {},
    };
    state.kernelInterfaces = [
      ...['all', 'carp', 'egress', 'enc', 'enc0', 'lo', 'lo0', 'pflog', 'pflog0', 'pflog1', 'vio0', 'vio1'],
    ];
    state.skipped = ['lo', 'vio0'];
    state.clock = secondsOf('2026-11-30T19:08:55');
  },
  meanwhile: {
    '126-nonroot-show': (state) => (state.device = 'none'),
    '128-counters-show-v': (state, call) => {
      state.device = 'read-write';
      state.references = { ...state.references, '': { 'mx-white': 1 } };
      refill(state, call);
    },
    '147-F-all': (state) => (state.statistics = { ...state.statistics, states: 1 }),
    '161-add-50000': (state) => void createTable(state, 'mx-white', { persist: true }),
    '183-show-v-counters-session-and-bare-syn': refill,
  },
  words: {
    '126-nonroot-show': ['-t', 'mx-white', '-T', 'show'],
    '127-nonroot-nf': ['-nf', '-'],
    '163-show-50000-wc': ['-t', 'mx-white', '-T', 'show'],
  },
  stdin: { '127-nonroot-nf': 'pass\n' },
  unknown: {
    113: 'fingerprints',
    114: 'states',
    156: 'prints the rules',
    160: 'prints the rules',
    166: 'is true(1)',
    168: 'prints the rules',
    170: 'prints the rules',
    172: 'prints the rules',
    177: 'skip steps',
    178: 'names of ports',
    179: 'contains states',
  },
};

/** FreeBSD 15.1. */
const FREEBSD15: RecordedSystem = {
  flavour: 'freebsd15',
  folder: 'freebsd15',
  calls: 209,
  begin: (state) => {
    const vtnet0 = [
      '192.168.1.3',
      '192.168.1.4',
      '2001:dead:beef::1',
      '2001:dead:beef::2',
      'fe80::5054:ff:feaa:1',
    ];
    state.interfaces = { vtnet0, lo0: ['127.0.0.1', '::1', 'fe80::1'] };
    state.references = { '': { 'mx-white': 2 }, mx: {} };
    state.kernelInterfaces = ['all', 'lo', 'lo0', 'pflog', 'pflog0', 'vtnet0', 'vtnet1'];
    state.clock = secondsOf('2026-11-30T19:25:06');
    createTable(state, 'inanchor', { anchor: 'mx', persist: true }).entries.set('192.0.2.1', 0);
  },
  meanwhile: {
    '401-show-v-counters-session-and-bare-syn': refill,
    '402-show-66002': (state) => {
      const { entries } = createTable(state, 'mx-white', { persist: true });
      for (let i = 0; i < 66_002; i++) entries.set(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 0);
    },
  },
  words: {
    '049-add-empty-arg': ['-t', 'mx-white', '-T', 'add', ''],
    '122-table-name-empty': ['-t', '', '-T', 'show'],
  },
  stdin: {},
  unknown: {
    188: 'contains fingerprints',
    190: 'fingerprints',
    211: 'states',
    313: 'contains fingerprints',
    406: 'is sysctl(8)',
  },
};

/** All of them. */
export const RECORDED_SYSTEMS: readonly RecordedSystem[] = [FREEBSD10, FREEBSD15, OPENBSD];

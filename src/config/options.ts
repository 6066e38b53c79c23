// The option table: one source for command line, file, help and manual.
import { WIDEST_ENTRY } from '../packet/address.js';
import { fleetUrl } from './fleet-url.js';
import { CAPTURE_NAMES, FIREWALL_NAMES, type FirewallName } from './names.js';
import * as check from './values.js';

/** How an option takes values. */
interface OptionShape<T> {
  /** long name on the command line, and the name in the configuration file */
  readonly name: string;
  /** letters on the command line */
  readonly letters?: readonly string[];
  /** what stands for the value in help texts, `SEC` for a time; absent: a switch without value */
  readonly value?: string;
  readonly check?: check.Check<T>;
  /** may be given many times */
  readonly many?: true;
  /** for help texts */
  readonly defaultText?: string;
  /** the default on Linux, where it is another one */
  readonly linuxDefaultText?: string;
  /** one line, lower case, no final dot */
  readonly help: string;
  /** only on the command line */
  readonly commandLineOnly?: true;
  /** the value is the rest of the line in the file */
  readonly restOfLine?: true;
  /** what a SIGHUP takes over; the others need a restart */
  readonly reloads?: true;
  /** which heading of the help it stands under */
  readonly group:
    'Addresses' | 'Whitelist' | 'Names' | 'Capture' | 'Table' | 'nftables' | 'NFQUEUE' | 'Fleet' | 'Service';
  /** a firewall that it is for, too, beside the one of its group */
  readonly alsoFor?: FirewallName;
  /** judging a recording needs it, too */
  readonly forReplay?: true;
  /** commands that ask a running daemon need it, too */
  readonly forClient?: true;
  /** commands that ask nobody but DNS need it, too */
  readonly forDns?: true;
}

/** An option of unknown value type. */
export type OptionSpec = OptionShape<unknown>;

function option<T>(shape: OptionShape<T>): OptionShape<T> {
  return shape;
}

const interfaceName = check.name('an interface name', /^[A-Za-z][\w.-]*$/, 15);

/**
 * All options: the one source for the command line, the configuration file and the texts about them. The names and
 * letters of mxallowd 1.9 keep their meaning.
 */
export const OPTIONS = {
  fakeMailserver: option({
    name: 'fake-mailserver',
    letters: ['f'],
    value: 'IP',
    check: check.address,
    many: true,
    help: 'address of the fake MX (repeatable)',
    reloads: true,
    forReplay: true,
    group: 'Addresses',
  }),
  realMailserver: option({
    name: 'real-mailserver',
    letters: ['r'],
    value: 'IP',
    check: check.address,
    many: true,
    help: 'address of the real MX (repeatable)',
    reloads: true,
    forReplay: true,
    group: 'Addresses',
  }),
  allow: option({
    name: 'allow',
    value: 'NET',
    check: check.network,
    many: true,
    help: 'address or network to admit at all times (repeatable)',
    reloads: true,
    forReplay: true,
    group: 'Addresses',
  }),
  allowDomain: option({
    name: 'allow-domain',
    value: 'NAME',
    check: check.domainName,
    many: true,
    help: "admit the networks of a domain's SPF record (repeatable)",
    reloads: true,
    group: 'Addresses',
  }),
  port: option({
    name: 'port',
    value: 'PORT',
    check: check.integer(1, 65_535),
    defaultText: '25',
    help: 'TCP port of the mail servers',
    forReplay: true,
    group: 'Addresses',
  }),
  strangers: option({
    name: 'strangers',
    value: 'WHAT',
    check: check.strangers,
    defaultText: 'drop',
    help: 'at the real MX: drop, "redirect PORT", or "mark N" (Linux)',
    restOfLine: true,
    reloads: true,
    forReplay: true,
    group: 'Addresses',
  }),
  whitelistTime: option({
    name: 'whitelist-time',
    letters: ['t'],
    value: 'SEC',
    check: check.duration(),
    defaultText: '3600',
    help: 'how long a sender has, after its attempt, to reach the real MX',
    reloads: true,
    forReplay: true,
    group: 'Whitelist',
  }),
  knownTime: option({
    name: 'known-time',
    value: 'SEC',
    check: check.duration(0),
    defaultText: '8d',
    help: 'how long it stays after it has reached the real MX (0: as before that)',
    reloads: true,
    forReplay: true,
    group: 'Whitelist',
  }),
  outbound: option({
    name: 'outbound',
    help: 'let in those to whom this network opens connections',
    reloads: true,
    forReplay: true,
    group: 'Whitelist',
  }),
  maxEntries: option({
    name: 'max-entries',
    value: 'N',
    check: check.integer(1, 1_000_000),
    defaultText: '100000',
    help: 'entries at the most',
    reloads: true,
    forReplay: true,
    group: 'Whitelist',
  }),
  ipv4Prefix: option({
    name: 'ipv4-prefix',
    value: 'BITS',
    check: check.prefixLength(4, WIDEST_ENTRY[4]),
    defaultText: '32',
    help: 'length of the IPv4 prefix that is whitelisted',
    forReplay: true,
    group: 'Whitelist',
  }),
  ipv6Prefix: option({
    name: 'ipv6-prefix',
    value: 'BITS',
    check: check.prefixLength(6, WIDEST_ENTRY[6]),
    defaultText: '64',
    help: 'the same for IPv6; 128 for the exact address',
    forReplay: true,
    group: 'Whitelist',
  }),
  noRdnsWhitelist: option({
    name: 'no-rdns-whitelist',
    letters: ['b', 'd'],
    help: "do not admit the other addresses of a sender's name",
    forReplay: true,
    group: 'Names',
  }),
  rdnsUnconfirmed: option({
    name: 'rdns-unconfirmed',
    help: 'believe PTR records that do not point back, as 1.9 did',
    forReplay: true,
    group: 'Names',
  }),
  noPool: option({
    name: 'no-pool',
    help: "do not admit other members of a sender's pool",
    forReplay: true,
    group: 'Names',
  }),
  poolWindow: option({
    name: 'pool-window',
    value: 'SEC',
    check: check.duration(),
    defaultText: 'whitelist-time',
    help: 'how long an attempt opens the door for its pool',
    reloads: true,
    forReplay: true,
    group: 'Names',
  }),
  dnswl: option({
    name: 'dnswl',
    value: 'ZONE',
    check: check.domainName,
    help: 'admit refused senders whom this DNS allow list knows',
    reloads: true,
    group: 'Names',
  }),
  dnswlTrust: option({
    name: 'dnswl-trust',
    value: 'N',
    check: check.integer(0, 3),
    defaultText: '1',
    help: 'how far the list must trust them, from 0 to 3',
    reloads: true,
    group: 'Names',
  }),
  dnsServer: option({
    name: 'dns-server',
    value: 'ADDR',
    check: check.dnsServer,
    many: true,
    help: "DNS server to ask (repeatable), instead of the system's",
    forReplay: true,
    forDns: true,
    group: 'Names',
  }),
  dnsTimeout: option({
    name: 'dns-timeout',
    value: 'SEC',
    check: check.duration(1, 30),
    defaultText: '2',
    help: 'how long an answer may take at most, before the second try',
    forReplay: true,
    forDns: true,
    group: 'Names',
  }),
  firewall: option({
    name: 'firewall',
    value: 'NAME',
    check: check.oneOf(FIREWALL_NAMES),
    defaultText: 'pf',
    linuxDefaultText: 'queue',
    help: `what lets senders in or keeps them out: ${FIREWALL_NAMES.join(', ')}`,
    group: 'Service',
  }),
  capture: option({
    name: 'capture',
    value: 'SOURCE',
    check: check.oneOf(['auto', ...CAPTURE_NAMES] as const),
    defaultText: 'auto',
    help: `where frames come from: auto, ${CAPTURE_NAMES.join(', ')}`,
    group: 'Capture',
    alsoFor: 'nft',
  }),
  pflogInterface: option({
    name: 'pflog-interface',
    letters: ['p'],
    value: 'IF',
    check: interfaceName,
    defaultText: 'pflog0',
    help: 'the pflog interface',
    group: 'Capture',
  }),
  pcapFilter: option({
    name: 'pcap-filter',
    letters: ['l'],
    value: 'EXPR',
    check: check.anyText,
    defaultText: '"port PORT"',
    help: 'filter for the capture',
    restOfLine: true,
    group: 'Capture',
  }),
  tcpdump: option({
    name: 'tcpdump',
    value: 'PATH',
    check: check.absolutePath,
    help: 'tcpdump or a wrapper for it',
    group: 'Capture',
    alsoFor: 'nft',
  }),
  table: option({
    name: 'table',
    value: 'NAME',
    check: check.name('a table name', /^[A-Za-z0-9_.-]+$/, 31),
    defaultText: 'mx-white',
    help: 'the pf table',
    group: 'Table',
  }),
  anchor: option({
    name: 'anchor',
    value: 'PATH',
    check: check.name('an anchor path', /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/, 1023),
    help: 'the anchor that the table is in',
    group: 'Table',
  }),
  pfctl: option({
    name: 'pfctl',
    value: 'PATH',
    check: check.absolutePath,
    defaultText: '/sbin/pfctl',
    help: 'pfctl or a wrapper for it',
    group: 'Table',
  }),
  nft: option({
    name: 'nft',
    value: 'PATH',
    check: check.absolutePath,
    defaultText: '/usr/sbin/nft',
    help: 'nft or a wrapper for it',
    group: 'nftables',
  }),
  nftRules: option({
    name: 'nft-rules',
    value: 'PATH',
    check: check.plainPath,
    defaultText: '/etc/mxallowd.nft',
    help: 'the rules that "nft-conf --install" writes, for the boot',
    group: 'nftables',
  }),
  nftHook: option({
    name: 'nft-hook',
    value: 'HOOK',
    check: check.oneOf(['input', 'forward', 'both'] as const),
    defaultText: 'both',
    help: 'where mail passes: input (this machine), forward, both',
    group: 'nftables',
  }),
  nftPriority: option({
    name: 'nft-priority',
    value: 'N',
    check: check.signed(-190, 300),
    defaultText: '-5',
    help: 'when our rules have their turn; other rules are at 0',
    group: 'nftables',
  }),
  nflogGroup: option({
    name: 'nflog-group',
    value: 'N',
    check: check.integer(0, 65_535),
    defaultText: '23',
    help: 'the group of NFLOG by which the kernel tells us',
    group: 'nftables',
  }),
  queueNum: option({
    name: 'queue-num',
    letters: ['n'],
    value: 'N',
    check: check.queueRange,
    defaultText: '23 on Linux',
    help: 'take packets from NFQUEUE N (or N-M) and answer them',
    group: 'NFQUEUE',
  }),
  queueLength: option({
    name: 'queue-length',
    value: 'N',
    check: check.integer(64, 1_000_000),
    defaultText: '8192',
    help: 'packets that may wait for their verdict',
    group: 'NFQUEUE',
  }),
  failOpen: option({
    name: 'fail-open',
    help: 'accept packets that find the queue full',
    group: 'NFQUEUE',
  }),
  dryRun: option({
    name: 'dry-run',
    help: 'accept everything, and log what would be dropped',
    reloads: true,
    group: 'NFQUEUE',
  }),
  queueExit: option({
    name: 'queue-exit',
    value: 'VERDICT',
    check: check.oneOf(['drop', 'accept'] as const),
    defaultText: 'drop',
    help: 'for what is left in the queue at the end: drop or accept',
    group: 'NFQUEUE',
  }),
  fleetUrl: option({
    name: 'fleet-url',
    value: 'URL',
    check: fleetUrl,
    help: 'Redis or Valkey by which gateways share their whitelist',
    group: 'Fleet',
  }),
  fleetSite: option({
    name: 'fleet-site',
    value: 'NAME',
    check: check.name('a name of letters, digits, dots and dashes', /^[A-Za-z0-9._-]+$/, 64),
    defaultText: 'mx',
    help: 'gateways with the same name there share',
    group: 'Fleet',
  }),
  fleetNode: option({
    name: 'fleet-node',
    value: 'NAME',
    check: check.name('a name of letters, digits, dots and dashes', /^[A-Za-z0-9._-]+$/, 64),
    defaultText: 'the host name',
    help: "this gateway's name, another one for each",
    group: 'Fleet',
  }),
  fleetPasswordFile: option({
    name: 'fleet-password-file',
    value: 'PATH',
    check: check.absolutePath,
    help: 'file with the password for it',
    group: 'Fleet',
  }),
  fleetCa: option({
    name: 'fleet-ca',
    value: 'PATH',
    check: check.absolutePath,
    help: 'certificates to trust for rediss:// (PEM)',
    group: 'Fleet',
  }),
  fleetShare: option({
    name: 'fleet-share',
    value: 'PART',
    check: check.percent,
    defaultText: '50%',
    help: 'part of max-entries that others may fill',
    reloads: true,
    group: 'Fleet',
  }),
  fleetManual: option({
    name: 'fleet-manual',
    help: 'take part in what others allow and forget by hand',
    reloads: true,
    group: 'Fleet',
  }),
  fleetInsecure: option({
    name: 'fleet-insecure',
    help: 'talk to another host without TLS',
    group: 'Fleet',
  }),
  user: option({
    name: 'user',
    letters: ['u'],
    value: 'NAME',
    check: check.name('a user name', /^[A-Za-z_][A-Za-z0-9_.-]*$/, 32),
    defaultText: '_mxallowd',
    help: 'the user to run as, once root is not needed any more',
    group: 'Service',
  }),
  foreground: option({
    name: 'foreground',
    letters: ['F'],
    help: 'stay in the foreground',
    commandLineOnly: true,
    group: 'Service',
  }),
  config: option({
    name: 'config',
    letters: ['c'],
    value: 'FILE',
    check: check.anyText,
    defaultText: '/etc/mxallowd.conf',
    help: 'the configuration file',
    commandLineOnly: true,
    forReplay: true,
    forClient: true,
    forDns: true,
    group: 'Service',
  }),
  pidFile: option({
    name: 'pid-file',
    value: 'PATH',
    check: check.absolutePath,
    defaultText: '/var/run/mxallowd.pid',
    help: 'where the process ID is kept',
    group: 'Service',
  }),
  stateFile: option({
    name: 'state-file',
    value: 'PATH',
    check: check.absolutePathOrNone,
    defaultText: '/var/db/mxallowd/state',
    linuxDefaultText: '/var/lib/mxallowd/state',
    help: 'what a restart must find again; none: nothing is kept',
    group: 'Service',
  }),
  controlSocket: option({
    name: 'control-socket',
    value: 'PATH',
    check: check.absolutePathOrNone,
    defaultText: '/var/run/mxallowd.sock',
    linuxDefaultText: '/run/mxallowd/mxallowd.sock',
    help: 'where status, list and the like ask the daemon; or none',
    forClient: true,
    group: 'Service',
  }),
  controlGroup: option({
    name: 'control-group',
    value: 'NAME',
    check: check.name('a group name', /^[A-Za-z_][A-Za-z0-9_.-]*$/, 32),
    help: 'the group that may ask and tell the daemon, beside root',
    group: 'Service',
  }),
  stdout: option({
    name: 'stdout',
    letters: ['s'],
    help: 'log to standard output, not to syslog',
    group: 'Service',
  }),
  quiet: option({
    name: 'quiet',
    letters: ['q'],
    help: 'log errors only',
    reloads: true,
    group: 'Service',
  }),
  logFormat: option({
    name: 'log-format',
    value: 'FORMAT',
    check: check.oneOf(['text', 'json'] as const),
    defaultText: 'text',
    help: 'text or json',
    group: 'Service',
  }),
  logLevel: option({
    name: 'log-level',
    value: 'LEVEL',
    check: check.oneOf(['error', 'warn', 'info', 'debug'] as const),
    defaultText: 'info',
    help: 'error, warn, info or debug',
    reloads: true,
    group: 'Service',
  }),
} as const;

/** What an option's default is on a system, for help texts. */
export function defaultTextOn(spec: OptionSpec, platform: NodeJS.Platform): string | undefined {
  return platform === 'linux' ? (spec.linuxDefaultText ?? spec.defaultText) : spec.defaultText;
}

/** Whose options a group has, where it is not everybody's. */
const FIREWALLS: Partial<Record<OptionSpec['group'], FirewallName>> = {
  Capture: 'pf',
  Table: 'pf',
  nftables: 'nft',
  NFQUEUE: 'queue',
};

/** The firewalls that an option is for; undefined: any. */
export function firewallsOf({
  group,
  alsoFor,
}: Pick<OptionSpec, 'group' | 'alsoFor'>): readonly FirewallName[] | undefined {
  const own = FIREWALLS[group];
  if (own === undefined) return undefined;
  return alsoFor === undefined ? [own] : [own, alsoFor];
}

/** Whether an option is for a firewall of a system. */
export function worksOn(spec: OptionSpec, platform: NodeJS.Platform): boolean {
  const firewalls = firewallsOf(spec);
  return firewalls === undefined || firewalls.some((name) => (name !== 'pf') === (platform === 'linux'));
}

/** The options by their keys in the program. */
export type OptionKey = keyof typeof OPTIONS;

/** All options with their keys. */
export const OPTION_LIST: readonly (readonly [OptionKey, OptionSpec])[] = Object.entries(OPTIONS) as [
  OptionKey,
  OptionSpec,
][];

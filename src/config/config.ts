// The configuration: file and command line combined and checked. Pure.
import { type Address, formatAddress, type Prefix } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { isLocal } from './fleet-url.js';
import { CAPTURE_NAMES, type FirewallName } from './names.js';
import { defaultTextOn, OPTION_LIST, type OptionKey, OPTIONS, type OptionSpec } from './options.js';
import type { Problem } from './problem.js';
import { type Check, type Strangers, strangersText } from './values.js';

/** An option as it was given, not yet checked. */
export interface Given {
  readonly key: OptionKey;
  /** undefined for a switch */
  readonly text: string | undefined;
  /** `FILE:LINE` or `--option` */
  readonly where: string;
  readonly origin: 'file' | 'command line';
}

type ValueOf<K extends OptionKey> = (typeof OPTIONS)[K] extends { readonly check?: Check<infer T> }
  ? T
  : never;

/** The whole configuration, checked. */
export interface Config {
  readonly fakeMailserver: readonly Address[];
  readonly realMailserver: readonly Address[];
  readonly allow: readonly Prefix[];
  /** each once */
  readonly allowDomain: readonly string[];
  readonly port: number;
  readonly strangers: Strangers;
  /** seconds */
  readonly whitelistTime: number;
  /** seconds; 0: an admission does not prolong anything */
  readonly knownTime: number;
  /** whether the configuration has a time of its own for attempts, and none for admissions, as one of 1.9 or 2.0 */
  readonly isKnownTimeImplied: boolean;
  readonly maxEntries: number;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  readonly outbound: boolean;
  readonly noRdnsWhitelist: boolean;
  readonly rdnsUnconfirmed: boolean;
  readonly noPool: boolean;
  /** seconds */
  readonly poolWindow: number;
  /** undefined: no DNS allow list is asked */
  readonly dnswl: string | undefined;
  readonly dnswlTrust: number;
  readonly dnsServer: readonly string[];
  /** seconds */
  readonly dnsTimeout: number;
  readonly capture: ValueOf<'capture'>;
  readonly pflogInterface: string;
  readonly pcapFilter: string;
  readonly tcpdump: string | undefined;
  readonly table: string;
  /** empty: the main ruleset */
  readonly anchor: string;
  readonly pfctl: string;
  /** what lets senders in or keeps them out */
  readonly firewall: ValueOf<'firewall'>;
  readonly nft: string;
  readonly nftRules: string;
  readonly nftHook: ValueOf<'nftHook'>;
  readonly nftPriority: number;
  readonly nflogGroup: number;
  /** undefined: no queue decides */
  readonly queueNum: ValueOf<'queueNum'> | undefined;
  readonly queueLength: number;
  readonly failOpen: boolean;
  readonly dryRun: boolean;
  readonly queueExit: ValueOf<'queueExit'>;
  /** undefined: nothing is shared */
  readonly fleetUrl: ValueOf<'fleetUrl'> | undefined;
  readonly fleetSite: string;
  /** undefined: the host name */
  readonly fleetNode: string | undefined;
  readonly fleetPasswordFile: string | undefined;
  readonly fleetCa: string | undefined;
  /** percent of maxEntries */
  readonly fleetShare: number;
  readonly fleetManual: boolean;
  readonly fleetInsecure: boolean;
  /** undefined: the default user, if there is one */
  readonly user: string | undefined;
  readonly foreground: boolean;
  /** undefined: only when in the background, at the default place */
  readonly pidFile: string | undefined;
  /** empty: nothing is kept */
  readonly stateFile: string;
  /** empty: nobody can ask */
  readonly controlSocket: string;
  /** undefined: root only */
  readonly controlGroup: string | undefined;
  readonly stdout: boolean;
  readonly quiet: boolean;
  readonly logFormat: ValueOf<'logFormat'>;
  readonly logLevel: ValueOf<'logLevel'>;
}

/** A configuration, or everything that is wrong with it. */
export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** What a configuration is for: the firewall of a system, or recordings, which are judged without one. */
export type Target = NodeJS.Platform | 'replay';

/**
 * Checks and combines what the file and the command line say. Addresses add up; of anything else the last word
 * counts, and the command line comes after the file.
 * @param given - file first
 * @param target - Linux has queues instead of pf
 * @param earlier - problems found while the texts were read; they are reported together with those found here
 */
export function resolveConfig(
  given: readonly Given[],
  earlier: readonly Problem[],
  target: Target,
): ConfigResult {
  const resolver = new Resolver(given, target === 'replay' ? 'openbsd' : target);
  const port = resolver.scalar('port');
  const addresses = {
    fakeMailserver: resolver.many('fakeMailserver'),
    realMailserver: resolver.many('realMailserver'),
    allow: resolver.many('allow'),
    allowDomain: [...new Set(resolver.many('allowDomain'))],
  };
  const strangers = resolver.scalar('strangers') ?? { kind: 'drop' };
  const whitelistTime = resolver.scalar('whitelistTime') ?? 0;
  const firewall = firewallOf(resolver, target);
  const config: Config = {
    ...addresses,
    port: port ?? 0,
    strangers,
    whitelistTime,
    knownTime: resolver.scalar('knownTime') ?? 0,
    isKnownTimeImplied: resolver.isGiven('whitelistTime') && !resolver.isGiven('knownTime'),
    maxEntries: resolver.scalar('maxEntries') ?? 0,
    ipv4Prefix: resolver.scalar('ipv4Prefix') ?? 0,
    ipv6Prefix: resolver.scalar('ipv6Prefix') ?? 0,
    outbound: resolver.isGiven('outbound'),
    noRdnsWhitelist: resolver.isGiven('noRdnsWhitelist'),
    rdnsUnconfirmed: resolver.isGiven('rdnsUnconfirmed'),
    noPool: resolver.isGiven('noPool'),
    poolWindow: resolver.scalar('poolWindow') ?? whitelistTime,
    dnswl: resolver.scalar('dnswl'),
    dnswlTrust: resolver.scalar('dnswlTrust') ?? 0,
    dnsServer: resolver.many('dnsServer'),
    dnsTimeout: resolver.scalar('dnsTimeout') ?? 0,
    capture: resolver.scalar('capture') ?? 'auto',
    pflogInterface: resolver.scalar('pflogInterface') ?? '',
    pcapFilter: resolver.isGiven('pcapFilter')
      ? (resolver.scalar('pcapFilter') ?? '')
      : portFilter(port, strangers),
    tcpdump: resolver.scalar('tcpdump'),
    table: resolver.scalar('table') ?? '',
    anchor: resolver.scalar('anchor') ?? '',
    pfctl: resolver.scalar('pfctl') ?? '',
    firewall,
    nft: resolver.scalar('nft') ?? '',
    nftRules: resolver.scalar('nftRules') ?? '',
    nftHook: resolver.scalar('nftHook') ?? 'both',
    nftPriority: resolver.scalar('nftPriority') ?? 0,
    nflogGroup: resolver.scalar('nflogGroup') ?? 0,
    queueNum: queueNum(resolver, firewall),
    queueLength: resolver.scalar('queueLength') ?? 0,
    failOpen: resolver.isGiven('failOpen'),
    dryRun: resolver.isGiven('dryRun'),
    queueExit: resolver.scalar('queueExit') ?? 'drop',
    fleetUrl: resolver.scalar('fleetUrl'),
    fleetSite: resolver.scalar('fleetSite') ?? '',
    fleetNode: resolver.isGiven('fleetNode') ? resolver.scalar('fleetNode') : undefined,
    fleetPasswordFile: resolver.scalar('fleetPasswordFile'),
    fleetCa: resolver.scalar('fleetCa'),
    fleetShare: resolver.scalar('fleetShare') ?? 0,
    fleetManual: resolver.isGiven('fleetManual'),
    fleetInsecure: resolver.isGiven('fleetInsecure'),
    user: resolver.isGiven('user') ? resolver.scalar('user') : undefined,
    foreground: resolver.isGiven('foreground'),
    pidFile: resolver.isGiven('pidFile') ? resolver.scalar('pidFile') : undefined,
    stateFile: resolver.scalar('stateFile') ?? '',
    controlSocket: resolver.scalar('controlSocket') ?? '',
    controlGroup: resolver.scalar('controlGroup'),
    stdout: resolver.isGiven('stdout'),
    quiet: resolver.isGiven('quiet'),
    logFormat: resolver.scalar('logFormat') ?? 'text',
    logLevel: resolver.scalar('logLevel') ?? 'info',
  };
  const problems = [
    ...earlier,
    ...resolver.problems,
    ...checkServers(config, given, earlier),
    ...(target === 'replay'
      ? []
      : [
          ...checkQueue(config, given),
          ...checkFirewall(config, given, target),
          ...checkStrangers(config, given),
          ...checkFleet(config, given),
        ]),
  ];
  return problems.length === 0 ? { ok: true, config } : { ok: false, problems };
}

/** The value that an option has when nothing is given. */
export function defaultValue<K extends OptionKey>(
  key: K,
  platform: NodeJS.Platform = 'openbsd',
): ValueOf<K> | undefined {
  const spec: OptionSpec = OPTIONS[key];
  const check = spec.check as Check<ValueOf<K>> | undefined;
  const text = defaultTextOn(spec, platform);
  if (check === undefined || text === undefined) return undefined;
  const checked = check(text);
  return checked.ok ? checked.value : undefined;
}

/** The rule of 1.9's manual, for a configuration that names neither a queue nor a pfctl. */
const LINUX_QUEUE = { first: 23, last: 23 };

/** Who names a queue, or a pfctl, means that; otherwise it is the system's. */
function firewallOf(resolver: Resolver, target: Target): Config['firewall'] {
  const named = resolver.scalar('firewall') ?? 'pf';
  if (target !== 'linux') return 'pf';
  if (resolver.isGiven('firewall')) return named;
  return resolver.isGiven('pfctl') && !resolver.isGiven('queueNum') ? 'pf' : named;
}

function queueNum(resolver: Resolver, firewall: Config['firewall']): Config['queueNum'] {
  const given = resolver.scalar('queueNum');
  if (firewall !== 'queue') return undefined;
  return resolver.isGiven('queueNum') ? given : LINUX_QUEUE;
}

class Resolver {
  readonly problems: Problem[] = [];
  private readonly byKey = new Map<OptionKey, Given[]>();

  constructor(
    given: readonly Given[],
    private readonly platform: NodeJS.Platform,
  ) {
    for (const item of given) {
      const items = this.byKey.get(item.key);
      if (items === undefined) this.byKey.set(item.key, [item]);
      else items.push(item);
    }
  }

  isGiven(key: OptionKey): boolean {
    return this.byKey.has(key);
  }

  many<K extends OptionKey>(key: K): ValueOf<K>[] {
    return (this.byKey.get(key) ?? []).flatMap((item) => {
      const value = this.check(key, item);
      return value === undefined ? [] : [value];
    });
  }

  /** All texts are checked, the last one counts. */
  scalar<K extends OptionKey>(key: K): ValueOf<K> | undefined {
    const values = this.many(key);
    return this.isGiven(key) ? values.at(-1) : defaultValue(key, this.platform);
  }

  private check<K extends OptionKey>(key: K, item: Given): ValueOf<K> | undefined {
    const spec = OPTIONS[key] as { readonly name: string; readonly check?: Check<ValueOf<K>> };
    if (spec.check === undefined || item.text === undefined) return undefined;
    const checked = spec.check(item.text);
    if (checked.ok) return checked.value;
    const subject = item.origin === 'file' ? `${spec.name}: ` : '';
    const shown = checked.isSecret === true ? 'the value' : `"${escapeText(item.text, 80)}"`;
    const message = `${subject}${shown} is not ${checked.expected}`;
    this.problems.push({ where: item.where, kind: kindOf(item), message });
    return undefined;
  }
}

function kindOf(item: Given): Problem['kind'] {
  return item.origin === 'file' ? 'config' : 'usage';
}

/** Who believes that nothing is dropped must not be wrong. */
function checkQueue(config: Config, given: readonly Given[]): Problem[] {
  if (config.queueNum !== undefined) return [];
  const dry = given.filter(({ key }) => key === 'dryRun');
  const message =
    config.firewall === 'nft'
      ? 'dry-run works with NFQUEUE only (queue-num): nftables would drop all the same; ' +
        'to look first: "mxallowd nft-conf --learn"'
      : 'dry-run works with NFQUEUE only (queue-num, Linux): pf would drop all the same; ' +
        'see docs/pf.md for a way to look first';
  return dry.map((item) => ({ where: item.where, kind: kindOf(item), message }));
}

/** What is said there lets people in, and a password goes with it. */
function checkFleet({ fleetUrl, fleetInsecure, fleetCa }: Config, given: readonly Given[]): Problem[] {
  const at = (key: OptionKey, message: string): Problem[] => {
    return given
      .filter((item) => item.key === key)
      .map((item) => ({ where: item.where, kind: kindOf(item), message }));
  };
  if (fleetUrl === undefined) return [];
  if (!fleetUrl.isTls && !fleetInsecure && !isLocal(fleetUrl)) {
    const message =
      'fleet-url: without TLS (rediss://) whoever is on the way lets in whom he likes; fleet-insecure if that cannot be';
    return at('fleetUrl', message);
  }
  if (fleetCa !== undefined && !fleetUrl.isTls)
    return at('fleetCa', 'fleet-ca is for rediss:// only: fleet-url is without TLS');
  return [];
}

/** What a system, or a firewall, does not have. */
function checkFirewall(config: Config, given: readonly Given[], platform: NodeJS.Platform): Problem[] {
  const at = (key: OptionKey, message: string): Problem[] => {
    const item = given.findLast((one) => one.key === key);
    return item === undefined ? [] : [{ where: item.where, kind: kindOf(item), message }];
  };
  const named = given.findLast(({ key }) => key === 'firewall')?.text?.toLowerCase();
  if (platform !== 'linux' && (named === 'nft' || named === 'queue')) {
    return at('firewall', `firewall ${named} is for Linux: here it is pf`);
  }
  const { firewall, capture } = config;
  const fits =
    firewall === 'nft' ? ['auto', 'nflog', 'tcpdump'] : CAPTURE_NAMES.filter((one) => one !== 'nflog');
  if (firewall === 'queue' || capture === 'auto' || (fits as readonly string[]).includes(capture)) return [];
  return at('capture', `capture ${capture} is not for ${firewall}: one of ${fits.join(', ')}`);
}

/** What the firewall cannot do. */
function checkStrangers({ strangers, firewall }: Config, given: readonly Given[]): Problem[] {
  const message = strangersProblem(strangers, firewall);
  const last = given.findLast(({ key }) => key === 'strangers');
  if (message === undefined || last === undefined) return [];
  const subject = last.origin === 'file' ? 'strangers: ' : '';
  return [{ where: last.where, kind: kindOf(last), message: subject + message }];
}

function strangersProblem(strangers: Strangers, firewall: FirewallName): string | undefined {
  const shown = strangersText(strangers);
  if (firewall === 'pf' && strangers.kind === 'mark') {
    return `"${shown}" is for NFQUEUE (Linux): pf leads strangers to a port, write "redirect PORT" (docs/strangers.md)`;
  }
  if (firewall === 'queue' && strangers.kind === 'redirect') {
    return (
      `"${shown}" is for pf and nftables: NFQUEUE leads nobody to a port, but can mark packets for a rule of yours that does; ` +
      'write "mark N" (docs/strangers.md)'
    );
  }
  return undefined;
}

/**
 * What is captured: FreeBSD's pf logs whom it leads to another port with that port.
 */
function portFilter(port: number | undefined, strangers: Strangers): string {
  const other = strangers.kind === 'redirect' && strangers.port !== port ? ` or port ${strangers.port}` : '';
  return `port ${port}${other}`;
}

/** At least one of each, and none that is both. */
function checkServers(config: Config, given: readonly Given[], earlier: readonly Problem[]): Problem[] {
  const problems: Problem[] = [];
  const hasFile =
    given.some((item) => item.origin === 'file') || earlier.some((problem) => problem.kind === 'config');
  const kind = hasFile ? 'config' : 'usage';
  for (const key of ['fakeMailserver', 'realMailserver'] as const) {
    // an address that was given but is wrong has been reported already
    if (given.some((item) => item.key === key)) continue;
    const { name } = OPTIONS[key];
    const message = `no ${name} is given: at least one fake and one real mail server address is needed`;
    problems.push({ where: '', kind, message });
  }
  const both = config.fakeMailserver.filter((address) => config.realMailserver.includes(address));
  for (const address of new Set(both)) {
    problems.push({
      where: '',
      kind,
      message: `${formatAddress(address)} is given as fake and as real mail server`,
    });
  }
  return problems;
}

/**
 * Names of the options that differ between two configurations and that a running daemon cannot take over.
 */
export function needsRestart(before: Config, after: Config): string[] {
  return OPTION_LIST.filter(([key, spec]) => {
    if (spec.reloads === true || spec.commandLineOnly === true) return false;
    // the filter's default follows the port
    return JSON.stringify(before[key as keyof Config]) !== JSON.stringify(after[key as keyof Config]);
  }).map(([, spec]) => spec.name);
}

/** A running daemon's configuration with what it can take over of another one. */
export function takeOver(before: Config, after: Config): Config {
  const taken = OPTION_LIST.filter(([, spec]) => spec.reloads === true).map(([key]) => [
    key,
    after[key as keyof Config],
  ]);
  return { ...before, ...(Object.fromEntries(taken) as Partial<Config>) };
}

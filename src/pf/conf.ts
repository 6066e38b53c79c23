// The rules that mxallowd needs, as text. Pure.
import type { Config } from '../config/config.js';
import { type Address, familyOf, formatAddress, parseAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';

/** Whose pf. */
export type PfSystem = 'openbsd' | 'freebsd';

/** What the rules need to know. */
export interface RulesSpec {
  readonly system: PfSystem;
  /** where mail comes in: interfaces, or groups of them; at least one */
  readonly interfaces: readonly string[];
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  readonly port: number;
  readonly table: string;
  /** the anchor that the rules are for; empty: the main rule set */
  readonly anchor: string;
  /** pf's log interface */
  readonly logInterface: string;
  /** connections that the mail servers open are logged, too */
  readonly outbound: boolean;
  /** the last rule passes, so that one can look first */
  readonly learns: boolean;
  /** where strangers are led; undefined: they are dropped */
  readonly strangersPort: number | undefined;
  /** they are led to OpenBSD's spamd on this machine, and whom it has let in reaches the real MX */
  readonly spamd: boolean;
  /** `rdr-to` is known; FreeBSD before 15 has `rdr` rules for it, which are a text of their own */
  readonly knowsRdrTo: boolean;
  /** how to write the rules anew: the words of a command line */
  readonly command: readonly string[];
}

/** What of the rules stands in pf.conf already. */
export interface Present {
  readonly table: boolean;
  readonly reassembly: boolean;
}

/** The first line of what we write: a file that begins otherwise is not ours. */
export const GENERATED = '# pf rules for mxallowd. Generated: changes made here get lost.';

/** The interface where mail comes in unless one is named: OpenBSD's group of those with a default route. */
export const EGRESS = 'egress';

/** What may stand in a rule as the name of an interface or of a group of them. */
export const INTERFACE_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;

/** What `log (to IF)` takes. */
const LOG_INTERFACE = /^pflog\d{1,5}$/;
const TABLE_NAME = /^[A-Za-z0-9_.-]{1,31}$/;
const ANCHOR_PATH = /^[A-Za-z0-9_./-]*$/;
const MAX_WIDTH = 80;

/** What a configuration needs pf to do. */
export function rulesSpec(
  config: Config,
  rest: Pick<RulesSpec, 'system' | 'interfaces' | 'learns' | 'spamd' | 'knowsRdrTo' | 'command'>,
): RulesSpec {
  const { fakeMailserver, realMailserver, port, table, anchor, pflogInterface, outbound, strangers } = config;
  return {
    ...rest,
    outbound,
    fake: fakeMailserver,
    real: realMailserver,
    port,
    table,
    anchor,
    logInterface: pflogInterface,
    strangersPort: strangers.kind === 'redirect' ? strangers.port : undefined,
  };
}

/** Why there can be no rules for a log interface of this name; undefined: there can. */
export function logInterfaceProblem(name: string): string | undefined {
  return LOG_INTERFACE.test(name)
    ? undefined
    : `pflog-interface "${escapeText(name, 60)}": pf logs to interfaces named pflog0, pflog1, ... only`;
}

/**
 * The interfaces of this machine that have one of some addresses, without loopback interfaces.
 * @param machine - name of each interface and its addresses, as os.networkInterfaces() has them
 */
export function interfacesWith(
  addresses: readonly Address[],
  machine: Readonly<
    Record<string, readonly { readonly address: string; readonly internal: boolean }[] | undefined>
  >,
): string[] {
  const wanted = new Set(addresses.map(formatAddress));
  return Object.entries(machine)
    .filter(([, own = []]) => own.some(({ address, internal }) => !internal && wanted.has(address)))
    .map(([name]) => name)
    .filter((name) => INTERFACE_NAME.test(name));
}

/**
 * The text of the rules: what examples/pf.conf says, for one configuration. The rules come in an order that counts.
 * @param present - what is left out because pf.conf says it
 * @throws Error for a name that could mean something else to pfctl than a name (they have been checked before)
 */
export function rulesText(spec: RulesSpec, present: Present): string {
  checkNames(spec);
  const sections = [
    heading(spec),
    present.reassembly ? [] : reassemblySection(spec),
    present.table ? [] : ['# The table that mxallowd fills.', `table <${spec.table}> persist`],
    spec.spamd && !spec.learns ? ['# The table that spamd fills.', 'table <spamd-white> persist'] : [],
    ruleSection(spec),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

function checkNames({ interfaces, table, logInterface, anchor }: RulesSpec): void {
  const names: readonly (readonly [RegExp, string])[] = [
    ...interfaces.map((name) => [INTERFACE_NAME, name] as const),
    [TABLE_NAME, table],
    [LOG_INTERFACE, logInterface],
    [ANCHOR_PATH, anchor],
  ];
  for (const [pattern, name] of names) if (!pattern.test(name)) throw new Error(`not a name for pf: ${name}`);
  if (interfaces.length === 0) throw new Error('rules need an interface');
}

function heading({ command, system, anchor }: RulesSpec): string[] {
  const name = { openbsd: 'OpenBSD', freebsd: 'FreeBSD' }[system];
  return [
    GENERATED,
    `# To write it anew, for ${name}:`,
    `#   ${command.map(shellWord).join(' ')}`,
    ...(anchor === '' ? [] : anchorHint(anchor)),
  ];
}

/** A word as a shell takes it; the text stays on its line, in any case. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${escapeText(word).replaceAll("'", String.raw`'\''`)}'`;
}

function anchorHint(anchor: string): string[] {
  return [
    '# These are the rules of an anchor. pf.conf needs, before its first quick rule:',
    `#   anchor "${anchor}"`,
    `#   load anchor "${anchor}" from "FILE"`,
    '# and, above all rules, what puts fragments together (examples/pf.conf).',
  ];
}

function reassemblySection(spec: RulesSpec): string[] {
  if (spec.anchor !== '') return [];
  const where = spec.system === 'freebsd' ? ' This goes ahead of nat and rdr.' : '';
  return [`# No SYN slips past in fragments.${where}`, reassemblyLine(spec)];
}

/** The line that has fragments put together before rules look at them. */
export function reassemblyLine({ system, interfaces }: Pick<RulesSpec, 'system' | 'interfaces'>): string {
  if (system === 'openbsd') return 'set reassemble yes';
  return `scrub in on ${list(interfaces)} all fragment reassemble`;
}

function ruleSection(spec: RulesSpec): string[] {
  const { table, real, fake } = spec;
  return [
    '# Who is in the table reaches the real MX.',
    ...rule(spec, 'pass', real, `from <${table}> `),
    '# The fake MX sends everybody on to the next MX.',
    ...rule(spec, 'block return', fake),
    ...(spec.learns
      ? ['# For now (--learn) the others get in as well: look who they are.', ...rule(spec, 'pass', real)]
      : strangerRules(spec)),
    ...(spec.outbound
      ? ['# To whom the mail servers connect is let in (outbound).', ...outboundRule(spec)]
      : []),
  ];
}

/** Only from the mail servers themselves: it is quick, and must not open the way for others. */
function outboundRule({ logInterface, interfaces, port, real }: RulesSpec): string[] {
  const head = `pass out ${logWord(logInterface)} quick on ${list(interfaces)} proto tcp `;
  return fitted(head, `from ${list(addressList(real))} to any port ${port}`);
}

function strangerRules(spec: RulesSpec): string[] {
  const { strangersPort: target, real, knowsRdrTo, spamd } = spec;
  const drop = ['# The others get no answer, and try again.', ...rule(spec, 'block drop', real)];
  if (target === undefined) return drop;
  if (spamd) return spamdRules(spec, target);
  if (knowsRdrTo) {
    const each = real.flatMap((address) => redirection(spec, address, address, target));
    return [`# The others are led to port ${target}.`, ...each];
  }
  return [
    `# The others are led to port ${target}, by rdr lines in a file of their own.`,
    ...rule({ ...spec, port: target }, 'pass', real),
    '# Without those lines they get no answer.',
    ...rule(spec, 'block drop', real),
  ];
}

/** spamd speaks IPv4 only. What its own tables let in is logged for spamlogd, which reads pflog0. */
function spamdRules(spec: RulesSpec, target: number): string[] {
  const [real4, real6] = [4, 6].map((family) => spec.real.filter((address) => familyOf(address) === family));
  const localhost = parseAddress('127.0.0.1');
  if (localhost === undefined || real4 === undefined || real6 === undefined) throw new Error('no address');
  return [
    ...(real4.length === 0
      ? []
      : [
          '# Whom spamd has let in reaches the real MX; spamlogd sees it.',
          ...rule({ ...spec, logInterface: 'pflog0' }, 'pass', real4, 'from <spamd-white> '),
          '# The others are led to spamd.',
          ...real4.flatMap((address) => redirection(spec, address, localhost, target)),
        ]),
    ...(real6.length === 0
      ? []
      : ['# spamd knows no IPv6: there the others get no answer.', ...rule(spec, 'block drop', real6)]),
  ];
}

function redirection(spec: RulesSpec, from: Address, to: Address, target: number): string[] {
  const family = familyOf(from) === 4 ? 'inet ' : 'inet6 ';
  const lines = rule(spec, 'pass', [from], '', family);
  return [...lines.slice(0, -1), `${lines.at(-1)} \\`, `    rdr-to ${formatAddress(to)} port ${target}`];
}

/**
 * What FreeBSD before 15 needs ahead of its filter rules to lead strangers to their port: a text of its own.
 * @throws Error for a name that could mean something else to pfctl than a name
 */
export function rdrText(spec: RulesSpec): string {
  checkNames(spec);
  const { interfaces, table, real, port, strangersPort = port } = spec;
  const lines = real.map((address) => {
    const family = familyOf(address) === 4 ? 'inet' : 'inet6';
    const text = formatAddress(address);
    const head = `rdr on ${list(interfaces)} ${family} proto tcp from ! <${table}> to ${text} port ${port} \\`;
    return `${head}\n    -> ${text} port ${strangersPort}`;
  });
  return [
    ...heading(spec).slice(0, 1),
    '# This goes behind nat, and ahead of the filter rules.',
    '',
    `# Who is not in the table is led to port ${strangersPort}.`,
    ...lines,
    '',
  ].join('\n');
}

function rule(
  { logInterface, interfaces, port }: RulesSpec,
  action: string,
  destinations: readonly Address[],
  source = '',
  family = '',
): string[] {
  const head = `${action} in ${logWord(logInterface)} quick on ${list(interfaces)} ${family}proto tcp ${source}`;
  return fitted(head, `to ${list(addressList(destinations))} port ${port}`);
}

function logWord(logInterface: string): string {
  return logInterface === 'pflog0' ? 'log' : `log (to ${logInterface})`;
}

function addressList(addresses: readonly Address[]): string[] {
  return [...new Set(addresses.map(formatAddress))];
}

/** A rule as one line, or as several that go on. */
function fitted(head: string, tail: string): string[] {
  if (head.length + tail.length <= MAX_WIDTH) return [head + tail];
  return [`${head}\\`, ...folded(tail)];
}

/** Breaks a line between words, with a backslash at the end of all but the last. */
function folded(text: string): string[] {
  const lines: string[] = [];
  let line = '   ';
  for (const word of text.split(' ')) {
    if (line.length + word.length + 3 > MAX_WIDTH) {
      lines.push(`${line} \\`);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function list(items: readonly string[]): string {
  const [only = ''] = items;
  return items.length === 1 ? only : `{ ${items.join(' ')} }`;
}

/** What goes into pf.conf. */
export interface IncludeSpec {
  readonly system: PfSystem;
  /** how messages name pf.conf */
  readonly file: string;
  /** absolute path of the rules file; without quotes, blanks and backslashes */
  readonly rules: string;
  readonly table: string;
  readonly port: number;
  readonly interfaces: readonly string[];
}

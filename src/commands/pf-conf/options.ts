// The options of `mxallowd pf-conf`, checked.
import { resolve } from 'node:path';
import type { Given } from '../../config/config.js';
import { OPTIONS } from '../../config/options.js';
import type { Problem } from '../../config/problem.js';
import { escapeText } from '../../packet/escape.js';
import { INTERFACE_NAME, type PfSystem } from '../../pf/conf.js';
import {
  collectOptions,
  type ExtraOption,
  extraValues,
  type ParsedArguments,
  wordsOf,
} from '../arguments.js';

/** Options of `mxallowd pf-conf`. */
export const PF_CONF_OPTIONS: readonly ExtraOption[] = [
  {
    name: 'os',
    value: 'SYSTEM',
    help: 'openbsd, freebsd, or freebsd14 and the like',
    defaultText: 'this system',
  },
  {
    name: 'interface',
    value: 'IF',
    help: 'where mail comes in (repeatable)',
    defaultText: 'OpenBSD: egress; FreeBSD: by address',
  },
  { name: 'spamd', help: "strangers are led to OpenBSD's spamd on this machine" },
  { name: 'rdr', help: 'print what FreeBSD before 15 needs ahead of the rules' },
  { name: 'learn', help: 'the last rule lets everybody in: to look first' },
  { name: 'install', help: 'write the rules, include them in pf.conf, load them' },
  { name: 'uninstall', help: 'take the include and the rules away again' },
  { name: 'yes', help: 'install or uninstall without asking' },
  { name: 'rules', value: 'PATH', help: 'file for the rules', defaultText: '/etc/pf.mxallowd.conf' },
  { name: 'pf-conf', value: 'PATH', help: 'the main file of pf', defaultText: '/etc/pf.conf' },
];

/** What a command line of `mxallowd pf-conf` asks for. */
export interface Wish {
  readonly act: 'print' | 'install' | 'uninstall';
  readonly system: PfSystem;
  /** FreeBSD has it since 15 */
  readonly knowsRdrTo: boolean;
  readonly spamd: boolean;
  /** the `rdr` rules are wanted instead of the others */
  readonly rdr: boolean;
  /** empty: not given */
  readonly interfaces: readonly string[];
  readonly learns: boolean;
  readonly yes: boolean;
  readonly rules: string;
  readonly main: string;
  /** the command line that writes the rules anew */
  readonly command: readonly string[];
}

const SYSTEMS: readonly PfSystem[] = ['openbsd', 'freebsd'];
/** Nothing in it can mean something to pfctl between quotes. */
const PLAIN_PATH = /^\/[\w.+@:,/-]*[\w+@:,-]$/;

/**
 * Reads the command line.
 * @param platform - the system that this runs on
 * @param release - of that system, as os.release() has it
 * @returns what is wanted, undefined if that cannot be told; what is wrong; and the options of the daemon
 */
export function readWish(
  argv: ParsedArguments,
  platform: NodeJS.Platform,
  release: string,
): { wish: Wish | undefined; given: Given[]; problems: Problem[] } {
  const { given, problems } = collectOptions(argv, 'all', PF_CONF_OPTIONS);
  const wrong = (where: string, message: string): void =>
    void problems.push({ where, kind: 'usage', message });
  for (const word of wordsOf(argv).slice(1)) wrong('', `"${escapeText(word, 60)}" is not an option`);
  const last = (name: string): string | undefined => extraValues(argv, name).at(-1);
  const path = (name: string): string => {
    const value = last(name) ?? PF_CONF_OPTIONS.find((option) => option.name === name)?.defaultText ?? '';
    if (!PLAIN_PATH.test(value)) {
      wrong(`--${name}`, `"${escapeText(value, 80)}" is not an absolute path of letters, digits and ._+@:,-`);
    }
    return value;
  };
  const interfaces = extraValues(argv, 'interface');
  for (const name of interfaces.filter((value) => !INTERFACE_NAME.test(value))) {
    wrong('--interface', `"${escapeText(name, 60)}" is not the name of an interface or a group`);
  }
  const paths = { rules: path('rules'), main: path('pf-conf') };
  const act = actOf(argv);
  if (act === undefined) wrong('', '--install and --uninstall exclude each other');
  const named = last('os');
  const { name: systemName, version } = systemOf(
    named ?? (platform === 'freebsd' ? platform + release : platform),
  );
  const system = SYSTEMS.find((name) => name === systemName);
  if (system === undefined) {
    if (named === undefined)
      wrong('', `there is no pf on ${platform}: say whom the rules are for, --os openbsd or --os freebsd`);
    else wrong('--os', `"${escapeText(named, 60)}" is neither openbsd nor freebsd`);
  } else if (act !== undefined && act !== 'print' && system !== platform && last('pf-conf') === undefined) {
    wrong('', `--${act} is for the machine with pf (for another place name --os and --pf-conf)`);
  }
  if (act === undefined || system === undefined) return { wish: undefined, given, problems };
  const command = commandOf(argv, given);
  const switches = {
    learns: argv['learn'] === true,
    yes: argv['yes'] === true,
    spamd: argv['spamd'] === true,
    rdr: argv['rdr'] === true,
    knowsRdrTo: system === 'openbsd' || version === undefined || version >= RDR_TO_SINCE,
  };
  return { wish: { act, system, interfaces, ...switches, ...paths, command }, given, problems };
}

/** The release of FreeBSD whose pf knows `rdr-to`. */
const RDR_TO_SINCE = 15;

/** `freebsd14`, `freebsd-14.2`: the system, and the first number of its release. */
function systemOf(text: string): { name: string; version: number | undefined } {
  const [, name, version] = /^(freebsd)-?(\d{1,3})(?:[.-].*)?$/i.exec(text) ?? [];
  if (name === undefined) return { name: text.toLowerCase(), version: undefined };
  return { name: name.toLowerCase(), version: Number(version) };
}

function actOf(argv: ParsedArguments): Wish['act'] | undefined {
  const [installs, uninstalls] = [argv['install'] === true, argv['uninstall'] === true];
  if (installs && uninstalls) return undefined;
  return installs ? 'install' : uninstalls ? 'uninstall' : 'print';
}

/** The same command line, to install; without the question whether to ask. */
function commandOf(argv: ParsedArguments, given: readonly Given[]): string[] {
  const options = given.flatMap(({ key, text }) => {
    const value = key === 'config' && text !== undefined ? resolve(text) : text;
    return [`--${OPTIONS[key].name}`, ...(value === undefined ? [] : [value])];
  });
  const extra = PF_CONF_OPTIONS.flatMap(({ name, value }) => {
    if (['install', 'uninstall', 'yes', 'rdr'].includes(name)) return [];
    if (value === undefined) return argv[name] === true ? [`--${name}`] : [];
    return extraValues(argv, name).flatMap((text) => [`--${name}`, text]);
  });
  return ['mxallowd', 'pf-conf', '--install', ...extra, ...options];
}

// The command line as yargs and 1.9's getopt_long(3) read it.
import type { Given } from '../config/config.js';
import { defaultTextOn, OPTION_LIST, type OptionSpec } from '../config/options.js';
import { type Problem, suggestion } from '../config/problem.js';
import { escapeText } from '../packet/escape.js';
import type { Argv } from 'yargs';

/** An option that only one command has, and no file. */
export interface ExtraOption {
  readonly name: string;
  readonly letters?: readonly string[];
  /** what stands for the value in help texts; absent: a switch without value */
  readonly value?: string;
  readonly defaultText?: string;
  readonly help: string;
}

/**
 * Whose options of the table: the daemon's, those for judging a recording, those for asking a running daemon, or none
 * at all.
 */
export type OptionSet = 'all' | 'replay' | 'client' | 'none';

/** What yargs found on the command line. */
export type ParsedArguments = Readonly<Record<string, unknown>>;

/** What stands on the command line beside the options: the command's name, if any, first. */
export function wordsOf(argv: ParsedArguments): string[] {
  return [argv['_'] ?? []].flat().map(String);
}

/** Adds the options of a command alone, which stand first in its help, and those of a set of the option table. */
export function addOptions(yargs: Argv, which: OptionSet, extra: readonly ExtraOption[] = []): Argv {
  for (const { name, letters, value, defaultText, help } of extra) {
    yargs.option(name, {
      alias: [...(letters ?? [])],
      type: value === undefined ? 'boolean' : 'string',
      requiresArg: value !== undefined,
      describe: help,
      ...(defaultText === undefined ? {} : { defaultDescription: defaultText }),
    });
  }
  yargs.group(
    extra.map(({ name }) => name),
    'Options:',
  );
  for (const spec of specs(which)) {
    yargs.option(spec.name, {
      ...(spec.letters === undefined ? {} : { alias: [...spec.letters] }),
      type: spec.value === undefined ? 'boolean' : 'string',
      requiresArg: spec.value !== undefined,
      describe: spec.help,
      group: `${spec.group}:`,
      ...defaultDescription(spec),
    });
  }
  return yargs;
}

/** The values of an option that only one command has. */
export function extraValues(argv: ParsedArguments, name: string): string[] {
  return [argv[name] ?? []].flat().map(String);
}

/**
 * Takes the options out of what yargs found.
 * @returns what was given, and the names that are not known
 */
export function collectOptions(
  argv: ParsedArguments,
  which: OptionSet,
  extra: readonly ExtraOption[] = [],
): { given: Given[]; problems: Problem[] } {
  const given: Given[] = [];
  for (const [key, spec] of OPTION_LIST) {
    if (!belongs(spec, which)) continue;
    const where = `--${spec.name}`;
    const value = argv[spec.name];
    if (value === undefined || value === false) continue;
    if (spec.value === undefined) given.push({ key, text: undefined, where, origin: 'command line' });
    for (const text of spec.value === undefined ? [] : [value as string | string[]].flat()) {
      given.push({ key, text, where, origin: 'command line' });
    }
  }
  return { given, problems: unknownOptions(argv, which, extra) };
}

function defaultDescription(spec: OptionSpec): { defaultDescription?: string } {
  const text = defaultTextOn(spec, process.platform);
  return text === undefined ? {} : { defaultDescription: text };
}

function unknownOptions(argv: ParsedArguments, which: OptionSet, extra: readonly ExtraOption[]): Problem[] {
  const names = [...specs(which), ...extra].flatMap((spec) => [spec.name, ...(spec.letters ?? [])]);
  const known = new Set(['_', '$0', 'help', 'h', 'version', 'V', ...names]);
  const longNames = [...names, 'help', 'version'].filter((name) => name.length > 1);
  return Object.keys(argv)
    .filter((key) => !known.has(key))
    .map((key) => {
      const dashes = key.length === 1 ? '-' : '--';
      const isDaemons = which !== 'all' && isOptionOfDaemon(key);
      const unknown = `unknown option${key.length === 1 ? '' : suggestion(key, longNames)}`;
      const message = isDaemons ? 'an option of the daemon, not of this command' : unknown;
      return { where: `${dashes}${escapeText(key, 60)}`, kind: 'usage', message };
    });
}

function isOptionOfDaemon(key: string): boolean {
  return OPTION_LIST.some(([, spec]) => spec.name === key || spec.letters?.includes(key) === true);
}

function specs(which: OptionSet): OptionSpec[] {
  return OPTION_LIST.map(([, spec]) => spec).filter((spec) => belongs(spec, which));
}

function belongs(spec: OptionSpec, which: OptionSet): boolean {
  switch (which) {
    case 'all':
      return true;
    case 'replay':
      return spec.forReplay === true;
    case 'client':
      return spec.forClient === true;
    case 'none':
      return false;
  }
}

/** The long options of 1.9, which getopt_long let people shorten. */
const NAMES_OF_1_9 = [
  'fake-mailserver',
  'real-mailserver',
  'whitelist-time',
  'no-rdns-whitelist',
  'config',
  'foreground',
  'stdout',
  'quiet',
  'queue-num',
  'pflog-interface',
  'pcap-filter',
  'help',
];

/** Options of single commands that are the beginning of such a name as well, with the command: `allow --for`. */
const NOT_SHORTENED: Readonly<Record<string, string>> = { for: 'allow' };

/**
 * Rewrites what getopt_long(3) takes and yargs does not: `-f192.0.2.3`, `-Fqt60`, and long names of 1.9 cut short.
 * @param args - the command line after the program's name
 */
export function expandGetopt(args: readonly string[]): string[] {
  const withValue = new Set<string>();
  const all = new Set<string>();
  for (const [, spec] of OPTION_LIST) {
    for (const letter of spec.letters ?? []) {
      all.add(letter);
      if (spec.value !== undefined) withValue.add(letter);
    }
  }
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const options = args.slice(0, end);
  const expanded: string[] = [];
  for (let index = 0; index < end; index++) {
    const arg = options[index] ?? '';
    if (/^-[A-Za-z]./.test(arg) && all.has(arg.charAt(1))) {
      const pieces = splitCluster(arg.slice(1), withValue);
      expanded.push(...pieces);
      if (hasValueNext(pieces.at(-1) ?? '')) expanded.push(...options.slice(++index, index + 1));
    } else {
      const whole = arg.startsWith('--') ? completeName(arg, options) : arg;
      expanded.push(whole);
      if (hasValueNext(whole)) expanded.push(...options.slice(++index, index + 1));
    }
  }
  return [...expanded, ...args.slice(end)];
}

/**
 * Puts the command first, where yargs looks for it: behind a switch it would be taken for that one's value.
 * @param args - as {@link expandGetopt} makes them
 */
export function commandFirst(args: readonly string[], names: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  for (let index = 0; index < end; index++) {
    const arg = args[index] ?? '';
    if (names.includes(arg)) return [arg, ...args.slice(0, index), ...args.slice(index + 1)];
    if (hasValueNext(arg)) index++;
  }
  return [...args];
}

/** Whether an argument is an option of the table whose value is the next one. */
function hasValueNext(arg: string): boolean {
  return OPTION_LIST.some(
    ([, { name, letters, value }]) =>
      value !== undefined &&
      (arg === `--${name}` || letters?.some((letter) => arg === `-${letter}`) === true),
  );
}

function splitCluster(letters: string, withValue: ReadonlySet<string>): string[] {
  const pieces: string[] = [];
  for (let i = 0; i < letters.length; i++) {
    const letter = letters.charAt(i);
    pieces.push(`-${letter}`);
    if (!withValue.has(letter)) continue;
    const rest = letters.slice(i + 1).replace(/^=/, '');
    if (rest !== '') pieces.push(rest);
    break;
  }
  return pieces;
}

function completeName(arg: string, options: readonly string[]): string {
  const [name = '', ...value] = arg.slice(2).split('=');
  const command = Object.hasOwn(NOT_SHORTENED, name) ? NOT_SHORTENED[name] : undefined;
  const isCommands = command !== undefined && options.includes(command);
  const isWhole = isCommands || OPTION_LIST.some(([, spec]) => spec.name === name);
  const candidates = NAMES_OF_1_9.filter((candidate) => candidate.startsWith(name));
  if (isWhole || name === '' || candidates.length !== 1) return arg;
  return ['--' + String(candidates[0]), ...value].join('=');
}

// Options on the command line: what yargs is told of them, and what it found.
import type { Given } from '../config/config.js';
import { defaultTextOn, OPTION_LIST, type OptionKey, type OptionSpec, worksOn } from '../config/options.js';
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
 * Whose options of the table: the daemon's, those for judging a recording, those for asking a running daemon, those for
 * asking DNS, or none at all.
 */
export type OptionSet = 'all' | 'replay' | 'client' | 'dns' | 'none';

/** What yargs found on the command line. */
export type ParsedArguments = Readonly<Record<string, unknown>>;

/** What stands on the command line beside the options: the command's name, if any, first. */
export function wordsOf(argv: ParsedArguments): string[] {
  return [argv['_'] ?? []].flat().map(String);
}

/** Which options a command takes, and shows in its help. */
export interface TakenOptions {
  /** those of the option table that it takes */
  readonly optionSet: OptionSet;
  /** those of them that its help shows; absent: all */
  readonly shown?: readonly OptionKey[];
  /** beside those */
  readonly options: readonly ExtraOption[];
}

/**
 * Adds the options of a command. Its help shows its own ones first, and of the option table what matters to it and
 * can have an effect on this system; a last line tells where the others are described.
 */
export function addOptions(yargs: Argv, taken: TakenOptions, platform: NodeJS.Platform): Argv {
  const { optionSet, options, shown } = taken;
  const isDaemon = optionSet === 'all' && shown === undefined;
  const heading = 'Options:';
  for (const { name, letters, value, defaultText, help } of options) {
    yargs.option(name, {
      alias: [...(letters ?? [])],
      type: value === undefined ? 'boolean' : 'string',
      requiresArg: value !== undefined,
      describe: describe(help, defaultText),
      group: heading,
    });
  }
  for (const [key, spec] of OPTION_LIST.filter(([, one]) => belongs(one, optionSet))) {
    yargs.option(spec.name, {
      alias: [...(spec.letters ?? [])],
      type: spec.value === undefined ? 'boolean' : 'string',
      requiresArg: spec.value !== undefined,
      describe: describe(spec.help, defaultTextOn(spec, platform)),
      group: isDaemon ? `${spec.group}:` : heading,
      hidden: !worksOn(spec, platform) || (shown !== undefined && !shown.includes(key)),
    });
  }
  return yargs
    .group(['help', 'version'], isDaemon ? 'Help:' : heading)
    .epilogue(whereTheRestIs(taken, platform));
}

function describe(help: string, defaultText: string | undefined): string {
  return defaultText === undefined ? help : `${help} (default: ${defaultText})`;
}

function whereTheRestIs({ optionSet, shown }: TakenOptions, platform: NodeJS.Platform): string {
  if (optionSet === 'all') {
    if (shown !== undefined)
      return 'It takes all options of the daemon: see "mxallowd --help" and mxallowd(8).';
    return platform === 'linux'
      ? 'Options for pf (OpenBSD, FreeBSD) are in mxallowd(8).'
      : 'Options for Linux (nftables, NFQUEUE) are in mxallowd(8).';
  }
  const others = OPTION_LIST.filter(
    ([key, spec]) => belongs(spec, optionSet) && shown?.includes(key) === false,
  );
  const names = others.map(([, { name }]) => `--${name}`).join(', ');
  return names === '' ? '' : `Of the daemon's options (mxallowd --help) it takes ${names}, too.`;
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
    case 'dns':
      return spec.forDns === true;
    case 'none':
      return false;
  }
}

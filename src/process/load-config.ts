// Reads the configuration file, and combines it with the command line.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Config, type Given, resolveConfig, type Target } from '../config/config.js';
import { parseConfigFile } from '../config/file.js';
import { firewallsOf, type OptionKey, OPTIONS } from '../config/options.js';
import { formatProblem, type Problem } from '../config/problem.js';
import { complain } from '../log/outputs.js';
import { Exit } from '../sysexits.js';
import { packageFolder } from '../version.js';
import { systemWords } from '../words.js';

/** The configuration of this run, or all that is wrong with it and the exit status for that. */
export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly remarks: readonly Problem[];
      readonly path: string | undefined;
    }
  | {
      readonly ok: false;
      /** warnings about the file come with what is wrong */
      readonly problems: readonly Problem[];
      readonly exitStatus: number;
    };

/** The text of a configuration file, or why there is none, and the exit status if that is to be told. */
interface ConfigText {
  readonly text: string | undefined;
  readonly problems: Problem[];
  readonly exitStatus: number;
}

/** A configuration file is small; something larger is not one. */
const MAX_FILE = 1 << 20;

/**
 * Reads the configuration file and combines it with the command line. The default file may be missing.
 * @param given - from the command line
 * @param problems - found on the command line already
 * @param target - what the configuration is for
 */
export function loadConfig(
  given: readonly Given[],
  problems: readonly Problem[],
  target: Target = process.platform,
): LoadedConfig {
  const named = given.findLast((item) => item.key === 'config')?.text;
  const path = resolve(named ?? OPTIONS.config.defaultText ?? '');
  const file = readConfigFile(path, named !== undefined);
  const parsed = file.text === undefined ? undefined : parseConfigFile(path, file.text);
  const result = resolveConfig(
    [...(parsed?.given ?? []), ...given],
    [...problems, ...file.problems, ...(parsed?.problems ?? [])],
    target,
  );
  if (result.ok) {
    const all = target === 'replay' ? [] : [...(parsed?.given ?? []), ...given];
    const idle = all.flatMap((item) => withoutEffect(item, result.config));
    const remarks = [...(parsed?.remarks ?? []), ...idle];
    return { ok: true, config: result.config, remarks, path: parsed && path };
  }
  // what is missing altogether need not be told where no file could be read and the command line is wrong: it drowns that
  const hasFile = named !== undefined || file.text !== undefined;
  const isWrong =
    !hasFile && (problems.length > 0 || result.problems.some(({ where }) => where.startsWith('-')));
  const told =
    file.problems.length === 0 && !isWrong
      ? result.problems
      : result.problems.filter((problem) => problem.where !== '' || problems.includes(problem));
  const isMissing = told.some((problem) => problem.where === '' && !problems.includes(problem));
  if (!hasFile && isMissing && !given.some(({ key }) => SERVERS.has(key))) {
    return { ok: false, problems: nothingGiven(path), exitStatus: Exit.CONFIG };
  }
  // what a file that is there lacks is the file's mistake, were it empty
  const isOfFile = ({ where }: Problem): boolean => where === '' && file.text !== undefined;
  const isUsage = told.some(
    (problem) => problem.kind === 'usage' && (!isOfFile(problem) || problems.includes(problem)),
  );
  return {
    ok: false,
    problems: inOrderOfLines([...told, ...(parsed?.remarks ?? []).map(asWarning)]),
    exitStatus: isUsage ? Exit.USAGE : file.exitStatus,
  };
}

const SERVERS: ReadonlySet<OptionKey> = new Set<OptionKey>(['fakeMailserver', 'realMailserver']);

/** Somebody has just installed it, or looks at it for the first time. */
function nothingGiven(path: string): Problem[] {
  const example = join(packageFolder(), 'examples', 'mxallowd.conf');
  return [
    { where: path, kind: 'config', message: 'there is no such file, and no addresses on the command line' },
    { where: '', kind: 'config', message: `begin with ${example}, or give both: -f FAKE-IP -r REAL-IP` },
  ];
}

function asWarning(remark: Problem): Problem {
  return { ...remark, message: `warning: ${remark.message}` };
}

/** What each firewall is called. */
const FIREWALL_TITLES: Readonly<Record<Config['firewall'], string>> = {
  pf: 'pf',
  nft: 'nftables',
  queue: 'NFQUEUE',
};

/** What somebody gave who thought of another kind of firewall. */
function withoutEffect({ where, key }: Given, { firewall }: Config): Problem[] {
  const { name } = OPTIONS[key];
  const firewalls = firewallsOf(OPTIONS[key]);
  if (firewalls === undefined || firewalls.includes(firewall)) return [];
  const whose = firewalls.map((one) => FIREWALL_TITLES[one]).join(' and ');
  const message = `${name} is for ${whose}; here ${FIREWALL_TITLES[firewall]} decides`;
  return [{ where, kind: 'config', message }];
}

/** What is wrong on the command line first, then in the file in the order of its lines, then what is missing. */
function inOrderOfLines(problems: readonly Problem[]): Problem[] {
  const line = ({ where }: Problem): number =>
    Number(/:(\d+)$/.exec(where)?.[1] ?? (where.startsWith('-') ? 0 : 1e9));
  return [...problems].sort((a, b) => line(a) - line(b));
}

/** Prints problems to standard error, a line each. */
export function printProblems(problems: readonly Problem[]): void {
  for (const problem of problems) complain(formatProblem(problem));
}

/**
 * Reads the text of a configuration file.
 * @param mustExist - otherwise a missing one is no problem, and has no text
 */
export function readConfigFile(path: string, mustExist: boolean): ConfigText {
  const unusable = (message: string, exitStatus: number): ConfigText => {
    return { text: undefined, problems: [{ where: path, kind: 'config', message }], exitStatus };
  };
  try {
    const text = readFileSync(path, 'latin1');
    if (text.length > MAX_FILE) return unusable('too large for a configuration file', Exit.CONFIG);
    return { text, problems: [], exitStatus: Exit.CONFIG };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !mustExist) return { text: undefined, problems: [], exitStatus: Exit.CONFIG };
    return code === 'EACCES'
      ? unusable(`${systemWords(error)}: root may read it`, Exit.NOPERM)
      : unusable(systemWords(error), Exit.CONFIG);
  }
}

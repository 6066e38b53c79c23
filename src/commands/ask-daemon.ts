// What the commands that ask a running daemon share.
import type { Given } from '../config/config.js';
import type { Problem } from '../config/problem.js';
import type { Check } from '../config/values.js';
import { ask, type AskProblem, type Question } from '../control/client.js';
import type { ControlCommand, ControlResults } from '../control/protocol.js';
import { parsePrefix, type Prefix } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { Exit } from '../sysexits.js';
import { type ExtraOption, type ParsedArguments, wordsOf } from './arguments.js';
import { printProblems } from '../process/load-config.js';
import { locateSocket } from './locate-socket.js';

/** A switch of all commands that ask the daemon. */
export const JSON_OPTION: ExtraOption = { name: 'json', help: 'print JSON, for programs' };

/** Whether JSON is to be printed. */
export function wantsJson(argv: ParsedArguments): boolean {
  return argv['json'] === true;
}

/**
 * The value of an option that only this command has; the last one counts.
 * @param problems - what is wrong with it is added
 * @returns undefined when it is not given, or wrong
 */
export function extraValue<T>(
  argv: ParsedArguments,
  name: string,
  check: Check<T>,
  problems: Problem[],
): T | undefined {
  const value = [argv[name] ?? []].flat().at(-1);
  if (typeof value !== 'string') return undefined;
  const checked = check(value);
  if (checked.ok) return checked.value;
  const message = `"${escapeText(value, 80)}" is not ${checked.expected}`;
  problems.push({ where: `--${name}`, kind: 'usage', message });
  return undefined;
}

const PREFIX_TROUBLE = {
  'not-an-address': 'is not an address, nor a network such as 192.0.2.0/24',
  'bad-length': 'has a bad prefix length',
  'host-bits': 'has bits behind its prefix length',
} as const;

/**
 * Reads the addresses and networks behind the command's name.
 * @param problems - what is wrong with them is added
 */
export function prefixesOf(argv: ParsedArguments, problems: Problem[]): Prefix[] {
  return wordsOf(argv)
    .slice(1)
    .flatMap((word) => {
      const parsed = parsePrefix(word);
      if (parsed.ok) return [parsed.prefix];
      const message = `"${escapeText(word, 60)}" ${PREFIX_TROUBLE[parsed.reason]}`;
      problems.push({ where: '', kind: 'usage', message });
      return [];
    });
}

/** The one address or network behind the command's name. */
export function onePrefix(argv: ParsedArguments, problems: Problem[]): Prefix | undefined {
  const prefixes = prefixesOf(argv, problems);
  const [command = '', ...words] = wordsOf(argv);
  if (words.length !== 1) {
    const shown = escapeText(words.join(' '), 60);
    const message =
      words.length === 0
        ? `${command} needs an address: mxallowd ${command} ADDRESS`
        : `${command} needs one address, not "${shown}"`;
    problems.push({ where: '', kind: 'usage', message });
  }
  return prefixes[0];
}

/** For a command that takes nothing but options. */
export function noWords(argv: ParsedArguments, problems: Problem[]): void {
  const [command = '', ...words] = wordsOf(argv);
  for (const word of words) {
    const message = `${command} takes options only, not "${escapeText(word, 60)}"`;
    problems.push({ where: '', kind: 'usage', message });
  }
}

/**
 * Finds the control socket; what hinders is printed.
 * @returns its path, or an exit status
 */
export function socketOrStatus(given: readonly Given[], problems: readonly Problem[]): string | number {
  const socket = locateSocket(given, problems, process.platform);
  if (socket.ok) return socket.path;
  printProblems(socket.problems);
  return socket.exitStatus;
}

/** A daemon that ends in good order, for those who watch it. */
export const DAEMON_ENDED: AskProblem = {
  ok: false,
  exitStatus: Exit.UNAVAILABLE,
  message: 'mxallowd has ended',
};

/** Prints why there is no answer, and gives the exit status for it. */
export function printAskProblem({ message, exitStatus }: AskProblem): number {
  for (const line of message.split('\n')) process.stderr.write(`mxallowd: ${line}\n`);
  return exitStatus;
}

/** Prints lines to standard output. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/**
 * Asks a question that has no items, and prints the answer.
 * @param problems - found on the command line already
 * @param request - undefined when the problems leave nothing to ask
 * @param lines - the answer for people
 * @param status - the exit status that the answer means
 * @param complete - adds to the answer what we can know and the daemon cannot
 */
export async function askAndPrint<C extends ControlCommand>(
  argv: ParsedArguments,
  { given, problems }: { readonly given: readonly Given[]; readonly problems: readonly Problem[] },
  request: Question<C>['request'] | undefined,
  lines: (result: ControlResults[C]) => readonly string[],
  status: (result: ControlResults[C]) => number = () => Exit.OK,
  complete: (result: ControlResults[C]) => ControlResults[C] = (result) => result,
): Promise<number> {
  const path = socketOrStatus(given, problems);
  if (typeof path === 'number') return path;
  if (request === undefined) return Exit.USAGE;
  const answer = await ask<C>({ path, request });
  if (!answer.ok) return printAskProblem(answer);
  const result = complete(answer.result);
  printLines(wantsJson(argv) ? [JSON.stringify(result)] : lines(result));
  return status(result);
}

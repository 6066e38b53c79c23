// `mxallowd forget`.
import type { Problem } from '../config/problem.js';
import type { Question } from '../control/client.js';
import type { ControlResults } from '../control/protocol.js';
import { formatPrefix } from '../packet/address.js';
import { Exit } from '../sysexits.js';
import { askYesNo } from '../terminal/ask.js';
import { counted } from '../terminal/human.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from './arguments.js';
import { askAndPrint, JSON_OPTION, noWords, onePrefix } from './ask-daemon.js';
import type { Command } from './command.js';

const OPTIONS: readonly ExtraOption[] = [
  { name: 'all', help: 'everybody who is whitelisted' },
  { name: 'yes', help: 'everybody, without asking' },
  JSON_OPTION,
];

/** `mxallowd forget ADDRESS`: takes an address, or all that lies in a network, out of the whitelist. */
export const command: Command = {
  text: 'Takes an address, all that lies in a network, or everybody out of the whitelist,\nand out of the table.',
  words: 'ADDRESS|NETWORK',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

async function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  const request = argv['all'] === true ? everybody(argv, line.problems) : someone(argv, line.problems);
  const isAsked = argv['all'] === true && argv['yes'] !== true && line.problems.length === 0;
  const answer = isAsked ? await askYesNo('Forget everybody who is whitelisted?') : 'yes';
  if (answer !== 'yes') {
    const why = answer === 'no' ? '' : ': without a terminal to ask on this needs --yes';
    process.stderr.write(`mxallowd: nothing has been changed${why}\n`);
    return answer === 'no' ? Exit.OK : Exit.USAGE;
  }
  return askAndPrint(argv, line, request, forgetLines);
}

function everybody(argv: ParsedArguments, problems: Problem[]): Question<'forget'>['request'] {
  if (wordsOf(argv).length > 1) noWords(argv, problems);
  return { command: 'forget', all: true };
}

function someone(argv: ParsedArguments, problems: Problem[]): Question<'forget'>['request'] | undefined {
  if (argv['yes'] === true) problems.push({ where: '--yes', kind: 'usage', message: 'is for --all' });
  const prefix = onePrefix(argv, problems);
  return prefix && { command: 'forget', address: formatPrefix(prefix) };
}

function forgetLines({ prefix, count, still }: ControlResults['forget']): string[] {
  const entries = counted(count, 'entry', 'entries');
  if (prefix === undefined) return [count === 0 ? 'nobody was whitelisted' : `all forgotten: ${entries}`];
  if (count > 1)
    return [`${entries} of ${prefix} forgotten`, ...(still === undefined ? [] : [`but ${still}`])];
  if (still !== undefined) return [`${prefix} is forgotten, but ${still}`];
  return [`${prefix} is not whitelisted any more; its next attempt makes a new entry`];
}

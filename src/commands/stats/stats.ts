// `mxallowd stats`.
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import { askAndPrint, JSON_OPTION, noWords } from '../ask-daemon.js';
import type { Command } from '../command.js';
import { withKernelFigures } from '../status/kernel-figures.js';
import { statisticsLines } from './text.js';

const OPTIONS: readonly ExtraOption[] = [JSON_OPTION];

/** `mxallowd stats`: what was counted. */
export const command: Command = {
  text: 'Prints what the daemon has counted.',
  words: '',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  noWords(argv, line.problems);
  return askAndPrint(argv, line, { command: 'stats' }, statisticsLines, undefined, withKernelFigures);
}

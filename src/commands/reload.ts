// `mxallowd reload`.
import { collectOptions, type ExtraOption, type ParsedArguments } from './arguments.js';
import { askAndPrint, JSON_OPTION, noWords } from './ask-daemon.js';
import type { Command } from './command.js';

const OPTIONS: readonly ExtraOption[] = [JSON_OPTION];

/** `mxallowd reload`: has the daemon read its configuration again, and prints what it says about that. */
export const command: Command = {
  text: 'Has the daemon read its configuration again, as SIGHUP does, and says what came\nof it.',
  words: '',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  noWords(argv, line.problems);
  return askAndPrint(argv, line, { command: 'reload' }, ({ messages }) => messages);
}

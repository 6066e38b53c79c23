// `mxallowd forget`.
import { formatPrefix } from '../packet/address.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from './arguments.js';
import { askAndPrint, JSON_OPTION, onePrefix } from './ask-daemon.js';
import type { Command } from './command.js';

const OPTIONS: readonly ExtraOption[] = [JSON_OPTION];

/** `mxallowd forget ADDRESS`: takes an address out of the whitelist. */
export const command: Command = {
  text: 'Takes an address or a network out of the whitelist, and out of the table.',
  words: 'ADDRESS',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  const prefix = onePrefix(argv, line.problems);
  const request = prefix && { command: 'forget' as const, address: formatPrefix(prefix) };
  return askAndPrint(argv, line, request, (result) => [
    `${result.prefix} is not whitelisted any more; its next attempt makes a new entry`,
  ]);
}

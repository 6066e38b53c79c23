// `mxallowd allow`.
import { duration as durationCheck } from '../config/values.js';
import type { ControlResults } from '../control/protocol.js';
import { formatPrefix } from '../packet/address.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from './arguments.js';
import { askAndPrint, extraValue, JSON_OPTION, onePrefix } from './ask-daemon.js';
import type { Command } from './command.js';
import { duration } from '../terminal/human.js';

const OPTIONS: readonly ExtraOption[] = [
  { name: 'for', value: 'SEC', help: 'how long, as 3600, 1d or 1h30m (default: whitelist-time)' },
  JSON_OPTION,
];

/** `mxallowd allow ADDRESS [--for 1d]`: whitelists an address for some time. */
export const command: Command = {
  text: 'Whitelists an address, or a network no wider than what is stored of a sender.',
  words: 'ADDRESS',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  const prefix = onePrefix(argv, line.problems);
  const forSeconds = extraValue(argv, 'for', durationCheck(), line.problems);
  const time = forSeconds === undefined ? {} : { forSeconds };
  const request = prefix && { command: 'allow' as const, address: formatPrefix(prefix), ...time };
  return askAndPrint(argv, line, request, allowLines);
}

function allowLines({ prefix, wasThere, expiresInMs }: ControlResults['allow']): string[] {
  const what = wasThere ? 'was whitelisted already, and is now' : 'is whitelisted';
  return [`${prefix} ${what} for ${duration(expiresInMs)}`];
}

// `mxallowd fleet`.
import type { FleetReport } from '../../control/fleet-answers.js';
import { outputWidth } from '../../terminal/table.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import { askAndPrint, JSON_OPTION, noWords } from '../ask-daemon.js';
import type { Command } from '../command.js';
import { fleetLines } from './text.js';

const OPTIONS: readonly ExtraOption[] = [JSON_OPTION];

/** `mxallowd fleet`: the other gateways. */
export const command: Command = {
  text: 'Lists the gateways that share their whitelist with this one. Exit status: 0 fine,\n1 nothing is shared or the store is away, 2 another gateway has our name.',
  words: '',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  noWords(argv, line.problems);
  const width = outputWidth(process.stdout.columns, process.env);
  return askAndPrint(argv, line, { command: 'fleet' }, (report) => fleetLines(report, width), statusOf);
}

function statusOf({ isMuted, isShared, problem }: FleetReport): number {
  if (isMuted) return 2;
  return isShared && problem === undefined ? 0 : 1;
}

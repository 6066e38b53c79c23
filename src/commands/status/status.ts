// `mxallowd status`.
import type { Severity } from '../../control/protocol.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import { askAndPrint, JSON_OPTION, noWords } from '../ask-daemon.js';
import type { Command } from '../command.js';
import { withKernelFindings } from './kernel-figures.js';
import { statusLines } from './text.js';

const OPTIONS: readonly ExtraOption[] = [JSON_OPTION];

/** Exit statuses by the worst finding. */
const STATUS: Readonly<Record<Severity, number>> = { note: 0, warning: 1, error: 2 };

/** `mxallowd status`: whether it works. */
export const command: Command = {
  text: 'Says whether the daemon works. Exit status: 0 fine, 1 warnings, 2 errors,\n69 it does not run.',
  words: '',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

function run(argv: ParsedArguments): Promise<number> {
  const line = collectOptions(argv, 'client', OPTIONS);
  noWords(argv, line.problems);
  return askAndPrint(
    argv,
    line,
    { command: 'status' },
    statusLines,
    ({ findings }) => Math.max(0, ...findings.map(({ severity }) => STATUS[severity])),
    withKernelFindings,
  );
}

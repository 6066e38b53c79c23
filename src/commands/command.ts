// What a command is.
import type { ExtraOption, OptionSet, ParsedArguments } from './arguments.js';

/** A command beside the daemon itself. */
export interface Command {
  /** what it does, for its help; lines of at most 80 columns */
  readonly text: string;
  /** what stands on the command line beside options, for its help; may be empty */
  readonly words: string;
  /** which options of the option table it takes */
  readonly optionSet: OptionSet;
  /** beside those */
  readonly options: readonly ExtraOption[];
  /** @returns exit status */
  readonly run: (argv: ParsedArguments) => number | Promise<number>;
}

// What a command is.
import type { ParsedArguments, TakenOptions } from './arguments.js';

/** A command beside the daemon itself. */
export interface Command extends TakenOptions {
  /** what it does, for its help; lines of at most 80 columns */
  readonly text: string;
  /** what stands on the command line beside options, for its help; may be empty */
  readonly words: string;
  /** @returns exit status */
  readonly run: (argv: ParsedArguments) => number | Promise<number>;
}

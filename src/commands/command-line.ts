// The command line: yargs, and one file for each command.
import yargs, { type Argv } from 'yargs';
import { addOptions, type ParsedArguments, type TakenOptions, wordsOf } from './arguments.js';
import { COMMAND_NAMES, COMMANDS } from './commands.js';
import { expandGetopt } from './getopt.js';
import { dieOfHangup, type EarlyHangup } from '../process/hangup.js';
import { suggestion } from '../config/problem.js';
import { escapeText } from '../packet/escape.js';
import { Exit } from '../sysexits.js';
import { version } from '../version.js';

/** A command for people ends when the reader of its output has gone (`| head`); the daemon has more to do. */
let goesOnUnread = false;

function watchReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // the daemon goes on without its terminal, and with a full disk behind its standard output
    if (goesOnUnread) return;
    if (error.code !== 'EPIPE') {
      process.stderr.write(`mxallowd: cannot write: ${error.message}\n`);
      process.exit(Exit.IOERR);
    }
    if (stream === process.stdout) process.exit(Exit.OK);
  });
}

/** With what its types do not know. */
type Yargs = Argv & { usageConfiguration(configuration: { readonly 'hide-types': boolean }): Argv };

const DAEMON: TakenOptions = { optionSet: 'all', options: [] };

/** @returns exit status */
async function obey(args: readonly string[], early: EarlyHangup): Promise<number> {
  let status: number = Exit.OK;
  const does =
    (command: (argv: ParsedArguments) => number | Promise<number>) => async (argv: ParsedArguments) => {
      status = await command(argv);
    };
  const parser = (yargs() as Yargs)
    .usageConfiguration({ 'hide-types': true })
    .scriptName('mxallowd')
    .locale('en')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .usage('Lets those who tried the fake MX reach the real one.\n\nUsage: $0 [COMMAND] [OPTION]...')
    .command(
      '$0',
      'run the daemon',
      (y) => addOptions(y, DAEMON, process.platform),
      does((argv) => runDaemon(argv, early)),
    );
  for (const { name, help, load } of COMMANDS) {
    parser.command(
      name,
      help,
      async (y) => {
        const command = await load();
        const { text, words, optionSet } = command;
        const usage = optionSet === 'none' ? `$0 ${name}` : `$0 ${name} [OPTION]... ${words}`.trimEnd();
        return addOptions(y, command, process.platform).usage(`${text}\n\nUsage: ${usage}`);
      },
      does(async (argv) => {
        dieOfHangup(early);
        return (await load()).run(argv);
      }),
    );
  }
  const words = expandGetopt(args, COMMAND_NAMES);
  const named = COMMAND_NAMES.find((name) => name === words[0]);
  parser
    .epilogue('Signals: HUP reads the file again, USR1 logs statistics, TERM ends.')
    .help('help', 'print this help')
    .alias('help', 'h')
    .version('version', 'print the version', version())
    .alias('version', 'V')
    .wrap(80)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (error !== undefined && message === null) throw error;
      status = refuse(message ?? '', named);
    });
  try {
    await parser.parseAsync(words);
  } catch (error) {
    // what is wrong with the options of a command that is loaded only now comes here, not to fail()
    if (!(error instanceof Error) || error.name !== 'YError') throw error;
    status = refuse(error.message, named);
  }
  return status;
}

/** Runs the daemon, unless a word says that a command was meant: it must not be started by a mistyped one. */
async function runDaemon(argv: ParsedArguments, early: EarlyHangup): Promise<number> {
  const [word] = wordsOf(argv);
  if (word !== undefined) {
    return refuse(`unknown command "${word.slice(0, 60)}"${suggestion(word, COMMAND_NAMES)}`);
  }
  goesOnUnread = true;
  // most of the program, which commands need not wait for
  return (await import('./run.js')).run(argv, early);
}

/**
 * Says what is wrong with the command line.
 * @param command - whose help tells more
 */
function refuse(message: string, command?: string): number {
  const help = ['mxallowd', ...(command === undefined ? [] : [command]), '--help'].join(' ');
  process.stderr.write(`mxallowd: ${escapeText(usageMessage(message))}\n`);
  process.stderr.write(`mxallowd: try "${help}"\n`);
  return Exit.USAGE;
}

function usageMessage(message: string): string {
  return message.replace(/^Not enough arguments following: (.*)$/, (_, name: string) => {
    return `${name.length === 1 ? '-' : '--'}${name} needs a value`;
  });
}

/** Does what the command line says, and ends this process. */
export async function main(early: EarlyHangup): Promise<void> {
  watchReader(process.stdout);
  watchReader(process.stderr);
  process.exitCode = Exit.SOFTWARE;
  const status = await obey(process.argv.slice(2), early);
  // timers and children that are left must not keep the process alive
  process.stdout.write('', () => process.exit(status));
}

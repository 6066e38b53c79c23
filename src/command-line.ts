import yargs from 'yargs';
import { addOptions, expandGetopt, type ParsedArguments, wordsOf } from './commands/arguments.js';
import { CHECK_OPTIONS, check } from './commands/check.js';
import { checkConfig } from './commands/check-config.js';
import { CLIENT_COMMANDS } from './commands/client-commands.js';
import { COMMAND_NAMES } from './commands/command-names.js';
import { PF_CONF_OPTIONS } from './commands/pf-conf-options.js';
import { REPLAY_OPTIONS, replay } from './commands/replay.js';
import { run } from './commands/run.js';
import { suggestion } from './config/problem.js';
import { escapeText } from './packet/escape.js';
import { Exit } from './service/sysexits.js';
import { version } from './version.js';

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

async function main(args: readonly string[]): Promise<number> {
  let status: number = Exit.OK;
  const does =
    (command: (argv: ParsedArguments) => number | Promise<number>) => async (argv: ParsedArguments) => {
      status = await command(argv);
    };
  const parser = yargs()
    .scriptName('mxallowd')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .usage('Lets those who tried the fake MX reach the real one.\n\nUsage: $0 [COMMAND] [OPTION]...')
    .command('$0', 'run the daemon', (y) => addOptions(y, 'all'), does(unlessStray(run)));
  for (const { name, help, load } of CLIENT_COMMANDS) {
    parser.command(
      name,
      help,
      async (y) => {
        const { text, words, options } = await load();
        const usage = `${text}\n\nUsage: $0 ${name} [OPTION]...${words === '' ? '' : ` ${words}`}`;
        return addOptions(y, 'client', options).usage(usage);
      },
      does(async (argv) => (await load()).run(argv)),
    );
  }
  parser
    .command(
      'why',
      'what is known of an address, and what follows',
      async (y) => {
        const { WHY_OPTIONS } = await import('./commands/why.js');
        return addOptions(y, 'all', WHY_OPTIONS).usage('Usage: $0 why [OPTION]... ADDRESS');
      },
      does(async (argv) => (await import('./commands/why.js')).why(argv)),
    )
    .command(
      'check',
      'look at the whole set-up, and say what is wrong with it',
      (y) =>
        addOptions(y, 'all', CHECK_OPTIONS).usage(
          'Looks at addresses, firewall, listeners and DNS; changes nothing.\n\nUsage: $0 check [OPTION]...',
        ),
      does(check),
    )
    .command(
      'check-config',
      'read the configuration, and say what is wrong',
      (y) => addOptions(y, 'all').usage('Usage: $0 check-config [OPTION]...'),
      does(checkConfig),
    )
    .command(
      'replay',
      'judge recordings of pflog (FILE...), and say why',
      (y) =>
        addOptions(y, 'replay', REPLAY_OPTIONS).usage(
          'Judges recordings of pflog (pcap, pcapng, .gz, or - for standard input)\nin their own time.\n\nUsage: $0 replay [OPTION]... FILE...',
        ),
      does(replay),
    )
    .command(
      'pf-conf',
      "print or install pf's rules (OpenBSD, FreeBSD)",
      (y) =>
        // the group is named first, so that it stands first
        addOptions(
          y.group(
            PF_CONF_OPTIONS.map(({ name }) => name),
            'Rules:',
          ),
          'all',
          PF_CONF_OPTIONS,
        ).usage('Usage: $0 pf-conf [OPTION]...'),
      does(async (argv) => (await import('./commands/pf-conf.js')).pfConf(argv)),
    )
    .command(
      'demo',
      'show it at work, in network namespaces of its own (Linux)',
      (y) => y.usage('Usage: $0 demo'),
      does(async (argv) => (await import('./commands/demo.js')).demo(argv)),
    )
    .epilogue('Signals: HUP reads the file again, USR1 logs statistics, TERM ends.')
    .help('help')
    .alias('help', 'h')
    .version(version())
    .alias('version', 'V')
    .group(['help', 'version'], 'Help:')
    .wrap(80)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (error !== undefined && message === null) throw error;
      process.stderr.write(`mxallowd: ${escapeText(usageMessage(message ?? ''))}\n`);
      process.stderr.write('mxallowd: try "mxallowd --help"\n');
      status = Exit.USAGE;
    });
  await parser.parseAsync(expandGetopt(args));
  return status;
}

/** Keeps a mistyped command from starting the daemon. */
function unlessStray(
  command: (argv: ParsedArguments) => Promise<number>,
): (argv: ParsedArguments) => Promise<number> {
  return (argv) => {
    const [word] = wordsOf(argv);
    if (word === undefined) {
      goesOnUnread = true;
      return command(argv);
    }
    process.stderr.write(
      `mxallowd: unknown command "${escapeText(word, 60)}"${suggestion(word, COMMAND_NAMES)}\n`,
    );
    process.stderr.write('mxallowd: try "mxallowd --help"\n');
    return Promise.resolve(Exit.USAGE);
  };
}

function usageMessage(message: string): string {
  return message.replace(/^Not enough arguments following: (.*)$/, (_, name: string) => {
    return `${name.length === 1 ? '-' : '--'}${name} needs a value`;
  });
}

watchReader(process.stdout);
watchReader(process.stderr);
process.exitCode = Exit.SOFTWARE;
const exitStatus = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`mxallowd: bug: ${error instanceof Error ? error.message : String(error)}\n`);
  return Exit.SOFTWARE;
});
// timers and children that are left must not keep the process alive
process.stdout.write('', () => process.exit(exitStatus));

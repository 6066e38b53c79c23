// `mxallowd replay`.
import { formatProblem } from '../../config/problem.js';
import type { Config } from '../../config/config.js';
import { Exit } from '../../sysexits.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from '../arguments.js';
import type { Command } from '../command.js';
import { loadConfig, printProblems } from '../../process/load-config.js';
import { grouped } from '../../terminal/human.js';
import { LineOutput } from '../../terminal/output.js';
import { Progress } from '../../terminal/progress.js';
import { Inputs, unreadableOf } from './inputs.js';
import { JsonReport, type Verbosity } from './json.js';
import { NamedReplay } from './names.js';
import { type Report, Session } from './session.js';
import { TextReport } from './text.js';

const OPTIONS: readonly ExtraOption[] = [
  { name: 'dns', help: 'ask DNS for names, pools and SPF, as the daemon does' },
  { name: 'json', help: 'print NDJSON: an object for each event, the summary last' },
  { name: 'verbose', letters: ['v'], help: 'print frames that cannot be judged, too' },
  { name: 'summary', help: 'print the summary only' },
  { name: 'entries', help: 'print what is in the table at the end, too' },
];

/** `mxallowd replay FILE...`: judges recordings in their own time, and says what would have been let in and why. */
export const command: Command = {
  text:
    'Judges recordings in their own time: of pflog, or of a wire as "tcpdump -i eth0\n' +
    "-w FILE 'tcp port 25'\" makes them (pcap, pcapng, .gz, or - for standard input).",
  words: 'FILE...',
  optionSet: 'replay',
  shown: ['config', 'fakeMailserver', 'realMailserver', 'whitelistTime', 'dnsServer'],
  options: OPTIONS,
  run: replay,
};

/** Judges the recordings that a command line names. @returns exit status */
export async function replay(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'replay', OPTIONS);
  const names = wordsOf(argv).slice(1);
  if (names.length === 0) {
    const message = 'replay needs a FILE, or - for standard input';
    problems.push({ where: '', kind: 'usage', message });
  }
  const loaded = loadConfig(given, problems, 'replay');
  if (!loaded.ok) {
    // a recording that is not there was meant first, whatever the configuration lacks
    const unreadable = problems.length > 0 ? [] : await unreadableOf(names);
    printProblems(unreadable.length > 0 ? unreadable : loaded.problems);
    return unreadable.length > 0 ? Exit.NOINPUT : loaded.exitStatus;
  }
  for (const remark of loaded.remarks) process.stderr.write(`mxallowd: warning: ${formatProblem(remark)}\n`);
  return new Replay(argv, loaded.config, await Inputs.of(names)).run();
}

/** How often it is looked how far it is. */
const LOOK_MS = 200;

/** One run: what is read, judged and printed. */
class Replay {
  private readonly out = new LineOutput(process.stdout);
  private readonly bar = new Progress(process.stderr, () => performance.now(), process.env);
  private readonly session: Session;
  /** undefined: DNS is not asked */
  private readonly named: NamedReplay | undefined;

  constructor(
    private readonly argv: ParsedArguments,
    config: Config,
    private readonly inputs: Inputs,
  ) {
    this.session = new Session(config, this.makeReport(config.strangers.kind !== 'drop'));
    if (argv['dns'] === true) {
      this.named = new NamedReplay(this.session, inputs);
    }
  }

  /** @returns exit status */
  async run(): Promise<number> {
    // also while DNS does not answer
    const timer = setInterval(() => this.bar.show(() => this.progress()), LOOK_MS);
    try {
      return await this.judgeAll();
    } finally {
      clearInterval(timer);
    }
  }

  private async judgeAll(): Promise<number> {
    const { argv, session, named, inputs, out } = this;
    let status: number = Exit.OK;
    await inputs.survey((frame) => session.survey(frame));
    for (const file of inputs.files) {
      const problem = await inputs.read(
        file,
        (frame) => {
          if (named !== undefined) named.take(frame);
          else {
            session.take(frame);
            this.bar.show(() => this.progress());
          }
        },
        (text) => this.tell(text),
      );
      await named?.idle();
      await out.flush();
      if (problem === undefined) continue;
      this.tell(problem.message);
      status = problem.kind === 'data' ? Exit.DATAERR : Exit.NOINPUT;
    }
    const isEmpty = session.judge.frames === 0;
    const strangers = session.strangers();
    const known = named === undefined ? strangers : await named.name(strangers);
    named?.close();
    this.bar.hide();
    if (argv['entries'] === true) await session.printEntries();
    // of nothing there is nothing to say, but to programs
    if (status === Exit.OK || !isEmpty || argv['json'] === true) {
      session.report.summary(session.summary(known));
    }
    await out.flush();
    return status;
  }

  /** @param redirects - whether strangers are led elsewhere */
  private makeReport(redirects: boolean): Report {
    const { argv } = this;
    const isOnTerminal = process.stdout.isTTY;
    const write = (line: string): void => {
      this.bar.hide();
      void this.out.line(line);
      // a bar that comes between must not stand before what was written earlier
      if (isOnTerminal) void this.out.flush();
    };
    const verbosity: Verbosity =
      argv['summary'] === true ? 'summary' : argv['verbose'] === true ? 'all' : 'decisions';
    return argv['json'] === true
      ? new JsonReport(write, verbosity)
      : new TextReport(write, verbosity, redirects);
  }

  private progress(): { part: number | undefined; text: string } {
    const { part } = this.inputs;
    const { frames } = this.session.judge;
    if (this.named === undefined) return { part, text: `${grouped(frames)} frames` };
    const { asked, waiting } = this.named.progress;
    const text = `${grouped(frames)} frames, ${grouped(asked)} look-ups`;
    // what has been read and not been judged yet is not done
    const judged = frames + waiting === 0 ? 1 : frames / (frames + waiting);
    return { part: part && part * judged, text };
  }

  private tell(text: string): void {
    this.bar.hide();
    process.stderr.write(`mxallowd: ${text}\n`);
  }
}

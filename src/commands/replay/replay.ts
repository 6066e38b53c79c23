// `mxallowd replay`.
import { access, constants, stat } from 'node:fs/promises';
import { SavefileSource } from '../../capture/savefile.js';
import { CaptureError } from '../../capture/source.js';
import { formatProblem, type Problem } from '../../config/problem.js';
import type { Frame } from '../../packet/frame.js';
import { Exit } from '../../sysexits.js';
import { randomHashKey } from '../../process/hash-key.js';
import { Judge, trackerConfig } from '../../engine/judge.js';
import { MemoryTable } from '../../table/memory.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from '../arguments.js';
import type { Command } from '../command.js';
import { loadConfig, printProblems } from '../../process/load-config.js';
import { JsonReport } from './json.js';
import { ReplayStatistics } from './statistics.js';
import { TextReport } from './text.js';
import { systemWords } from '../../words.js';
import { LineOutput } from '../../terminal/output.js';

const OPTIONS: readonly ExtraOption[] = [
  { name: 'json', help: 'print NDJSON: an object for each event, the summary last' },
  { name: 'verbose', letters: ['v'], help: 'print frames that cannot be judged, too' },
  { name: 'summary', help: 'print the summary only' },
  { name: 'entries', help: 'print what is in the table at the end, too' },
];

/** `mxallowd replay FILE...`: judges recordings in their own time, and says what would have been let in and why. */
export const command: Command = {
  text: 'Judges recordings of pflog (pcap, pcapng, .gz, or - for standard input)\nin their own time.',
  words: 'FILE...',
  optionSet: 'replay',
  shown: ['config', 'fakeMailserver', 'realMailserver', 'whitelistTime'],
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
  const files = await inOrderOfTime(names);

  const statistics = new ReplayStatistics();
  const out = new LineOutput(process.stdout);
  const write = (line: string): void => void out.line(line);
  const verbosity = argv['summary'] === true ? 'summary' : argv['verbose'] === true ? 'all' : 'decisions';
  const redirects = loaded.config.strangers.kind !== 'drop';
  const report =
    argv['json'] === true ? new JsonReport(write, verbosity) : new TextReport(write, verbosity, redirects);
  let nowMs = 0;
  const table = new MemoryTable(() => nowMs);
  const judge = new Judge(
    trackerConfig(loaded.config, 'whitelist'),
    {
      added: (entry) => void table.add([entry.text]),
      removed: (entry, reason) => {
        const atMs = reason === 'timeout' ? entry.deadlineMs : nowMs;
        statistics.removed(entry);
        void table.delete([entry.text]);
        report.removed(atMs, entry, reason);
      },
    },
    randomHashKey(),
  );
  const onFrame = (frame: Frame): void => {
    // savefiles that overlap must not turn the clock back
    nowMs = Math.max(nowMs, frame.timeMs);
    judge.tracker.expire(nowMs);
    const judgement = judge.judge(frame, nowMs);
    statistics.judged(judgement, nowMs);
    report.judged(frame, judgement);
  };

  let status: number = Exit.OK;
  for (const file of files) {
    const problem = await readSavefile(file, onFrame);
    await out.flush();
    if (problem === undefined) continue;
    process.stderr.write(`mxallowd: ${problem.message}\n`);
    status = problem.kind === 'data' ? Exit.DATAERR : Exit.NOINPUT;
  }
  if (argv['entries'] === true) {
    await table.show((entry) => report.entry(entry.text, entry.read()?.clearedAtMs ?? 0));
  }
  // of nothing there is nothing to say, but to programs
  if (status === Exit.OK || judge.frames > 0 || argv['json'] === true)
    report.summary(statistics.summary(judge));
  await out.flush();
  return status;
}

/** What is wrong with files that cannot be read at all. */
async function unreadableOf(files: readonly string[]): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const where of files.filter((file) => file !== '-')) {
    try {
      await access(where, constants.R_OK);
    } catch (error) {
      problems.push({ where, kind: 'usage', message: systemWords(error) });
    }
  }
  return problems;
}

/** Reads a savefile to its end; what is wrong with it is returned. */
function readSavefile(path: string, onFrame: (frame: Frame) => void): Promise<CaptureError | undefined> {
  return new Promise((resolve, reject) => {
    const source = new SavefileSource(path);
    source
      .open({
        frame: onFrame,
        end: () => resolve(undefined),
        error: resolve,
        notice: (text) => process.stderr.write(`mxallowd: ${text}\n`),
      })
      .catch((error: unknown) => {
        if (error instanceof CaptureError) resolve(error);
        else reject(error instanceof Error ? error : new Error(String(error)));
      });
  });
}

/**
 * Sorts files by the time of their first frame: `pflog*` names the newest first. Files that cannot be read, and what
 * can be read only once (standard input, a FIFO), keep their places relative to each other, at the end.
 */
async function inOrderOfTime(files: readonly string[]): Promise<string[]> {
  if (files.length < 2) return [...files];
  const times = new Map<string, number>();
  for (const file of files) times.set(file, await firstFrameTimeMs(file));
  return [...files].sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0) || 0);
}

async function firstFrameTimeMs(path: string): Promise<number> {
  const status = path === '-' ? undefined : await stat(path).catch(() => undefined);
  if (status?.isFile() !== true) return Number.MAX_VALUE;
  const source = new SavefileSource(path);
  const time = await new Promise<number>((resolve) => {
    const none = (): void => resolve(Number.MAX_VALUE);
    source
      .open({ frame: (frame) => resolve(frame.timeMs), end: none, error: none, notice: none })
      .catch(none);
  });
  await source.close();
  return time;
}

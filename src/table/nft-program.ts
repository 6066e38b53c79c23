// Runs nft(8), and judges how it ended.
import type { Clock } from '../clock.js';
import { type ChildEnd, type RunningChild, runChild } from './child.js';
import { StuckCalls, type StuckReport, stuckWords } from './stuck.js';
import type { TableFailure, TableReply } from './table.js';

/** What nft is called, and how long it may take. */
export interface NftProgramSettings {
  /** absolute path of nft or of a wrapper */
  readonly path: string;
  /** for a call with few elements; ten thousand more get a second more */
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  /** is told of a call that goes on though it was killed */
  readonly report?: (report: StuckReport) => void;
}

/** Its messages are read: they must be English. */
const ENVIRONMENT = { LC_ALL: 'C' };
/** 100,000 elements take 1 to 4 s, 10,000 at an overloaded machine's pace. */
const ELEMENTS_PER_SECOND = 10_000;
/** Whose number is not known beforehand: so many may be listed. */
export const LISTED = 400_000;
/** Characters of output that are kept at the most: a set of 400,000 elements has less. */
const MOST_TEXT = 1 << 26;

/** nft(8). As long as a call goes on though it was killed no other one is started. */
export class NftProgram {
  private readonly running = new Set<RunningChild>();
  private readonly stuck: StuckCalls;

  constructor(private readonly settings: NftProgramSettings) {
    this.stuck = new StuckCalls(settings.clock, settings.report ?? (() => undefined), 'nft');
  }

  /**
   * Runs it to its end, or until it is clear that it does not end.
   * @param elements - of sets, as far as the call has to do with them
   * @param stdout - gets what it prints, in pieces of whole lines
   */
  async run(
    args: readonly string[],
    stdin = '',
    elements = 0,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    const { path, timeoutMs, clock } = this.settings;
    if (this.stuck.end !== undefined) return this.stuck.end;
    const child = runChild({
      path,
      args,
      environment: ENVIRONMENT,
      stdin,
      timeoutMs: timeoutMs + (elements / ELEMENTS_PER_SECOND) * 1000,
      clock,
      ...(stdout === undefined ? {} : { stdout }),
    });
    this.running.add(child);
    const end = await child.ended;
    this.running.delete(child);
    if (end.kind === 'stuck') void this.stuck.watch(child, end);
    return end;
  }

  /** Carries out commands, as one transaction. */
  async load(text: string, elements = 0): Promise<TableReply> {
    return this.judge(await this.run(['-f', '-'], text, elements));
  }

  /** Runs it, and gives what it has printed. */
  async print(
    args: readonly string[],
    elements = 0,
  ): Promise<(TableReply & { ok: false }) | { readonly ok: true; readonly text: string }> {
    let text = '';
    const end = await this.run(args, '', elements, (lines) => {
      if (text.length < MOST_TEXT) text += lines;
    });
    const reply = this.judge(end);
    return reply.ok ? { ok: true, text } : reply;
  }

  /** Says what a call's end means. */
  judge(end: ChildEnd): TableReply {
    return nftReply(this.settings.path, end);
  }

  /** Ends the calls that are running, at once. */
  abort(): void {
    for (const child of this.running) child.kill();
  }
}

/**
 * What nft says of a call that the kernel, or its own look at what there is, has refused (nft 1.0.6). What the kernel
 * refuses it calls "Could not process rule"; a table or set that it has not found, it has not even tried.
 */
const FAILURES: readonly { readonly pattern: RegExp; readonly failure: TableFailure }[] = [
  { pattern: /Operation not permitted/, failure: 'permission' },
  { pattern: /Could not process rule: Too many open files in system/, failure: 'no-room' },
  { pattern: /Error: No such file or directory/, failure: 'missing-table' },
];

/** What a failed call means. */
export function classifyNft(stderr: string): TableFailure {
  return FAILURES.find(({ pattern }) => pattern.test(stderr))?.failure ?? 'refused';
}

/** What nft said, on one line: its messages, without the quoted commands and the marks below them. */
export function essenceOfNft(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const said = lines.filter((line) => /(?:^|: )(?:Error|Warning): |^netlink: |permitted/.test(line));
  const texts = (said.length > 0 ? said : lines.filter((line) => line !== '')).map((line) =>
    line.replace(/^\/dev\/stdin:/, 'line '),
  );
  const [first = '', second] = texts;
  if (second === undefined) return first;
  return texts.length === 2 ? `${first}; ${second}` : `${first}; ${texts.length - 1} more like it`;
}

/** Judges by exit status first: 0 is success. */
export function nftReply(path: string, end: ChildEnd): TableReply {
  const failed = (failure: TableFailure, what: string, stderr = ''): TableReply => {
    const words = essenceOfNft(stderr);
    return { ok: false, failure, message: words === '' ? what : `${what}: ${words}` };
  };
  switch (end.kind) {
    case 'not-started':
      return failed('not-started', notStarted(path, end.message));
    case 'time-out':
      return failed(
        'time-out',
        `${path} did not end within ${end.afterMs / 1000} s and was killed`,
        end.stderr,
      );
    case 'stuck':
      return failed('stuck', stuckWords(end.pid, end.afterMs, 'nft'), end.stderr);
    case 'signal':
      return failed('killed', `${path} was killed by ${end.signal}`, end.stderr);
    case 'exit':
      if (end.status === 0) return { ok: true, changed: undefined, created: false };
      return failed(classifyNft(end.stderr), `${path} ended with status ${end.status}`, end.stderr);
  }
}

function notStarted(path: string, message: string): string {
  return message.endsWith('ENOENT')
    ? `${path} does not exist (the package nftables has it; another place: option nft)`
    : `${path} cannot be started: ${message}`;
}

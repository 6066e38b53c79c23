// Runs nft(8), and judges how it ended.
import { Calls, type CallsSettings, judgeEnd, type ProgramFacts } from './calls.js';
import type { ChildEnd } from './child.js';
import type { TableFailure, TableReply } from './table.js';

/** Whose number is not known beforehand: so many may be listed. */
export const LISTED = 400_000;
/** Characters of output that are kept at the most: a set of 400,000 elements has less. */
const MOST_TEXT = 1 << 26;

/** nft(8). */
export class NftProgram {
  private readonly calls: Calls;

  constructor(private readonly settings: CallsSettings) {
    this.calls = new Calls(settings, NFT);
  }

  /** See {@link Calls.run}. */
  run(
    args: readonly string[],
    stdin = '',
    elements = 0,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    return this.calls.run(args, stdin, elements, stdout);
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
    this.calls.abort();
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

/** 100,000 elements take 1 to 4 s, 10,000 at an overloaded machine's pace. */
const NFT: ProgramFacts = {
  name: 'nft',
  // its messages are read: they must be English
  environment: { LC_ALL: 'C' },
  elementsPerSecond: 10_000,
  comesWith: 'the package nftables has it; another place: option nft',
  classify: classifyNft,
  essence: essenceOfNft,
};

/** What the end of a call of nft means. */
export function nftReply(path: string, end: ChildEnd): TableReply {
  return judgeEnd(path, end, NFT);
}

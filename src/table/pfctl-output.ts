// What pfctl(8) prints about tables. Pure.
import { parsePrefix } from '../packet/address.js';
import type { ShownEntry, TableEntry, TableFailure, TableReply } from './table.js';

/** "2/3 addresses added." and "... deleted.", of a flush "3 addresses deleted.", on standard error (pfctl_table.c). */
const CHANGED = /^(\d+)(?:\/\d+)? addresses (?:added|deleted)\.$/m;
/** "1 table created." */
const CREATED = /^\d+ tables? created\.$/m;

/** Number of addresses that were really added or deleted, undefined when pfctl does not say. */
export function parseChanged(stderr: string): number | undefined {
  const match = CHANGED.exec(stderr);
  return match === null ? undefined : Number(match[1]);
}

/** Whether the command has made the table. */
export function parseCreated(stderr: string): boolean {
  return CREATED.test(stderr);
}

/**
 * pfctl's words for what went wrong, with or without the final dot (it has gone from OpenBSD 7.8). That there is no
 * anchor is what FreeBSD 15 says of a list that is too long, behind the first of these; alone it says that there is no
 * table either, for a table is in an anchor.
 */
const FAILURES: readonly { readonly pattern: RegExp; readonly failure: TableFailure }[] = [
  { pattern: /\btoo many elements\.$/m, failure: 'too-long' },
  { pattern: /^pfctl: (?:Table|Anchor) does not exist\.?$/m, failure: 'missing-table' },
  { pattern: /^pfctl: Cannot allocate memory\.?$/m, failure: 'no-room' },
  { pattern: /Permission denied|Operation not permitted/, failure: 'permission' },
];

/** What a failed call means. OpenBSD 7.8 adds DIOCSETLIMIT lines to some; the first pattern that matches counts. */
export function classifyFailure(stderr: string): TableFailure {
  return FAILURES.find(({ pattern }) => pattern.test(stderr))?.failure ?? 'refused';
}

/** Lines on standard error that say nothing about the call. */
const NOISE = /^(No ALTQ support in kernel|ALTQ related functions disabled|pfctl: DIOCSETLIMIT .*|\s*)$/;

/** What pfctl said, on one line, without its noise. */
export function essence(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => !NOISE.test(line))
    .map((line) => line.trim())
    .join('; ');
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const CTIME = /^\w{3} (\w{3}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;

/** Reads ctime(3) text as UTC; undefined when it is anything else. Milliseconds since 1970. */
export function parseCtimeUtc(text: string): number | undefined {
  const match = CTIME.exec(text);
  const month = MONTHS.indexOf(match?.[1] ?? '');
  if (match === null || month < 0) return undefined;
  return Date.UTC(
    Number(match[6]),
    month,
    Number(match[2]),
    Number(match[3]),
    Number(match[4]),
    Number(match[5]),
  );
}

const LINE_FEED = 0x0a;
const TAB = 0x09;
const BLANK = 0x20;
const EXCEPTION = 0x21;
const BY_KERNEL = 0x7e;
/** Columns before an address. */
const MARGIN = 3;
const CLEARED = /^\tCleared: +(.+)$/;
const EXPIRES = /^\tExpires: +(\d+)$/;

/** Times as pfctl prints them. Entries of one second share their text: most questions find it known. */
class Ctimes {
  private text = '';
  private ms: number | undefined;

  read(text: string): number | undefined {
    if (text !== this.text) {
      this.text = text;
      this.ms = parseCtimeUtc(text);
    }
    return this.ms;
  }
}

/** An entry of the list, with the place of the detail that tells its time. */
class Shown implements ShownEntry {
  private detail: { readonly bytes: Buffer; readonly start: number; readonly end: number } | undefined;

  constructor(
    readonly text: string,
    readonly negated: boolean,
    readonly isByKernel: boolean,
    private readonly times: Ctimes,
  ) {}

  /** Notes a line about the entry; only the first one that can tell a time counts. */
  note(bytes: Buffer, start: number, end: number): void {
    // "C" and "E": no other detail of an entry begins so
    const first = bytes[start + 1];
    if (first === 0x43 || first === 0x45) this.detail ??= { bytes, start, end };
  }

  read(): TableEntry | undefined {
    const parsed = parsePrefix(this.text);
    if (!parsed.ok) return undefined;
    return { prefix: parsed.prefix, negated: this.negated, ...this.timesOf() };
  }

  private timesOf(): Pick<TableEntry, 'clearedAtMs' | 'expiresInMs'> {
    if (this.detail === undefined) return { clearedAtMs: undefined, expiresInMs: undefined };
    const { bytes, start, end } = this.detail;
    const line = bytes.toString('latin1', start, end);
    const cleared = CLEARED.exec(line)?.[1];
    const expires = EXPIRES.exec(line)?.[1];
    return {
      clearedAtMs: cleared === undefined ? undefined : this.times.read(cleared),
      expiresInMs: expires === undefined ? undefined : Number(expires) * 1000,
    };
  }
}

/**
 * Reads the output of `pfctl -v -T show`: three columns (a blank or `!` in the third), the address; then lines that
 * begin with a tab, of which `Cleared:` counts. Lines of another form are passed over. The list of nftables' sets is
 * written in the same form (table/nft): a `~` in the third column is what the kernel has put in by itself, and `Expires:`
 * tells the seconds that are left.
 */
export class ShowParser {
  private readonly times = new Ctimes();
  private pending: Shown | undefined;

  /** @param entry - gets each entry when all of it has been read */
  constructor(private readonly entry: (entry: ShownEntry) => void) {}

  /** @param lines - whole lines, each with its newline */
  push(lines: string): void {
    // bytes: a part of a string keeps all of it in memory, and the text of an entry is kept for long
    const bytes = Buffer.from(lines, 'latin1');
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] !== LINE_FEED) continue;
      this.line(bytes, start, at);
      start = at + 1;
    }
  }

  /** Says that there are no more lines. */
  finish(): void {
    if (this.pending !== undefined) this.entry(this.pending);
    this.pending = undefined;
  }

  private line(bytes: Buffer, start: number, end: number): void {
    const third = bytes[start + 2];
    if (bytes[start] === TAB) this.pending?.note(bytes, start, end);
    else if (
      bytes[start] === BLANK &&
      bytes[start + 1] === BLANK &&
      (third === BLANK || third === EXCEPTION || third === BY_KERNEL)
    ) {
      this.finish();
      this.pending = new Shown(
        bytes.toString('latin1', start + MARGIN, end),
        third === EXCEPTION,
        third === BY_KERNEL,
        this.times,
      );
    }
  }
}

/** The limit on table entries in the output of `pfctl -s memory`. */
export function parseTableEntriesLimit(stdout: string): number | undefined {
  const match = /^table-entries +hard limit +(\d+)$/m.exec(stdout);
  return match === null ? undefined : Number(match[1]);
}

/** Reads a list to its end; of one that has failed no more than the whole lines count. */
export async function parseShown(
  showText: (take: (lines: string) => void) => Promise<TableReply>,
  entry: (entry: ShownEntry) => void,
): Promise<TableReply> {
  const parser = new ShowParser(entry);
  const reply = await showText((lines) => parser.push(lines));
  if (reply.ok) parser.finish();
  return reply;
}

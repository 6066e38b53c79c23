import { parsePrefix } from '../packet/address.js';
import type { TableEntry, TableFailure } from './table.js';

/** "2/3 addresses added." and "... deleted.", on standard error (pfctl_table.c). */
const CHANGED = /^(\d+)\/\d+ addresses (?:added|deleted)\.$/m;
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

/** pfctl's words for what went wrong, with or without the final dot (it has gone from OpenBSD 7.8). */
const FAILURES: readonly { readonly pattern: RegExp; readonly failure: TableFailure }[] = [
  { pattern: /^pfctl: Table does not exist\.?$/m, failure: 'missing-table' },
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

const ENTRY = /^ {2}([ !])(\S+)$/;
const CLEARED = /^\tCleared: +(.+)$/;

/**
 * Reads the output of `pfctl -v -T show`, line by line: three columns (a blank or `!` in the third), the address; then
 * lines that begin with a tab, of which `Cleared:` counts.
 */
export class ShowParser {
  private pending: { text: string; negated: boolean; clearedAtMs: number | undefined } | undefined;
  private lastCtime = '';
  private lastCtimeMs: number | undefined;

  constructor(
    private readonly entry: (entry: TableEntry) => void,
    /** gets lines that are no address and no detail */
    private readonly strange: (line: string) => void,
  ) {}

  line(line: string): void {
    const match = ENTRY.exec(line);
    if (match !== null) {
      this.finish();
      this.pending = { text: match[2] ?? '', negated: match[1] === '!', clearedAtMs: undefined };
      return;
    }
    const cleared = CLEARED.exec(line);
    if (cleared !== null && this.pending !== undefined)
      this.pending.clearedAtMs = this.time(cleared[1] ?? '');
    else if (line !== '' && !line.startsWith('\t')) this.strange(line);
  }

  /** Says that there are no more lines. */
  finish(): void {
    const { pending } = this;
    this.pending = undefined;
    if (pending === undefined) return;
    const parsed = parsePrefix(pending.text);
    if (!parsed.ok) this.strange(pending.text);
    else this.entry({ prefix: parsed.prefix, negated: pending.negated, clearedAtMs: pending.clearedAtMs });
  }

  /** Entries of one second share their text: most calls find it known. */
  private time(text: string): number | undefined {
    if (text !== this.lastCtime) {
      this.lastCtime = text;
      this.lastCtimeMs = parseCtimeUtc(text);
    }
    return this.lastCtimeMs;
  }
}

/** The limit on table entries in the output of `pfctl -s memory`. */
export function parseTableEntriesLimit(stdout: string): number | undefined {
  const match = /^table-entries +hard limit +(\d+)$/m.exec(stdout);
  return match === null ? undefined : Number(match[1]);
}

/**
 * Entries in all tables but one, from the output of `pfctl -vvsT`.
 * @param table - name of the table that does not count
 * @param anchor - its anchor, empty for the main ruleset (OpenBSD 7.8 prints `name@anchor`)
 */
export function sumOtherTables(stdout: string, table: string, anchor: string): number {
  let sum = 0;
  let counts = false;
  for (const line of stdout.split('\n')) {
    const head = /^\S+\t(\S+)/.exec(line);
    if (head !== null) counts = head[1] !== table && head[1] !== `${table}@${anchor}`;
    const addresses = /^\tAddresses: +(\d+)$/.exec(line);
    if (addresses !== null && counts) sum += Number(addresses[1]);
  }
  return sum;
}

// What the writer of the table tells, and what it needs from outside.
import type { PrefixText } from '../packet/address.js';
import type { Table, TableCount, TableEntry, TableReply } from './table.js';

/** What to do with an entry of the table that the writer did not put there. */
export type Verdict = 'adopt' | 'delete' | 'leave';

/** A command that failed. */
export type Failed = Extract<TableReply, { ok: false }>;

/** What was found in the table. */
export interface Compared {
  /** all of them */
  readonly entries: number;
  /** wanted and thought to be there, but not */
  readonly missing: number;
  /** not wanted, and about to be taken out */
  readonly surplus: number;
  /** not ours, and left alone */
  readonly foreign: number;
  /** the first of those */
  readonly left: readonly TableEntry[];
  /** whether something was otherwise than known before */
  readonly isNews: boolean;
}

/** What the writer tells: one place turns this into log lines. */
export type WriterEvent =
  | {
      readonly kind: 'written';
      readonly verb: 'add' | 'delete';
      readonly count: number;
      readonly changed: number | undefined;
      readonly tookMs: number;
    }
  | {
      readonly kind: 'failed';
      readonly reply: Failed;
      readonly pending: number;
      readonly retryInMs: number;
    }
  | { readonly kind: 'recovered'; readonly afterMs: number; readonly failures: number }
  | { readonly kind: 'table-made' }
  | { readonly kind: 'table-lost-entries'; readonly count: number }
  | ({ readonly kind: 'compared' } & Compared)
  /** the firewall has counted the table's entries: so many are there, so many should be */
  | { readonly kind: 'counted'; readonly count: TableCount; readonly expected: number }
  /** it cannot be listed, and is about to be emptied */
  | { readonly kind: 'too-long'; readonly listable: number | undefined }
  /** it has been emptied */
  | { readonly kind: 'emptied'; readonly count: number | undefined; readonly wanted: number }
  | { readonly kind: 'no-room'; readonly held: number; readonly ceiling: number; readonly pending: number };

/** What the writer needs from outside. */
export interface WriterSettings {
  readonly table: Table;
  /** judges an entry of the table that is not ours; must call `want` of the writer for it when it says `adopt` */
  readonly judge: (entry: TableEntry) => Verdict;
  /** is told of what the kernel has put in by itself */
  readonly byKernel?: (entry: TableEntry) => void;
  /** how many seconds an entry is to stay from now on; absent: the firewall keeps no time */
  readonly lifeOf?: (prefix: PrefixText) => number;
  readonly report: (event: WriterEvent) => void;
  /** monotonic milliseconds */
  readonly nowMs: () => number;
  /** runs a callback later; returns what cancels it */
  readonly after: (ms: number, callback: () => void) => () => void;
  /**
   * entries that the table may have at the most, with those that are about to be taken out; absent: as many as the
   * firewall has room for
   */
  readonly most?: () => number;
  /** runs a callback when the events at hand have been handled, so that one batch takes what they brought */
  readonly soon: (callback: () => void) => void;
}

// Brings the table to what is wanted, in batches, over all failures.
import { formatPrefix, type PrefixText } from '../packet/address.js';
import { Ledger } from './ledger.js';
import { Pace } from './pace.js';
import { MAX_BATCH, roomFor } from './room.js';
import type { Table, TableEntry, TableFailure, TableReply } from './table.js';
import { amount } from '../words.js';

/** What to do with an entry of the table that the writer did not put there. */
export type Verdict = 'adopt' | 'delete' | 'leave';

/** Failures after which a command may or may not have been carried out, or may still be. */
const UNKNOWN_OUTCOME: ReadonlySet<TableFailure> = new Set(['time-out', 'killed', 'stuck']);

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
  | {
      readonly kind: 'compared';
      readonly entries: number;
      readonly missing: number;
      readonly surplus: number;
      readonly foreign: number;
      /** the first of those */
      readonly left: readonly TableEntry[];
    }
  | { readonly kind: 'no-room'; readonly held: number; readonly ceiling: number; readonly pending: number };

/** A command that failed. */
export type Failed = Extract<TableReply, { ok: false }>;

/** What the writer needs from outside. */
export interface WriterSettings {
  readonly table: Table;
  /** judges an entry of the table that is not ours; must call {@link TableWriter.want} for it when it says `adopt` */
  readonly judge: (entry: TableEntry) => Verdict;
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

/** Delay before the first retry, and the longest one. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
/** Entries that are left alone are told one by one up to this number. */
const MOST_LEFT = 1000;

/**
 * Keeps the firewall's table equal to the set of wanted prefixes. At most one command runs; what is asked for
 * meanwhile goes into the next one. It looks at what is wanted when it writes, not at the order of requests: so a
 * retry can neither lose nor double anything, and the last word on a prefix counts.
 */
export class TableWriter {
  private readonly ledger = new Ledger();
  private readonly pace = new Pace();
  /** entries of the table that are left alone */
  private foreign = 0;
  private ceiling = Number.POSITIVE_INFINITY;
  private maxBatch = MAX_BATCH;
  private busy = false;
  private scheduled = false;
  private compareWanted = false;
  private deleteNext = false;
  private failures = 0;
  private failingSinceMs = 0;
  private cancelRetry: (() => void) | undefined;
  /** the table has never been read */
  private isUnread = true;
  private closing = false;
  private closed = false;
  private idleWaiters: (() => void)[] = [];

  constructor(private readonly settings: WriterSettings) {}

  /** number of prefixes that still have to be added or deleted */
  get pending(): number {
    return this.ledger.additions + this.ledger.deletions;
  }

  /** since when commands fail, monotonic milliseconds; undefined when the last one succeeded */
  get failingSince(): number | undefined {
    return this.failures === 0 ? undefined : this.failingSinceMs;
  }

  /** number of entries of the table as far as known, with those that are not ours */
  get tableSize(): number {
    return this.ledger.held + this.foreign;
  }

  /** Whether a prefix is in the table, or may be. */
  holds(prefix: PrefixText): boolean {
    return this.ledger.holds(prefix);
  }

  /** Asks for a prefix to be in the table. */
  want(prefix: PrefixText): void {
    this.ledger.want(prefix);
    this.schedule();
  }

  /** Asks for a prefix not to be in the table. */
  unwant(prefix: PrefixText): void {
    this.ledger.unwant(prefix);
    this.schedule();
  }

  /** Asks for a comparison of the table with what is wanted, soon. */
  compare(): void {
    this.compareWanted = true;
    this.schedule();
  }

  /**
   * Reads the table and judges its entries for the first time; nothing else runs meanwhile.
   * The table's limit is asked for, and is observed from now on.
   * @returns how the firewall answered; nothing is written by this
   */
  async start(): Promise<TableReply> {
    this.busy = true;
    const reply = await this.runCompare();
    this.busy = false;
    // a table that could not be read is not written either: that would make one that is missing
    if (reply.ok) this.schedule();
    else this.closed = true;
    return reply;
  }

  /**
   * Goes on after a start that failed: as soon as the table can be read it is, and judged for the first time; then it
   * is written.
   */
  startUnread(reply: Failed): void {
    this.closed = false;
    this.compareWanted = true;
    this.settle(reply);
  }

  /** The most entries that the table may have; unlimited when the firewall does not tell. */
  get room(): number {
    return this.ceiling;
  }

  /**
   * Writes out what is pending and ends; a command that still runs at the deadline is killed.
   * @returns number of prefixes that could not be written
   */
  async close(withinMs: number): Promise<number> {
    this.closing = true;
    this.compareWanted = false;
    const cancel = this.settings.after(withinMs, () => {
      this.closed = true;
      this.settings.table.abort();
      this.wakeIdle();
    });
    this.retryNow();
    if (this.busy || this.pending > 0) {
      await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
    }
    cancel();
    this.closed = true;
    this.cancelRetry?.();
    return this.pending;
  }

  /** Resolves when nothing is pending and no command runs. */
  async idle(): Promise<void> {
    if (!this.busy && this.pending === 0 && !this.compareWanted) return;
    await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  private schedule(): void {
    if (this.busy || this.scheduled || this.closed || this.cancelRetry !== undefined) return;
    if (this.pending === 0 && !this.compareWanted) return;
    this.scheduled = true;
    this.settings.soon(() => {
      this.scheduled = false;
      void this.turn();
    });
  }

  private async turn(): Promise<void> {
    if (this.busy || this.closed) return;
    this.busy = true;
    const compares = this.compareWanted;
    const reply = compares ? await this.runCompare() : await this.writeBatch();
    this.busy = false;
    // a table that can be read but not written has not recovered
    const proves = !compares || this.pending === 0;
    if (reply !== undefined && (proves || !reply.ok)) this.settle(reply);
    this.schedule();
    if (this.pending === 0 && !this.compareWanted && !this.busy) this.wakeIdle();
  }

  private settle(reply: TableReply): void {
    const { nowMs, report, after } = this.settings;
    if (reply.ok) {
      if (this.failures === 0) return;
      report({ kind: 'recovered', afterMs: nowMs() - this.failingSinceMs, failures: this.failures });
      this.failures = 0;
      this.compareWanted = !this.closing;
      return;
    }
    if (this.closed) return;
    if (this.failures === 0) this.failingSinceMs = nowMs();
    const retryInMs = Math.min(FIRST_RETRY_MS * 2 ** this.failures, MAX_RETRY_MS);
    this.failures++;
    report({ kind: 'failed', reply, pending: this.pending, retryInMs });
    this.cancelRetry = after(retryInMs, () => {
      this.cancelRetry = undefined;
      this.schedule();
    });
  }

  private retryNow(): void {
    this.cancelRetry?.();
    this.cancelRetry = undefined;
    this.schedule();
  }

  /** One add or one delete; undefined when there was nothing to do. Takes turns when both are waiting. */
  private async writeBatch(): Promise<TableReply | undefined> {
    const allowed = Math.min(this.ceiling, this.settings.most?.() ?? this.ceiling);
    const room = Math.max(0, allowed - this.tableSize);
    const { ledger, maxBatch } = this;
    const canAdd = ledger.additions > 0 && room > 0;
    const deletes = ledger.deletions > 0 && (this.deleteNext || !canAdd);
    // an addition goes first where nothing else waits: what takes the place of another one must not come after it
    this.deleteNext = !deletes && ledger.deletions > 0;
    // without room the additions wait for all that can be taken out
    const most = room > maxBatch ? this.pace.deletions(canAdd) : MAX_BATCH;
    if (deletes) return this.write('delete', ledger.nextDeletions(most));
    if (canAdd) return this.write('add', ledger.nextAdditions(Math.min(maxBatch, room)));
    if (ledger.additions === 0) return undefined;
    this.settings.report({
      kind: 'no-room',
      held: this.tableSize,
      ceiling: this.ceiling,
      pending: ledger.additions,
    });
    this.compareWanted = true;
    return {
      ok: false,
      failure: 'no-room',
      message: `${amount(this.tableSize, 'entry', 'entries')}, and no room for more`,
    };
  }

  private async write(verb: 'add' | 'delete', batch: readonly PrefixText[]): Promise<TableReply> {
    const { ledger } = this;
    ledger.begin(batch);
    const startMs = this.settings.nowMs();
    const reply = await this.settings.table[verb](batch);
    if (reply.ok) {
      for (const prefix of batch) ledger.conclude(prefix, verb === 'add');
      if (reply.created) this.settings.report({ kind: 'table-made' });
      // what else was in the table is gone with it
      if (reply.created) this.compareWanted = true;
      const { changed } = reply;
      const tookMs = this.settings.nowMs() - startMs;
      this.pace.note(batch.length, tookMs);
      this.settings.report({ kind: 'written', verb, count: batch.length, changed, tookMs });
      return reply;
    }
    if (UNKNOWN_OUTCOME.has(reply.failure)) {
      // look before anything else is written: so what is unsure never grows beyond one batch
      this.compareWanted = true;
      return reply;
    }
    // a batch is atomic: nothing has changed
    for (const prefix of batch) ledger.conclude(prefix, verb !== 'add');
    if (reply.failure !== 'missing-table') return reply;
    this.tableIsGone();
    return verb === 'delete' ? { ok: true, changed: 0, created: false } : reply;
  }

  /** Everything that was held is not there any more. */
  private tableIsGone(): void {
    const lost = this.ledger.lose();
    this.foreign = 0;
    if (lost > 0) this.settings.report({ kind: 'table-lost-entries', count: lost });
  }

  private async runCompare(): Promise<TableReply> {
    this.compareWanted = false;
    const { ledger } = this;
    const found: TableEntry[] = [];
    const left: TableEntry[] = [];
    let foreign = 0;
    const leave = (entry: TableEntry | undefined): void => {
      foreign++;
      if (entry !== undefined && left.length < MOST_LEFT) left.push(entry);
    };
    let surplus = 0;
    let entries = 0;
    const reply = await this.settings.table.show((shown) => {
      entries++;
      if (shown.negated) leave(shown.read());
      else if (!ledger.see(shown.text as PrefixText)) {
        const entry = shown.read();
        // what nobody can read cannot be taken out either
        if (entry === undefined) leave(undefined);
        else if (!ledger.see(formatPrefix(entry.prefix))) found.push(entry);
      }
    });
    if (!reply.ok && reply.failure !== 'missing-table') {
      ledger.forgetSeen();
      // what was to be found out still is, before anything is written
      const isNeeded = reply.failure === 'stuck' || this.isUnread;
      if (isNeeded) this.compareWanted = !this.closing || this.pending > 0;
      return reply;
    }
    this.isUnread = false;
    const missing = ledger.compare();
    for (const entry of found) {
      const prefix = formatPrefix(entry.prefix);
      // what was asked for while the table was read is wanted by now
      const wanted = ledger.isWanted(prefix);
      ledger.find(prefix);
      const verdict = wanted ? 'adopt' : this.settings.judge(entry);
      ledger.conclude(prefix, true);
      if (verdict === 'leave') ledger.leave(prefix);
      if (verdict === 'leave') leave(entry);
      if (verdict === 'delete') surplus++;
    }
    this.foreign = foreign;
    if (reply.ok) await this.readLimits();
    if (missing > 0) this.settings.report({ kind: 'table-lost-entries', count: missing });
    this.settings.report({ kind: 'compared', entries, missing, surplus, foreign, left });
    return reply;
  }

  private async readLimits(): Promise<void> {
    const limits = await this.settings.table.limits();
    if (limits === undefined) return;
    const available = Math.max(0, limits.limit - limits.usedByOthers);
    ({ maxBatch: this.maxBatch, ceiling: this.ceiling } = roomFor(available));
  }

  private wakeIdle(): void {
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const wake of waiters) wake();
  }
}

// Brings the table to what is wanted, in batches, over all failures.
import type { PrefixText } from '../packet/address.js';
import { Ledger } from './ledger.js';
import { Pace } from './pace.js';
import { Retries } from './retries.js';
import { TableReader } from './reader.js';
import { MAX_BATCH, type Room } from './room.js';
import { Spacing } from './spacing.js';
import type { TableFailure, TableReply } from './table.js';
import type { Failed, WriterSettings } from './writer-events.js';
import { amount } from '../words.js';

/** Failures after which nothing of a command has been carried out. After any other the table is read. */
const NOTHING_DONE: ReadonlySet<TableFailure> = new Set(['not-started']);

/** What is there is written once more at most so often, and so much of it in one command. */
const ASSURE_EVERY_MS = 1000;
const MOST_ASSURED = 500;

/**
 * Keeps the firewall's table equal to the set of wanted prefixes. At most one command runs; what is asked for
 * meanwhile goes into the next one. It looks at what is wanted when it writes, not at the order of requests: so a
 * retry can neither lose nor double anything, and the last word on a prefix counts.
 */
export class TableWriter {
  private readonly ledger = new Ledger();
  private readonly reader: TableReader;
  private readonly pace = new Pace();
  private busy = false;
  private scheduled = false;
  private compareWanted = false;
  private countWanted = false;
  private readonly assuring: Spacing;
  private deleteNext = false;
  private readonly retries: Retries;
  private closing = false;
  private closed = false;
  private idleWaiters: (() => void)[] = [];

  constructor(private readonly settings: WriterSettings) {
    this.reader = new TableReader(settings, this.ledger);
    this.retries = new Retries(settings, () => this.schedule());
    this.assuring = new Spacing(ASSURE_EVERY_MS, settings, () => this.schedule());
  }

  /** number of prefixes that still have to be added or deleted */
  get pending(): number {
    return this.ledger.additions + this.ledger.deletions;
  }

  /** since when commands fail, monotonic milliseconds; undefined when the last one succeeded */
  get failingSince(): number | undefined {
    return this.retries.failingSince;
  }

  /** number of entries of the table as far as known, with those that are not ours */
  get tableSize(): number {
    return this.reader.size;
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

  /**
   * A prefix is needed now: should it have gone from the table unnoticed, it is put back, soon. One that is not wanted
   * is not put in.
   */
  assure(prefix: PrefixText): void {
    this.ledger.assure(prefix);
    this.schedule();
  }

  /** Asks for a prefix not to be in the table. */
  unwant(prefix: PrefixText): void {
    this.ledger.unwant(prefix);
    this.schedule();
  }

  /** A prefix is not wanted any more, and the firewall takes it out by itself, now. */
  lapse(prefix: PrefixText): void {
    this.ledger.lapse(prefix);
    this.schedule();
  }

  /** Asks for a prefix not to be in the table, where the kernel may have put it by itself. */
  expel(prefix: PrefixText): void {
    this.ledger.find(prefix);
    this.unwant(prefix);
  }

  /** All that should be there is not there any more. */
  lost(): void {
    this.reader.lose();
    this.schedule();
  }

  /** Asks for a comparison of the table with what is wanted, soon. */
  compare(): void {
    this.compareWanted = true;
    this.schedule();
  }

  /** Asks for the entries to be counted, soon; where there are more or fewer than should be, the table is compared. */
  count(): void {
    if (this.reader.isUnread) return;
    this.countWanted = true;
    this.schedule();
  }

  /** What the firewall has refused for want of room is tried again. */
  retryRoom(): void {
    this.reader.retryRoom();
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

  /** How many entries the table may have, and why no more; unlimited when the firewall does not tell. */
  get room(): Room {
    return this.reader.room;
  }

  /** entries of one table that can be listed at the most, as far as known */
  get listable(): number | undefined {
    return this.reader.listable;
  }

  /**
   * Writes out what is pending and ends; a command that still runs at the deadline is killed.
   * @returns number of prefixes that could not be written
   */
  async close(withinMs: number): Promise<number> {
    this.closing = true;
    this.compareWanted = false;
    this.countWanted = false;
    this.assuring.stop();
    const cancel = this.settings.after(withinMs, () => {
      this.closed = true;
      this.settings.table.abort();
      this.wakeIdle();
    });
    this.retries.stop();
    this.schedule();
    if (this.busy || this.pending > 0) {
      await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
    }
    cancel();
    this.closed = true;
    this.retries.stop();
    return this.pending;
  }

  /** Resolves when nothing is pending and no command runs. */
  async idle(): Promise<void> {
    if (!this.busy && this.isDone) return;
    await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  /** Nothing is asked for that has not been done; what is to be assured may wait. */
  private get isDone(): boolean {
    return this.pending === 0 && !this.compareWanted && !this.countWanted;
  }

  private schedule(): void {
    if (this.busy || this.scheduled || this.closed || this.retries.isWaiting) return;
    if (this.isDone && !this.isAssuranceDue()) return;
    this.scheduled = true;
    this.settings.soon(() => {
      this.scheduled = false;
      void this.turn();
    });
  }

  /** Whether what is there is to be written once more now. */
  private isAssuranceDue(): boolean {
    return this.ledger.assurances > 0 && !this.closing && this.assuring.allows();
  }

  private async turn(): Promise<void> {
    if (this.busy || this.closed) return;
    this.busy = true;
    const compares = this.compareWanted;
    if (this.countWanted && !compares) await this.runCount();
    else await this.runCommand(compares);
    this.schedule();
    if (this.isDone && !this.busy) this.wakeIdle();
  }

  private async runCommand(compares: boolean): Promise<void> {
    const reply = compares ? mended(await this.runCompare()) : await this.writeBatch();
    this.busy = false;
    // a table that can be read but not written has not recovered
    const proves = !compares || this.pending === 0;
    if (reply !== undefined && (proves || !reply.ok)) this.settle(reply);
  }

  private settle(reply: TableReply): void {
    const { report } = this.settings;
    if (reply.ok) {
      const over = this.retries.succeed();
      if (over === undefined) return;
      report({ kind: 'recovered', ...over });
      this.compareWanted = !this.closing;
    } else if (!this.closed) {
      report({ kind: 'failed', reply, pending: this.pending, retryInMs: this.retries.fail() });
    }
  }

  /** One add or one delete; undefined when there was nothing to do. Takes turns when both are waiting. */
  private async writeBatch(): Promise<TableReply | undefined> {
    const { ceiling, maxBatch } = this.room;
    const allowed = Math.min(ceiling, this.settings.most?.() ?? ceiling);
    const room = Math.max(0, allowed - this.tableSize);
    const { ledger } = this;
    const canAdd = (ledger.additions > 0 && room > 0) || this.isAssuranceDue();
    const deletes = ledger.deletions > 0 && (this.deleteNext || !canAdd);
    // an addition goes first where nothing else waits: what takes the place of another one must not come after it
    this.deleteNext = !deletes && ledger.deletions > 0;
    // without room the additions wait for all that can be taken out
    const most = room > maxBatch ? this.pace.deletions(canAdd) : MAX_BATCH;
    if (deletes) return this.write('delete', ledger.nextDeletions(most));
    if (canAdd) return this.add(Math.min(maxBatch, room));
    if (ledger.additions === 0) return undefined;
    this.settings.report({ kind: 'no-room', held: this.tableSize, ceiling, pending: ledger.additions });
    this.compareWanted = true;
    return {
      ok: false,
      failure: 'no-room',
      message: `${amount(this.tableSize, 'entry', 'entries')}, and no room for more`,
    };
  }

  /** Adds what is new, so much at the most, and with it once more what is needed now and should be there. */
  private async add(most: number): Promise<TableReply> {
    const { ledger } = this;
    const additions = ledger.nextAdditions(most);
    const assured = ledger.takeAssurances(Math.min(MOST_ASSURED, MAX_BATCH - additions.length));
    if (assured.length > 0) this.assuring.note();
    const reply = await this.write('add', [...additions, ...assured]);
    const lost = assured.length > 0 && reply.ok ? (reply.changed ?? 0) - additions.length : 0;
    // what was new has not been there, so it is the others that had gone, and not they alone
    if (lost > 0) this.settings.report({ kind: 'table-lost-entries', count: lost });
    if (lost > 0) this.compareWanted = !this.closing;
    return reply;
  }

  private async write(verb: 'add' | 'delete', batch: readonly PrefixText[]): Promise<TableReply> {
    const { ledger } = this;
    ledger.begin(batch);
    const startMs = this.settings.nowMs();
    const { table, lifeOf } = this.settings;
    const reply =
      verb === 'delete' ? await table.delete(batch) : await table.add(batch, lifeOf && batch.map(lifeOf));
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
    if (reply.failure === 'missing-table') {
      this.reader.lose();
      return verb === 'delete' ? { ok: true, changed: 0, created: false } : reply;
    }
    if (NOTHING_DONE.has(reply.failure)) {
      for (const prefix of batch) ledger.conclude(prefix, verb !== 'add');
      return reply;
    }
    if (reply.failure === 'no-room') this.reader.refused(batch.length);
    // part of it may have been done: what is unsure never grows beyond one batch, for the table is read first
    this.compareWanted = true;
    return reply;
  }

  private async runCount(): Promise<void> {
    this.countWanted = false;
    const isOther = await this.reader.count();
    this.busy = false;
    if (isOther) this.compareWanted = !this.closing;
  }

  private async runCompare(): Promise<TableReply> {
    this.compareWanted = false;
    const reply = await this.reader.read();
    // what was to be found out still is, before anything is written
    const isUnknown = !reply.ok && reply.failure !== 'missing-table';
    if (isUnknown) this.compareWanted = !this.closing || this.pending > 0;
    return reply;
  }

  private wakeIdle(): void {
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const wake of waiters) wake();
  }
}

/** A table that has gone while we ran is known to be empty, and the next addition makes it again. */
function mended(reply: TableReply): TableReply {
  const isGone = !reply.ok && reply.failure === 'missing-table';
  return isGone ? { ok: true, changed: undefined, created: false } : reply;
}

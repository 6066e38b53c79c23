// Reads the table and compares it with what is wanted; empties one that is too long to be read.
import { formatPrefix, type PrefixText } from '../packet/address.js';
import type { Ledger } from './ledger.js';
import { type Room, RoomBook } from './room.js';
import type { ShownEntry, TableCount, TableEntry, TableReply } from './table.js';
import type { Compared, Verdict, WriterSettings } from './writer-events.js';

/** Entries that are left alone are told one by one up to this number. */
const MOST_LEFT = 1000;

/**
 * Reads the table into the ledger, and knows what is in it that is not ours, and how much room there is. Nothing is
 * written while it reads, so what should be there is known.
 */
export class TableReader {
  /** the table has never been read */
  isUnread = true;
  /** entries of the table that are left alone */
  private foreign = 0;
  private readonly book = new RoomBook();
  /** addresses that the firewall has refused for want of room, and the table has not been read since */
  private refusedBatch: number | undefined;

  constructor(
    private readonly settings: WriterSettings,
    private readonly ledger: Ledger,
  ) {}

  /** number of entries of the table as far as known, with those that are not ours */
  get size(): number {
    return this.ledger.held + this.foreign;
  }

  /** How many entries the table may have, and why no more; unlimited when the firewall does not tell. */
  get room(): Room {
    return this.book.room(this.settings.nowMs());
  }

  /** entries of one table that can be listed at the most, as far as known */
  get listable(): number | undefined {
    return this.book.listable;
  }

  /** The firewall has refused to add so many for want of room. */
  refused(count: number): void {
    this.refusedBatch = count;
  }

  /** What the firewall has refused for want of room is tried again. */
  retryRoom(): void {
    this.book.forgetRefusal();
  }

  /** Everything that was held is not there any more. */
  lose(): void {
    const lost = this.ledger.lose();
    this.foreign = 0;
    if (lost > 0) this.settings.report({ kind: 'table-lost-entries', count: lost });
  }

  /** Has the entries counted. @returns whether there are others than should be */
  async count(): Promise<boolean> {
    const count = await this.settings.table.count();
    const expected = this.size;
    this.settings.report({ kind: 'counted', count, expected });
    return isOther(count, expected);
  }

  /**
   * Lists the table, and takes over into the ledger what is there. A table that is not there has nothing in it; one
   * that is too long to be listed is emptied, and what is wanted of it is to be put back.
   * @returns how the firewall answered; when not ok and another failure than `missing-table` nothing is known
   */
  async read(): Promise<TableReply> {
    const { reply, found } = await this.list();
    if (found === undefined) return !reply.ok && reply.failure === 'too-long' ? this.empty() : reply;
    this.isUnread = false;
    this.foreign = found.foreign;
    if (reply.ok) await this.readLimits();
    const { report } = this.settings;
    if (found.missing > 0) report({ kind: 'table-lost-entries', count: found.missing });
    report({ kind: 'compared', ...found });
    return reply;
  }

  private async list(): Promise<{ readonly reply: TableReply; readonly found: Compared | undefined }> {
    const { ledger, size } = this;
    const found: TableEntry[] = [];
    const left: TableEntry[] = [];
    let foreign = 0;
    const leave = (entry: TableEntry | undefined): void => {
      foreign++;
      if (entry !== undefined && left.length < MOST_LEFT) left.push(entry);
    };
    let entries = 0;
    const reply = await this.settings.table.show((shown) => {
      if (shown.isByKernel) {
        this.seeKernels(shown);
        return;
      }
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
      return { reply, found: undefined };
    }
    const missing = ledger.compare();
    let surplus = 0;
    for (const entry of found) {
      const verdict = this.judge(entry);
      if (verdict === 'leave') leave(entry);
      if (verdict === 'delete') surplus++;
    }
    const isNews = missing > 0 || entries !== size;
    return { reply, found: { entries, missing, surplus, foreign, left, isNews } };
  }

  /** What the kernel has put in is none of what should be there; but it may be something that is to go. */
  private seeKernels(shown: ShownEntry): void {
    const entry = shown.read();
    if (entry === undefined) return;
    const prefix = formatPrefix(entry.prefix);
    if (this.ledger.isLeaving(prefix)) this.ledger.see(prefix);
    else this.settings.byKernel?.(entry);
  }

  private judge(entry: TableEntry): Verdict {
    const { ledger } = this;
    const prefix = formatPrefix(entry.prefix);
    // what was asked for while the table was read is wanted by now
    const wanted = ledger.isWanted(prefix);
    ledger.find(prefix);
    const verdict = wanted ? 'adopt' : this.settings.judge(entry);
    ledger.conclude(prefix, true);
    if (verdict === 'leave') ledger.leave(prefix);
    return verdict;
  }

  /** Nobody can tell what is in a table that is too long to be listed: all goes, and what is wanted is put back. */
  private async empty(): Promise<TableReply> {
    const { table, report } = this.settings;
    this.book.noteTooLong();
    await this.readLimits();
    report({ kind: 'too-long', listable: this.listable });
    const reply = await table.flush();
    if (!reply.ok) return reply;
    this.isUnread = false;
    this.ledger.lose();
    this.foreign = 0;
    report({ kind: 'compared', entries: 0, missing: 0, surplus: 0, foreign: 0, left: [], isNews: true });
    // those for which there is no room are not wanted any more
    report({ kind: 'emptied', count: reply.changed, wanted: this.ledger.additions });
    return reply;
  }

  private async readLimits(): Promise<void> {
    const limits = await this.settings.table.limits();
    if (limits !== undefined) this.book.note(limits);
    const { refusedBatch } = this;
    this.refusedBatch = undefined;
    if (refusedBatch !== undefined) this.book.noteRefusal(this.size, refusedBatch, this.settings.nowMs());
  }
}

/** Whether a count is another one than expected; one that is not known is not. */
export function isOther(count: TableCount, expected: number): boolean {
  return count !== undefined && (count === 'missing' ? 0 : count) !== expected;
}

// The firewall's table as the engine keeps it: what is in it, what is not ours, and when it is looked at.
import type { Core, OwnTableReport } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { SETTLED_MS } from '../engine/messages.js';
import {
  foreignLine,
  lessRoomLine,
  type TableKind,
  withdrawnLine,
  writerLine,
} from '../engine/table-messages.js';
import { type Address, formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { decidingEntry, entryText } from '../table/foreign.js';
import { isOther } from '../table/reader.js';
import type { FirewallTexts, Table, TableEntry, TableFailure, TableReply } from '../table/table.js';
import { TableWriter } from '../table/writer.js';
import type { Compared, Failed, Verdict, WriterEvent, WriterSettings } from '../table/writer-events.js';
import { isEntrySized } from '../tracker/roles.js';
import type { RemovalReason } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import { AllowedNetworks } from './allowed.js';
import { TableWatch } from './table-watch.js';

/** What stands ahead of a table's name, for people. */
const TITLES: Readonly<Record<TableKind, string>> = { pf: 'pf table', nft: 'nftables' };
/** Entries beyond max-entries that the table may have, because they are not taken out yet. The monitor allows more. */
const ON_THE_WAY = 15_000;
/** Of those that are left alone so many are named. */
const FOREIGN_NAMED = 10;

/** What a firewall's table has to do with time, and with what the firewall does by itself. */
export type TableTraits = Pick<WriterSettings, 'byKernel' | 'lifeOf'>;

/** Keeps the firewall's table as the tracker and the configuration want it, whatever happens to it. */
export abstract class KeptTable {
  protected readonly writer: TableWriter;
  protected readonly watch: TableWatch;
  private readonly allowed = new AllowedNetworks([]);
  private hasCompared = false;
  /** entries that are left alone: how many, and the first of them */
  private foreign = 0;
  private left: readonly TableEntry[] = [];
  private failedCalls = 0;
  private lastError: string | undefined;
  /** what was wrong with the last call of pfctl; undefined: nothing */
  private failure: TableFailure | undefined;
  /** what was said last of too little room */
  private lessRoom: string | undefined;
  /** since when the configuration is what it is */
  private configuredMs: number;

  /**
   * @param kind - whose it is
   * @param filled - is told when the table has been read, and perhaps changed the whitelist
   */
  constructor(
    protected readonly core: Core,
    private readonly table: Table,
    private readonly kind: TableKind,
    private readonly filled: () => void,
    traits: TableTraits = {},
  ) {
    const { clock } = core;
    this.configuredMs = clock.monotonicMs();
    this.writer = new TableWriter({
      ...traits,
      table,
      judge: (entry) => this.judge(entry),
      report: (event) => this.onWriter(event),
      nowMs: clock.monotonicMs,
      after: clock.after,
      soon: clock.soon,
      most: () => core.config.maxEntries + core.always.length + this.foreign + ON_THE_WAY,
    });
    this.watch = new TableWatch(clock, {
      count: () => this.writer.count(),
      compare: () => this.writer.compare(),
    });
  }

  /** An entry has come. */
  abstract added(entry: Entry): void;

  /** An entry has gone. */
  abstract removed(entry: Entry, reason: RemovalReason): void;

  /** What the firewall did says something of the table. */
  abstract follow(judgement: Judgement): void;

  /** What the table is to have of whom the configuration admits at all times. */
  protected abstract always(): readonly Prefix[];

  /**
   * Takes in an entry of the table that is none of ours yet.
   * @returns whether it is one now
   */
  protected abstract adopt(entry: TableEntry, origin: 'manual' | 'adopted'): boolean;

  /** Reads the table for the first time; see {@link TableWriter.start}. */
  async start(): Promise<TableReply> {
    this.allowed.configure(this.always());
    for (const prefix of this.allowed.current) this.writer.want(prefix);
    this.allowed.withdraw(this.core.unallowed);
    return this.writer.start();
  }

  /** Goes on although it could not be read. */
  startUnread(reply: Failed): void {
    this.writer.startUnread(reply);
  }

  /** From now on it is looked at now and then. */
  beginWatch(): void {
    this.watch.start();
  }

  /** Whether it is in the table because the configuration admits it, whatever becomes of the entry. */
  protected isAllowed(prefix: PrefixText): boolean {
    return this.allowed.current.has(prefix);
  }

  /** An operator has changed entries; what is new, or gone, has been told. */
  entriesChanged(): void {}

  /** The configuration is another one. */
  reconfigured(): void {
    this.configuredMs = this.core.clock.monotonicMs();
    this.sayWithdrawn(this.followAlways());
    this.writer.retryRoom();
    this.writer.compare();
  }

  /** Who is admitted at all times has changed. */
  alwaysChanged(): void {
    this.followAlways();
  }

  /** @returns what is not admitted at all times any more, and taken out */
  private followAlways(): PrefixText[] {
    const unallowed = this.allowed.configure(this.always());
    for (const prefix of this.allowed.current) this.writer.want(prefix);
    const entries = new Set([...this.core.tracker.entries()].map(({ text }) => text));
    const gone = unallowed.filter((prefix) => !entries.has(prefix));
    for (const prefix of gone) this.writer.unwant(prefix);
    this.allowed.withdraw(gone);
    return gone;
  }

  /** The firewall has refused somebody who should be in its table, or will be soon. */
  protected doubt(entry: Entry | undefined): void {
    this.watch.doubt((entry?.addedMs ?? this.configuredMs) + SETTLED_MS);
  }

  allowedInTable(): readonly PrefixText[] {
    return this.allowed.inTable;
  }

  /** The entry that is not ours, and decides about an address; as the table was last seen. */
  foreignEntry(address: Address): TableEntry | undefined {
    return decidingEntry(this.left, address);
  }

  report(): OwnTableReport {
    const { failingSince, tableSize, room, pending } = this.writer;
    const { clock } = this.core;
    return {
      description: this.table.description,
      entries: tableSize,
      pending,
      failedCalls: this.failedCalls,
      failingForMs: failingSince === undefined ? undefined : clock.monotonicMs() - failingSince,
      lastError: this.lastError,
      room: Number.isFinite(room.ceiling) ? room.ceiling : undefined,
      foreign: { count: this.foreign, some: this.someForeign() },
    };
  }

  /** Asks the firewall; when it has other entries than it should, that is looked into at once. */
  async inspect(): Promise<FirewallTexts> {
    const texts = await this.table.inspect();
    if (isOther(texts.entries, this.writer.tableSize)) this.writer.count();
    return texts;
  }

  /** @returns number of changes that could not be written */
  stop(withinMs: number): Promise<number> {
    this.watch.stop();
    return this.writer.close(withinMs);
  }

  /** What to do with an entry of the table that is not ours. */
  private judge(entry: TableEntry): Verdict {
    if (this.core.expired.has(formatPrefix(entry.prefix))) return 'delete';
    if (!isEntrySized(entry.prefix)) return 'leave';
    return this.adopt(entry, this.hasCompared ? 'manual' : 'adopted') ? 'adopt' : 'delete';
  }

  private onWriter(event: WriterEvent): void {
    this.sayOf(event);
    if (event.kind === 'failed') {
      this.failedCalls++;
      this.lastError = escapeText(event.reply.message);
    }
    if (event.kind === 'counted') this.watch.counted(event.count, event.expected);
    if (event.kind === 'compared') this.compared(event);
  }

  protected compared({ foreign, left, isNews }: Compared): void {
    this.watch.compared(isNews);
    const unallowed = this.allowed.settle((prefix) => this.writer.holds(prefix));
    // later ones have been told
    if (!this.hasCompared) this.sayWithdrawn(unallowed);
    this.hasCompared = true;
    this.noteForeign(foreign, left);
    this.limitEntries();
    this.core.entriesAdopted();
    this.filled();
  }

  private noteForeign(count: number, left: readonly TableEntry[]): void {
    const isMore = count > this.foreign;
    this.foreign = count;
    this.left = left;
    if (isMore) this.core.say(foreignLine(count, this.someForeign(), this.name));
  }

  private someForeign(): string[] {
    return this.left.slice(0, FOREIGN_NAMED).map(entryText);
  }

  /** for people */
  private get name(): string {
    return `${TITLES[this.kind]} ${this.table.description}`;
  }

  private sayWithdrawn(prefixes: readonly PrefixText[]): void {
    if (prefixes.length > 0) this.core.say(withdrawnLine(prefixes, this.name));
  }

  private sayOf(event: WriterEvent): void {
    const before = this.failure;
    if (event.kind === 'recovered') this.failure = undefined;
    if (event.kind === 'failed') {
      this.failure = event.reply.failure;
      // whoever runs pfctl tells how long that one is stuck
      if (this.failure === 'stuck' && before === 'stuck') return;
    }
    const line = writerLine(event, this.name, this.kind);
    if (line !== undefined) this.core.say(line);
  }

  /** The whitelist gets no more room than the table has. */
  private limitEntries(): void {
    const { config } = this.core;
    const { ceiling, bound } = this.writer.room;
    const room = Math.max(1, ceiling - this.foreign - this.core.always.length);
    if (room < config.maxEntries && bound !== undefined) {
      const besides = this.core.always.length + this.foreign;
      const { listable } = this.writer;
      const line = lessRoomLine({ room, bound, besides, listable }, config.maxEntries, this.kind);
      // once, until it is another one
      if (line.message !== this.lessRoom) this.core.say(line);
      this.lessRoom = line.message;
    } else this.lessRoom = undefined;
    this.core.limitEntries(room);
  }
}

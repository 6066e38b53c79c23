// pf's table as the engine keeps it: what is in it, what is not ours, and when it is looked at.
import type { Core, OwnTableReport } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { SETTLED_MS } from '../engine/messages.js';
import { foreignLine, lessRoomLine, withdrawnLine, writerLine } from '../engine/table-messages.js';
import { type Address, formatPrefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { decidingEntry, entryText } from '../table/foreign.js';
import { isOther } from '../table/reader.js';
import type { FirewallTexts, Table, TableEntry, TableFailure, TableReply } from '../table/table.js';
import { TableWriter } from '../table/writer.js';
import type { Compared, Failed, Verdict, WriterEvent } from '../table/writer-events.js';
import { isEntrySized } from '../tracker/roles.js';
import { AllowedNetworks } from './allowed.js';
import { TableWatch } from './table-watch.js';

/** Entries beyond max-entries that the table may have, because they are not taken out yet. The monitor allows more. */
const ON_THE_WAY = 15_000;
/** Of those that are left alone so many are named. */
const FOREIGN_NAMED = 10;

/** Keeps pf's table as the tracker and the configuration want it, whatever happens to it. */
export class PfTable {
  private readonly writer: TableWriter;
  private readonly watch: TableWatch;
  private readonly allowed: AllowedNetworks;
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

  /** @param filled - is told when the table has been read, and perhaps changed the whitelist */
  constructor(
    private readonly core: Core,
    private readonly table: Table,
    private readonly filled: () => void,
  ) {
    const { clock, config } = core;
    this.configuredMs = clock.monotonicMs();
    this.allowed = new AllowedNetworks(config.allow);
    this.writer = new TableWriter({
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

  /** Reads the table for the first time; see {@link TableWriter.start}. */
  async start(): Promise<TableReply> {
    this.allowed.configure(this.core.always);
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

  want(prefix: PrefixText): void {
    this.writer.want(prefix);
  }

  unwant(prefix: PrefixText): void {
    if (!this.allowed.current.has(prefix)) this.writer.unwant(prefix);
  }

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
    const unallowed = this.allowed.configure(this.core.always);
    for (const prefix of this.allowed.current) this.writer.want(prefix);
    const entries = new Set([...this.core.tracker.entries()].map(({ text }) => text));
    const gone = unallowed.filter((prefix) => !entries.has(prefix));
    for (const prefix of gone) this.writer.unwant(prefix);
    this.allowed.withdraw(gone);
    return gone;
  }

  /** What pf did says something of the table. */
  follow({ decision, observation }: Judgement): void {
    if (decision.kind === 'attempt' && observation !== undefined) {
      // it comes to the real MX next: it must be in the table, were that emptied a moment ago, too
      const allowed = this.core.tracker.roles.allowing(observation.source);
      if (decision.entry !== undefined) this.writer.assure(decision.entry.text);
      else if (allowed !== undefined) this.writer.assure(formatPrefix(allowed));
    }
    if (decision.kind === 'refusal' && decision.reason === 'not-yet-in-table') {
      // pf refused somebody who should be in its table, or will be soon
      this.watch.doubt((decision.entry?.addedMs ?? this.configuredMs) + SETTLED_MS);
    }
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

  /** Asks pf; when it has other entries than it should, that is looked into at once. */
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
    const { tracker, clock, config } = this.core;
    if (this.core.expired.has(formatPrefix(entry.prefix))) return 'delete';
    if (!isEntrySized(entry.prefix)) return 'leave';
    const lifeMs = config.whitelistTime * 1000;
    const ageMs = entry.clearedAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - entry.clearedAtMs);
    // who is there that long may have been used, or have tried again: only the state file could have told
    const isOld = ageMs >= lifeMs && ageMs < config.knownTime * 1000;
    const origin = this.hasCompared ? 'manual' : 'adopted';
    const leftMs = isOld ? lifeMs : lifeMs - ageMs;
    return tracker.adopt(entry.prefix, origin, leftMs, clock.monotonicMs()) ? 'adopt' : 'delete';
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

  private compared({ foreign, left, isNews }: Compared): void {
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
    if (isMore) this.core.say(foreignLine(count, this.someForeign(), this.table.description));
  }

  private someForeign(): string[] {
    return this.left.slice(0, FOREIGN_NAMED).map(entryText);
  }

  private sayWithdrawn(prefixes: readonly PrefixText[]): void {
    if (prefixes.length > 0) this.core.say(withdrawnLine(prefixes, this.table.description));
  }

  private sayOf(event: WriterEvent): void {
    const before = this.failure;
    if (event.kind === 'recovered') this.failure = undefined;
    if (event.kind === 'failed') {
      this.failure = event.reply.failure;
      // whoever runs pfctl tells how long that one is stuck
      if (this.failure === 'stuck' && before === 'stuck') return;
    }
    const line = writerLine(event, `pf table ${this.table.description}`);
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
      const line = lessRoomLine({ room, bound, besides, listable }, config.maxEntries);
      // once, until it is another one
      if (line.message !== this.lessRoom) this.core.say(line);
      this.lessRoom = line.message;
    } else this.lessRoom = undefined;
    this.core.limitEntries(room);
  }
}

// pf as the firewall: a capture brings packets, a table enforces.
import { CaptureError, type FrameSink, type FrameSource } from '../capture/source.js';
import type { Config } from '../config/config.js';
import { type Address, formatPrefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Frame } from '../packet/frame.js';
import { decode } from '../packet/observation.js';
import { decidingEntry, entryText } from '../table/foreign.js';
import {
  COMPARE_EVERY_MS,
  type FirewallTexts,
  type Table,
  type TableEntry,
  type TableFailure,
} from '../table/table.js';
import { type Failed, TableWriter, type Verdict, type WriterEvent } from '../table/writer.js';
import type { Decision } from '../tracker/decision.js';
import { isEntrySized } from '../tracker/roles.js';
import type { Entry } from '../tracker/whitelist.js';
import { type Core, type Firewall, type FirewallReport } from '../engine/firewall.js';
import { AllowedNetworks } from './allowed.js';
import { Keeper } from './keeper.js';
import { captureLine, SETTLED_MS } from '../engine/messages.js';
import { foreignLine, withdrawnLine, writerLine } from '../engine/table-messages.js';
import { Exit, StartError } from '../sysexits.js';
import { amount } from '../words.js';

/** What pf is reached by. */
export interface PfParts {
  readonly table: Table;
  /** makes a live source, not yet opened; called again when the capture has died */
  readonly makeSource: (config: Config) => Promise<FrameSource>;
  /** is told when the capture has died, where it cannot be opened again; absent: it is opened again */
  readonly captureLost?: (why: string) => void;
  /** it has judged before, in another process: it goes on though pfctl does not answer */
  readonly isContinued?: boolean;
}

/** A refused SYN shows that the table has lost an entry; no sooner than this after the last comparison. */
const COMPARE_AGAIN_MS = 10_000;
/** Entries beyond max-entries that the table may have, because they are not taken out yet. The monitor allows more. */
const ON_THE_WAY = 15_000;
/** Of those that are left alone so many are named. */
const FOREIGN_NAMED = 10;
/** Frames that are kept until the table has been read. */
const MOST_EARLY = 4096;

/** pf: its log says who came, its table says who may reach the real MX. */
export class PfFirewall implements Firewall {
  readonly authority = 'pf';
  private readonly writer: TableWriter;
  private readonly capture: Keeper<FrameSource>;
  private cancelCompare: (() => void) | undefined;
  private comparedAtMs = 0;
  private hasCompared = false;
  /** entries of the table that are left alone: how many, and the first of them */
  private foreign = 0;
  private left: readonly TableEntry[] = [];
  private droppedBefore = 0;
  private readonly allowed: AllowedNetworks;
  /** frames that came before the table was read; undefined from then on */
  private early: Frame[] | undefined = [];
  private failedCalls = 0;
  private lastError: string | undefined;
  /** what was wrong with the last call of pfctl; undefined: nothing */
  private failure: TableFailure | undefined;

  constructor(
    private readonly core: Core,
    private readonly parts: PfParts,
  ) {
    const { clock, config } = core;
    this.allowed = new AllowedNetworks(config.allow);
    this.writer = new TableWriter({
      table: parts.table,
      judge: (entry) => this.judgeTableEntry(entry),
      report: (event) => this.onWriter(event),
      nowMs: clock.monotonicMs,
      after: clock.after,
      soon: clock.soon,
      most: () => core.config.maxEntries + core.config.allow.length + this.foreign + ON_THE_WAY,
    });
    this.capture = new Keeper({
      open: async (lost, made) => {
        const source = await parts.makeSource(this.core.config);
        made(source);
        this.droppedBefore = 0;
        await source.open(this.sink(lost));
      },
      explain: (error) => (error instanceof CaptureError ? error.message : undefined),
      name: 'capture',
      meanwhile: 'nobody new is let in',
      say: (line) => core.say(line),
      clock,
      ...(parts.captureLost === undefined ? {} : { giveUp: parts.captureLost }),
    });
  }

  get description(): string {
    return `${this.capture.description}, table ${this.parts.table.description}`;
  }

  async prepare(): Promise<void> {
    try {
      await this.capture.open();
    } catch (error) {
      await this.capture.close();
      if (!(error instanceof CaptureError)) throw error;
      throw captureError(error);
    }
    // the list comes while root is given up and the state file is loaded
    this.parts.table.fetch?.();
  }

  async start(): Promise<void> {
    for (const prefix of this.allowed.current) this.writer.want(prefix);
    this.allowed.withdraw(this.core.unallowed);
    const reply = await this.writer.start();
    if (!reply.ok) await this.startUnread(reply);
    this.armCompare();
    const early = this.early ?? [];
    this.early = undefined;
    for (const frame of early) this.onFrame(frame);
  }

  /** @throws StartError when it must not begin without having read the table */
  private async startUnread(reply: Failed): Promise<void> {
    const isSilent = reply.failure === 'stuck' || reply.failure === 'time-out';
    if (this.parts.isContinued === true && isSilent) {
      this.writer.startUnread(reply);
      return;
    }
    await this.capture.close();
    throw tableError(this.core.config, this.parts.table.description, reply.failure, reply.message);
  }

  added(entry: Entry): void {
    this.writer.want(entry.text);
  }

  removed(entry: Entry): void {
    if (!this.allowed.current.has(entry.text)) this.writer.unwant(entry.text);
  }

  reconfigured(): void {
    const unallowed = this.allowed.configure(this.core.config.allow);
    for (const prefix of this.allowed.current) this.writer.want(prefix);
    const entries = new Set([...this.core.tracker.entries()].map(({ text }) => text));
    const gone = unallowed.filter((prefix) => !entries.has(prefix));
    for (const prefix of gone) this.writer.unwant(prefix);
    this.allowed.withdraw(gone);
    this.sayWithdrawn(gone);
    this.writer.compare();
  }

  allowedInTable(): readonly PrefixText[] {
    return this.allowed.inTable;
  }

  foreignEntry(address: Address): TableEntry | undefined {
    return decidingEntry(this.left, address);
  }

  logStatistics(): void {
    this.core.say(captureLine(this.statistics()));
  }

  report(): FirewallReport {
    const { table } = this.parts;
    const { failingSince, tableSize, room, pending } = this.writer;
    return {
      isOpen: this.capture.isOpen,
      capture: { description: this.capture.description, ...this.statistics() },
      table: {
        description: table.description,
        entries: tableSize,
        pending,
        failedCalls: this.failedCalls,
        failingForMs: failingSince === undefined ? undefined : this.core.clock.monotonicMs() - failingSince,
        lastError: this.lastError,
        room: Number.isFinite(room) ? room : undefined,
        foreign: { count: this.foreign, some: this.someForeign() },
      },
      queue: undefined,
    };
  }

  /** Mail of known senders does not wait for us here. */
  goesOn(): boolean {
    return true;
  }

  inspect(): Promise<FirewallTexts> {
    return this.parts.table.inspect();
  }

  async stop(withinMs: number): Promise<void> {
    this.cancelCompare?.();
    const [unwritten] = await Promise.all([this.writer.close(withinMs), this.capture.close()]);
    if (unwritten === 0) return;
    const message = `${amount(unwritten, 'change')} could not be written to ${this.parts.table.description} before the end`;
    this.core.say({ level: 'error', message, fields: { event: 'unwritten', unwritten } });
  }

  private statistics(): ReturnType<FrameSource['statistics']> {
    return this.capture.current?.statistics() ?? { received: 0, dropped: undefined };
  }

  private sink(lost: (why: string) => void): FrameSink {
    return {
      frame: (frame) => (this.early === undefined ? this.onFrame(frame) : keepEarly(this.early, frame)),
      notice: (text, severity) => {
        const level = severity === 'warning' ? 'warn' : 'info';
        this.core.say({ level, message: escapeText(text), fields: { event: 'capture-notice' } });
      },
      error: (error) => lost(error.message),
      end: () => lost('it has ended'),
    };
  }

  private onFrame(frame: Frame): void {
    const judgement = this.core.decide(decode(frame));
    this.core.follow(judgement);
    const { decision } = judgement;
    if (decision.kind === 'refusal') this.suspectTable(decision);
  }

  /** pf refused a sender that should have been in its table for some time: look what the table has. */
  private suspectTable({ entry }: Decision & { kind: 'refusal' }): void {
    const nowMs = this.core.clock.monotonicMs();
    if (entry === undefined || nowMs - entry.addedMs < SETTLED_MS) return;
    if (this.writer.pending > 0 || nowMs - this.comparedAtMs < COMPARE_AGAIN_MS) return;
    this.comparedAtMs = nowMs;
    this.writer.compare();
  }

  /** What to do with an entry of the table that is not ours. */
  private judgeTableEntry(entry: TableEntry): Verdict {
    const { tracker, clock, config } = this.core;
    if (this.core.expired.has(formatPrefix(entry.prefix))) return 'delete';
    if (!isEntrySized(entry.prefix)) return 'leave';
    const lifeMs = config.whitelistTime * 1000;
    const ageMs = entry.clearedAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - entry.clearedAtMs);
    // who is there that long has been used, or has tried again: when, only the state file could have told
    const isOld = ageMs >= lifeMs && ageMs < config.knownTime * 1000;
    const origin = this.hasCompared ? 'manual' : 'adopted';
    const leftMs = isOld ? lifeMs : lifeMs - ageMs;
    return tracker.adopt(entry.prefix, origin, leftMs, clock.monotonicMs()) ? 'adopt' : 'delete';
  }

  private onWriter(event: WriterEvent): void {
    this.sayOfWriter(event);
    if (event.kind === 'failed') {
      this.failedCalls++;
      this.lastError = escapeText(event.reply.message);
    }
    if (event.kind !== 'compared') return;
    this.comparedAtMs = this.core.clock.monotonicMs();
    const unallowed = this.allowed.settle((prefix) => this.writer.holds(prefix));
    // later ones have been told
    if (!this.hasCompared) this.sayWithdrawn(unallowed);
    this.hasCompared = true;
    this.noteForeign(event.foreign, event.left);
    this.limitEntries();
    this.core.entriesAdopted();
    this.checkDrops();
  }

  private noteForeign(count: number, left: readonly TableEntry[]): void {
    const isMore = count > this.foreign;
    this.foreign = count;
    this.left = left;
    if (isMore) this.core.say(foreignLine(count, this.someForeign(), this.parts.table.description));
  }

  private someForeign(): string[] {
    return this.left.slice(0, FOREIGN_NAMED).map(entryText);
  }

  private sayWithdrawn(prefixes: readonly PrefixText[]): void {
    if (prefixes.length > 0) this.core.say(withdrawnLine(prefixes, this.parts.table.description));
  }

  private sayOfWriter(event: WriterEvent): void {
    const before = this.failure;
    if (event.kind === 'recovered') this.failure = undefined;
    if (event.kind === 'failed') {
      this.failure = event.reply.failure;
      // whoever runs pfctl tells how long that one is stuck
      if (this.failure === 'stuck' && before === 'stuck') return;
    }
    const line = writerLine(event, `pf table ${this.parts.table.description}`);
    if (line !== undefined) this.core.say(line);
  }

  private limitEntries(): void {
    const { config } = this.core;
    const room = Math.max(1, this.writer.room - this.foreign - config.allow.length);
    if (room < config.maxEntries) {
      const message =
        `pf's limit on table entries leaves room for ${amount(room, 'entry', 'entries')}, less than max-entries ` +
        `(${config.maxEntries}); raise "set limit table-entries" in pf.conf`;
      this.core.say({ level: 'warn', message, fields: { event: 'less-room', maxEntries: room } });
    }
    this.core.limitEntries(room);
  }

  /** Warns when frames were dropped since the last call. */
  private checkDrops(): void {
    const dropped = this.statistics().dropped ?? 0;
    const more = dropped - this.droppedBefore;
    this.droppedBefore = dropped;
    if (more <= 0) return;
    const message = `the kernel dropped ${amount(more, 'frame')} unread`;
    this.core.say({ level: 'warn', message, fields: { event: 'frames-dropped', dropped: more } });
  }

  private armCompare(): void {
    const { clock } = this.core;
    this.cancelCompare = clock.after(COMPARE_EVERY_MS, () => {
      this.comparedAtMs = clock.monotonicMs();
      this.writer.compare();
      this.armCompare();
    });
  }
}

/** Its bytes will be overwritten: a copy is kept. */
function keepEarly(early: Frame[], frame: Frame): void {
  if (early.length >= MOST_EARLY) return;
  const { data, offset, captureLength } = frame;
  early.push({ ...frame, data: new Uint8Array(data.subarray(offset, offset + captureLength)), offset: 0 });
}

function tableError(config: Config, table: string, failure: string, message: string): StartError {
  if (failure === 'missing-table') {
    const where = config.anchor === '' ? '/etc/pf.conf' : `the rules of anchor "${config.anchor}"`;
    return new StartError(
      `pf table ${table} does not exist: put the line "table <${config.table}> persist" into ${where} ` +
        'and load it (pfctl -f /etc/pf.conf)',
      Exit.UNAVAILABLE,
    );
  }
  const status = failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
  return new StartError(`pf table ${table} cannot be read: ${escapeText(message)}`, status);
}

function captureError(error: CaptureError): StartError {
  const status = { permission: Exit.NOPERM, data: Exit.DATAERR }[error.kind as 'permission' | 'data'];
  return new StartError(escapeText(error.message), status ?? Exit.UNAVAILABLE);
}

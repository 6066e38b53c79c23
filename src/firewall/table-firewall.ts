// A firewall with a table: a capture brings packets, the table enforces.
import { CaptureError, type FrameSink, type FrameSource } from '../capture/source.js';
import type { Config } from '../config/config.js';
import type { Address, PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Frame } from '../packet/frame.js';
import { decode, type Observation, type Undecoded } from '../packet/observation.js';
import type { FirewallTexts, Table, TableEntry } from '../table/table.js';
import type { Failed } from '../table/writer-events.js';
import type { RemovalReason } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import { type Core, type Firewall, type FirewallReport } from '../engine/firewall.js';
import { Keeper } from './keeper.js';
import { captureLine } from '../engine/messages.js';
import type { KeptTable } from './kept-table.js';
import type { Judgement } from '../engine/judge.js';
import { Exit, StartError } from '../sysexits.js';
import { amount } from '../words.js';

/** What such a firewall is reached by. */
export interface TableParts {
  readonly table: Table;
  /** makes a live source, not yet opened; called again when the capture has died */
  readonly makeSource: (config: Config) => Promise<FrameSource>;
  /** is told when the capture has died, where it cannot be opened again; absent: it is opened again */
  readonly captureLost?: (why: string) => void;
  /** it has judged before, in another process: it goes on though pfctl does not answer */
  readonly isContinued?: boolean;
}

/** Frames that are kept until the table has been read. */
const MOST_EARLY = 4096;

/** A firewall whose log says who came, and whose table says who may reach the real MX: pf, nftables. */
export abstract class TableFirewall<T extends KeptTable = KeptTable> implements Firewall {
  readonly authority = 'pf';
  protected readonly table: T;
  private readonly capture: Keeper<FrameSource>;
  private droppedBefore = 0;
  /** frames that came before the table was read; undefined from then on */
  private early: Frame[] | undefined = [];

  /** @param makeTable - is given what is to be told when the table has been read */
  constructor(
    protected readonly core: Core,
    protected readonly parts: TableParts,
    makeTable: (filled: () => void) => T,
  ) {
    const { clock } = core;
    this.table = makeTable(() => this.checkDrops());
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
    const reply = await this.table.start();
    if (!reply.ok) await this.startUnread(reply);
    this.table.beginWatch();
    const early = this.early ?? [];
    this.early = undefined;
    for (const frame of early) this.onFrame(frame);
  }

  /** @throws StartError when it must not begin without having read the table */
  private async startUnread(reply: Failed): Promise<void> {
    const isSilent = reply.failure === 'stuck' || reply.failure === 'time-out';
    if (this.parts.isContinued === true && isSilent) {
      this.table.startUnread(reply);
      return;
    }
    await this.capture.close();
    throw this.tableError(reply);
  }

  /** Why it cannot begin. */
  protected abstract tableError(reply: Failed): StartError;

  added(entry: Entry): void {
    this.table.added(entry);
  }

  removed(entry: Entry, reason: RemovalReason): void {
    this.table.removed(entry, reason);
  }

  entriesChanged(): void {
    this.table.entriesChanged();
  }

  reconfigured(): void {
    this.table.reconfigured();
  }

  alwaysChanged(): void {
    this.table.alwaysChanged();
  }

  allowedInTable(): readonly PrefixText[] {
    return this.table.allowedInTable();
  }

  foreignEntry(address: Address): TableEntry | undefined {
    return this.table.foreignEntry(address);
  }

  logStatistics(): void {
    this.core.say(captureLine(this.statistics()));
  }

  report(): FirewallReport {
    return {
      isOpen: this.capture.isOpen,
      capture: { description: this.capture.description, ...this.statistics() },
      table: this.table.report(),
      queue: undefined,
    };
  }

  /** Mail of known senders does not wait for us here. */
  goesOn(): boolean {
    return true;
  }

  inspect(): Promise<FirewallTexts> {
    return this.table.inspect();
  }

  async stop(withinMs: number): Promise<void> {
    const [unwritten] = await Promise.all([this.table.stop(withinMs), this.capture.close()]);
    if (unwritten === 0) return;
    const table = this.parts.table.description;
    const message = `${amount(unwritten, 'change')} could not be written to ${table} before the end`;
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
    const judgement = this.decide(decode(frame));
    this.core.follow(judgement);
    this.table.follow(judgement);
  }

  /** Judges a packet. */
  protected decide(decoded: Observation | Undecoded): Judgement {
    return this.core.decide(decoded);
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
}

/** Its bytes will be overwritten: a copy is kept. */
function keepEarly(early: Frame[], frame: Frame): void {
  if (early.length >= MOST_EARLY) return;
  const { data, offset, captureLength } = frame;
  early.push({ ...frame, data: new Uint8Array(data.subarray(offset, offset + captureLength)), offset: 0 });
}

function captureError(error: CaptureError): StartError {
  const status = { permission: Exit.NOPERM, data: Exit.DATAERR }[error.kind as 'permission' | 'data'];
  return new StartError(escapeText(error.message), status ?? Exit.UNAVAILABLE);
}

// What the engine needs of a firewall, and a firewall of the engine.
import type { Config } from '../config/config.js';
import type { CaptureReport, QueueReport, TableReport } from '../control/protocol.js';
import type { Address, Prefix, PrefixText } from '../packet/address.js';
import type { Observation, Undecoded } from '../packet/observation.js';
import type { RemovalReason, Tracker, TrackerConfig } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import type { FirewallTexts, TableEntry } from '../table/table.js';
import type { Clock } from '../clock.js';
import type { Judgement } from './judge.js';
import type { Line } from './messages.js';

/** What a firewall needs of the engine. */
export interface Core {
  /** the configuration as it is now */
  readonly config: Config;
  readonly tracker: Tracker;
  /** whom the configuration admits at all times: the networks that it names, and those of its domains */
  readonly always: readonly Prefix[];
  readonly clock: Clock;
  /** what an earlier run has left in the table, and is to be taken out of it; until the table has been compared */
  readonly expired: ReadonlySet<PrefixText>;
  /** what `allow` had put into the table in an earlier run, and the configuration names no more */
  readonly unallowed: readonly PrefixText[];
  /** Judges a packet. What follows is for {@link follow}, which may come when the packet has its verdict. */
  decide(decoded: Observation | Undecoded): Judgement;
  /** Logs a decision, has it kept, asks DNS about the sender, and sees to the entry's end. */
  follow(judgement: Judgement): void;
  /** The firewall has room for so many entries only. */
  limitEntries(maxEntries: number): void;
  /** Entries have come from elsewhere: their time must end, too. */
  entriesAdopted(): void;
  say(line: Line): void;
}

/** Where packets come from, and where it is decided who gets in: pf with its table, or the queues of netfilter. */
export interface Firewall {
  /** who decides whether a SYN to the real MX is admitted */
  readonly authority: TrackerConfig['authority'];
  /** for people; complete after the start */
  readonly description: string;
  /**
   * Does what needs root and need be done once only.
   * @throws StartError when that cannot be
   */
  prepare(): Promise<void>;
  /**
   * Gets ready to judge.
   * @throws StartError when that cannot be
   */
  start(): Promise<void>;
  added(entry: Entry): void;
  removed(entry: Entry, reason: RemovalReason): void;
  /** An operator has changed entries. */
  entriesChanged(): void;
  /** The engine has taken over another configuration. */
  reconfigured(before: Config): void;
  /** Others are admitted at all times now; not called before it was started. */
  alwaysChanged(): void;
  logStatistics(): void;
  /** How it is doing. */
  report(): FirewallReport;
  /** The entry of its table that is not ours, and decides about an address; as the table was last seen. */
  foreignEntry(address: Address): TableEntry | undefined;
  /** What `allow` has put into its table, as far as it may still be there: the same array until that changes. */
  allowedInTable(): readonly PrefixText[];
  /** Whether it takes what comes; for a watchdog that asks now and then. */
  goesOn(): boolean;
  /** What the firewall says of itself. */
  inspect(): Promise<FirewallTexts>;
  /** Writes out what is pending and lets go; never throws. */
  stop(withinMs: number): Promise<void>;
}

/** What is known of the table without asking pf. */
export type OwnTableReport = Omit<TableReport, 'isMissing' | 'pfEnabled' | 'pfAgoMs'>;

/** How a firewall is doing: pf has a capture and a table, netfilter a queue. */
export interface FirewallReport {
  /** whether packets can come at all */
  readonly isOpen: boolean;
  readonly capture: CaptureReport | undefined;
  readonly table: OwnTableReport | undefined;
  readonly queue: QueueReport | undefined;
}

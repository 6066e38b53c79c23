// What a table is.
import type { Prefix, PrefixText } from '../packet/address.js';

/** Why a table command failed. */
export type TableFailure =
  /** the table is not there */
  | 'missing-table'
  /** not allowed: no access to /dev/pf, a const table, or the securelevel */
  | 'permission'
  /** no room: the limit table-entries */
  | 'no-room'
  /** it has more entries than can be listed at once: FreeBSD's net.pf.request_maxcount */
  | 'too-long'
  /** the program could not be started */
  | 'not-started'
  /** it did not end in time and was killed */
  | 'time-out'
  /** it was killed by somebody else */
  | 'killed'
  /** it was killed and goes on all the same; or it was not started, because an earlier one does */
  | 'stuck'
  /** any other status */
  | 'refused';

/** The outcome of a table command. */
export type TableReply =
  | {
      readonly ok: true;
      /** number of addresses that were added or deleted, where the firewall says so */
      readonly changed: number | undefined;
      /** the table was not there and has been made by this command */
      readonly created: boolean;
    }
  | {
      readonly ok: false;
      readonly failure: TableFailure;
      /** what happened, with the program's own words; one line, unescaped */
      readonly message: string;
    };

/** An entry as the firewall lists it. Reading it takes time, and of most nothing but their text is needed. */
export interface ShownEntry {
  /** of its address or network; not always the canonical one */
  readonly text: string;
  /** `!` before it: an exception */
  readonly negated: boolean;
  /** the kernel has put it in by itself, and takes it out by itself: nftables, who has tried the fake MX */
  readonly isByKernel: boolean;
  /** @returns undefined when the text is not that of an address or network */
  read(): TableEntry | undefined;
}

/** An address or network found in the table. */
export interface TableEntry {
  readonly prefix: Prefix;
  /** `!` before it: an exception */
  readonly negated: boolean;
  /** when it was put in (or its counters were cleared): milliseconds since 1970; undefined when not told */
  readonly clearedAtMs: number | undefined;
  /** how long it still stays, in milliseconds; undefined: until somebody takes it out, or not told */
  readonly expiresInMs: number | undefined;
}

/** How much the firewall can hold. */
export interface TableLimits {
  /** entries in all tables together */
  readonly limit: number;
  /** entries in the other tables */
  readonly usedByOthers: number;
  /** entries of one table that can be listed at the most; undefined: as many as there are, as far as is known */
  readonly listable: number | undefined;
}

/** How many entries a table has, as the firewall counts them; undefined: it does not tell. */
export type TableCount = number | 'missing' | undefined;

/** Where the firewall looks. One command at a time. */
export interface Table {
  /** for people: the table's name, with its anchor */
  readonly description: string;
  /**
   * @param seconds - how long each of them stays, where the firewall keeps time; those that are there stay that long from
   *   now on
   */
  add(prefixes: readonly PrefixText[], seconds?: readonly number[]): Promise<TableReply>;
  delete(prefixes: readonly PrefixText[]): Promise<TableReply>;
  /** Takes out everything, whoever has put it in. */
  flush(): Promise<TableReply>;
  /** How many entries it has, without listing them. */
  count(): Promise<TableCount>;
  /** Says that {@link show} will be called soon: whoever can lists the table already. */
  fetch?(): void;
  /** Calls back with each entry of the table. */
  show(entry: (entry: ShownEntry) => void): Promise<TableReply>;
  /** Undefined when the firewall does not tell. */
  limits(): Promise<TableLimits | undefined>;
  /** What the firewall says of itself, for people who ask; may run beside another command. */
  inspect(): Promise<FirewallTexts>;
  /** Ends the command that is running, at once. */
  abort(): void;
}

/** What pfctl printed; undefined where it failed. */
export interface FirewallTexts {
  /** `pfctl -s info` */
  readonly info: string | undefined;
  /** `pfctl -s rules` */
  readonly rules: string | undefined;
  /** how many entries the table has */
  readonly entries: TableCount;
  /** why pfctl has not answered, in words, unescaped; undefined: it has, or it has failed */
  readonly unanswered: string | undefined;
}

/** Between two comparisons of the table with the whitelist: at least as often the engine asks for something. */
export const COMPARE_EVERY_MS = 5 * 60_000;

/** Where the firewall keeps time no entry stays longer than this without being written again; in seconds. */
const MOST_LIFE_S = 30 * 86_400;

/** How long an entry may stay at the most, in seconds. @param times - that the configuration gives entries */
export function mostLife(...times: readonly number[]): number {
  return Math.max(MOST_LIFE_S, ...times);
}

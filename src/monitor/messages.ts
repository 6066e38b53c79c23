// What monitor and engine tell each other.
import type { Config } from '../config/config.js';
import type { Problem } from '../config/problem.js';
import type { PrefixText } from '../packet/address.js';
import type { RefusedNetwork } from '../names/network-bounds.js';
import type { UserPlan } from './user-plan.js';
import type { FirewallTexts, TableCount, TableLimits, TableReply } from '../table/table.js';

/** The descriptor by which the engine speaks with the monitor. */
export const CHANNEL_FD = 3;

/** Prefixes in one request at the most: a batch of the writer. */
export const MOST_PREFIXES = 10_000;

/** Characters of a message to the monitor at the most: a full batch of IPv6 prefixes with their quotes, and times, fits. */
export const MOST_REQUEST = 5 << 17;

/** Characters of a message to the engine at the most. The monitor is trusted; rules may be long. */
export const MOST_REPLY = 1 << 24;

/** What the engine asks the monitor to do; the monitor trusts none of it. */
export type EngineRequest =
  | {
      readonly id: number;
      readonly request: 'delete';
      readonly prefixes: readonly PrefixText[];
      readonly seconds?: undefined;
    }
  | {
      readonly id: number;
      /** these, and no others, may be added although they are wider than a sender's prefix */
      readonly request: 'grant';
      readonly prefixes: readonly PrefixText[];
    }
  | {
      readonly id: number;
      readonly request: 'add';
      readonly prefixes: readonly PrefixText[];
      /** how long each of them stays, where the firewall keeps time */
      readonly seconds?: readonly number[] | undefined;
    }
  | {
      readonly id: number;
      readonly request: 'show' | 'count' | 'limits' | 'inspect' | 'reload';
    }
  /** only of a table that is too long to be listed */
  | { readonly id: number; readonly request: 'flush' };

/** What the engine tells the monitor. */
export type EngineEvent =
  /** the table's command that is running takes too long */
  | { readonly event: 'abort' }
  | { readonly event: 'ready' }
  /** it cannot start, and ends */
  | { readonly event: 'failed'; readonly message: string; readonly exitStatus: number };

/** A configuration as the engine takes it over, or what is wrong with it. */
export type Reconfiguration =
  | { readonly ok: true; readonly config: Config; readonly remarks: readonly Problem[] }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      /** it was read a moment ago: ask again */
      readonly isTooOften?: true;
    };

/** What the engine starts with. */
export interface EngineStart {
  readonly config: Config;
  /** about the configuration; empty when they have been told already */
  readonly remarks: readonly Problem[];
  readonly plan: UserPlan;
  /** how often an engine was started before this one */
  readonly restarts: number;
  readonly monitorPid: number;
}

/** What the monitor tells the engine. */
export type MonitorMessage =
  | { readonly kind: 'start'; readonly start: EngineStart }
  | { readonly kind: 'reload'; readonly configuration: Reconfiguration }
  | { readonly kind: 'stop'; readonly signal: string }
  | { readonly kind: 'statistics' }
  /** whole lines of `pfctl -v -T show`, before the reply */
  | { readonly kind: 'lines'; readonly id: number; readonly lines: string }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: TableReply }
  | { readonly kind: 'counted'; readonly id: number; readonly count: TableCount }
  | { readonly kind: 'granted'; readonly id: number; readonly refused: readonly RefusedNetwork[] }
  | { readonly kind: 'limits'; readonly id: number; readonly limits: TableLimits | undefined }
  | { readonly kind: 'texts'; readonly id: number; readonly texts: FirewallTexts }
  | { readonly kind: 'reloaded'; readonly id: number; readonly configuration: Reconfiguration }
  /** the rules, and the table with them, had gone, or something of it, and are back; `isEmpty`: nothing is in it */
  | { readonly kind: 'restored'; readonly isEmpty: boolean };

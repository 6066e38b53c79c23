// What is asked and answered on the control socket.
export type {
  CaptureReport,
  ControlResults,
  EndedEntry,
  HealthFinding,
  HistoryEvent,
  ListedEntry,
  LogReport,
  QueueReport,
  RefusedDomain,
  RefusedSender,
  Severity,
  StateReport,
  StatisticsReport,
  StatusReport,
  TableReport,
  WatchTick,
  WhyReport,
} from './answers.js';

/**
 * What is said on the control socket: a line of JSON each, UTF-8, ended by a line feed. A connection asks one question
 * at a time; each is answered by any number of `item` lines and then one line with `ok`.
 */

/** Bytes of a question at the most; a longer one is refused, and the connection closed. */
export const MOST_QUESTION = 4096;

/** What can be asked. */
export type ControlRequest =
  | { readonly command: 'status' }
  | { readonly command: 'list' }
  | { readonly command: 'stats' }
  | {
      readonly command: 'allow';
      /** an address, or a prefix no wider than what is stored of a sender */
      readonly address: string;
      /** seconds; absent: the whitelist time */
      readonly forSeconds?: number;
    }
  /** an address, all that lies in a network, or everybody */
  | { readonly command: 'forget'; readonly address: string }
  | { readonly command: 'forget'; readonly all: true }
  | { readonly command: 'why'; readonly address: string }
  | {
      readonly command: 'refused';
      /** seconds; absent: all that are remembered */
      readonly sinceSeconds?: number;
    }
  | { readonly command: 'reload' }
  /** a {@link WatchTick} as an item each second, until the connection is closed */
  | { readonly command: 'watch' };

/** A line of an answer. */
export type ControlReply =
  | { readonly item: unknown }
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false;
      /** sysexits: the exit status for the command that asked */
      readonly exitStatus: number;
      /** for people, escaped */
      readonly message: string;
    };

/** What can be asked, by its name. */
export type ControlCommand = ControlRequest['command'];

// The log lines about the table. Pure.
import type { FirewallName } from '../config/names.js';
import type { PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { LISTABLE, listAdvice } from '../table/listable.js';
import type { RoomBound } from '../table/room.js';
import type { WriterEvent } from '../table/writer-events.js';
import { amount } from '../words.js';
import type { Line } from './messages.js';

/** What is said of each firewall's table. */
interface Words {
  /** why it may have lost entries */
  readonly lost: string;
  /** how there is more room */
  readonly room: string;
  /** what it means that it takes no more */
  readonly full: string;
}

const WORDS: Readonly<Record<TableKind, Words>> = {
  pf: {
    lost: 'was pf restarted, or the table flushed?',
    room: 'Raise "set limit table-entries" in pf.conf',
    full: 'pf has no memory for more table entries, though its limit is not reached: that leaves',
  },
  nft: {
    lost: 'was it flushed?',
    room: 'Run "mxallowd nft-conf --install", which gives them room for max-entries',
    full: 'a set of nftables is full: that leaves',
  },
};

/** The firewalls that have a table. */
export type TableKind = Exclude<FirewallName, 'queue'>;

/** Of many networks so many are named in a line. */
const MOST_NAMED = 10;

const FOREIGN = [
  'network or exception that is left alone and never expires',
  'networks or exceptions that are left alone and never expire',
] as const;

/**
 * Entries of the table that are nobody's business but the operator's.
 * @param table - what it is called: `pf table <mx-white>`
 */
export function foreignLine(count: number, some: readonly string[], table: string): Line {
  const message =
    `${table} has ${amount(count, ...FOREIGN)} (${firstOf(some, count)}): ` +
    'from your hand, or an "allow" of a run of which there is no state file';
  return { level: 'warn', message, fields: { event: 'table-foreign', count } };
}

/** What `allow` has put into the table, and names no more. */
export function withdrawnLine(prefixes: readonly PrefixText[], table: string): Line {
  const message = `not allowed any more, and taken out of ${table}: ${firstOf(prefixes, prefixes.length)}`;
  return { level: 'info', message, fields: { event: 'allow-withdrawn', count: prefixes.length } };
}

/** Why the table holds less than max-entries. */
export interface LessRoom {
  /** entries that may be whitelisted */
  readonly room: number;
  readonly bound: RoomBound;
  /** entries that are no senders': by `allow`, and those that are not ours */
  readonly besides: number;
  /** entries that can be listed at once */
  readonly listable: number | undefined;
}

/** The table holds less than max-entries. */
export function lessRoomLine(
  { room, bound, besides, listable }: LessRoom,
  maxEntries: number,
  kind: TableKind = 'pf',
): Line {
  const left = `room for ${amount(room, 'entry', 'entries')}, less than max-entries (${maxEntries})`;
  const beside = besides === 0 ? '' : ` beside ${besides} by "allow" or by hand`;
  const message = {
    limit: `pf's limit on table entries leaves ${left}; raise "set limit table-entries" in pf.conf`,
    list:
      `FreeBSD lists no more than ${listable ?? 0} entries of a table (${LISTABLE}), and one that cannot be ` +
      `listed cannot be kept right: that leaves ${left}${beside}; ${listAdvice(maxEntries + besides)}`,
    full: `${WORDS[kind].full} ${left}; those that were never used have made room. ` + WORDS[kind].room,
  }[bound];
  return { level: 'warn', message, fields: { event: 'less-room', maxEntries: room } };
}

/** `a, b and 7 more` */
function firstOf(texts: readonly string[], count: number): string {
  const named = texts.slice(0, MOST_NAMED);
  const more = count - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What the table's writer has to say; undefined for what nobody needs to read. */
export function writerLine(event: WriterEvent, table: string, kind: TableKind = 'pf'): Line | undefined {
  switch (event.kind) {
    case 'written': {
      const { verb, count, changed } = event;
      const tookMs = Math.round(event.tookMs);
      const done = verb === 'add' ? 'added to' : 'deleted from';
      const message = `${changed ?? count} of ${amount(count, 'address', 'addresses')} ${done} ${table} in ${tookMs} ms`;
      return { level: 'debug', message, fields: { event: 'table-written', verb, count, changed, tookMs } };
    }
    case 'failed': {
      const { failure, message } = event.reply;
      const { pending, retryInMs } = event;
      const text = `${table} cannot be written: ${escapeText(message)}; ${amount(pending, 'change waits', 'changes wait')}, next try in ${retryInMs} ms`;
      return {
        level: 'error',
        message: text,
        fields: { event: 'table-failed', failure, pending, retryInMs },
      };
    }
    case 'recovered': {
      const { failures } = event;
      const message = `${table} can be written again after ${Math.round(event.afterMs / 1000)} s and ${amount(failures, 'failed try', 'failed tries')}`;
      return { level: 'warn', message, fields: { event: 'table-recovered', failures } };
    }
    case 'table-made':
      return {
        level: 'warn',
        message: `${table} was missing and has been made again; is it still in pf.conf, with "persist"?`,
        fields: { event: 'table-made' },
      };
    case 'table-lost-entries': {
      const { count } = event;
      const message = `${table} had lost ${amount(count, 'entry', 'entries')} (${WORDS[kind].lost}); all is put back`;
      return { level: 'warn', message, fields: { event: 'table-lost-entries', count } };
    }
    // it is looked into, and that is told
    case 'counted':
      return undefined;
    case 'too-long': {
      const { listable } = event;
      const limit = listable === undefined ? LISTABLE : `${LISTABLE}: ${listable}`;
      const message =
        `${table} has more entries than FreeBSD lists at once (${limit}), so nobody can tell what is in it: ` +
        `${listAdvice(listable ?? 0)}. All is taken out now, and what is known of it put back at once`;
      return { level: 'error', message, fields: { event: 'table-too-long', listable } };
    }
    case 'emptied': {
      const { count, wanted } = event;
      const gone = count === undefined ? 'all entries' : amount(count, 'entry', 'entries');
      const message = `${gone} taken out of ${table}, ${wanted} of them put back: the others are not known`;
      return { level: 'warn', message, fields: { event: 'table-emptied', count, wanted } };
    }
    case 'compared': {
      const { entries, missing, surplus, foreign } = event;
      const message =
        `${table} has ${amount(entries, 'entry', 'entries')}: ${missing} of ours missing, ${surplus} taken out, ` +
        `${foreign} left alone (networks wider than what is whitelisted, or exceptions)`;
      return {
        level: 'debug',
        message,
        fields: { event: 'table-compared', entries, missing, surplus, foreign },
      };
    }
    case 'no-room': {
      const { held, ceiling, pending } = event;
      const message =
        `${table} is full: ${amount(held, 'entry', 'entries')} of ${ceiling} that are safe; ${amount(pending, 'waits', 'wait')}. ` +
        `${WORDS[kind].room} or lower max-entries`;
      return { level: 'error', message, fields: { event: 'table-full', held, ceiling, pending } };
    }
  }
}

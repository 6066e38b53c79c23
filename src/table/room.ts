// How many entries fit into pf's table. Pure.
import type { TableLimits } from './table.js';

/** Addresses in one command. */
export const MAX_BATCH = 10_000;
/** Part of the firewall's limit that stays free: it counts duplicates of a batch, too. */
const RESERVE = 0.1;
/** Part of what can be listed at once that stays free, for what somebody adds by hand. */
const LIST_RESERVE = 0.02;
/** Part of what a table had when the firewall had no room for more that makes room: limits are not exact. */
const FULL_RESERVE = 0.05;
/** FreeBSD's default: what can be listed where a list was too long and nobody says how long it may be. */
const USUALLY_LISTABLE = 65_535;
/** An addition that was refused is tried again in pieces of this part. */
const PIECE = 0.1;
/** After so long it is tried again whether there is room. */
const FULL_FOR_MS = 60 * 60_000;

/** How much of a firewall's room we use. */
export interface Room {
  /** addresses in one addition */
  readonly maxBatch: number;
  /** entries in the table at the most */
  readonly ceiling: number;
  /** what it is that allows no more; undefined: nothing is known */
  readonly bound: RoomBound | undefined;
}

/** `limit`: set limit table-entries; `list`: what can be listed at once; `full`: the firewall has refused more. */
export type RoomBound = 'limit' | 'list' | 'full';

/**
 * What we use of the entries that a firewall has room for: never all, for at its limit pf may stand still.
 * @param available - the limit, less what other tables hold
 */
export function roomFor(available: number): Pick<Room, 'maxBatch' | 'ceiling'> {
  const maxBatch = Math.max(1, Math.min(MAX_BATCH, Math.floor(available * RESERVE)));
  return { maxBatch, ceiling: Math.max(0, Math.floor(available * (1 - RESERVE)) - maxBatch) };
}

/**
 * Entries that a table may have so that it can be listed.
 * @param listable - what can be listed at the most
 */
export function listRoom(listable: number): number {
  return Math.floor(listable * (1 - LIST_RESERVE));
}

/** What was learned from a refusal. */
interface Refusal {
  /** entries that there may be; undefined: a smaller addition may still fit */
  readonly ceiling: number | undefined;
  /** addresses in one addition */
  readonly maxBatch: number;
  /** what the firewall said of its limits then */
  readonly limits: string;
  readonly untilMs: number;
}

/** Keeps what is known of the room: what the firewall says, and what it has refused. */
export class RoomBook {
  private limits: TableLimits | undefined;
  private refusal: Refusal | undefined;
  private isTooLong = false;

  /** Takes over what the firewall says; what it has refused counts as long as it says the same. */
  note(limits: TableLimits): void {
    if (JSON.stringify(limits) !== this.refusal?.limits) this.refusal = undefined;
    this.limits = limits;
  }

  /**
   * The firewall has refused more for want of room. Where nothing is added or all of it the table's size does not tell
   * how much would have fitted, so a large addition is tried again in small pieces.
   * @param size - entries in the table
   * @param batch - addresses in the addition that was refused
   */
  noteRefusal(size: number, batch: number, nowMs: number): void {
    const spare = Math.max(1, Math.ceil(size * FULL_RESERVE));
    const isFull = batch <= spare;
    this.refusal = {
      ceiling: isFull ? Math.max(0, size - spare) : undefined,
      maxBatch: isFull ? spare : Math.max(1, Math.floor(batch * PIECE)),
      limits: JSON.stringify(this.limits),
      untilMs: nowMs + FULL_FOR_MS,
    };
  }

  /** The table could not be listed. */
  noteTooLong(): void {
    this.isTooLong = true;
  }

  /** What was refused is to be tried again: something has been changed. */
  forgetRefusal(): void {
    this.refusal = undefined;
  }

  /** entries of one table that can be listed at the most; undefined: as many as there are, as far as is known */
  get listable(): number | undefined {
    return this.limits?.listable ?? (this.isTooLong ? USUALLY_LISTABLE : undefined);
  }

  /** How much is used of it now. */
  room(nowMs: number): Room {
    const { limits, listable, refusal } = this;
    let room: Room = { maxBatch: MAX_BATCH, ceiling: Number.POSITIVE_INFINITY, bound: undefined };
    const lower = (ceiling: number, bound: RoomBound): void => {
      if (ceiling < room.ceiling) room = { ...room, ceiling, bound };
    };
    if (limits !== undefined) {
      const { ceiling, maxBatch } = roomFor(Math.max(0, limits.limit - limits.usedByOthers));
      room = { maxBatch, ceiling, bound: 'limit' };
    }
    if (listable !== undefined) lower(listRoom(listable), 'list');
    if (refusal !== undefined && nowMs < refusal.untilMs) {
      room = { ...room, maxBatch: Math.min(room.maxBatch, refusal.maxBatch) };
      if (refusal.ceiling !== undefined) lower(refusal.ceiling, 'full');
    }
    return room;
  }
}

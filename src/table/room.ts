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

/** Keeps what is known of the room: what the firewall says, and what it has refused. */
export class RoomBook {
  private limits: TableLimits | undefined;
  private full: { readonly size: number; readonly limits: string; readonly untilMs: number } | undefined;
  private isTooLong = false;

  /** Takes over what the firewall says; what it has refused counts as long as it says the same. */
  note(limits: TableLimits): void {
    if (JSON.stringify(limits) !== this.full?.limits) this.full = undefined;
    this.limits = limits;
  }

  /** The firewall has refused more, with so many entries in the table. */
  noteFull(size: number, nowMs: number): void {
    this.full = { size, limits: JSON.stringify(this.limits), untilMs: nowMs + FULL_FOR_MS };
  }

  /** The table could not be listed. */
  noteTooLong(): void {
    this.isTooLong = true;
  }

  /** What was refused is to be tried again: something has been changed. */
  forgetFull(): void {
    this.full = undefined;
  }

  /** entries of one table that can be listed at the most; undefined: as many as there are, as far as is known */
  get listable(): number | undefined {
    return this.limits?.listable ?? (this.isTooLong ? USUALLY_LISTABLE : undefined);
  }

  /** How much is used of it now. */
  room(nowMs: number): Room {
    const { limits, listable, full } = this;
    let room: Room = { maxBatch: MAX_BATCH, ceiling: Number.POSITIVE_INFINITY, bound: undefined };
    const lower = (ceiling: number, bound: RoomBound, maxBatch: number): void => {
      if (ceiling < room.ceiling) room = { maxBatch: Math.min(room.maxBatch, maxBatch), ceiling, bound };
    };
    if (limits !== undefined) {
      const { ceiling, maxBatch } = roomFor(Math.max(0, limits.limit - limits.usedByOthers));
      lower(ceiling, 'limit', maxBatch);
    }
    if (listable !== undefined) lower(listRoom(listable), 'list', MAX_BATCH);
    if (full !== undefined && nowMs < full.untilMs) {
      const spare = Math.ceil(full.size * FULL_RESERVE);
      lower(full.size - spare, 'full', Math.max(1, spare));
    }
    return room;
  }
}

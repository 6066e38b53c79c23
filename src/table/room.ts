// How many entries fit into pf's table. Pure.

/** Addresses in one command. */
export const MAX_BATCH = 10_000;
/** Part of the firewall's limit that stays free: it counts duplicates of a batch, too. */
const RESERVE = 0.1;

/** How much of a firewall's room we use. */
export interface Room {
  /** addresses in one addition */
  readonly maxBatch: number;
  /** entries in the table at the most */
  readonly ceiling: number;
}

/**
 * What we use of the entries that a firewall has room for: never all, for at its limit pf may stand still.
 * @param available - the limit, less what other tables hold
 */
export function roomFor(available: number): Room {
  const maxBatch = Math.max(1, Math.min(MAX_BATCH, Math.floor(available * RESERVE)));
  return { maxBatch, ceiling: Math.max(0, Math.floor(available * (1 - RESERVE)) - maxBatch) };
}

// What an earlier run has left, and how it is taken in.
import { formatPrefix, parseCanonical, type Prefix, type PrefixText } from '../packet/address.js';
import type { Note } from '../state/source.js';
import type { KeptDomain } from '../names/domain-networks.js';
import type { Counters } from '../tracker/counters.js';
import type { RestoredEntry, Tracker } from '../tracker/tracker.js';

/** What an earlier run has left. */
export interface Restored {
  readonly entries: Iterable<RestoredEntry>;
  /** entries whose time is over: they are taken out of the table, too */
  readonly expired: readonly PrefixText[];
  /** what `allow` had put into the table */
  readonly allowed: readonly PrefixText[];
  readonly counters: Counters | undefined;
  /** the networks of domains, in the times of this run */
  readonly domains: readonly KeptDomain[];
  /** whether it was written by a version that has a time for those who have reached the real MX */
  readonly hasKnownTime: boolean;
  /** who was refused, and entries that have ended */
  readonly notes: Iterable<Note>;
}

/**
 * Takes it in.
 * @param allow - what is allowed at all times now
 * @param surplus - gets what is to be taken out of the table, if it is there
 * @returns `strange`: prefixes that cannot be entries, for no sender has such an address; `unallowed`: what `allow` had
 *   put in, and neither it nor an entry is there for now
 */
export function takeIn(
  { entries, expired, allowed, counters }: Restored,
  tracker: Tracker,
  allow: readonly Prefix[],
  surplus: Set<PrefixText>,
): Readonly<Record<'strange' | 'unallowed', readonly PrefixText[]>> {
  for (const prefix of expired) surplus.add(prefix);
  if (counters !== undefined) tracker.restoreCounters(counters);
  const strange: PrefixText[] = [];
  for (const entry of entries) {
    if (tracker.restore(entry)) continue;
    surplus.add(entry.text);
    if (!tracker.roles.canBeEntry(entry.prefix)) strange.push(entry.text);
  }
  const now = new Set(allow.map(formatPrefix));
  const unallowed = allowed.filter((text) => !now.has(text) && !isEntry(tracker, text));
  for (const prefix of unallowed) surplus.add(prefix);
  return { strange, unallowed };
}

function isEntry(tracker: Tracker, text: PrefixText): boolean {
  const prefix = parseCanonical(text);
  return prefix !== undefined && tracker.get(prefix) !== undefined;
}

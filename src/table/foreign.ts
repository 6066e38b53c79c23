// Entries of the table that are not ours. Pure.
import { type Address, familyOf, formatPrefix, prefixOf } from '../packet/address.js';
import type { TableEntry } from './table.js';

/** The one of these that pf would go by: it holds the address, and no other one that does is as narrow. */
export function decidingEntry(entries: readonly TableEntry[], address: Address): TableEntry | undefined {
  let deciding: TableEntry | undefined;
  for (const entry of entries) {
    const { address: network, length } = entry.prefix;
    if (familyOf(network) !== familyOf(address) || length <= (deciding?.prefix.length ?? -1)) continue;
    if (prefixOf(address, length).address === network) deciding = entry;
  }
  return deciding;
}

/** As pfctl writes it: `198.51.0.0/16`, or `! 203.0.113.7` for an exception. */
export function entryText({ prefix, negated }: TableEntry): string {
  return `${negated ? '! ' : ''}${formatPrefix(prefix)}`;
}

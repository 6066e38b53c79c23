// Which entries are listed, and in which order. Pure.
import type { ListedEntry } from '../../control/protocol.js';
import { addressWords, familyOf, overlaps, parsePrefix, type Prefix } from '../../packet/address.js';
import type { ListedOrigin } from '../../control/answers.js';

/** Which entries are wanted. */
export interface Selection {
  /** entries that lie in one of these, or that one of these lies in; none: all */
  readonly networks: readonly Prefix[];
  /** undefined: all */
  readonly origins: readonly ListedOrigin[] | undefined;
  /** whether it has been admitted; undefined: all */
  readonly used: boolean | undefined;
  /** part of the name, in any case */
  readonly namePart: string | undefined;
}

/** Whether an entry is wanted. */
export function isSelected(entry: ListedEntry, { networks, origins, used, namePart }: Selection): boolean {
  if (origins !== undefined && !origins.includes(entry.origin)) return false;
  if (used !== undefined && entry.admissions > 0 !== used) return false;
  if (namePart !== undefined && !nameHas(entry, namePart)) return false;
  if (networks.length === 0) return true;
  const parsed = parsePrefix(entry.prefix);
  return parsed.ok && networks.some((network) => overlaps(network, parsed.prefix));
}

function nameHas({ name }: ListedEntry, part: string): boolean {
  return name?.toLowerCase().includes(part.toLowerCase()) === true;
}

const NEVER = Number.MAX_SAFE_INTEGER;

type Order = (a: ListedEntry, b: ListedEntry) => number;

/** In which orders entries can be listed. */
export const ORDERS = {
  /** by the address's number, IPv4 first */
  address: () => 0,
  /** the one that goes first, first */
  left: (a, b) => a.expiresInMs - b.expiresInMs,
  /** the newest first */
  age: (a, b) => a.ageMs - b.ageMs,
  /** the one that reached the real MX last, first; those that have not, behind it */
  last: (a, b) => (a.lastAdmissionAgoMs ?? NEVER) - (b.lastAdmissionAgoMs ?? NEVER),
  /** the one used most often first */
  used: (a, b) => b.admissions - a.admissions,
} as const satisfies Readonly<Record<string, Order>>;

/** A name of an order. */
export type OrderName = keyof typeof ORDERS;

/** Entries in an order; those that are equal in it are in the order of their addresses. */
export function inOrder(entries: readonly ListedEntry[], name: OrderName): ListedEntry[] {
  const keys = new Map(entries.map((entry) => [entry, addressKey(entry)]));
  const byKey: Order = (a, b) => ((keys.get(a) ?? '') < (keys.get(b) ?? '') ? -1 : 1);
  const order: Order = ORDERS[name];
  return [...entries].sort((a, b) => order(a, b) || byKey(a, b));
}

/** Texts that compare as the addresses do. */
function addressKey({ prefix }: ListedEntry): string {
  const parsed = parsePrefix(prefix);
  if (!parsed.ok) return `9${prefix}`;
  const { address, length } = parsed.prefix;
  const words = addressWords(address).map((word) => (word >>> 0).toString(16).padStart(8, '0'));
  return `${familyOf(address)}${words.join('')}${String(length).padStart(3, '0')}`;
}

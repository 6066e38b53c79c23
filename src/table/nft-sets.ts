// The sets of our table in nftables, and which of them holds what. Pure.
import {
  ADDRESS_BITS,
  type Family,
  familyOf,
  formatAddress,
  formatPrefix,
  type Prefix,
} from '../packet/address.js';

/** Our table: family and name, as nft has them. */
export const NFT_TABLE = 'inet mx_white';

/** Lengths of the prefixes that are stored of senders: `ipv4-prefix` and `ipv6-prefix`. */
export type EntryLengths = Readonly<Record<Family, number>>;

/** What a set is for; its name has the family's number behind it. */
export type SetKind =
  /** addresses of the fake MX, and of the real one */
  | 'fake'
  | 'real'
  /** networks that the configuration allows */
  | 'allowed'
  /** who has tried the fake MX: the kernel's own, by the rule */
  | 'tried'
  /** the same for a moment, in a flood */
  | 'flood'
  /** whom we have let in: what is stored of a sender; single addresses, where that is a network; and other networks */
  | 'granted'
  | 'single'
  | 'wide'
  /** who was refused, and told, a moment ago */
  | 'refused';

/** The families, in the order in which they stand in all texts. */
export const FAMILIES: readonly Family[] = [4, 6];

/** As nft has it. */
export function setName(kind: SetKind, family: Family): string {
  return `${kind}${family}`;
}

/** The kinds of set in which only we put entries. */
export const GRANTED_KINDS = ['granted', 'single', 'wide'] as const satisfies readonly SetKind[];

/** One of {@link GRANTED_KINDS}. */
export type GrantedKind = (typeof GRANTED_KINDS)[number];

/** The set that an entry of ours belongs to. */
export function grantedKind({ address, length }: Prefix, lengths: EntryLengths): GrantedKind {
  const family = familyOf(address);
  if (length === lengths[family]) return 'granted';
  return length === ADDRESS_BITS[family] ? 'single' : 'wide';
}

/** An entry as an element of a set: a network by its first address, where all of the set are of one length. */
export function elementText(prefix: Prefix, kind: SetKind): string {
  return kind === 'wide' || kind === 'allowed' ? formatPrefix(prefix) : formatAddress(prefix.address);
}

/** The entry that an element of a set stands for, without the length that its text may have. */
export function lengthOf(kind: SetKind, family: Family, lengths: EntryLengths): number {
  const isWhole = kind === 'single' || kind === 'fake' || kind === 'real';
  return isWhole ? ADDRESS_BITS[family] : lengths[family];
}

/** Whether there is a set of this kind: single addresses need one only where networks are stored. */
export function hasSet(kind: SetKind, family: Family, lengths: EntryLengths): boolean {
  return kind !== 'single' || lengths[family] < ADDRESS_BITS[family];
}

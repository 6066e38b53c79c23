// From an address to its confirmed name, and to the name's other addresses.
import { type Address, addressWords, familyOf, isPossibleSource, parseAddress } from '../packet/address.js';
import { type HostName, hostName, reverseName } from './name.js';
import type { BoundedResolver, Lookup } from './resolver.js';

/** Names of an address at the most; a sender's PTR records are his own. */
const MOST_NAMES = 8;
/** Addresses of a name at the most. */
const MOST_ADDRESSES = 32;

/** A name that an address has by its PTR record. */
export interface ReverseName {
  readonly name: HostName;
  /** whether one of the name's own addresses is the one that was asked about */
  readonly confirmed: boolean;
  /** the name's addresses, all that can be admitted */
  readonly addresses: readonly Address[];
  /** what became of the look-up of its addresses of the same family */
  readonly status: Lookup['status'];
}

/** What DNS says about an address. */
export interface ReverseAnswer {
  /** what became of the look-up of the names */
  readonly status: Lookup['status'];
  readonly code: string;
  readonly names: readonly ReverseName[];
}

/**
 * Asks for the names of an address, and for the addresses of these names. What strangers control is cut: 8 names, 32
 * addresses each, no odd characters.
 */
export async function reverse(resolver: BoundedResolver, address: Address): Promise<ReverseAnswer> {
  const { status, code, records } = await resolver.lookup('PTR', reverseName(address));
  const names = records.flatMap((record) => hostName(record) ?? []);
  const unique = [...new Set(names)].slice(0, MOST_NAMES);
  return { status, code, names: await Promise.all(unique.map((name) => forward(resolver, name, address))) };
}

async function forward(resolver: BoundedResolver, name: HostName, source: Address): Promise<ReverseName> {
  const answers = await Promise.all([resolver.lookup('A', name), resolver.lookup('AAAA', name)]);
  const addresses = answers.flatMap(({ records }) => records.flatMap((record) => parseAddress(record) ?? []));
  const own = answers[familyOf(source) === 4 ? 0 : 1];
  return {
    name,
    // the source may stand behind those that are kept, but not behind those that the resolver cuts off
    confirmed: addresses.includes(source),
    addresses: addresses.slice(0, MOST_ADDRESSES),
    status: own?.status ?? 'failed',
  };
}

/** Networks of which no address is ever looked up or admitted by its name (RFC 6890, RFC 4193, RFC 6598). */
const PRIVATE: Readonly<Record<4 | 6, readonly (readonly [word: number, mask: number])[]>> = {
  4: [
    [0x0a000000, 0xff000000],
    [0x64400000, 0xffc00000],
    [0xa9fe0000, 0xffff0000],
    [0xac100000, 0xfff00000],
    [0xc0a80000, 0xffff0000],
  ],
  6: [
    [0xfc000000, 0xfe000000],
    [0xfe800000, 0xffc00000],
    [0xfec00000, 0xffc00000],
  ],
};

/** Whether an address is one of the Internet's: not private, link-local, loopback, multicast or unspecified. */
export function isPublic(address: Address): boolean {
  const family = familyOf(address);
  const [w0, w1, w2, w3] = addressWords(address);
  if (!isPossibleSource(family, w0, w1, w2, w3)) return false;
  // 2000::/3 is all that has been given out (RFC 4291); the rest has its pitfalls, as 64:ff9b::/96
  if (family === 6 && w0 >>> 29 !== 1) return false;
  return PRIVATE[family].every(([word, mask]) => (w0 & mask) !== (word | 0));
}

/**
 * The addresses of a name that may be admitted along with the one that has it.
 * @param ours - our own mail servers, which nobody admits by naming them
 */
export function admissible(name: ReverseName, ours: readonly Address[]): Address[] {
  return name.addresses.filter((address) => isPublic(address) && !ours.includes(address));
}

/** Other addresses that one attempt brings in at the most. */
const MOST_OTHERS = 32;

/**
 * The addresses that come in with a sender, each with the name that it has. They need not point back to it: why is in
 * docs/decisions.md.
 * @param ours - our own mail servers
 */
export function companions(
  source: Address,
  names: readonly ReverseName[],
  ours: readonly Address[],
): [Address, HostName][] {
  const others = new Map(
    names.flatMap((name) => admissible(name, ours).map((address) => [address, name.name] as const)),
  );
  others.delete(source);
  return [...others].slice(0, MOST_OTHERS);
}

/** For people: `mail.example.net: confirmed`. */
export function describe({ name, confirmed, addresses, status }: ReverseName): string {
  const none = status === 'none' ? 'has no address' : `its addresses cannot be looked up: ${status}`;
  const what = confirmed ? 'confirmed' : addresses.length === 0 ? none : 'does not point back';
  return `${name}: ${what}`;
}

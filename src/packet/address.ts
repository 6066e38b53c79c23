// IPv4 and IPv6 addresses and prefixes. Pure.
import { addressOfWords as ipv6OfWords, readIpv6, writeIpv6 } from './ipv6-text.js';

declare const brand: unique symbol;

/**
 * An IPv4 address: its 32 bits in network order, as a signed 32-bit integer (`192.0.2.1` is `-1073741311`).
 * Signed, so that V8 keeps it as a small integer.
 */
export type Ipv4Address = number & { readonly [brand]: 'ipv4' };

/**
 * An IPv6 address: 16 characters of code 0 to 255, the address's bytes in network order.
 * A string, because V8 hashes strings with a seed; a 128-bit BigInt as a Map's key is hashed by its low half only and
 * lets a remote sender make the Map quadratic.
 */
export type Ipv6Address = string & { readonly [brand]: 'ipv6' };

/** An address that has been read from a packet or checked as text. */
export type Address = Ipv4Address | Ipv6Address;

/** The two families, by the version number in the IP header. */
export type Family = 4 | 6;

/** Number of bits of an address of each family. */
export const ADDRESS_BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

/** The shortest prefix that can be stored for a sender: the bounds of ipv4-prefix and ipv6-prefix. */
export const WIDEST_ENTRY: Readonly<Record<Family, number>> = { 4: 24, 6: 48 };

/** The widest network that is ever let in: a wider one would open the gate to a good part of everybody. */
export const WIDEST_NETWORK: Readonly<Record<Family, number>> = { 4: 8, 6: 16 };

/** A network: `address` with all bits after the first `length` bits cleared. A full length means one address. */
export interface Prefix {
  readonly address: Address;
  /** 0 to 32 (IPv4) or 0 to 128 (IPv6) */
  readonly length: number;
}

/** Canonical text of a {@link Prefix}: RFC 5952 for IPv6, without `/32` and `/128`. Made by {@link formatPrefix} only. */
export type PrefixText = string & { readonly [brand]: 'prefix' };

/** An address as four signed 32-bit words in network order; of an IPv4 address the first, the others are 0. */
export type Words = readonly [number, number, number, number];

/** The words of an address. */
export function addressWords(address: Address): Words {
  if (typeof address === 'number') return [address, 0, 0, 0];
  return [word(address, 0), word(address, 4), word(address, 8), word(address, 12)];
}

function word(address: Ipv6Address, at: number): number {
  return (
    (address.charCodeAt(at) << 24) |
    (address.charCodeAt(at + 1) << 16) |
    (address.charCodeAt(at + 2) << 8) |
    address.charCodeAt(at + 3)
  );
}

/** The address that has these words. */
export function addressOfWords(family: Family, w0: number, w1: number, w2: number, w3: number): Address {
  return family === 4 ? (w0 as Ipv4Address) : (ipv6OfWords(w0, w1, w2, w3) as Ipv6Address);
}

/** The family of an address. */
export function familyOf(address: Address): Family {
  return typeof address === 'number' ? 4 : 6;
}

/**
 * Reads the text of one literal address.
 * Only the plain forms: four decimal parts without leading zeros, or RFC 4291 section 2.2. No short, octal or
 * hexadecimal IPv4, no scope id, no brackets, no blanks.
 * @returns the address, or undefined when the text is anything else
 */
export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? (readIpv6(text, parseIpv4) as Ipv6Address | undefined) : parseIpv4(text);
}

const DOT = 0x2e;
const ZERO = 0x30;
/** `255.255.255.255` */
const LONGEST_IPV4 = 15;

function parseIpv4(text: string): Ipv4Address | undefined {
  const { length } = text;
  if (length > LONGEST_IPV4) return undefined;
  let value = 0;
  let at = 0;
  for (let part = 1; part <= 4; part++) {
    const start = at;
    let byte = 0;
    for (let digit = 0; at < length && (digit = text.charCodeAt(at) - ZERO) >= 0 && digit <= 9; at++) {
      byte = byte * 10 + digit;
    }
    const hasLeadingZero = at - start > 1 && text.charCodeAt(start) === ZERO;
    if (at === start || byte > 255 || hasLeadingZero) return undefined;
    value = (value << 8) | byte;
    if (part < 4 && text.charCodeAt(at++) !== DOT) return undefined;
  }
  return at === length ? (value as Ipv4Address) : undefined;
}

/** Canonical text of an address: dotted decimal, or RFC 5952. */
export function formatAddress(address: Address): string {
  if (typeof address === 'number') {
    return `${(address >>> 24) & 255}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  }
  return writeIpv6(address);
}

/** The network of `length` bits that an address lies in. */
export function prefixOf(address: Address, length: number): Prefix {
  const [w0, w1, w2, w3] = addressWords(address);
  const family = familyOf(address);
  const masked = addressOfWords(
    family,
    w0 & wordMask(length),
    w1 & wordMask(length - 32),
    w2 & wordMask(length - 64),
    w3 & wordMask(length - 96),
  );
  return { address: masked, length };
}

/** Whether all of a prefix lies in a network. */
export function contains(network: Prefix, prefix: Prefix): boolean {
  if (prefix.length < network.length || familyOf(prefix.address) !== familyOf(network.address)) return false;
  return prefixOf(prefix.address, network.length).address === network.address;
}

/** Whether some address lies in both. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

/** Whether a bit is set behind the first `length` ones. */
function hasHostBits(address: Address, length: number): boolean {
  const [w0, w1, w2, w3] = addressWords(address);
  const rest =
    (w0 & ~wordMask(length)) |
    (w1 & ~wordMask(length - 32)) |
    (w2 & ~wordMask(length - 64)) |
    (w3 & ~wordMask(length - 96));
  return rest !== 0;
}

/** The first `bits` bits of a 32-bit word; none for 0 and less, all for 32 and more. */
export function wordMask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

/**
 * Reads the text of an address or of a network in CIDR form.
 * @returns the prefix, or why it is none
 */
export function parsePrefix(
  text: string,
): { ok: true; prefix: Prefix } | { ok: false; reason: 'not-an-address' | 'bad-length' | 'host-bits' } {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return { ok: false, reason: 'not-an-address' };
  const bits = ADDRESS_BITS[familyOf(address)];
  if (slash < 0) return { ok: true, prefix: { address, length: bits } };
  const lengthText = text.slice(slash + 1);
  const length = Number(lengthText);
  if (!/^(0|[1-9]\d{0,2})$/.test(lengthText) || length > bits) return { ok: false, reason: 'bad-length' };
  if (length < bits && hasHostBits(address, length)) return { ok: false, reason: 'host-bits' };
  return { ok: true, prefix: { address, length } };
}

/** The prefix that a text is the canonical one of, as {@link formatPrefix} makes it. */
export function parseCanonical(text: string): Prefix | undefined {
  const parsed = parsePrefix(text);
  if (!parsed.ok) return undefined;
  const { prefix } = parsed;
  // there is one way to write an IPv4 address, but for the length that goes without saying
  const isPlain = typeof prefix.address === 'number' && prefix.length < ADDRESS_BITS[4];
  const isWhole = typeof prefix.address === 'number' && !text.includes('/');
  return isPlain || isWhole || formatPrefix(prefix) === text ? prefix : undefined;
}

/** Canonical text of a prefix, as pfctl prints it: no `/32`, no `/128`. */
export function formatPrefix(prefix: Prefix): PrefixText {
  const full = prefix.length === ADDRESS_BITS[familyOf(prefix.address)];
  return (
    full ? formatAddress(prefix.address) : `${formatAddress(prefix.address)}/${prefix.length}`
  ) as PrefixText;
}

/**
 * Whether an address (as {@link addressWords} has it) can be a mail server's: not unspecified, loopback, multicast,
 * reserved or IPv4-mapped (RFC 6890; private addresses are possible).
 */
export function isPossibleSource(family: Family, w0: number, w1: number, w2: number, w3: number): boolean {
  const first = w0 >>> 24;
  if (family === 4) return first !== 0 && first !== 127 && first < 224;
  if (first === 0xff) return false;
  if (w0 !== 0 || w1 !== 0) return true;
  return w2 !== 0xffff && !(w2 === 0 && (w3 === 0 || w3 === 1));
}

/**
 * Whether an address means the same host wherever it is written down: not link-local, and in none of the networks in
 * ::/64 (IPv4-compatible and the like). Packets from others do come, from the next machine.
 */
export function isLasting(address: Address): boolean {
  const [w0, w1] = addressWords(address);
  return familyOf(address) === 4 ? w0 >>> 16 !== 0xa9fe : w0 >>> 22 !== 0x3fa && (w0 !== 0 || w1 !== 0);
}

/**
 * Whether an address stands for one of IPv4 behind a translator: in 64:ff9b::/96 (RFC 6052) or 64:ff9b:1::/48
 * (RFC 8215). Its neighbours are the whole Internet.
 */
export function isTranslated(address: Address): boolean {
  if (typeof address === 'number') return false;
  const [w0, w1, w2] = addressWords(address);
  return w0 === 0x64ff9b && (w1 >>> 16 === 1 || (w1 === 0 && w2 === 0));
}

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
  if (family === 4) return w0 as Ipv4Address;
  const codes = [w0, w1, w2, w3].flatMap((w) => [
    (w >>> 24) & 255,
    (w >>> 16) & 255,
    (w >>> 8) & 255,
    w & 255,
  ]);
  return String.fromCharCode(...codes) as Ipv6Address;
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
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

const IPV4_TEXT = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

function parseIpv4(text: string): Ipv4Address | undefined {
  const match = IPV4_TEXT.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (let part = 1; part <= 4; part++) {
    const byte = Number(match[part]);
    if (byte > 255) return undefined;
    value = (value << 8) | byte;
  }
  return value as Ipv4Address;
}

function parseIpv6(text: string): Ipv6Address | undefined {
  const halves = text.split('::');
  if (halves.length > 2 || text.length > 45) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return String.fromCharCode(...head, ...new Array<number>(missing).fill(0), ...tail) as Ipv6Address;
}

/** Bytes of colon-separated groups; the last group may be a dotted IPv4 address where `atEnd`. */
function parseGroups(text: string, atEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      const value = atEnd && index === groups.length - 1 ? parseIpv4(group) : undefined;
      if (value === undefined) return undefined;
      bytes.push((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes;
}

/** Canonical text of an address: dotted decimal, or RFC 5952. */
export function formatAddress(address: Address): string {
  if (typeof address === 'number') {
    return `${(address >>> 24) & 255}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  }
  return formatIpv6(address);
}

function formatIpv6(address: Ipv6Address): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((address.charCodeAt(i) << 8) | address.charCodeAt(i + 1));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${[12, 13, 14, 15].map((i) => address.charCodeAt(i)).join('.')}`;
  }
  const gap = longestZeroRun(groups);
  if (gap.length < 2) return groups.map((group) => group.toString(16)).join(':');
  const head = groups.slice(0, gap.start).map((group) => group.toString(16));
  const tail = groups.slice(gap.start + gap.length).map((group) => group.toString(16));
  return `${head.join(':')}::${tail.join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (start + length < groups.length && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
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
  const prefix = prefixOf(address, length);
  return prefix.address === address ? { ok: true, prefix } : { ok: false, reason: 'host-bits' };
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

// Names in DNS, as text and as what they mean. Pure.
import { type Address, addressWords, familyOf } from '../packet/address.js';

/**
 * A host name from DNS in lower case, without the final dot, checked: letters, digits, hyphens and underscores,
 * labels of 1 to 63 and a name of at most 253 characters (RFC 1035 section 2.3.4), two labels at least.
 */
export type HostName = string & { readonly [brand]: 'host' };

declare const brand: unique symbol;

/** RFC 1035 section 2.3.4: 255 bytes on the wire are 253 characters. */
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;

/**
 * Checks a name that a stranger may have chosen.
 * @returns undefined for what no mail server is called
 */
export function hostName(text: string): HostName | undefined {
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
  return name.length <= LONGEST_NAME && labelsOf(name) >= 2 ? (name as HostName) : undefined;
}

/** How many labels a name has; 0 when one of them is none. */
function labelsOf(name: string): number {
  let labels = 0;
  let start = 0;
  for (let at = 0; at <= name.length; at++) {
    const isEnd = at === name.length || name.charCodeAt(at) === DOT;
    if (!isEnd && !isNameCharacter(name.charCodeAt(at))) return 0;
    if (!isEnd) continue;
    if (at === start || at - start > LONGEST_LABEL) return 0;
    if (name.charCodeAt(start) === HYPHEN || name.charCodeAt(at - 1) === HYPHEN) return 0;
    labels++;
    start = at + 1;
  }
  return labels;
}

function isNameCharacter(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === HYPHEN || code === UNDERSCORE
  );
}

/** The name whose PTR records tell an address's names (RFC 1035 section 3.5, RFC 3596 section 2.5). */
export function reverseName(address: Address): string {
  const bytes = addressBytes(address);
  if (bytes.length === 4) return `${bytes.reverse().join('.')}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`;
}

function addressBytes(address: Address): number[] {
  const words = addressWords(address).slice(0, familyOf(address) === 4 ? 1 : 4);
  return words.flatMap((word) => [(word >>> 24) & 255, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
}

/** This many bytes of an IPv4 address in a name, one after the other, make it a name that encodes the address. */
const ENCODED_BYTES = 3;
/** This many hexadecimal digits of an IPv6 address likewise. */
const ENCODED_DIGITS = 12;

/** This many groups of an IPv6 address, one after the other, likewise. */
const ENCODED_GROUPS = 4;

/**
 * Whether a name merely encodes its address, as those of dial-up pools do: `1-2-3-4.dsl.example.net`, backwards,
 * with leading zeros, hexadecimal, or three of the four bytes.
 */
export function encodesAddress(name: HostName, address: Address): boolean {
  const bytes = addressBytes(address);
  if (bytes.length === 16) {
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const backwards = [...hex].reverse().join('');
    const digits = name.replace(/[^0-9a-f]/g, '');
    if ([hex, backwards].some((text) => hasRun(digits, text, ENCODED_DIGITS))) return true;
    // groups without their leading zeros
    const groups = (hex.match(/.{4}/g) ?? []).map((group) => group.replace(/^0{1,3}/, ''));
    const parts = name
      .split(/[^0-9a-f]+/)
      .map((part) => part.replace(/^0+/, ''))
      .filter((part) => part !== '');
    return hasParts(
      parts,
      groups.filter((group) => group !== '0'),
      ENCODED_GROUPS,
    );
  }
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  if (name.includes(hex.join('')) || name.includes([...hex].reverse().join(''))) return true;
  const decimal = String(
    ((bytes[0] ?? 0) * 2 ** 24 + (bytes[1] ?? 0) * 2 ** 16 + (bytes[2] ?? 0) * 256 + (bytes[3] ?? 0)) >>> 0,
  );
  const runs: readonly string[] = name.match(/\d+/g) ?? [];
  if (runs.includes(decimal)) return true;
  const padded = bytes.map((byte) => String(byte).padStart(3, '0'));
  if (runs.some((run) => run === padded.join('') || run === [...padded].reverse().join(''))) return true;
  const numbers = runs.map(Number);
  return [bytes, [...bytes].reverse()].some((wanted) => hasSequence(numbers, wanted));
}

/** Whether some bytes that follow each other in `wanted` follow each other in `numbers`. */
function hasSequence(numbers: readonly number[], wanted: readonly number[]): boolean {
  for (let from = 0; from + ENCODED_BYTES <= wanted.length; from++) {
    for (let at = 0; at + ENCODED_BYTES <= numbers.length; at++) {
      if (wanted.slice(from, from + ENCODED_BYTES).every((byte, i) => numbers[at + i] === byte)) return true;
    }
  }
  return false;
}

/** Whether `length` groups that follow each other in `wanted` follow each other in `parts`. */
function hasParts(parts: readonly string[], wanted: readonly string[], length: number): boolean {
  for (let from = 0; from + length <= wanted.length; from++) {
    for (let at = 0; at + length <= parts.length; at++) {
      if (wanted.slice(from, from + length).every((group, i) => parts[at + i] === group)) return true;
    }
  }
  return false;
}

/** Whether `length` characters that follow each other in `wanted`, not all zeros, are in `text`. */
function hasRun(text: string, wanted: string, length: number): boolean {
  for (let from = 0; from + length <= wanted.length; from++) {
    const part = wanted.slice(from, from + length);
    if (!/^0+$/.test(part) && text.includes(part)) return true;
  }
  return false;
}

// IPv6 addresses as text (RFC 4291, section 2.2; RFC 5952). Pure.

/*
 * The text of IPv6 addresses, character by character: a hundred thousand of them are read and written while the daemon
 * starts. An address is a string of 16 characters of code 0 to 255, as in address.ts.
 */

const GROUPS = 8;
const COLON = 0x3a;
const DOT = 0x2e;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const LONGEST = 45;

const groups = new Uint16Array(GROUPS);
const letters = Buffer.alloc(LONGEST + 1);

/**
 * Reads RFC 4291 section 2.2, all three forms.
 * @param readDotted - reads dotted decimal, to 32 bits
 */
export function readIpv6(text: string, readDotted: (text: string) => number | undefined): string | undefined {
  const { length } = text;
  if (length < 2 || length > LONGEST) return undefined;
  let count = 0;
  /** how many groups stand before the double colon */
  let before = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    before = 0;
    at = 2;
  }
  while (at < length) {
    if (count === GROUPS) return undefined;
    const end = groupEnd(text, at);
    if (text.charCodeAt(end) === DOT) {
      const dotted = readDotted(text.slice(at));
      if (dotted === undefined || count > GROUPS - 2) return undefined;
      groups[count++] = dotted >>> 16;
      groups[count++] = dotted & 0xffff;
      break;
    }
    if (end === at || end - at > 4) return undefined;
    groups[count++] = groupValue(text, at, end);
    if (end === length) break;
    // a colon, and something behind it
    if (text.charCodeAt(end) !== COLON || end + 1 === length) return undefined;
    at = end + 1;
    if (text.charCodeAt(at) === COLON) {
      if (before >= 0) return undefined;
      before = count;
      at++;
    }
  }
  if (before < 0 ? count !== GROUPS : count >= GROUPS) return undefined;
  if (before >= 0) spread(before, count);
  return addressOfGroups();
}

function groupEnd(text: string, start: number): number {
  let end = start;
  while (hexDigit(text.charCodeAt(end)) >= 0) end++;
  return end;
}

function groupValue(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = (value << 4) | hexDigit(text.charCodeAt(at));
  return value;
}

/** The value of a hexadecimal digit; -1 for anything else, NaN included. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const small = code | 0x20;
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : -1;
}

/** Moves the groups after the double colon to the end, and puts zeros into the gap. */
function spread(before: number, count: number): void {
  groups.copyWithin(GROUPS - (count - before), before, count);
  groups.fill(0, before, GROUPS - (count - before));
}

function addressOfGroups(): string {
  return addressOfWords(groupPair(0), groupPair(2), groupPair(4), groupPair(6));
}

function groupPair(index: number): number {
  return ((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0);
}

/** The 16 characters of four 32-bit words. */
export function addressOfWords(w0: number, w1: number, w2: number, w3: number): string {
  return String.fromCharCode(
    w0 >>> 24,
    (w0 >>> 16) & 255,
    (w0 >>> 8) & 255,
    w0 & 255,
    w1 >>> 24,
    (w1 >>> 16) & 255,
    (w1 >>> 8) & 255,
    w1 & 255,
    w2 >>> 24,
    (w2 >>> 16) & 255,
    (w2 >>> 8) & 255,
    w2 & 255,
    w3 >>> 24,
    (w3 >>> 16) & 255,
    (w3 >>> 8) & 255,
    w3 & 255,
  );
}

/** The canonical text of an address: RFC 5952. */
export function writeIpv6(address: string): string {
  for (let index = 0; index < GROUPS; index++) {
    groups[index] = (address.charCodeAt(2 * index) << 8) | address.charCodeAt(2 * index + 1);
  }
  if (isMapped()) return `::ffff:${[12, 13, 14, 15].map((i) => address.charCodeAt(i)).join('.')}`;
  const gap = longestZeroRun();
  const gapStart = gap < 0 ? -1 : gap >> 4;
  let length = 0;
  for (let index = 0; index < GROUPS; index++) {
    if (index === gapStart) {
      letters[length++] = COLON;
      if (index === 0) letters[length++] = COLON;
      index += (gap & 15) - 1;
      continue;
    }
    length = writeGroup(groups[index] ?? 0, length);
    if (index < GROUPS - 1) letters[length++] = COLON;
  }
  return letters.toString('latin1', 0, length);
}

/** Whether it is an IPv4-mapped one: `::ffff:0:0/96` */
function isMapped(): boolean {
  return groupPair(0) === 0 && groupPair(2) === 0 && groupPair(4) === 0xffff;
}

/**
 * The zeros that are left out: two groups at least, the first of the longest runs.
 * @returns where they start, times 16, plus how many they are; -1 when there are none
 */
function longestZeroRun(): number {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < GROUPS; start++) {
    let length = 0;
    while (start + length < GROUPS && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
    start += length;
  }
  return bestStart < 0 ? -1 : bestStart * 16 + bestLength;
}

/** Writes a group without leading zeros. @returns where the next letter goes */
function writeGroup(value: number, at: number): number {
  let next = at;
  for (let shift = 12; shift >= 0; shift -= 4) {
    if (value >>> shift === 0 && shift > 0) continue;
    const digit = (value >>> shift) & 15;
    letters[next++] = digit < 10 ? 0x30 + digit : 0x57 + digit;
  }
  return next;
}

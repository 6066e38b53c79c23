// IPv4 (RFC 791) and IPv6 (RFC 8200) headers. Pure.
import { uint16 } from './bytes.js';

/** Why no TCP header was found behind an IP header. */
export type IpFailure =
  | 'truncated-ipv4'
  | 'truncated-ipv6'
  | 'truncated-ipv6-extension'
  | 'bad-ipv4'
  | 'too-many-ipv6-extensions'
  | 'fragment'
  | 'not-tcp';

/** IP protocol numbers (IANA, "Assigned Internet Protocol Numbers"). */
const Protocol = { TCP: 6, FRAGMENT: 44, AH: 51 } as const;

/** Extension headers whose length is (byte 1 + 1) × 8: hop-by-hop, routing, destination, mobility, HIP, shim6 (RFC 6564). */
const PLAIN_EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140]);

/** Without options (RFC 791 section 3.1), and without extension headers (RFC 8200 section 3). */
/** Extension headers that pf takes for options: hop-by-hop, routing, destination (OpenBSD pf.c pf_walk_header6). */
const OPTION_EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60]);

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** No sane packet has more; a chain of 8-byte headers in 64 KiB would have 8,000. */
const MAX_EXTENSIONS = 16;

/** Fragment offset without the flags (RFC 791 section 3.1, RFC 8200 section 4.5). */
const IPV4_FRAGMENT_OFFSET = 0x1fff;
const IPV6_FRAGMENT_OFFSET = 0xfff8;

/**
 * Finds the TCP header of an IPv4 packet (RFC 791), behind any options.
 * @param start - offset of the IP header in `data`
 * @param end - offset after the last byte that may be read
 * @returns the TCP header's offset in `data` (it may lie at `end`), or a failure
 */
export function findTcpInIpv4(data: Uint8Array, start: number, end: number): number | IpFailure {
  if (end - start < IPV4_HEADER) return 'truncated-ipv4';
  const headerLength = ((data[start] as number) & 15) << 2;
  if (headerLength < IPV4_HEADER || ipv4TotalLength(data, start) < headerLength) return 'bad-ipv4';
  if ((uint16(data, start + 6) & IPV4_FRAGMENT_OFFSET) !== 0) return 'fragment';
  if (data[start + 9] !== Protocol.TCP) return 'not-tcp';
  return end - start < headerLength ? 'truncated-ipv4' : start + headerLength;
}

/** The total length field of an IPv4 header: header and data, in bytes. */
export function ipv4TotalLength(data: Uint8Array, start: number): number {
  return uint16(data, start + 2);
}

/** Length of an IPv6 packet by its header; unlimited for a payload length of 0 (jumbogram, RFC 2675). */
export function ipv6TotalLength(data: Uint8Array, start: number): number {
  const payload = uint16(data, start + 4);
  return payload === 0 ? Number.MAX_SAFE_INTEGER : IPV6_HEADER + payload;
}

/**
 * Finds the TCP header of an IPv6 packet (RFC 8200), behind hop-by-hop, routing, destination, fragment (first
 * fragment only), AH (RFC 4302 section 2.2), mobility, HIP and shim6 headers.
 * @param start - offset of the IP header in `data`
 * @param end - offset after the last byte that may be read
 * @returns the TCP header's offset in `data` (it may lie at `end`), or a failure
 */
export function findTcpInIpv6(data: Uint8Array, start: number, end: number): number | IpFailure {
  if (end - start < IPV6_HEADER) return 'truncated-ipv6';
  let next = data[start + 6] as number;
  let at = start + IPV6_HEADER;
  for (let count = 0; count <= MAX_EXTENSIONS; count++) {
    if (next === Protocol.TCP) return at > end ? 'truncated-ipv6-extension' : at;
    const isFragment = next === Protocol.FRAGMENT;
    if (!isFragment && next !== Protocol.AH && !PLAIN_EXTENSIONS.has(next)) return 'not-tcp';
    if (end - at < (isFragment ? 8 : 2)) return 'truncated-ipv6-extension';
    if (isFragment && (uint16(data, at + 2) & IPV6_FRAGMENT_OFFSET) !== 0) return 'fragment';
    const length = extensionLength(next, data[at + 1] as number);
    next = data[at] as number;
    at += length;
  }
  return 'too-many-ipv6-extensions';
}

/** Whether an IPv4 header has options (RFC 791 section 3.1). */
export function hasIpv4Options(data: Uint8Array, start: number): boolean {
  return ((data[start] as number) & 15) << 2 > IPV4_HEADER;
}

/**
 * Whether hop-by-hop options, a routing header or destination options stand between an IPv6 header and its TCP header.
 * @param tcp - what {@link findTcpInIpv6} has found
 */
export function hasIpv6Options(data: Uint8Array, start: number, tcp: number): boolean {
  let next = data[start + 6] as number;
  for (let at = start + IPV6_HEADER; at < tcp;) {
    if (OPTION_EXTENSIONS.has(next)) return true;
    const length = extensionLength(next, data[at + 1] as number);
    next = data[at] as number;
    at += length;
  }
  return false;
}

/** Bytes of an extension header, by the byte in it that tells its length. */
function extensionLength(header: number, length: number): number {
  if (header === Protocol.FRAGMENT) return 8;
  return header === Protocol.AH ? (length + 2) << 2 : (length + 1) << 3;
}

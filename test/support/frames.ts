/**
 * Frames made by hand: pflog header, IPv4 or IPv6, TCP. Every length field can be made to lie.
 */
import { type Frame, LinkType } from '../../src/packet/frame.js';

/** 2023-11-14T22:13:20Z */
export const TIME_MS = 1_700_000_000_000;

/** The bytes of `parts`, one after the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Bytes of `a.b.c.d`, or of eight groups `2001:db8:0:0:0:0:0:1` (no `::`). */
export function addressBytes(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.').map(Number));
  return Uint8Array.from(
    text.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
}

/** 16 bytes, NUL-padded. */
function nameBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(Buffer.from(text, 'latin1'));
  return bytes;
}

/** Fields of a pflog header; what is left out is as pf's `block in log` would have it. */
export interface PflogFields {
  /** the `length` byte: 45, 61, 69, 100 or any other */
  readonly length?: number;
  /** bytes that the header has; `length` rounded up to 4 unless told */
  readonly size?: number;
  readonly addressFamily?: number;
  readonly action?: number;
  readonly reason?: number;
  readonly interfaceName?: string;
  readonly ruleset?: string;
  readonly ruleNumber?: number;
  readonly subruleNumber?: number;
  readonly uid?: number;
  readonly pid?: number;
  readonly ruleUid?: number;
  readonly rulePid?: number;
  readonly direction?: number;
  /** byte order of uids and pids */
  readonly littleEndian?: boolean;
}

/**
 * A header of link type 117. `dir` stands at 60, in headers shorter than 61 at 44. The bytes after the last known
 * field are 0xee, so that a reader of the wrong offset shows.
 */
export function pflogHeader(fields: PflogFields = {}): Uint8Array {
  const length = fields.length ?? 61;
  const bytes = new Uint8Array(Math.max(64, fields.size ?? (length + 3) & ~3)).fill(0xee);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, length);
  view.setUint8(1, fields.addressFamily ?? 2);
  view.setUint8(2, fields.action ?? 1);
  view.setUint8(3, fields.reason ?? 0);
  bytes.set(nameBytes(fields.interfaceName ?? 'em0'), 4);
  bytes.set(nameBytes(fields.ruleset ?? ''), 20);
  view.setInt32(36, fields.ruleNumber ?? 3);
  view.setInt32(40, fields.subruleNumber ?? -1);
  if (length >= 61) {
    const littleEndian = fields.littleEndian ?? true;
    view.setInt32(44, fields.uid ?? -1, littleEndian);
    view.setInt32(48, fields.pid ?? 100_000, littleEndian);
    view.setInt32(52, fields.ruleUid ?? 0, littleEndian);
    view.setInt32(56, fields.rulePid ?? 358, littleEndian);
  }
  view.setUint8(length >= 61 ? 60 : 44, fields.direction ?? 1);
  return bytes.subarray(0, fields.size ?? (length + 3) & ~3);
}

/** A header of link type 17 (before OpenBSD 3.4): 28 bytes, big endian; there in was 0 and out 1. */
export function oldPflogHeader(
  fields: Pick<
    PflogFields,
    'addressFamily' | 'interfaceName' | 'ruleNumber' | 'reason' | 'action' | 'direction'
  >,
): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.addressFamily ?? 2);
  bytes.set(nameBytes(fields.interfaceName ?? 'fxp0'), 4);
  view.setInt16(20, fields.ruleNumber ?? 3);
  view.setUint16(22, fields.reason ?? 0);
  view.setUint16(24, fields.action ?? 1);
  view.setUint16(26, fields.direction ?? 0);
  return bytes;
}

/** Fields of a TCP header; what is left out makes a SYN from port 40000 to 25 without options. */
export interface TcpFields {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly sequence?: number;
  readonly flags?: number;
  /** in words of 4 bytes */
  readonly dataOffset?: number;
  readonly payload?: Uint8Array;
}

/** A TCP header of 20 bytes, and its payload. */
export function tcp(fields: TcpFields = {}): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, fields.sourcePort ?? 40_000);
  view.setUint16(2, fields.destinationPort ?? 25);
  view.setUint32(4, fields.sequence ?? 0x01020304);
  view.setUint8(12, (fields.dataOffset ?? 5) << 4);
  view.setUint8(13, fields.flags ?? 0x02);
  view.setUint16(14, 64_240);
  return join(bytes, fields.payload ?? new Uint8Array(0));
}

/** Fields of an IPv4 header; lengths that are left out are right. */
export interface Ipv4Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly version?: number;
  /** in words of 4 bytes */
  readonly headerLength?: number;
  readonly totalLength?: number;
  readonly options?: Uint8Array;
  /** in units of 8 bytes */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly payload?: Uint8Array;
}

/** An IPv4 packet (RFC 791), of a SYN unless told. */
export function ipv4(fields: Ipv4Fields = {}): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const payload = fields.payload ?? tcp();
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, ((fields.version ?? 4) << 4) | (fields.headerLength ?? 5 + options.length / 4));
  view.setUint16(2, fields.totalLength ?? 20 + options.length + payload.length);
  view.setUint16(4, 0x1234);
  view.setUint16(6, (fields.moreFragments === true ? 0x2000 : 0) | (fields.fragmentOffset ?? 0));
  view.setUint8(8, 64);
  view.setUint8(9, fields.protocol ?? 6);
  bytes.set(addressBytes(fields.source ?? '203.0.113.7'), 12);
  bytes.set(addressBytes(fields.destination ?? '192.0.2.3'), 16);
  return join(bytes, options, payload);
}

/** An IPv6 extension header, but for its first byte, which {@link ipv6} fills in. */
export interface Extension {
  /** protocol number of this header */
  readonly type: number;
  /** the header, with 0 in place of the next header's number */
  readonly bytes: Uint8Array;
}

/** A header whose length is (units + 1) × 8: hop-by-hop 0, routing 43, destination 60, mobility 135, HIP 139, shim6 140. */
export function extension(type: number, units = 0): Extension {
  const bytes = new Uint8Array((units + 1) * 8).fill(0xdd);
  bytes.set([0, units]);
  return { type, bytes };
}

/**
 * A fragment header (RFC 8200 section 4.5), with 0xff in the reserved byte, which some readers take for a length.
 * @param offset - in units of 8 bytes
 */
export function fragment(offset: number, moreFragments: boolean): Extension {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, 0xff);
  view.setUint16(2, (offset << 3) | (moreFragments ? 1 : 0));
  view.setUint32(4, 0xcafef00d);
  return { type: 44, bytes };
}

/**
 * An authentication header (RFC 4302 section 2.2): 12 bytes and the check value, its length in words minus 2.
 * @param words - of the check value
 */
export function authentication(words: number): Extension {
  const bytes = new Uint8Array(12 + words * 4).fill(0xaa);
  bytes.set([0, 1 + words, 0, 0]);
  return { type: 51, bytes };
}

/** Fields of an IPv6 packet; lengths that are left out are right. */
export interface Ipv6Fields {
  readonly source?: string;
  readonly destination?: string;
  /** protocol of the payload */
  readonly protocol?: number;
  readonly version?: number;
  readonly payloadLength?: number;
  readonly extensions?: readonly Extension[];
  readonly payload?: Uint8Array;
}

/** An IPv6 packet (RFC 8200), of a SYN unless told. */
export function ipv6(fields: Ipv6Fields = {}): Uint8Array {
  const { extensions = [], payload = tcp(), protocol = 6 } = fields;
  const chain = extensions.map(({ bytes }, index) => {
    const copy = bytes.slice();
    copy[0] = extensions[index + 1]?.type ?? protocol;
    return copy;
  });
  const rest = join(...chain, payload);
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (fields.version ?? 6) * 2 ** 28 + 0x0abcdef);
  view.setUint16(4, fields.payloadLength ?? rest.length);
  view.setUint8(6, extensions[0]?.type ?? protocol);
  view.setUint8(7, 64);
  bytes.set(addressBytes(fields.source ?? '2001:db8:0:0:0:0:0:7'), 8);
  bytes.set(addressBytes(fields.destination ?? '2001:db8:0:0:0:0:0:25'), 24);
  return join(bytes, rest);
}

/** A frame that begins and ends with `bytes`. */
export function frameOf(bytes: Uint8Array, fields: Partial<Frame> = {}): Frame {
  return {
    data: bytes,
    offset: 0,
    captureLength: bytes.length,
    originalLength: bytes.length,
    timeMs: TIME_MS,
    linkType: LinkType.PFLOG,
    littleEndian: true,
    ...fields,
  };
}

/** A frame of a usual header and an IPv4 packet. */
export function frame4(packet: Uint8Array = ipv4(), header: PflogFields = {}): Frame {
  return frameOf(join(pflogHeader(header), packet));
}

/** A frame of a usual header (address family 24 unless told) and an IPv6 packet. */
export function frame6(packet: Uint8Array = ipv6(), header: PflogFields = {}): Frame {
  return frameOf(join(pflogHeader({ addressFamily: 24, ...header }), packet));
}

/** The frame cut to its first `captureLength` bytes; what follows in memory is 0xff. */
export function cutTo(frame: Frame, captureLength: number): Frame {
  const data = new Uint8Array(frame.data.length + 64).fill(0xff);
  data.set(frame.data.subarray(0, captureLength));
  return { ...frame, data, captureLength };
}

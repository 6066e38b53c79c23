// From a frame to what it says of a connection. Pure, never throws.
import { type Address, addressOfWords, type Family } from './address.js';
import { int32, uint16 } from './bytes.js';
import { type Frame, LinkType } from './frame.js';
import {
  findTcpInIpv4,
  findTcpInIpv6,
  hasIpv4Options,
  hasIpv6Options,
  type IpFailure,
  ipv4TotalLength,
  ipv6TotalLength,
} from './ip.js';
import { type LinkFailure, locatePacket } from './link.js';
import {
  Action,
  type HeaderFailure,
  IP_VERSION_OF_FAMILY,
  locateHeader,
  oldDirection,
  PfReason,
  readName,
  translatedPort,
} from './pflog.js';

/** TCP flag bits (RFC 9293 section 3.1, byte 13). */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

/** Why a frame says nothing about a TCP segment. */
export type UndecodedReason =
  | HeaderFailure
  | LinkFailure
  | IpFailure
  | 'unknown-address-family'
  | 'version-mismatch'
  /** where only what our rules have written counts, in netfilter's log: none of them has; not by decode */
  | 'other-prefix'
  | 'truncated-tcp'
  | 'short-tcp'
  | 'bad-tcp';

/** What a frame says. */
export class Observation {
  readonly ok = true;

  constructor(
    /** when it was captured, milliseconds since 1970 UTC */
    readonly timeMs: number,
    /** family of both addresses; their words are as `addressWords` has them */
    readonly family: Family,
    readonly source0: number,
    readonly source1: number,
    readonly source2: number,
    readonly source3: number,
    readonly destination0: number,
    readonly destination1: number,
    readonly destination2: number,
    readonly destination3: number,
    readonly sourcePort: number,
    readonly destinationPort: number,
    /** TCP sequence number, signed 32 bits */
    readonly sequence: number,
    /** bits of {@link TcpFlag} */
    readonly tcpFlags: number,
    /** IPv4 options, or IPv6 headers with options or a route: pf drops such a packet unless a rule says `allow-opts` */
    readonly hasIpOptions: boolean,
    /** 1 is in (packet/pflog `Direction`) */
    readonly direction: number,
    /** the rule's action (packet/pflog `Action`, packet/nflog `NflogAction`), not the packet's fate */
    readonly action: number,
    /** why; 0 is a match (packet/pflog `PfReason`) */
    readonly pfReason: number,
    /** unescaped, as it was on the wire */
    readonly interfaceName: string,
    /** last component of the anchor's path; empty in the main ruleset; unescaped */
    readonly anchor: string,
    readonly ruleNumber: number,
    /** that translation has led the packet to; 0: none, or pf does not tell (only OpenBSD does) */
    readonly translatedPort: number,
  ) {}

  get source(): Address {
    return addressOfWords(this.family, this.source0, this.source1, this.source2, this.source3);
  }

  get destination(): Address {
    return addressOfWords(
      this.family,
      this.destination0,
      this.destination1,
      this.destination2,
      this.destination3,
    );
  }

  /** A connection request: SYN without ACK. */
  get isSyn(): boolean {
    return (this.tcpFlags & (TcpFlag.SYN | TcpFlag.ACK)) === TcpFlag.SYN;
  }
}

/** A frame that could not be decoded, and why. */
export interface Undecoded {
  readonly ok: false;
  readonly reason: UndecodedReason;
}

const undecoded = new Map<UndecodedReason, Undecoded>();

function failed(reason: UndecodedReason): Undecoded {
  let failure = undecoded.get(reason);
  if (failure === undefined) {
    failure = Object.freeze({ ok: false, reason });
    undecoded.set(reason, failure);
  }
  return failure;
}

/** Ports at 0 and 2, data offset at 12, flags at 13 (RFC 9293 section 3.1). */
const TCP_UP_TO_FLAGS = 14;
const TCP_HEADER = 20;
/** Without options and extension headers (RFC 791 section 3.1, RFC 8200 section 3). */
const IP_HEADER = { 4: 20, 6: 40 } as const;

/**
 * Decodes a frame: pflog header, or what stands before a packet on a wire; IPv4 or IPv6, TCP.
 * Never throws, never reads after `captureLength` (nor after the end of `data`).
 * @returns what the frame says, or the reason why it says nothing about TCP
 */
export function decode(frame: Frame): Observation | Undecoded {
  const { data, offset } = frame;
  const available = Math.min(frame.captureLength, data.length - offset);
  if (!isPflog(frame.linkType)) return decodeLinked(frame, offset + available);
  const location = locateHeader(data, offset, available, frame.linkType);
  if (typeof location === 'string') return failed(location);
  const end = offset + available;
  const start = offset + location.payloadOffset;
  const version = IP_VERSION_OF_FAMILY.get(addressFamily(data, offset, frame.linkType));
  if (version === undefined) return failed('unknown-address-family');
  if (start >= end) return failed(version === 4 ? 'truncated-ipv4' : 'truncated-ipv6');
  if ((data[start] as number) >> 4 !== version) return failed('version-mismatch');
  const tcp = locateTcp(data, start, end, version);
  if (typeof tcp === 'string') return failed(tcp);

  const { layout } = location;
  const isOld = layout === undefined;
  return observation(
    data,
    start,
    tcp,
    version,
    frame.timeMs,
    isOld ? oldDirection(uint16(data, offset + 26)) : (data[offset + layout.dir] as number),
    isOld ? uint16(data, offset + 24) : (data[offset + 2] as number),
    isOld ? uint16(data, offset + 22) : (data[offset + 3] as number),
    readName(data, offset + 4),
    isOld ? '' : readName(data, offset + 20),
    isOld ? (uint16(data, offset + 20) << 16) >> 16 : int32(data, offset + 36),
    isOld ? 0 : translatedPort(data, offset),
  );
}

/** Whether a frame says what pf did with its packet. */
export function isPflog(linkType: LinkType): boolean {
  return linkType === LinkType.PFLOG || linkType === LinkType.OLD_PFLOG;
}

function decodeLinked(frame: Frame, end: number): Observation | Undecoded {
  const { data, offset, linkType, littleEndian, timeMs } = frame;
  const packet = locatePacket(data, offset, end, linkType, littleEndian);
  if (typeof packet === 'string') return failed(packet);
  return decodePacket(data, packet.start, packet.end, timeMs, packet.direction, packet.action);
}

/**
 * Decodes a bare IP packet: IPv4 or IPv6, TCP. No firewall has decided about it yet, or one that says so beside it.
 * Never throws, never reads from `end` on.
 * @param start - offset of the IP header in `data`
 * @param end - offset after the last byte that was captured
 * @param timeMs - when it came, milliseconds since 1970
 * @param direction - packet/pflog `Direction`
 * @param action - what a rule of ours for nftables has done: packet/nflog `NflogAction`
 */
export function decodePacket(
  data: Uint8Array,
  start: number,
  end: number,
  timeMs: number,
  direction: number,
  action: number = Action.NONE,
): Observation | Undecoded {
  const version = start < end ? (data[start] as number) >> 4 : 0;
  if (version !== 4 && version !== 6) return failed('version-mismatch');
  const tcp = locateTcp(data, start, end, version);
  if (typeof tcp === 'string') return failed(tcp);
  return observation(data, start, tcp, version, timeMs, direction, action, PfReason.MATCH, '', '', -1, 0);
}

/**
 * The addresses of a packet whose TCP header cannot be read; ports and flags are 0.
 * @returns undefined when the IP header is cut or makes no sense
 */
export function decodeAddresses(data: Uint8Array, start: number, end: number): Observation | undefined {
  const version = start < end ? (data[start] as number) >> 4 : 0;
  if ((version !== 4 && version !== 6) || end - start < IP_HEADER[version]) return undefined;
  // a TCP header of zeros stands in
  const packet = new Uint8Array(IP_HEADER[version] + TCP_HEADER);
  packet.set(data.subarray(start, start + IP_HEADER[version]));
  return observation(
    packet,
    0,
    IP_HEADER[version],
    version,
    0,
    0,
    Action.NONE,
    PfReason.MATCH,
    '',
    '',
    -1,
    0,
  );
}

/** Finds a TCP header whose flags can be read, behind an IP header. */
function locateTcp(data: Uint8Array, start: number, end: number, version: Family): number | UndecodedReason {
  const tcp = version === 4 ? findTcpInIpv4(data, start, end) : findTcpInIpv6(data, start, end);
  if (typeof tcp === 'string') return tcp;
  const packetEnd = start + (version === 4 ? ipv4TotalLength(data, start) : ipv6TotalLength(data, start));
  if (packetEnd - tcp < TCP_HEADER) return 'short-tcp';
  if (end - tcp < TCP_UP_TO_FLAGS) return 'truncated-tcp';
  return (data[tcp + 12] as number) >> 4 < TCP_HEADER / 4 ? 'bad-tcp' : tcp;
}

function observation(
  data: Uint8Array,
  start: number,
  tcp: number,
  version: Family,
  timeMs: number,
  direction: number,
  action: number,
  pfReason: number,
  interfaceName: string,
  anchor: string,
  ruleNumber: number,
  translated: number,
): Observation {
  const isIpv4 = version === 4;
  return new Observation(
    timeMs,
    version,
    int32(data, isIpv4 ? start + 12 : start + 8),
    isIpv4 ? 0 : int32(data, start + 12),
    isIpv4 ? 0 : int32(data, start + 16),
    isIpv4 ? 0 : int32(data, start + 20),
    int32(data, isIpv4 ? start + 16 : start + 24),
    isIpv4 ? 0 : int32(data, start + 28),
    isIpv4 ? 0 : int32(data, start + 32),
    isIpv4 ? 0 : int32(data, start + 36),
    uint16(data, tcp),
    uint16(data, tcp + 2),
    int32(data, tcp + 4),
    data[tcp + 13] as number,
    isIpv4 ? hasIpv4Options(data, start) : hasIpv6Options(data, start, tcp),
    direction,
    action,
    pfReason,
    interfaceName,
    anchor,
    ruleNumber,
    translated,
  );
}

function addressFamily(data: Uint8Array, offset: number, linkType: LinkType): number {
  return linkType === LinkType.OLD_PFLOG ? int32(data, offset) : (data[offset + 1] as number);
}

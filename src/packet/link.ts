// What stands before an IP packet on a wire, or in netfilter's log. Pure.
import { uint16 } from './bytes.js';
import { LinkType } from './frame.js';
import { locateNflog, type NflogFailure } from './nflog.js';
import { Action, Direction } from './pflog.js';

/** Why no IP packet was found behind a link header. */
export type LinkFailure = NflogFailure | 'not-ip' | 'loopback';

/** Where the IP packet begins in the frame's data, where it ends, and which way it went (packet/pflog `Direction`). */
export interface LinkedPacket {
  readonly start: number;
  readonly end: number;
  readonly direction: number;
  /** what a firewall says that it has done: packet/nflog `NflogAction`; packet/pflog `Action.NONE`: nobody says anything */
  readonly action: number;
}

/** What stands where in a link header of fixed length; offsets from its start. */
interface Layout {
  /** bytes */
  readonly length: number;
  /** of the EtherType, big endian; undefined: there is none, the packet's first four bits tell its version */
  readonly etherType?: number;
  /** of the kind of packet: sent to us, to others, or by us; its last byte, for the first is 0 */
  readonly packetType?: number;
  /** of the kind of interface (ARPHRD_), big endian */
  readonly hardware?: number;
}

const IP_ALONE: Layout = { length: 0 };

/**
 * Link headers by their types: IEEE 802.3 section 3.1.1; LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2 and LINKTYPE_RAW as
 * https://www.tcpdump.org/linktypes.html has them.
 */
const LAYOUTS: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [LinkType.ETHERNET, { length: 14, etherType: 12 }],
  // packet type u16, ARPHRD u16, address length u16, address[8], protocol u16
  [LinkType.LINUX_SLL, { length: 16, etherType: 14, packetType: 1, hardware: 2 }],
  // protocol u16, reserved u16, interface u32, ARPHRD u16, packet type u8, address length u8, address[8]
  [LinkType.LINUX_SLL2, { length: 20, etherType: 0, packetType: 10, hardware: 8 }],
  [LinkType.RAW, IP_ALONE],
  [LinkType.RAW_FREEBSD, IP_ALONE],
  [LinkType.RAW_OPENBSD, IP_ALONE],
  [LinkType.IPV4, IP_ALONE],
  [LinkType.IPV6, IP_ALONE],
]);

/** IEEE 802 numbers (IANA): IPv4, IPv6, and the tags of IEEE 802.1Q, 802.1ad and what came before that. */
const IP_TYPES: ReadonlySet<number> = new Set([0x0800, 0x86dd]);
const VLAN_TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
/** A tag, and the type behind it. */
const TAG_LENGTH = 4;
/** More than two are nowhere in use. */
const MOST_TAGS = 4;

/** PACKET_OUTGOING (linux/if_packet.h) */
const SENT_BY_US = 4;
/** ARPHRD_LOOPBACK (linux/if_arp.h) */
const LOOPBACK_HARDWARE = 772;

/**
 * Finds the IP packet in a frame of a wire or of netfilter's log.
 * @param start - where the frame begins in `data`
 * @param end - offset after the last byte that was captured
 * @param linkType - any but pf's
 * @param littleEndian - byte order of the machine that captured
 */
export function locatePacket(
  data: Uint8Array,
  start: number,
  end: number,
  linkType: LinkType,
  littleEndian: boolean,
): LinkedPacket | LinkFailure {
  if (linkType === LinkType.NFLOG) return locateNflog(data, start, end, littleEndian);
  const layout = LAYOUTS.get(linkType) ?? IP_ALONE;
  if (end - start < layout.length) return 'truncated-link';
  const { hardware, packetType } = layout;
  if (hardware !== undefined && uint16(data, start + hardware) === LOOPBACK_HARDWARE) return 'loopback';
  const packet = behindTags(data, start, end, layout);
  if (typeof packet === 'string') return packet;
  const isOurs = packetType !== undefined && data[start + packetType] === SENT_BY_US;
  const known = isOurs ? Direction.OUT : Direction.IN;
  const direction = packetType === undefined ? Direction.UNKNOWN : known;
  return { start: packet, end, direction, action: Action.NONE };
}

/** Where the packet begins: behind the header, and the tags of virtual networks. */
function behindTags(data: Uint8Array, start: number, end: number, layout: Layout): number | LinkFailure {
  let packet = start + layout.length;
  if (layout.etherType === undefined) return packet;
  let type = uint16(data, start + layout.etherType);
  for (let tags = 0; VLAN_TAGS.has(type); tags++) {
    if (end - packet < TAG_LENGTH) return 'truncated-link';
    if (tags === MOST_TAGS) return 'bad-link';
    type = uint16(data, packet + 2);
    packet += TAG_LENGTH;
  }
  return IP_TYPES.has(type) ? packet : 'not-ip';
}

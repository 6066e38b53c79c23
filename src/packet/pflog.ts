// The header that pf puts before a logged packet, in each of its layouts. Pure.
import { addressOfWords, formatAddress } from './address.js';
import { int32, uint16 } from './bytes.js';
import { type Frame, LinkType } from './frame.js';

/** Address families as they stand in a pfloghdr, per system, with the IP version they mean (sys/socket.h). */
export const IP_VERSION_OF_FAMILY: ReadonlyMap<number, 4 | 6> = new Map([
  [2, 4], // AF_INET everywhere
  [24, 6], // AF_INET6: OpenBSD, NetBSD
  [28, 6], // FreeBSD, DragonFly
  [30, 6], // macOS
  [10, 6], // Linux
]);

/** Rule actions (OpenBSD sys/net/pfvar.h); the others differ from system to system. NONE: there is no pf. */
export const Action = { NONE: -1, PASS: 0, DROP: 1, RDR: 8, MATCH: 12 } as const;

/** Why pf took the action (OpenBSD sys/net/pfvar.h PFRES_); other numbers than MATCH say that a packet was dropped. */
export const PfReason = { MATCH: 0, IP_OPTION: 8 } as const;

/** Directions (sys/net/pfvar.h). UNKNOWN: a recording of a wire does not tell. */
export const Direction = { UNKNOWN: -1, INOUT: 0, IN: 1, OUT: 2, FORWARD: 3 } as const;

/** Sizes of the fixed string fields (IFNAMSIZ, PFLOG_RULESET_NAME_SIZE). */
const NAME_SIZE = 16;

interface Layout {
  /** from this value of the `length` field on */
  readonly minLength: number;
  /** offset of `dir` */
  readonly dir: number;
  /** whether uid, pid, rule_uid and rule_pid are there (@44 to @60) */
  readonly hasIds: boolean;
}

/**
 * What differs between the headers of link type 117, longest first; a longer header than the known ones (61, 69,
 * 100) has the fields of the longest (sys/net/if_pflog.h; libpcap pflog.h; 45: before OpenBSD 4.1 and FreeBSD 7).
 */
const LAYOUTS: readonly Layout[] = [
  { minLength: 61, dir: 60, hasIds: true },
  { minLength: 45, dir: 44, hasIds: false },
];

/** Length of the header of link type 17: af u32, ifname[16], rnr u16, reason u16, action u16, dir u16, big endian. */
const OLD_HEADER_LENGTH = 28;

/** Where the parts of a frame are, relative to the frame's start; what {@link locateHeader} finds. */
export interface HeaderLocation {
  readonly layout: Layout | undefined;
  readonly payloadOffset: number;
}

/** Why a header could not be used. */
export type HeaderFailure = 'truncated-pflog' | 'bad-pflog-length';

const LOCATIONS: readonly (HeaderLocation | undefined)[] = Array.from({ length: 256 }, (_, length) => {
  const layout = LAYOUTS.find((candidate) => length >= candidate.minLength);
  return layout && { layout, payloadOffset: (length + 3) & ~3 };
});
const OLD_LOCATION: HeaderLocation = { layout: undefined, payloadOffset: OLD_HEADER_LENGTH };

/**
 * Finds the pflog header's layout and the start of the IP packet after it: the header's `length` byte rounded up to
 * a multiple of 4 (libpcap gencode.c; tcpdump print-pflog.c).
 * @param available - bytes of the frame that may be read
 */
export function locateHeader(
  data: Uint8Array,
  start: number,
  available: number,
  linkType: LinkType,
): HeaderLocation | HeaderFailure {
  if (available < 1) return 'truncated-pflog';
  const location = linkType === LinkType.OLD_PFLOG ? OLD_LOCATION : LOCATIONS[data[start] as number];
  if (location === undefined) return 'bad-pflog-length';
  return available < location.payloadOffset ? 'truncated-pflog' : location;
}

/** Every field of a pflog header. Absent ones (old headers) are undefined. */
export interface PflogHeader {
  readonly length: number;
  /** address family of the packet that follows, in the capturing system's numbers */
  readonly addressFamily: number;
  /** the rule's action (not the packet's fate) */
  readonly action: number;
  /** why: 0 is a match */
  readonly reason: number;
  readonly interfaceName: string;
  /** last component of the anchor's path, cut to 15 characters; empty in the main ruleset */
  readonly ruleset: string;
  readonly ruleNumber: number;
  /** -1 outside anchors */
  readonly subruleNumber: number;
  /** -1 unless the rule says `log (user)` */
  readonly uid: number | undefined;
  readonly pid: number | undefined;
  readonly ruleUid: number | undefined;
  readonly rulePid: number | undefined;
  readonly direction: number;
  /** the rule's `ridentifier`; FreeBSD 12 and later */
  readonly ruleIdentifier?: number;
  /** OpenBSD only */
  readonly translation?: Translation;
}

/** The connection as `nat-to`, `rdr-to` or `af-to` makes it; the packet behind the header is as it came. */
export interface Translation {
  /** false: nothing is translated, and what follows is what the packet says */
  readonly rewritten: boolean;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** A header of this length has a `ridentifier` at 64, big endian (FreeBSD 15.1 sys/net/if_pflog.h). */
const LENGTH_WITH_IDENTIFIER = 69;
/** A header of this length has what translation made of the packet (OpenBSD 7.8 sys/net/if_pflog.h). */
const LENGTH_WITH_TRANSLATION = 100;

/**
 * Reads all fields of a frame's pflog header.
 * Rule numbers are big endian, uids and pids in the byte order of the machine that captured.
 */
export function readPflogHeader(frame: Frame): PflogHeader | HeaderFailure {
  const { data, offset, littleEndian } = frame;
  const available = Math.min(frame.captureLength, data.length - offset);
  const location = locateHeader(data, offset, available, frame.linkType);
  if (typeof location === 'string') return location;
  const view = new DataView(data.buffer, data.byteOffset + offset, location.payloadOffset);
  const { layout } = location;
  if (layout === undefined) {
    return {
      length: OLD_HEADER_LENGTH,
      addressFamily: view.getUint32(0),
      interfaceName: readName(data, offset + 4),
      ruleset: '',
      ruleNumber: view.getInt16(20),
      subruleNumber: -1,
      reason: view.getUint16(22),
      action: view.getUint16(24),
      direction: oldDirection(view.getUint16(26)),
      uid: undefined,
      pid: undefined,
      ruleUid: undefined,
      rulePid: undefined,
    };
  }
  const id = (at: number): number | undefined =>
    layout.hasIds ? view.getInt32(at, littleEndian) : undefined;
  const length = view.getUint8(0);
  return {
    length,
    addressFamily: view.getUint8(1),
    action: view.getUint8(2),
    reason: view.getUint8(3),
    interfaceName: readName(data, offset + 4),
    ruleset: readName(data, offset + 20),
    ruleNumber: view.getInt32(36),
    subruleNumber: view.getInt32(40),
    uid: id(44),
    pid: id(48),
    ruleUid: id(52),
    rulePid: id(56),
    direction: view.getUint8(layout.dir),
    ...(length === LENGTH_WITH_IDENTIFIER && { ruleIdentifier: view.getUint32(64) }),
    ...(length >= LENGTH_WITH_TRANSLATION && { translation: readTranslation(data, offset) }),
  };
}

/**
 * The port that `rdr-to` or `af-to` has led a packet to.
 * @param start - of a header of link type 117 that is there to its end
 * @returns 0 when nothing was translated, or the header does not tell: only OpenBSD's does
 */
export function translatedPort(data: Uint8Array, start: number): number {
  const tells = (data[start] as number) >= LENGTH_WITH_TRANSLATION && data[start + 61] === 1;
  return tells ? uint16(data, start + 98) : 0;
}

/** rewritten u8 @61, naf u8 @62, saddr[16] @64, daddr[16] @80, sport u16 @96, dport u16 @98, all big endian. */
function readTranslation(data: Uint8Array, offset: number): Translation {
  const family = IP_VERSION_OF_FAMILY.get(data[offset + 62] as number) ?? 6;
  const address = (at: number): string => {
    const word = (index: number): number => int32(data, offset + at + 4 * index);
    return formatAddress(addressOfWords(family, word(0), word(1), word(2), word(3)));
  };
  return {
    rewritten: data[offset + 61] === 1,
    source: address(64),
    sourcePort: uint16(data, offset + 96),
    destination: address(80),
    destinationPort: uint16(data, offset + 98),
  };
}

/** Before OpenBSD 3.4 in was 0 and out 1 (Wireshark packet-pflog.h). */
export function oldDirection(value: number): number {
  return value + 1;
}

interface CachedName {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const recentNames: CachedName[] = [];
let nextRecent = 0;
const RECENT_NAMES = 8;

/**
 * Reads a NUL-padded name of 16 bytes, as Latin-1 (unescaped). The few names in use are kept, so that a frame makes
 * no new string.
 */
export function readName(data: Uint8Array, offset: number): string {
  if (data[offset] === 0) return '';
  for (const recent of recentNames) {
    if (sameName(data, offset, recent.bytes)) return recent.text;
  }
  let length = 0;
  while (length < NAME_SIZE && data[offset + length] !== 0) length++;
  const text = String.fromCharCode(...data.subarray(offset, offset + length));
  const bytes = new Uint8Array(NAME_SIZE);
  bytes.set(data.subarray(offset, offset + length));
  recentNames[nextRecent] = { bytes, text };
  nextRecent = (nextRecent + 1) % RECENT_NAMES;
  return text;
}

function sameName(data: Uint8Array, offset: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < NAME_SIZE; i++) {
    const byte = bytes[i];
    if (data[offset + i] !== byte) return false;
    if (byte === 0) return true;
  }
  return true;
}

// A frame: bytes as captured.

/**
 * Link types that can be read (LINKTYPE_ values, https://www.tcpdump.org/linktypes.html; libpcap pcap-common.c): pf's
 * log, which says what pf did with a packet, and those of a wire, which say that it was there.
 */
export const LinkType = {
  /** pflog as of OpenBSD 3.4, and FreeBSD, NetBSD, macOS */
  PFLOG: 117,
  /** pflog before OpenBSD 3.4 */
  OLD_PFLOG: 17,
  ETHERNET: 1,
  RAW: 101,
  /** DLT_RAW of FreeBSD and of OpenBSD, where a program has written that instead of 101 */
  RAW_FREEBSD: 12,
  RAW_OPENBSD: 14,
  /** Linux cooked: `tcpdump -i any`, and what has no header of its own */
  LINUX_SLL: 113,
  LINUX_SLL2: 276,
  IPV4: 228,
  IPV6: 229,
  /** netfilter's log: `tcpdump -i nflog:GROUP` */
  NFLOG: 239,
} as const;

/** One of {@link LinkType}. */
export type LinkType = (typeof LinkType)[keyof typeof LinkType];

/** Bytes as captured. `data` may be shared with other frames and reused after the call that delivers the frame. */
export interface Frame {
  readonly data: Uint8Array;
  /** where this frame begins in `data` */
  readonly offset: number;
  /** number of bytes of the frame that were captured */
  readonly captureLength: number;
  /** number of bytes that the frame had */
  readonly originalLength: number;
  /** when it was captured: milliseconds since 1970 UTC, with a fraction (precise to a microsecond) */
  readonly timeMs: number;
  readonly linkType: LinkType;
  /** byte order of the machine that captured, for the fields that are in host order */
  readonly littleEndian: boolean;
}

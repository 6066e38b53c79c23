// A frame: bytes as captured.

/** Link types that carry a firewall's log (LINKTYPE_ values, libpcap pcap-common.c). */
export const LinkType = {
  /** pflog as of OpenBSD 3.4, and FreeBSD, NetBSD, macOS */
  PFLOG: 117,
  /** pflog before OpenBSD 3.4 */
  OLD_PFLOG: 17,
  /** Linux's netfilter log */
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

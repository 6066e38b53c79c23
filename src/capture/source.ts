// What a source of frames is, and how it fails.
import { type Frame, LinkType } from '../packet/frame.js';

/** What a source counts. `dropped` is undefined where the source cannot know. */
export interface CaptureStatistics {
  readonly received: number;
  readonly dropped: number | undefined;
}

/** Who takes what a source delivers. Exactly one of `end` and `error` comes, as the last call; neither after close. */
export interface FrameSink {
  /** A frame; its bytes may be overwritten after the call. */
  frame(frame: Frame): void;
  /** No more frames will come: the end of a savefile. */
  end(): void;
  /** The source has died. */
  error(error: CaptureError): void;
  /** Something that the source or its child process said; `warning` when it asks for attention. Unescaped. */
  notice(text: string, severity: 'info' | 'warning'): void;
}

/** Where frames come from. */
export interface FrameSource {
  /** for people: which source, on what */
  readonly description: string;
  /**
   * Opens the capture; frames may come before this resolves.
   * @throws CaptureError when it cannot be opened
   */
  open(sink: FrameSink): Promise<void>;
  statistics(): CaptureStatistics;
  /** Ends the capture and waits until it has ended. May be called at any time, more than once. */
  close(): Promise<void>;
}

/** A capture that cannot be opened or has ended, in words for the administrator. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';

  constructor(
    message: string,
    /** `unavailable`: a program or package is missing; `data`: not a savefile, or a wrong link type */
    readonly kind: 'unavailable' | 'permission' | 'data' | 'input' | 'died',
  ) {
    super(message);
  }
}

/** Names of link types that can be read, or that people try by mistake (libpcap's LINKTYPE_ list). */
const LINK_TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'NULL (BSD loopback)'],
  [1, 'ETHERNET'],
  [12, 'RAW'],
  [14, 'RAW'],
  [101, 'RAW'],
  [105, 'IEEE802_11'],
  [108, 'LOOP (OpenBSD loopback)'],
  [109, 'ENC'],
  [113, 'LINUX_SLL'],
  [121, 'PFSYNC'],
  [228, 'IPV4'],
  [229, 'IPV6'],
  [239, 'NFLOG'],
  [246, 'PFSYNC'],
  [276, 'LINUX_SLL2'],
]);

/**
 * Checks a link type.
 * @param origin - for the message
 * @throws CaptureError that names the link type
 */
export type RequireLinkType = (linkType: number, origin: string) => LinkType;

/** Checks that a link type carries pf's log. */
export const requirePflog: RequireLinkType = (linkType, origin) => {
  if (linkType === LinkType.PFLOG || linkType === LinkType.OLD_PFLOG) return linkType;
  throw wrongLinkType(linkType, origin, '117 PFLOG: not a recording of a pflog interface');
};

/** Checks that a link type is netfilter's log. */
export const requireNflog: RequireLinkType = (linkType, origin) => {
  if (linkType === LinkType.NFLOG) return linkType;
  throw wrongLinkType(linkType, origin, '239 NFLOG');
};

const READABLE: ReadonlySet<number> = new Set(Object.values(LinkType));

/** Checks that a link type is one of those that can be read: pf's log, or a wire. */
export const requireReadable: RequireLinkType = (linkType, origin) => {
  if (READABLE.has(linkType)) return linkType as LinkType;
  throw wrongLinkType(
    linkType,
    origin,
    '117 PFLOG, 1 ETHERNET, 113 LINUX_SLL, 276 LINUX_SLL2, 101 RAW or 239 NFLOG',
  );
};

/** The name of a link type; a number when it has none here. */
export function linkTypeName(linkType: number): string {
  return LINK_TYPE_NAMES.get(linkType) ?? `link type ${linkType}`;
}

function wrongLinkType(linkType: number, origin: string, expected: string): CaptureError {
  const name = LINK_TYPE_NAMES.get(linkType);
  const shown = name === undefined ? '' : ` ${name}`;
  return new CaptureError(`${origin}: link type ${linkType}${shown}, expected ${expected}`, 'data');
}

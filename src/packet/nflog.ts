// What the kernel's netfilter log (NFLOG) says of a packet: linux/netfilter/nfnetlink_log.h. Pure.
import { Action, Direction } from './pflog.js';

/** What each of our rules writes in front of a packet: the words of its prefix, behind {@link NFLOG_WHO}. */
export const NflogWord = {
  /** a SYN to the fake MX, refused; its sender is remembered */
  TRIED: 'tried',
  /** the same in a flood: its sender is remembered for a moment only */
  FLOOD: 'flood',
  /** a SYN to the real MX: let in, because we have put its sender into a set */
  KNOWN: 'known',
  /** because the configuration allows it at all times */
  ALLOWED: 'allowed',
  /** because the kernel remembers that it has tried the fake MX */
  NEW: 'new',
  /** a stranger: dropped */
  REFUSED: 'refused',
  /** a stranger: passed, to look first */
  PASSED: 'passed',
  /** a stranger: led to another port */
  ELSEWHERE: 'elsewhere',
  /** a stranger: passed with a mark */
  MARKED: 'marked',
  /** a connection of ours to somebody's mail server */
  OUTBOUND: 'outbound',
} as const;

/** One of {@link NflogWord}. */
export type NflogWord = (typeof NflogWord)[keyof typeof NflogWord];

/**
 * What a rule of ours for nftables has done, as `Observation.action` has it: beyond all that pf's log can say (there it
 * is a byte, or two).
 */
export const NflogAction = {
  /** dropped, or at the fake MX refused */
  DROP: 0x10001,
  /** refused at the fake MX, in a flood: the kernel remembers the sender for a moment only */
  FLOOD: 0x10002,
  /** let in by a set that we fill, or by one of the configuration */
  PASS: 0x10003,
  /** let in, because the kernel remembers that the sender has tried the fake MX */
  PASS_TRIED: 0x10004,
  /** a stranger, passed to look first */
  LEARN: 0x10005,
  /** a stranger, led elsewhere */
  LED: 0x10006,
  /** ours, to somebody's mail server */
  SENT: 0x10007,
} as const;

/** Whether an action is one of {@link NflogAction}, not pf's. */
export function isNflogAction(action: number): boolean {
  return action > 0xffff;
}

/** What a prefix of ours begins with. */
export const NFLOG_WHO = 'mxallowd ';

/** What the rule of each word does, by the word's first letter. */
const ACTIONS: ReadonlyMap<number, number> = new Map(
  (
    [
      [NflogWord.TRIED, NflogAction.DROP],
      [NflogWord.FLOOD, NflogAction.FLOOD],
      [NflogWord.KNOWN, NflogAction.PASS],
      [NflogWord.ALLOWED, NflogAction.PASS],
      [NflogWord.NEW, NflogAction.PASS_TRIED],
      [NflogWord.REFUSED, NflogAction.DROP],
      [NflogWord.PASSED, NflogAction.LEARN],
      [NflogWord.ELSEWHERE, NflogAction.LED],
      [NflogWord.MARKED, NflogAction.LED],
      [NflogWord.OUTBOUND, NflogAction.SENT],
    ] as const
  ).map(([word, action]) => [word.charCodeAt(0), action]),
);

/** enum nfulnl_attr_type, as far as it is read here */
const Attribute = { PACKET_HDR: 1, PAYLOAD: 9, PREFIX: 10 } as const;
/** struct nfgenmsg: address family (8), version (8), resource (16) */
const HEADER = 4;
const VERSION = 0;
/** struct nlattr: length with this header (16), type (16), both in the machine's order */
const ATTRIBUTE_HEADER = 4;
/** struct nfulnl_msg_packet_hdr: protocol (16), hook (8) */
const HOOK = 2;
/** enum nf_inet_hooks: output and postrouting; the others are on the way in */
const FIRST_HOOK_OUT = 3;

/** Why a message of NFLOG could not be used: it is cut, has no packet, or makes no sense. */
export type NflogFailure = 'truncated-link' | 'bad-link';

/** Where the packet is in a message, and what became of it. */
export interface NflogLocation {
  /** offset of the IP header in the data */
  readonly start: number;
  /** offset after the last byte that was copied */
  readonly end: number;
  /** packet/pflog `Direction` */
  readonly direction: number;
  /** one of {@link NflogAction}; `Action.NONE`: no rule of ours has written it */
  readonly action: number;
}

/**
 * Finds the packet in a message of NFLOG: `struct nfgenmsg`, then attributes, as the kernel sends it behind the netlink
 * header, and as link type 239 (LINKTYPE_NFLOG) has it. The kernel puts the packet last, but for a number or two
 * (net/netfilter/nfnetlink_log.c, __build_packet_message).
 * @param end - offset after the message
 * @param littleEndian - byte order of the machine whose kernel it was
 */
export function locateNflog(
  data: Uint8Array,
  start: number,
  end: number,
  littleEndian: boolean,
): NflogLocation | NflogFailure {
  if (end - start < HEADER) return 'truncated-link';
  if (data[start + 1] !== VERSION) return 'bad-link';
  const [low, high] = littleEndian ? [0, 1] : [1, 0];
  const number = (at: number): number => ((data[at + high] as number) << 8) | (data[at + low] as number);
  let direction: number = Direction.UNKNOWN;
  let action: number = Action.NONE;
  for (let at = start + HEADER; at + ATTRIBUTE_HEADER <= end;) {
    const length = number(at);
    if (length < ATTRIBUTE_HEADER) return 'bad-link';
    const value = at + ATTRIBUTE_HEADER;
    const valueEnd = Math.min(at + length, end);
    const type = number(at + 2);
    if (type === Attribute.PAYLOAD) return { start: value, end: valueEnd, direction, action };
    if (type === Attribute.PREFIX) action = actionOf(data, value, valueEnd);
    if (type === Attribute.PACKET_HDR && value + HOOK < end) {
      direction = (data[value + HOOK] as number) < FIRST_HOOK_OUT ? Direction.IN : Direction.OUT;
    }
    at += (length + 3) & ~3;
  }
  return 'truncated-link';
}

/** What the rule with this prefix does. */
function actionOf(data: Uint8Array, start: number, end: number): number {
  if (end - start <= NFLOG_WHO.length) return Action.NONE;
  for (let i = 0; i < NFLOG_WHO.length; i++) {
    if (data[start + i] !== NFLOG_WHO.charCodeAt(i)) return Action.NONE;
  }
  return ACTIONS.get(data[start + NFLOG_WHO.length] as number) ?? Action.NONE;
}

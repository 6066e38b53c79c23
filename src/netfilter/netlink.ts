// Messages of netlink and nfnetlink, with their attributes (linux/netlink.h, linux/netfilter/nfnetlink.h). Headers are in
// the machine's byte order, what is inside the attributes of nfnetlink in network order. Pure.
import { endianness } from 'node:os';

/** Flags of a request (linux/netlink.h). */
export const NlmFlag = { REQUEST: 1, ACK: 4 } as const;

/** Message types below NLMSG_MIN_TYPE (linux/netlink.h). */
export const NLMSG_ERROR = 2;

/** Subsystems of nfnetlink (linux/netfilter/nfnetlink.h): the queues, the log. Upper byte of the message type. */
export const NFNL_SUBSYS_QUEUE = 3;
export const NFNL_SUBSYS_ULOG = 4;

/** struct nlmsghdr: length (32), type (16), flags (16), sequence (32), port (32). */
export const NLMSG_HEADER = 16;
/** struct nlmsghdr and struct nfgenmsg: family (8), version (8), resource id (16, network order). */
export const NFGEN_HEADER = 20;
/** struct nlattr: length with this header (16), type (16). */
export const ATTRIBUTE_HEADER = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are not part of an attribute's type. */
export const ATTRIBUTE_TYPE = 0x3fff;

const IS_LITTLE = endianness() === 'LE';

/** Messages and attributes begin at multiples of 4. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

/** Writes messages one behind the other into a buffer. */
export class MessageWriter {
  private readonly view: DataView;
  private start = 0;
  private at = 0;

  /**
   * @param bytes - must be large enough for what is written; its offset in memory does not matter
   * @param subsystem - that the messages are for
   */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly subsystem = NFNL_SUBSYS_QUEUE,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** number of bytes written */
  get length(): number {
    return this.at;
  }

  clear(): void {
    this.at = 0;
  }

  /**
   * Begins a message to the subsystem.
   * @param resource - the number of the queue, or of the group of the log
   */
  begin(message: number, flags: number, sequence: number, resource: number): void {
    const { view } = this;
    this.start = this.at;
    view.setUint16(this.at + 4, (this.subsystem << 8) | message, IS_LITTLE);
    view.setUint16(this.at + 6, flags, IS_LITTLE);
    view.setUint32(this.at + 8, sequence, IS_LITTLE);
    view.setUint32(this.at + 12, 0, IS_LITTLE);
    view.setUint16(this.at + 16, 0);
    view.setUint16(this.at + 18, resource);
    this.at += NFGEN_HEADER;
  }

  /** Adds an attribute and gives the offset of its content, which is zeroed. */
  attribute(type: number, length: number): number {
    const content = this.at + ATTRIBUTE_HEADER;
    this.view.setUint16(this.at, ATTRIBUTE_HEADER + length, IS_LITTLE);
    this.view.setUint16(this.at + 2, type, IS_LITTLE);
    this.at = content + align(length);
    this.bytes.fill(0, content, this.at);
    return content;
  }

  /** Adds an attribute that is a 32-bit number in network order. */
  uint32(type: number, value: number): void {
    this.view.setUint32(this.attribute(type, 4), value);
  }

  /** Writes a 32-bit number in network order into an attribute's content. */
  setUint32(offset: number, value: number): void {
    this.view.setUint32(offset, value);
  }

  setUint8(offset: number, value: number): void {
    this.view.setUint8(offset, value);
  }

  /** Ends the message that was begun last. */
  end(): void {
    this.view.setUint32(this.start, this.at - this.start, IS_LITTLE);
  }
}

/**
 * Finds an attribute of a message.
 * @param words - the memory by 16 bits in the machine's order
 * @param from - offset in bytes of the message's first attribute, a multiple of 4
 * @param to - end of the message
 * @returns the offset of its content; 0: it is not there
 */
export function findAttribute(words: Uint16Array, from: number, to: number, type: number): number {
  for (let at = from; at + ATTRIBUTE_HEADER <= to;) {
    const length = words[at >> 1] as number;
    if (length < ATTRIBUTE_HEADER || at + length > to) return 0;
    if (((words[(at >> 1) + 1] as number) & ATTRIBUTE_TYPE) === type) return at + ATTRIBUTE_HEADER;
    at += align(length);
  }
  return 0;
}

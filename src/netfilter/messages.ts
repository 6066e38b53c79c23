// NFQUEUE's netlink messages: linux/netfilter/nfnetlink_queue.h, and net/netfilter/nfnetlink_queue.c for what they do. Pure.
import { int32, uint16 } from '../packet/bytes.js';
import {
  ATTRIBUTE_HEADER,
  ATTRIBUTE_TYPE,
  align,
  type MessageWriter,
  NFGEN_HEADER,
  NlmFlag,
} from './netlink.js';

/** enum nfqnl_msg_types */
export const QueueMessage = { PACKET: 0, VERDICT: 1, CONFIG: 2, VERDICT_BATCH: 3 } as const;

/** What becomes of a packet: NF_DROP and NF_ACCEPT of linux/netfilter.h; MARK is our word for NF_ACCEPT with a packet mark. */
export const Verdict = { DROP: 0, ACCEPT: 1, MARK: 2 } as const;

/** One of {@link Verdict}. */
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** enum nfqnl_attr_type, as far as it is read or written here */
const Attribute = { PACKET_HDR: 1, VERDICT_HDR: 2, MARK: 3, IFINDEX_INDEV: 5, PAYLOAD: 10 } as const;
/** enum nfqnl_attr_config */
const ConfigAttribute = { CMD: 1, PARAMS: 2, QUEUE_MAXLEN: 3, MASK: 4, FLAGS: 5 } as const;
/** enum nfqnl_msg_config_cmds */
const Command = { BIND: 1, UNBIND: 2 } as const;
/** enum nfqnl_config_mode */
const COPY_PACKET = 2;
/** NFQA_CFG_F_ flags. GSO: take packets larger than the MTU as they are; we do not send them back changed. */
const ConfigFlag = { FAIL_OPEN: 1, GSO: 4 } as const;

/** Bytes of a verdict message, with a mark. */
export const VERDICT_LENGTH = NFGEN_HEADER + ATTRIBUTE_HEADER + 8 + ATTRIBUTE_HEADER + 4;

/** How a queue is set up. */
export interface QueueSettings {
  /** packets that may wait for a verdict, 1 to 2^32 - 1 */
  readonly maxLength: number;
  /** bytes of each packet that are copied, from the IP header on */
  readonly copyRange: number;
  /** accept instead of drop when the queue is full */
  readonly failOpen: boolean;
}

/** Writes the message that binds a queue to this socket and sets it up. */
export function writeBind(
  writer: MessageWriter,
  sequence: number,
  queue: number,
  settings: QueueSettings,
): void {
  writer.begin(QueueMessage.CONFIG, NlmFlag.REQUEST | NlmFlag.ACK, sequence, queue);
  // struct nfqnl_msg_config_cmd: command (8), pad (8), protocol family (16)
  writer.setUint8(writer.attribute(ConfigAttribute.CMD, 4), Command.BIND);
  // struct nfqnl_msg_config_params: copy range (32, network order), copy mode (8)
  const params = writer.attribute(ConfigAttribute.PARAMS, 5);
  writer.setUint32(params, settings.copyRange);
  writer.setUint8(params + 4, COPY_PACKET);
  writer.uint32(ConfigAttribute.QUEUE_MAXLEN, settings.maxLength);
  writer.uint32(ConfigAttribute.MASK, ConfigFlag.FAIL_OPEN | ConfigFlag.GSO);
  writer.uint32(ConfigAttribute.FLAGS, ConfigFlag.GSO | (settings.failOpen ? ConfigFlag.FAIL_OPEN : 0));
  writer.end();
}

/** Writes the message that gives a queue up; the kernel drops what is left in it. */
export function writeUnbind(writer: MessageWriter, sequence: number, queue: number): void {
  writer.begin(QueueMessage.CONFIG, NlmFlag.REQUEST | NlmFlag.ACK, sequence, queue);
  writer.setUint8(writer.attribute(ConfigAttribute.CMD, 4), Command.UNBIND);
  writer.end();
}

/**
 * Writes a verdict.
 * @param id - the packet's; for a batch: all packets of the queue up to this one
 * @param mark - that the packet gets with the verdict MARK, in the place of what it had; 1 to 2^32 - 1
 */
export function writeVerdict(
  writer: MessageWriter,
  message: typeof QueueMessage.VERDICT | typeof QueueMessage.VERDICT_BATCH,
  queue: number,
  id: number,
  verdict: Verdict,
  mark = 0,
): void {
  writer.begin(message, NlmFlag.REQUEST, 0, queue);
  // struct nfqnl_msg_verdict_hdr: verdict (32), id (32), network order
  const at = writer.attribute(Attribute.VERDICT_HDR, 8);
  writer.setUint32(at, verdict === Verdict.DROP ? Verdict.DROP : Verdict.ACCEPT);
  writer.setUint32(at + 4, id);
  if (verdict === Verdict.MARK) writer.uint32(Attribute.MARK, mark);
  writer.end();
}

/** A packet of a queue; one object is used for all of them. */
export class QueuedPacket {
  /** 32 bits, counted for each queue; signed here */
  id = 0;
  /** enum nf_inet_hooks: 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting */
  hook = 0;
  /** interface that it came in by; 0: none. 1 is the loopback interface. */
  inInterface = 0;
  /** where the IP header begins, in the bytes that were parsed */
  start = 0;
  /** after the last byte that was copied */
  end = 0;

  /**
   * Reads the attributes of a packet message.
   * @param words - the same memory as `bytes`, by 16 bits in the machine's order
   * @param from - offset of the message's first attribute, a multiple of 4
   * @param to - end of the message
   * @returns whether it is a packet with an id
   */
  parse(bytes: Uint8Array, words: Uint16Array, from: number, to: number): boolean {
    let found = false;
    this.inInterface = 0;
    this.start = this.end = to;
    let at = from;
    while (at + ATTRIBUTE_HEADER <= to) {
      const length = words[at >> 1] as number;
      if (length < ATTRIBUTE_HEADER || at + length > to) return false;
      const content = at + ATTRIBUTE_HEADER;
      switch ((words[(at >> 1) + 1] as number) & ATTRIBUTE_TYPE) {
        case Attribute.PACKET_HDR:
          // struct nfqnl_msg_packet_hdr: id (32), protocol (16), hook (8)
          if (length < ATTRIBUTE_HEADER + 7) return false;
          this.id = int32(bytes, content);
          this.hook = bytes[content + 6] as number;
          found = true;
          break;
        case Attribute.IFINDEX_INDEV:
          if (length >= ATTRIBUTE_HEADER + 4) this.inInterface = int32(bytes, content);
          break;
        case Attribute.PAYLOAD:
          this.start = content;
          this.end = at + length;
          break;
      }
      at += align(length);
    }
    return found;
  }
}

/** The queue's number in the header of a packet message that begins at `at`. */
export function queueOf(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at + NFGEN_HEADER - 2);
}

// NFLOG's netlink messages: linux/netfilter/nfnetlink_log.h, and net/netfilter/nfnetlink_log.c for what they do. Pure.
import { int32 } from '../packet/bytes.js';
import { findAttribute, type MessageWriter, NFGEN_HEADER, NlmFlag } from './netlink.js';

/** enum nfulnl_msg_types */
export const LogMessage = { PACKET: 0, CONFIG: 1 } as const;

/** enum nfulnl_attr_type, as far as it is read here; the packet itself is for packet/nflog.ts */
const SEQUENCE = 12;
/** enum nfulnl_attr_config */
const ConfigAttribute = { CMD: 1, MODE: 2, BUFFER_SIZE: 3, TIMEOUT: 4, FLAGS: 6 } as const;
/** enum nfulnl_msg_config_cmds */
const Command = { BIND: 1, UNBIND: 2 } as const;
const COPY_PACKET = 2;
/** NFULNL_CFG_F_SEQ: each message has a number */
const FLAG_SEQUENCE = 1;

/** How a group is set up. */
export interface GroupSettings {
  /** bytes of each packet at the most; a rule may say less */
  readonly copyRange: number;
  /** bytes of the messages that the kernel gathers */
  readonly bufferSize: number;
  /** hundredths of a second after which it sends what it has gathered */
  readonly timeout: number;
}

/**
 * Writes the message that binds a group of the log to this socket and sets it up. How many messages are gathered is
 * said by each rule: the socket's own number is left at the kernel's (100), for the smaller one counts.
 */
export function writeGroupBind(
  writer: MessageWriter,
  sequence: number,
  group: number,
  { copyRange, bufferSize, timeout }: GroupSettings,
): void {
  writer.begin(LogMessage.CONFIG, NlmFlag.REQUEST | NlmFlag.ACK, sequence, group);
  writer.setUint8(writer.attribute(ConfigAttribute.CMD, 1), Command.BIND);
  // struct nfulnl_msg_config_mode: copy range (32, network order), copy mode (8), pad (8)
  const mode = writer.attribute(ConfigAttribute.MODE, 6);
  writer.setUint32(mode, copyRange);
  writer.setUint8(mode + 4, COPY_PACKET);
  writer.uint32(ConfigAttribute.BUFFER_SIZE, bufferSize);
  writer.uint32(ConfigAttribute.TIMEOUT, timeout);
  // 16 bits, network order
  writer.setUint8(writer.attribute(ConfigAttribute.FLAGS, 2) + 1, FLAG_SEQUENCE);
  writer.end();
}

/** Writes the message that gives a group up. */
export function writeGroupUnbind(writer: MessageWriter, sequence: number, group: number): void {
  writer.begin(LogMessage.CONFIG, NlmFlag.REQUEST | NlmFlag.ACK, sequence, group);
  writer.setUint8(writer.attribute(ConfigAttribute.CMD, 1), Command.UNBIND);
  writer.end();
}

/**
 * The number of a message of the log, 32 bits, signed here: the kernel counts those that it could not deliver, too.
 * @param words - the same memory as `bytes`, by 16 bits in the machine's order
 * @param at - where the message begins
 * @returns undefined when it has none
 */
export function sequenceOf(
  bytes: Uint8Array,
  words: Uint16Array,
  at: number,
  end: number,
): number | undefined {
  const content = findAttribute(words, at + NFGEN_HEADER, end, SEQUENCE);
  return content === 0 || content + 4 > end ? undefined : int32(bytes, content);
}

// Queues of packets that wait for a verdict.
import { loadLibc } from '../native/libc.js';
import { SystemCallError } from '../native/system-call.js';
import {
  QueuedPacket,
  QueueMessage,
  queueOf,
  type QueueSettings,
  Verdict,
  VERDICT_LENGTH,
  writeBind,
  writeUnbind,
  writeVerdict,
} from './messages.js';
import { MessageWriter, NFGEN_HEADER, NFNL_SUBSYS_QUEUE, NLMSG_ERROR, NLMSG_HEADER } from './netlink.js';
import { explainBind, explainSocket, QueueError } from './problem.js';
import { type KernelCounts, KernelFigures } from './proc.js';
import { MOST_MESSAGES, NetlinkSocket, SLOT } from './socket.js';

/** Numbers of queues, both ends included. */
export interface QueueRange {
  readonly first: number;
  readonly last: number;
}

/** How the queues are opened. */
export interface PacketQueueSettings extends QueueSettings {
  readonly queues: QueueRange;
  /** bytes that the kernel may keep for us; without CAP_NET_ADMIN of the machine cut to net.core.rmem_max */
  readonly receiveBuffer: number;
}

/** Who judges packets. */
export interface PacketHandler {
  /**
   * A packet waits for its verdict.
   * @param data - valid during the call only
   * @param start - offset of the IP header
   * @param end - offset after the last byte that was copied
   * @param hook - enum nf_inet_hooks
   * @param inInterface - index of the interface that it came in by, 0 for none
   */
  judge(data: Uint8Array, start: number, end: number, hook: number, inInterface: number): Verdict;
  /** The queues are lost; the kernel has dropped what waited in them. Not after {@link PacketQueue.close}. */
  failed(error: QueueError): void;
}

/** Counted since the queues were opened. */
export interface QueueStatistics {
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
  /** lost by the kernel because our receive buffer was full; dropped, or with fail-open accepted. Where the kernel's
   * figures may not be read, those after the last packet are not known of. */
  readonly lost: number;
  /** not taken because the queue was full; undefined when the kernel's figures may not be read */
  readonly full: number | undefined;
  /** waiting for a verdict now; undefined likewise */
  readonly waiting: number | undefined;
}

/** Receive calls in one go, before other events have their turn. */
const ROUNDS = 16;
const PACKET_TYPE = (NFNL_SUBSYS_QUEUE << 8) | QueueMessage.PACKET;
/** Error numbers are the same on all Linux machines that koffi knows. */
const ENOENT = 2;
/** Ids are compared by their signed difference; this is beyond all that can be waiting. */
const ALL_THAT_WAIT = 0x3fff_ffff;
/** Bytes of the longest configuration message. */
const CONFIG_LENGTH = 128;

/**
 * One or several queues of netfilter (nfnetlink_queue) on one socket: many packets are read with one call and
 * answered with one. The order within a connection is kept.
 */
export class PacketQueue {
  readonly description: string;
  /** bytes; the kernel's overhead for each packet counts, too */
  receiveBuffer = 0;
  private readonly socket: NetlinkSocket;
  private readonly packet = new QueuedPacket();
  private readonly verdicts = new Uint8Array(MOST_MESSAGES);
  private readonly ids = new Int32Array(MOST_MESSAGES);
  private readonly lastIds: Int32Array;
  private readonly answer: MessageWriter;
  private readonly answerBytes: Uint8Array;
  private pending = 0;
  private pendingQueue = 0;
  private accepted = 0;
  private dropped = 0;
  private lost = 0;
  private sequence = 0;
  /** answers of the kernel to configuration messages: error numbers by sequence, 0 is success */
  private readonly acknowledged = new Map<number, number>();
  private lastCounts: KernelCounts | undefined;
  private isOpen = true;

  private constructor(
    socket: NetlinkSocket,
    private readonly settings: PacketQueueSettings,
    private readonly handler: PacketHandler,
    private readonly figures: KernelFigures | undefined,
  ) {
    const { first, last } = settings.queues;
    const count = last - first + 1;
    this.description = `NFQUEUE ${first === last ? first : `${first}-${last}`}`;
    this.socket = socket;
    this.lastIds = new Int32Array(count);
    this.answerBytes = new Uint8Array(
      Math.max(MOST_MESSAGES, count * 2) * Math.max(VERDICT_LENGTH, CONFIG_LENGTH),
    );
    this.answer = new MessageWriter(this.answerBytes);
  }

  /**
   * What needs root, and need be done once only: has the kernel load its module, and opens its figures.
   * @throws QueueError in words for the administrator
   */
  static async prepare(): Promise<KernelFigures | undefined> {
    const socket = await openSocket();
    try {
      const bytes = new Uint8Array(CONFIG_LENGTH);
      const writer = new MessageWriter(bytes);
      // changes nothing: there is no queue of ours
      writeUnbind(writer, 1, 0);
      socket.send(bytes, writer.length);
    } catch {
      // binding will say what is wrong
    } finally {
      socket.close();
    }
    return KernelFigures.open();
  }

  /**
   * Binds the queues and begins to judge.
   * @param figures - from {@link prepare}; they stay open
   * @throws QueueError in words for the administrator
   */
  static async open(
    settings: PacketQueueSettings,
    handler: PacketHandler,
    figures?: KernelFigures,
  ): Promise<PacketQueue> {
    const socket = await openSocket();
    const queue = new PacketQueue(socket, settings, handler, figures);
    try {
      queue.receiveBuffer = socket.setReceiveBuffer(settings.receiveBuffer);
      socket.loseSilently();
      queue.bind();
    } catch (error) {
      socket.close();
      throw error instanceof SystemCallError ? explainSocket(error) : error;
    }
    socket.whenReadable(() => queue.whenReadable());
    return queue;
  }

  statistics(): QueueStatistics {
    const { accepted, dropped } = this;
    const counts = this.isOpen ? this.counts() : this.lastCounts;
    const lost = Math.max(this.lost, counts?.lost ?? 0);
    return {
      received: accepted + dropped,
      accepted,
      dropped,
      lost,
      full: counts?.full,
      waiting: counts?.waiting,
    };
  }

  /**
   * Judges what has been delivered, then gives the queues up.
   * @param rest - what becomes of packets that the kernel has not delivered to us
   * @returns how many those were
   */
  close(rest: Verdict): number {
    if (!this.isOpen) return 0;
    let left = 0;
    this.lastCounts = this.counts();
    try {
      const { first, last } = this.settings.queues;
      const mostRounds = Math.ceil((this.settings.maxLength * (last - first + 1)) / MOST_MESSAGES);
      for (let round = 0; round < mostRounds && this.readOnce() > 0; round++);
      this.isOpen = false;
      this.answer.clear();
      for (let queue = first; queue <= last; queue++) {
        if (rest === Verdict.ACCEPT) {
          const id = ((this.lastIds[queue - first] ?? 0) + ALL_THAT_WAIT) | 0;
          writeVerdict(this.answer, QueueMessage.VERDICT_BATCH, queue, id, rest);
        }
        writeUnbind(this.answer, ++this.sequence, queue);
      }
      this.socket.send(this.answerBytes, this.answer.length);
      // what still comes in was in the queue when it was given up
      for (let count = this.socket.receive(); count > 0; count = this.socket.receive()) {
        for (let slot = 0; slot < count; slot++) {
          if (this.socket.words[(slot * SLOT + 4) >> 1] === PACKET_TYPE) left++;
        }
      }
    } catch (error) {
      // closing the socket gives the queues up, too
      if (!(error instanceof SystemCallError)) throw error;
    } finally {
      this.release();
    }
    return left;
  }

  private counts(): KernelCounts | undefined {
    return this.figures?.read(this.socket.port);
  }

  private release(): void {
    this.isOpen = false;
    this.socket.close();
  }

  /** Asks for the queues; the kernel's answers are there when the send returns. */
  private bind(): void {
    const { first, last } = this.settings.queues;
    for (let queue = first; queue <= last; queue++) {
      this.answer.clear();
      const sequence = ++this.sequence;
      writeBind(this.answer, sequence, queue, this.settings);
      this.socket.send(this.answerBytes, this.answer.length);
      // packets of the queue may be there as well
      while (!this.acknowledged.has(sequence) && this.readOnce() > 0);
      const errno = this.acknowledged.get(sequence);
      if (errno !== 0) throw explainBind(queue, errno, this.socket.port, this.figures?.rows());
    }
    this.acknowledged.clear();
  }

  private whenReadable(): void {
    try {
      for (let round = 0; round < ROUNDS && this.readOnce() === MOST_MESSAGES; round++);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.release();
      this.handler.failed(new QueueError(`${this.description}: ${error.message}`, 'died'));
    }
  }

  /** @returns how many messages there were */
  private readOnce(): number {
    if (!this.isOpen) return 0;
    const { socket } = this;
    const count = socket.receive();
    for (let slot = 0; slot < count; slot++) {
      const at = slot * SLOT;
      const length = socket.lengthOf(slot);
      if (length >= NLMSG_HEADER)
        this.message(at, Math.min(at + length, at + (socket.longs[at >> 2] as number)));
    }
    this.answerPending();
    return count;
  }

  /** Every datagram holds one message. */
  private message(at: number, end: number): void {
    const { bytes, words, longs } = this.socket;
    const type = words[(at + 4) >> 1];
    if (type === NLMSG_ERROR) {
      // struct nlmsgerr: minus the error number (32), then the header of the message that it answers
      const errno = -((longs[(at + NLMSG_HEADER) >> 2] as number) | 0);
      this.onAnswer(longs[(at + 8) >> 2] as number, errno);
      return;
    }
    if (type !== PACKET_TYPE || !this.packet.parse(bytes, words, at + NFGEN_HEADER, end)) return;
    const queue = queueOf(bytes, at);
    if (queue !== this.pendingQueue) {
      this.answerPending();
      this.pendingQueue = queue;
    }
    const { id, start, hook, inInterface } = this.packet;
    this.countLost(queue, id);
    const verdict = this.handler.judge(bytes, start, this.packet.end, hook, inInterface);
    this.ids[this.pending] = id;
    this.verdicts[this.pending] = verdict;
    this.pending++;
    if (verdict === Verdict.ACCEPT) this.accepted++;
    else this.dropped++;
  }

  private countLost(queue: number, id: number): void {
    const index = queue - this.settings.queues.first;
    const skipped = (id - (this.lastIds[index] ?? id) - 1) | 0;
    if (skipped > 0) this.lost += skipped;
    this.lastIds[index] = id;
  }

  /** The lesser part gets its verdicts one by one, then the rest all at once: all that is not answered up to the last id. */
  private answerPending(): void {
    const { pending, answer, pendingQueue } = this;
    if (pending === 0) return;
    this.pending = 0;
    let accepts = 0;
    for (let i = 0; i < pending; i++) accepts += this.verdicts[i] as number;
    const most = accepts * 2 > pending ? Verdict.ACCEPT : Verdict.DROP;
    answer.clear();
    for (let i = 0; i < pending; i++) {
      const verdict = this.verdicts[i] as Verdict;
      if (verdict !== most)
        writeVerdict(answer, QueueMessage.VERDICT, pendingQueue, this.ids[i] as number, verdict);
    }
    const last = this.ids[pending - 1] as number;
    writeVerdict(answer, QueueMessage.VERDICT_BATCH, pendingQueue, last, most);
    this.socket.send(this.answerBytes, answer.length);
  }

  private onAnswer(sequence: number, errno: number): void {
    if (sequence !== 0) {
      this.acknowledged.set(sequence, errno);
      return;
    }
    // a verdict for a packet that has gone meanwhile, with its interface
    if (errno === ENOENT) return;
    throw new SystemCallError('verdict', `error ${errno}`);
  }
}

/** @throws QueueError in words for the administrator */
async function openSocket(): Promise<NetlinkSocket> {
  const loaded = await loadLibc();
  if (!loaded.ok) throw new QueueError(`NFQUEUE ${loaded.message}`, 'unavailable');
  try {
    return NetlinkSocket.open(loaded.libc);
  } catch (error) {
    if (error instanceof SystemCallError) throw explainSocket(error);
    throw error;
  }
}

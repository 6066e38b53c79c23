// A queue of packets that wait for a verdict.
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
import { explainBind } from './problem.js';
import { type KernelCounts, type KernelFigures, readSocket } from './proc.js';
import { type Acknowledgement, type NetlinkSocket, SINGLE_PACKETS } from './socket.js';

/** Who judges packets. */
export interface PacketJudge {
  /** that packets get with the verdict MARK, 1 to 2^32 - 1 */
  readonly mark?: number;
  /**
   * A packet waits for its verdict.
   * @param data - valid during the call only
   * @param start - offset of the IP header
   * @param end - offset after the last byte that was copied
   * @param hook - enum nf_inet_hooks
   * @param inInterface - index of the interface that it came in by, 0 for none
   */
  judge(data: Uint8Array, start: number, end: number, hook: number, inInterface: number): Verdict;
  /** The kernel has the verdicts so far: what can wait is done now. */
  answered(): void;
}

/** Counted since the queue was opened. */
export interface QueueStatistics {
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
  /** lost by the kernel because our receive buffer was full; dropped, or with fail-open accepted */
  readonly lost: number;
  /** not taken because the queue was full; undefined when the kernel's figures may not be read */
  readonly full: number | undefined;
  /** waiting for a verdict now; undefined likewise */
  readonly waiting: number | undefined;
}

/** Packets in one receive at the most, and bytes of each message. */
const { count: MOST_MESSAGES, size: SLOT } = SINGLE_PACKETS;
/** Receive calls in one go, before other queues and events have their turn. */
const ROUNDS = 4;
const PACKET_TYPE = (NFNL_SUBSYS_QUEUE << 8) | QueueMessage.PACKET;
/** Error numbers are the same on all Linux machines that koffi knows. */
const ENOENT = 2;
/** Ids are compared by their signed difference; this is beyond all that can be waiting. */
const ALL_THAT_WAIT = 0x3fff_ffff;
/** Bytes of the longest configuration message. */
const CONFIG_LENGTH = 128;

/**
 * One queue of netfilter (nfnetlink_queue) on a socket of its own, so that what comes to it does not wait behind what
 * came to another one. Many packets are read with one call and answered with one; their order is kept.
 */
export class PacketQueue {
  /** bytes; the kernel's overhead for each packet counts, too */
  readonly receiveBuffer: number;
  private readonly packet = new QueuedPacket();
  private readonly verdicts = new Uint8Array(MOST_MESSAGES);
  private readonly ids = new Int32Array(MOST_MESSAGES);
  private readonly tally = new Uint32Array(3);
  /** undefined: none has come */
  private lastId: number | undefined;
  private readonly answerBytes = new Uint8Array(MOST_MESSAGES * VERDICT_LENGTH + 2 * CONFIG_LENGTH);
  private readonly answer = new MessageWriter(this.answerBytes);
  private pending = 0;
  private accepted = 0;
  private dropped = 0;
  private lost = 0;
  private sequence = 0;
  /** answers of the kernel to configuration messages: error numbers by sequence, 0 is success */
  private readonly acknowledged = new Map<number, number>();
  private lastCounts: Partial<KernelCounts> = {};
  private isOpen = true;

  /**
   * Binds the queue.
   * @param number - 0 to 65535
   * @param socket - for this queue alone; it is closed when there is an error, and by {@link release}
   * @param receiveBuffer - bytes that the kernel may keep for us; without CAP_NET_ADMIN of the machine cut to
   *   net.core.rmem_max
   * @param figures - the kernel's, if they may be read
   * @throws QueueError, SystemCallError
   */
  constructor(
    readonly number: number,
    private readonly socket: NetlinkSocket,
    private readonly settings: QueueSettings,
    receiveBuffer: number,
    private readonly handler: PacketJudge,
    private readonly figures: KernelFigures | undefined,
  ) {
    try {
      this.receiveBuffer = socket.setReceiveBuffer(receiveBuffer);
      socket.loseSilently();
      this.bind();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /**
   * Begins to judge.
   * @param failed - is called when the queue is lost; the kernel has dropped what waited in it
   */
  start(failed: (error: SystemCallError) => void): void {
    this.socket.whenReadable(() => {
      try {
        this.read(ROUNDS);
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        failed(error);
      }
    });
  }

  statistics(): QueueStatistics {
    const { accepted, dropped } = this;
    if (this.isOpen) this.lastCounts = this.counts();
    const { lost = 0, full, waiting } = this.lastCounts;
    const received = accepted + dropped;
    return { received, accepted, dropped, lost: Math.max(this.lost, lost), full, waiting };
  }

  /** address on netlink */
  get port(): number {
    return this.socket.port;
  }

  /** Whether the kernel holds messages for us that we have not read; false where it does not tell. */
  get hasUnread(): boolean {
    return this.isOpen && (readSocket(this.socket.port)?.unread ?? 0) > 0;
  }

  /** number of packets so far */
  get received(): number {
    return this.accepted + this.dropped;
  }

  /**
   * Judges what has been delivered, all that the queue can hold at the most.
   * @throws SystemCallError
   */
  drain(): void {
    this.read(Math.ceil(this.settings.maxLength / MOST_MESSAGES), 1);
  }

  /**
   * Gives the queue up.
   * @param rest - what becomes of packets that the kernel has not delivered to us
   * @returns how many those were
   */
  giveUp(rest: Verdict): number {
    if (!this.isOpen) return 0;
    let left = 0;
    this.lastCounts = this.counts();
    try {
      this.isOpen = false;
      this.answer.clear();
      if (rest === Verdict.ACCEPT) {
        const id = ((this.lastId ?? 0) + ALL_THAT_WAIT) | 0;
        writeVerdict(this.answer, QueueMessage.VERDICT_BATCH, this.number, id, rest);
      }
      writeUnbind(this.answer, ++this.sequence, this.number);
      this.socket.send(this.answerBytes, this.answer.length);
      // what still comes in was in the queue when it was given up
      for (let count = this.socket.receive(); count > 0; count = this.socket.receive()) {
        for (let slot = 0; slot < count; slot++) {
          if (this.socket.words[(slot * SLOT + 4) >> 1] === PACKET_TYPE) left++;
        }
      }
    } catch (error) {
      // closing the socket gives the queue up, too
      if (!(error instanceof SystemCallError)) throw error;
    } finally {
      this.release();
    }
    return left;
  }

  /** Closes the socket, and with it the queue: the kernel drops what is in it. */
  release(): void {
    this.isOpen = false;
    this.socket.close();
  }

  /** Root may have opened the kernel's figures; what our own socket has lost everybody may read. */
  private counts(): Partial<KernelCounts> {
    const { port } = this.socket;
    const counts = this.figures?.read(this.number, port);
    if (counts !== undefined) return counts;
    const lost = readSocket(port)?.lost;
    return lost === undefined ? {} : { lost };
  }

  /** Asks for the queue; the kernel's answer is there when the send returns. */
  private bind(): void {
    this.answer.clear();
    const sequence = ++this.sequence;
    writeBind(this.answer, sequence, this.number, this.settings);
    this.socket.send(this.answerBytes, this.answer.length);
    // packets of the queue may be there as well
    while (!this.acknowledged.has(sequence) && this.readOnce() > 0);
    const errno = this.acknowledged.get(sequence);
    if (errno !== 0) throw explainBind(this.number, errno, this.socket.port, this.figures?.rows());
    this.acknowledged.clear();
  }

  /** @param least - reads on while so many messages came with one call: fewer mean that there are no more */
  private read(rounds: number, least = MOST_MESSAGES): void {
    for (let round = 0; round < rounds && this.readOnce() >= least; round++);
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
    const { bytes, words } = this.socket;
    const type = words[(at + 4) >> 1];
    if (type === NLMSG_ERROR) {
      this.onAnswer(this.socket.acknowledgement(at));
      return;
    }
    if (type !== PACKET_TYPE || queueOf(bytes, at) !== this.number) return;
    if (!this.packet.parse(bytes, words, at + NFGEN_HEADER, end)) return;
    const { id, start, hook, inInterface } = this.packet;
    this.countLost(id);
    const verdict = this.handler.judge(bytes, start, this.packet.end, hook, inInterface);
    this.ids[this.pending] = id;
    this.verdicts[this.pending] = verdict;
    this.pending++;
    if (verdict === Verdict.DROP) this.dropped++;
    else this.accepted++;
  }

  private countLost(id: number): void {
    const skipped = (id - (this.lastId ?? id) - 1) | 0;
    if (skipped > 0) this.lost += skipped;
    this.lastId = id;
  }

  /** The lesser parts get their verdicts one by one, then the rest all at once: all that is not answered up to the last id. */
  private answerPending(): void {
    const { pending, answer, number } = this;
    if (pending === 0) return;
    this.pending = 0;
    const { mark = 0 } = this.handler;
    const most = this.mostFrequent(pending);
    answer.clear();
    for (let i = 0; i < pending; i++) {
      const verdict = this.verdicts[i] as Verdict;
      if (verdict !== most)
        writeVerdict(answer, QueueMessage.VERDICT, number, this.ids[i] as number, verdict, mark);
    }
    const last = this.ids[pending - 1] as number;
    writeVerdict(answer, QueueMessage.VERDICT_BATCH, number, last, most, mark);
    this.socket.send(this.answerBytes, answer.length);
    this.handler.answered();
  }

  private mostFrequent(pending: number): Verdict {
    const { tally } = this;
    tally.fill(0);
    for (let i = 0; i < pending; i++) {
      const verdict = this.verdicts[i] as Verdict;
      tally[verdict] = (tally[verdict] ?? 0) + 1;
    }
    const [drops = 0, accepts = 0, marks = 0] = tally;
    if (marks > drops && marks > accepts) return Verdict.MARK;
    return accepts > drops ? Verdict.ACCEPT : Verdict.DROP;
  }

  private onAnswer({ sequence, errno }: Acknowledgement): void {
    if (sequence !== 0) {
      this.acknowledged.set(sequence, errno);
      return;
    }
    // a verdict for a packet that has gone meanwhile, with its interface
    if (errno === ENOENT) return;
    throw new SystemCallError('verdict', `error ${errno}`);
  }
}

// The live source by netfilter's log: what our rules for nftables tell of each packet.
import { endianness } from 'node:os';
import { loadLibc, type Libc } from '../native/libc.js';
import { SystemCallError } from '../native/system-call.js';
import {
  type GroupSettings,
  LogMessage,
  sequenceOf,
  writeGroupBind,
  writeGroupUnbind,
} from '../netfilter/log-messages.js';
import {
  align,
  MessageWriter,
  NFGEN_HEADER,
  NFNL_SUBSYS_ULOG,
  NLMSG_ERROR,
  NLMSG_HEADER,
} from '../netfilter/netlink.js';
import { readSocket } from '../netfilter/proc.js';
import { NetlinkSocket, type Slots } from '../netfilter/socket.js';
import { LinkType } from '../packet/frame.js';
import { explainGroup, explainLogSocket } from './nflog-problem.js';
import { CaptureError, type CaptureStatistics, type FrameSink, type FrameSource } from './source.js';

/**
 * What we ask for. A rule asks for 128 bytes of each packet, so 64 messages take some 18 kB; what is gathered is sent
 * after a fifth of a second at the latest.
 */
const SETTINGS: GroupSettings = { copyRange: 256, bufferSize: 20_480, timeout: 20 };
/** A message may be longer than what the kernel gathers in one datagram. */
const SLOTS: Slots = { size: 24_576, count: 16 };
/** Bytes: room for some 10,000 messages one by one while we do something else; twice as much is what we get. */
const RECEIVE_BUFFER = 8 << 20;
/** Receive calls in one go, before others have their turn. */
const ROUNDS = 2;
const PACKET_TYPE = (NFNL_SUBSYS_ULOG << 8) | LogMessage.PACKET;
/** Bytes of the longest configuration message. */
const CONFIG_LENGTH = 128;

/**
 * Makes a source, not yet opened.
 * @param group - of NFLOG, 0 to 65535
 * @param wallClockMs - milliseconds since 1970
 * @throws CaptureError (`unavailable`) without koffi
 */
export async function makeNflogSource(group: number, wallClockMs: () => number): Promise<NflogSource> {
  const loaded = await loadLibc();
  if (!loaded.ok) throw new CaptureError(`capture "nflog" ${loaded.message}`, 'unavailable');
  return new NflogSource(group, loaded.libc, wallClockMs);
}

/**
 * Reads a group of NFLOG. CAP_NET_ADMIN is needed to open it, not afterwards. A datagram of the kernel has one message,
 * or many that it has gathered.
 */
export class NflogSource implements FrameSource {
  readonly description: string;
  private socket: NetlinkSocket | undefined;
  private sink: FrameSink | undefined;
  private received = 0;
  private lost = 0;
  private lastNumber: number | undefined;
  private sequence = 0;
  /** answers of the kernel to configuration messages: error numbers by sequence, 0 is success */
  private readonly acknowledged = new Map<number, number>();
  private readonly littleEndian = endianness() === 'LE';

  constructor(
    private readonly group: number,
    private readonly libc: Libc,
    private readonly wallClockMs: () => number,
  ) {
    this.description = `NFLOG group ${group}`;
  }

  open(sink: FrameSink): Promise<void> {
    return new Promise((resolve) => {
      try {
        const socket = NetlinkSocket.open(this.libc, SLOTS);
        this.socket = socket;
        this.sink = sink;
        socket.setReceiveBuffer(RECEIVE_BUFFER);
        socket.loseSilently();
        this.bind(socket);
        socket.whenReadable(() => this.readOn());
      } catch (error) {
        this.release();
        throw error instanceof SystemCallError ? explainLogSocket(error) : error;
      }
      resolve();
    });
  }

  statistics(): CaptureStatistics {
    return { received: this.received, dropped: this.lost };
  }

  close(): Promise<void> {
    const { socket } = this;
    if (socket !== undefined) {
      try {
        this.request(socket, (writer, sequence) => writeGroupUnbind(writer, sequence, this.group));
      } catch (error) {
        // closing the socket gives the group up, too
        if (!(error instanceof SystemCallError)) throw error;
      }
    }
    this.release();
    return Promise.resolve();
  }

  /** bytes that wait to be read; undefined where the kernel does not tell */
  get unread(): number | undefined {
    return this.socket === undefined ? undefined : readSocket(this.socket.port)?.unread;
  }

  /** Asks for the group; the kernel's answer is there when the send returns. */
  private bind(socket: NetlinkSocket): void {
    const sequence = this.request(socket, (writer, number) =>
      writeGroupBind(writer, number, this.group, SETTINGS),
    );
    // messages of the group may be there as well
    while (!this.acknowledged.has(sequence) && this.readOnce(socket) > 0);
    const errno = this.acknowledged.get(sequence);
    if (errno !== 0) throw explainGroup(this.group, errno);
    this.acknowledged.clear();
  }

  private request(socket: NetlinkSocket, write: (writer: MessageWriter, sequence: number) => void): number {
    const bytes = new Uint8Array(CONFIG_LENGTH);
    const writer = new MessageWriter(bytes, NFNL_SUBSYS_ULOG);
    const sequence = ++this.sequence;
    write(writer, sequence);
    socket.send(bytes, writer.length);
    return sequence;
  }

  private readOn(): void {
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const { socket } = this;
        if (socket === undefined || this.readOnce(socket) < SLOTS.count) return;
      }
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const { sink } = this;
      this.release();
      sink?.error(new CaptureError(`${this.description}: ${error.message}`, 'died'));
    }
  }

  /** @returns how many datagrams there were */
  private readOnce(socket: NetlinkSocket): number {
    const count = socket.receive();
    const timeMs = count === 0 ? 0 : this.wallClockMs();
    for (let slot = 0; slot < count; slot++) {
      const start = slot * SLOTS.size;
      this.datagram(socket, start, start + socket.lengthOf(slot), timeMs);
    }
    return count;
  }

  private datagram(socket: NetlinkSocket, start: number, end: number, timeMs: number): void {
    for (let at = start; at + NLMSG_HEADER <= end;) {
      const length = socket.longs[at >> 2] as number;
      if (length < NLMSG_HEADER || at + length > end) return;
      const type = socket.words[(at + 4) >> 1];
      if (type === NLMSG_ERROR) {
        const { sequence, errno } = socket.acknowledgement(at);
        this.acknowledged.set(sequence, errno);
      } else if (type === PACKET_TYPE && length >= NFGEN_HEADER)
        this.deliver(socket, at, at + length, timeMs);
      at += align(length);
    }
  }

  private deliver(socket: NetlinkSocket, at: number, end: number, timeMs: number): void {
    const { bytes } = socket;
    this.received++;
    this.countLost(sequenceOf(bytes, socket.words, at, end));
    const length = end - at - NLMSG_HEADER;
    this.sink?.frame({
      data: bytes,
      offset: at + NLMSG_HEADER,
      captureLength: length,
      originalLength: length,
      timeMs,
      linkType: LinkType.NFLOG,
      littleEndian: this.littleEndian,
    });
  }

  /** The kernel numbers what it could not deliver, too. */
  private countLost(number: number | undefined): void {
    if (number === undefined) return;
    const skipped = (number - (this.lastNumber ?? number) - 1) | 0;
    if (skipped > 0) this.lost += skipped;
    this.lastNumber = number;
  }

  private release(): void {
    this.socket?.close();
    this.socket = undefined;
    this.sink = undefined;
  }
}

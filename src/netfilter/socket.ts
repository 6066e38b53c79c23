// A netlink socket, through the C library.
import type * as Koffi from 'koffi';
import type { Libc, NativeFunction } from '../native/libc.js';
import { errnoName, SystemCallError } from '../native/system-call.js';
import { NLMSG_HEADER } from './netlink.js';

/** Numbers of Linux: bits/socket.h, linux/netlink.h. */
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
/** struct sockaddr_nl: family (16), pad (16), port (32), groups (32). */
const SOCKADDR_NL = 12;

/** What is read with one call. */
export interface Slots {
  /** bytes that a datagram may have, a multiple of 4: datagram `i` begins at `i * size` */
  readonly size: number;
  /** datagrams at the most */
  readonly count: number;
}

/** Datagrams with one packet each. */
export const SINGLE_PACKETS: Slots = { size: 1024, count: 64 };

/** What the kernel answers to a message that asked for that: minus 0, or an error number (struct nlmsgerr). */
export interface Acknowledgement {
  /** of the message */
  readonly sequence: number;
  readonly errno: number;
}

interface Functions {
  readonly socket: NativeFunction;
  readonly bind: NativeFunction;
  readonly setsockopt: NativeFunction;
  readonly getsockname: NativeFunction;
  readonly send: NativeFunction;
  readonly getsockopt: NativeFunction;
  readonly recvmmsg: NativeFunction;
  readonly close: NativeFunction;
}

const PROTOTYPES: Readonly<Record<keyof Functions, string>> = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, const void *, uint32_t)',
  setsockopt: 'int setsockopt(int, int, int, const void *, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void *, _Inout_ uint32_t *)',
  getsockname: 'int getsockname(int, void *, _Inout_ uint32_t *)',
  send: 'long send(int, const void *, size_t, int)',
  recvmmsg: 'int recvmmsg(int, void *, unsigned int, int, void *)',
  close: 'int close(int)',
};

/** A netlink socket of netfilter that reads many messages with one call, without ever waiting. */
export class NetlinkSocket {
  /** the datagrams of the last {@link receive} */
  readonly bytes: Uint8Array;
  /** the same by 16 and 32 bits, in the machine's byte order */
  readonly words: Uint16Array;
  readonly longs: Uint32Array;
  /** our address on netlink, as /proc/net/netfilter/nfnetlink_queue names the owner of a queue */
  readonly port: number;
  private readonly fd: number;
  private readonly senders: Uint8Array;
  private readonly senderPorts: Uint32Array;
  private readonly headers: Uint8Array;
  private readonly lengths: Int32Array;
  private readonly lengthStep: number;
  private readonly firstLength: number;
  private readonly vectors: Uint8Array;
  // koffi forgets a handle that nobody refers to, and with it the callback
  private poll: Koffi.node.PollHandle | undefined;
  private closed = false;

  /** @throws SystemCallError */
  constructor(
    private readonly koffi: typeof Koffi,
    private readonly functions: Functions,
    readonly slots: Slots = SINGLE_PACKETS,
  ) {
    const { size, count } = slots;
    this.bytes = new Uint8Array(count * size);
    this.words = new Uint16Array(this.bytes.buffer);
    this.longs = new Uint32Array(this.bytes.buffer);
    this.senders = new Uint8Array(count * SOCKADDR_NL);
    this.senderPorts = new Uint32Array(this.senders.buffer);
    this.fd = this.check(
      'socket',
      functions.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER),
    );
    try {
      const address = new DataView(new ArrayBuffer(SOCKADDR_NL));
      new Uint16Array(address.buffer)[0] = AF_NETLINK;
      this.check('bind', functions.bind(this.fd, new Uint8Array(address.buffer), SOCKADDR_NL));
      const own = new Uint32Array(SOCKADDR_NL / 4);
      this.check('getsockname', functions.getsockname(this.fd, own, [SOCKADDR_NL]));
      this.port = own[1] ?? 0;
    } catch (error) {
      functions.close(this.fd);
      throw error;
    }

    // struct mmsghdr[], each with a struct iovec, a slot and the sender's address of its own
    const header = koffi.struct({
      msg_name: 'void *',
      msg_namelen: 'uint32_t',
      msg_iov: 'void *',
      msg_iovlen: 'size_t',
      msg_control: 'void *',
      msg_controllen: 'size_t',
      msg_flags: 'int',
    });
    const message = koffi.struct({ msg_hdr: header, msg_len: 'unsigned int' });
    const vector = koffi.struct({ iov_base: 'void *', iov_len: 'size_t' });
    this.headers = new Uint8Array(count * koffi.sizeof(message));
    this.vectors = new Uint8Array(count * koffi.sizeof(vector));
    const [bytes, senders, vectors] = [this.bytes, this.senders, this.vectors].map((memory) =>
      koffi.address(memory),
    ) as [bigint, bigint, bigint];
    for (let i = 0; i < count; i++) {
      koffi.encode(this.vectors, i * koffi.sizeof(vector), vector, {
        iov_base: bytes + BigInt(i * size),
        iov_len: size,
      });
      koffi.encode(this.headers, i * koffi.sizeof(message), message, {
        msg_hdr: {
          msg_name: senders + BigInt(i * SOCKADDR_NL),
          msg_namelen: SOCKADDR_NL,
          msg_iov: vectors + BigInt(i * koffi.sizeof(vector)),
          msg_iovlen: 1,
          msg_control: null,
          msg_controllen: 0,
          msg_flags: 0,
        },
        msg_len: 0,
      });
    }
    this.lengths = new Int32Array(this.headers.buffer);
    this.lengthStep = koffi.sizeof(message) / 4;
    this.firstLength = koffi.offsetof(message, 'msg_len') / 4;
  }

  /**
   * Finds the functions of the C library.
   * @throws SystemCallError when there is no such socket
   */
  static open({ koffi, find }: Libc, slots = SINGLE_PACKETS): NetlinkSocket {
    const functions: Partial<Record<keyof Functions, NativeFunction>> = {};
    for (const [name, prototype] of Object.entries(PROTOTYPES)) {
      const found = find(prototype);
      if (found === undefined) throw new SystemCallError(name, 'ENOSYS');
      functions[name as keyof Functions] = found;
    }
    return new NetlinkSocket(koffi, functions as Functions, slots);
  }

  /**
   * Asks for a receive buffer, beyond net.core.rmem_max where we may.
   * @param size - bytes
   * @returns what we have got: twice as much (the kernel counts its own overhead), or less
   */
  setReceiveBuffer(size: number): number {
    const value = new Int32Array([size]);
    const { setsockopt, getsockopt } = this.functions;
    if (setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4) !== 0) {
      this.check('setsockopt', setsockopt(this.fd, SOL_SOCKET, SO_RCVBUF, value, 4));
    }
    this.check('getsockopt', getsockopt(this.fd, SOL_SOCKET, SO_RCVBUF, value, [4]));
    return value[0] ?? 0;
  }

  /**
   * A message that finds no room is lost without more ado. Otherwise the kernel would lose all that follow, until
   * the buffer has been emptied.
   */
  loseSilently(): void {
    const on = new Int32Array([1]);
    this.check('setsockopt', this.functions.setsockopt(this.fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, on, 4));
  }

  /** Calls back whenever there is something to read. A callback that throws closes the socket. */
  whenReadable(callback: () => void): void {
    this.poll = this.koffi.node.poll(this.fd, { readable: true }, () => {
      try {
        callback();
      } catch (error) {
        // nobody hears of an exception in here: koffi would be left with it, and never call again
        this.close();
        setImmediate(() => {
          throw error;
        });
      }
    });
  }

  /**
   * Reads what is there, without waiting.
   * @returns how many datagrams were read into their slots
   * @throws SystemCallError, for instance ENOBUFS
   */
  receive(): number {
    const { fd, functions, slots } = this;
    for (;;) {
      const count = functions.recvmmsg(fd, this.headers, slots.count, 0, null) as number;
      if (count >= 0) return count;
      const code = this.code();
      if (code === 'EAGAIN') return 0;
      if (code !== 'EINTR') throw new SystemCallError('recvmmsg', code);
    }
  }

  /** Length in bytes of the datagram in a slot; 0 when it does not come from the kernel. */
  lengthOf(slot: number): number {
    // sockaddr_nl: the port is the second of three 32-bit numbers; the kernel's is 0
    if (this.senderPorts[slot * 3 + 1] !== 0) return 0;
    return Math.min(this.lengths[slot * this.lengthStep + this.firstLength] as number, this.slots.size);
  }

  /** Reads a message of type NLMSG_ERROR: minus the error number (32), then the header of the message that it answers. */
  acknowledgement(at: number): Acknowledgement {
    const errno = -((this.longs[(at + NLMSG_HEADER) >> 2] as number) | 0);
    return { sequence: this.longs[(at + 8) >> 2] as number, errno };
  }

  /**
   * Sends messages to the kernel, which works them off before this returns.
   * @throws SystemCallError
   */
  send(bytes: Uint8Array, length: number): void {
    for (;;) {
      if ((this.functions.send(this.fd, bytes, length, 0) as number) >= 0) return;
      const code = this.code();
      if (code !== 'EINTR') throw new SystemCallError('send', code);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poll?.close();
    this.poll = undefined;
    this.functions.close(this.fd);
  }

  private check(call: string, result: unknown): number {
    if ((result as number) >= 0) return result as number;
    throw new SystemCallError(call, this.code());
  }

  private code(): string {
    return errnoName(this.koffi, this.koffi.errno());
  }
}

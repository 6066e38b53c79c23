// A descriptor of /dev/bpf: its ioctl(2) requests, through the C library.
import type * as Koffi from 'koffi';
import type { Libc, NativeFunction } from '../native/libc.js';
import { errnoName, SystemCallError } from '../native/system-call.js';
import { type BpfProgram, encodeBpfProgram } from './bpf-filter.js';
import type { BpfRequests, BpfSystem } from './bpf-systems.js';

type CallName = 'open' | 'ioctl' | 'read' | 'close';

/** The functions of the C library that a device is used by. */
export interface BpfFunctions extends Readonly<Record<CallName, NativeFunction>> {
  readonly koffi: typeof Koffi;
}

/** koffi does not know ssize_t; `...` matters where variable arguments travel in a way of their own. */
const PROTOTYPES: Readonly<Record<CallName, string>> = {
  open: 'int open(const char *, int, ...)',
  ioctl: 'int ioctl(int, unsigned long, ...)',
  read: 'long read(int, void *, size_t)',
  close: 'int close(int)',
};

/** Finds the functions; undefined when one is missing. */
export function findBpfFunctions({ koffi, find }: Libc): BpfFunctions | undefined {
  const [open, ioctl, read, close] = [
    find(PROTOTYPES.open),
    find(PROTOTYPES.ioctl),
    find(PROTOTYPES.read),
    find(PROTOTYPES.close),
  ];
  if (open === undefined || ioctl === undefined || read === undefined || close === undefined)
    return undefined;
  return { koffi, open, ioctl, read, close };
}

/** struct ifreq (net/if.h): the name comes first. */
const IFREQ = 32;
/** Where struct bpf_stat (net/bpf.h) has its two unsigned ints. */
const STAT = { received: 0, dropped: 4 } as const;

/** What the kernel counts, since the filter was set; 32 bits, then from 0 again. */
export interface BpfStatistics {
  /** frames that came to the filter */
  readonly received: number;
  /** frames that found no room */
  readonly dropped: number;
}

/** An open /dev/bpf. Its methods throw SystemCallError, which names the request or function that failed. */
export class BpfDevice {
  private readonly fd: number;
  // koffi forgets a handle that nobody refers to, and with it the callback
  private poll: Koffi.node.PollHandle | undefined;
  // the kernel is given its address, which does not keep it alive
  private instructions = new Uint8Array(0);
  private closed = false;

  /**
   * Opens the first device that exists.
   * @param littleEndian - byte order of this machine
   * @throws SystemCallError
   */
  constructor(
    private readonly functions: BpfFunctions,
    private readonly system: BpfSystem,
    private readonly littleEndian: boolean,
  ) {
    this.fd = this.openFirst(system.devices);
  }

  private openFirst(paths: readonly string[]): number {
    let code = 'ENOENT';
    for (const path of paths) {
      const fd = this.functions.open(path, this.system.openFlags) as number;
      if (fd >= 0) return fd;
      code = this.errno();
      if (code !== 'ENOENT') break;
    }
    throw new SystemCallError('open', code);
  }

  /** Asks for a number. */
  get(request: 'BIOCGBLEN' | 'BIOCGDLT'): number {
    const argument = this.argument(4);
    this.request(request, argument);
    return argument.getUint32(0, this.littleEndian);
  }

  /** Sets a number. */
  set(request: 'BIOCSBLEN' | 'BIOCIMMEDIATE', value: number): void {
    const argument = this.argument(4);
    argument.setUint32(0, value, this.littleEndian);
    this.request(request, argument);
  }

  /** The version of the language of filters. */
  version(): { readonly major: number; readonly minor: number } {
    const argument = this.argument(4);
    this.request('BIOCVERSION', argument);
    return {
      major: argument.getUint16(0, this.littleEndian),
      minor: argument.getUint16(2, this.littleEndian),
    };
  }

  /** @param name - at most 15 characters */
  setInterface(name: string): void {
    const argument = this.argument(IFREQ);
    new Uint8Array(argument.buffer).set(Buffer.from(name, 'latin1').subarray(0, 15));
    this.request('BIOCSETIF', argument);
  }

  /** Sets the filter; what had been captured is thrown away. */
  setFilter(program: BpfProgram): void {
    const { pointer } = this.system.abi;
    this.instructions = encodeBpfProgram(program, this.littleEndian);
    const address = this.functions.koffi.address(this.instructions);
    const argument = this.argument(2 * pointer);
    argument.setUint32(0, program.length, this.littleEndian);
    if (pointer === 8) argument.setBigUint64(pointer, address, this.littleEndian);
    else argument.setUint32(pointer, Number(address), this.littleEndian);
    this.request('BIOCSETF', argument);
  }

  /** How long a read may wait at the most, should it wait at all. */
  setReadTimeout(milliseconds: number): void {
    const { timeval, seconds } = this.system.abi;
    const argument = this.argument(timeval);
    const littleEndian = this.littleEndian;
    // the low half is enough
    const low = (at: number, size: 4 | 8): number => (littleEndian ? at : at + size - 4);
    argument.setUint32(low(0, seconds), Math.floor(milliseconds / 1000), littleEndian);
    const microseconds = (milliseconds % 1000) * 1000;
    argument.setUint32(low(seconds, this.system.abi.pointer), microseconds, littleEndian);
    this.request('BIOCSRTIMEOUT', argument);
  }

  /** From here on only reading and looking are allowed. */
  lock(): void {
    this.request('BIOCLOCK');
  }

  /** Needs no privilege. */
  statistics(): BpfStatistics {
    const argument = this.argument(8);
    this.request('BIOCGSTATS', argument);
    return {
      received: argument.getUint32(STAT.received, this.littleEndian),
      dropped: argument.getUint32(STAT.dropped, this.littleEndian),
    };
  }

  /**
   * Makes the device non-blocking and calls back whenever there is something to read. To be called before
   * {@link lock}: libuv makes it non-blocking by a request (FIONBIO) that a locked device refuses.
   * @param callback - `failed`: watching has ended with an error. When it throws, the device is closed.
   */
  whenReadable(callback: (failed: boolean) => void): void {
    const { koffi } = this.functions;
    try {
      // koffi's types leave out the first argument, libuv's status
      this.poll = koffi.node.poll(this.fd, { readable: true }, (...[status]: unknown[]) => {
        try {
          callback(typeof status === 'number' && status < 0);
        } catch (error) {
          // nobody hears of an exception in here: koffi would be left with it, and never call again
          this.close();
          setImmediate(() => {
            throw error;
          });
        }
      });
    } catch (error) {
      throw new SystemCallError('poll', error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * Reads what is there, without waiting.
   * @param into - exactly as long as the kernel's buffer
   * @returns number of bytes; 0 when nothing is there
   */
  read(into: Uint8Array): number {
    for (;;) {
      const length = this.functions.read(this.fd, into, into.length) as number;
      if (length >= 0) return length;
      const code = this.errno();
      if (code === 'EAGAIN') return 0;
      if (code !== 'EINTR') throw new SystemCallError('read', code);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poll?.close();
    this.poll = undefined;
    this.functions.close(this.fd);
  }

  private argument(size: number): DataView<ArrayBuffer> {
    return new DataView(new ArrayBuffer(size));
  }

  private request(name: keyof BpfRequests, argument?: DataView<ArrayBuffer>): void {
    const number = this.system.requests[name];
    // _IO: there is no argument, but the function takes one
    const memory = argument === undefined ? null : new Uint8Array(argument.buffer);
    for (;;) {
      if ((this.functions.ioctl(this.fd, number, 'void *', memory) as number) >= 0) return;
      const code = this.errno();
      if (code !== 'EINTR') throw new SystemCallError(name, code);
    }
  }

  private errno(): string {
    const { koffi } = this.functions;
    return errnoName(koffi, koffi.errno());
  }
}

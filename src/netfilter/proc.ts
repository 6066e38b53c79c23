// What /proc says of queues and capabilities.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Where the kernel tells about the queues of our network namespace. */
const PROC_QUEUES = '/proc/self/net/netfilter/nfnetlink_queue';

/** A line of /proc/net/netfilter/nfnetlink_queue (net/netfilter/nfnetlink_queue.c, seq_show). */
export interface QueueRow {
  readonly queue: number;
  /** netlink address of its owner: often its process ID, but not always */
  readonly port: number;
  /** packets that wait for a verdict */
  readonly waiting: number;
  /** packets that found the queue full, since it was bound */
  readonly full: number;
  /** packets that could not be delivered to its owner, since it was bound */
  readonly lost: number;
}

/** Reads the kernel's list of queues. */
export function parseQueues(text: string): QueueRow[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length >= 8 && fields.every((field) => Number.isFinite(field)))
    .map(([queue = 0, port = 0, waiting = 0, , , full = 0, lost = 0]) => {
      return { queue, port: port >>> 0, waiting, full, lost };
    });
}

/** What the kernel counts about one of our queues. */
export type KernelCounts = Pick<QueueRow, 'waiting' | 'full' | 'lost'>;

/** Where the kernel tells about the netlink sockets of our network namespace; everybody may read it. */
const PROC_SOCKETS = '/proc/self/net/netlink';
/** The protocol's number, as linux/netlink.h has it. */
const NETLINK_NETFILTER = 12;

/** What the kernel says of a netlink socket: a line of /proc/net/netlink (net/netlink/af_netlink.c, netlink_native_seq_show). */
export interface SocketCounts {
  /** bytes of memory that its unread messages take */
  readonly unread: number;
  /** messages that found its receive buffer full, since it was opened */
  readonly lost: number;
}

/**
 * Finds a socket of netfilter in the kernel's list of netlink sockets.
 * @param port - its address on netlink
 * @returns undefined when it is not there
 */
export function parseSocket(text: string, port: number): SocketCounts | undefined {
  for (const line of text.split('\n')) {
    // sk, protocol, port, groups, received, sent, dump, references, lost, inode
    const fields = line.trim().split(/\s+/);
    if (Number(fields[1]) !== NETLINK_NETFILTER || Number(fields[2]) >>> 0 !== port) continue;
    const [unread, lost] = [Number(fields[4]), Number(fields[8])];
    if (Number.isFinite(unread) && Number.isFinite(lost)) return { unread, lost };
  }
  return undefined;
}

/** What the kernel says of a socket of ours; undefined when it does not tell. */
export function readSocket(port: number): SocketCounts | undefined {
  try {
    return parseSocket(readFileSync(PROC_SOCKETS, 'latin1'), port);
  } catch {
    return undefined;
  }
}

/** The kernel's own figures about queues. Only root may open them, so they are kept open. */
export class KernelFigures {
  private readonly buffer = Buffer.alloc(1 << 14);

  private constructor(private readonly fd: number) {}

  /** @returns undefined when they may not be read, or are not there because the module is not loaded */
  static open(): KernelFigures | undefined {
    try {
      return new KernelFigures(openSync(PROC_QUEUES, 'r'));
    } catch {
      return undefined;
    }
  }

  /**
   * @param queue - its number
   * @param port - netlink address of its owner
   * @returns undefined when they cannot be read
   */
  read(queue: number, port: number): KernelCounts | undefined {
    try {
      return this.rows().find((row) => row.queue === queue && row.port === port);
    } catch {
      return undefined;
    }
  }

  /** All queues there are, of whomever. */
  rows(): QueueRow[] {
    return parseQueues(this.text());
  }

  close(): void {
    closeSync(this.fd);
  }

  /** The kernel gives whole lines, a page at a time. */
  private text(): string {
    let text = '';
    for (;;) {
      const length = readSync(this.fd, this.buffer, 0, this.buffer.length, text.length);
      if (length === 0) return text;
      text += this.buffer.toString('latin1', 0, length);
    }
  }
}

/** All queues there are, of whomever; undefined when the kernel does not tell (it tells root only). */
export function readQueues(): QueueRow[] | undefined {
  const figures = KernelFigures.open();
  try {
    return figures?.rows();
  } catch {
    return undefined;
  } finally {
    figures?.close();
  }
}

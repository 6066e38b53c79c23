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
}

/** Reads the kernel's list of queues. */
export function parseQueues(text: string): QueueRow[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length >= 8 && fields.every((field) => Number.isFinite(field)))
    .map(([queue = 0, port = 0, waiting = 0, , , full = 0]) => ({ queue, port: port >>> 0, waiting, full }));
}

/** The queues of our network namespace; undefined when we may not know, or there is no such list. */
export function readQueues(): QueueRow[] | undefined {
  try {
    return parseQueues(readFileSync(PROC_QUEUES, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The kernel's own figures about our queues. Only root may open them, so they are kept open. */
export class KernelFigures {
  private readonly buffer = Buffer.alloc(1 << 16);

  private constructor(
    private readonly fd: number,
    private readonly port: number,
  ) {}

  /**
   * @param port - our netlink address
   * @returns undefined when they may not be read
   */
  static open(port: number): KernelFigures | undefined {
    try {
      return new KernelFigures(openSync(PROC_QUEUES, 'r'), port);
    } catch {
      return undefined;
    }
  }

  /** Sums over our queues; undefined when they cannot be read. */
  read(): { full: number; waiting: number } | undefined {
    try {
      const length = readSync(this.fd, this.buffer, 0, this.buffer.length, 0);
      const rows = parseQueues(this.buffer.toString('latin1', 0, length));
      const own = rows.filter(({ port }) => port === this.port);
      return {
        full: own.reduce((sum, row) => sum + row.full, 0),
        waiting: own.reduce((sum, row) => sum + row.waiting, 0),
      };
    } catch {
      return undefined;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

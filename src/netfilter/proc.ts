// What /proc says of queues and capabilities.
import { closeSync, openSync, readSync } from 'node:fs';

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

/** What the kernel counts, summed over our queues. */
export interface KernelCounts {
  readonly waiting: number;
  readonly full: number;
  readonly lost: number;
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
   * @param port - netlink address of the owner
   * @returns undefined when they cannot be read
   */
  read(port: number): KernelCounts | undefined {
    try {
      const own = this.rows().filter((row) => row.port === port);
      const sum = (of: (row: QueueRow) => number): number => own.reduce((total, row) => total + of(row), 0);
      return {
        waiting: sum((row) => row.waiting),
        full: sum((row) => row.full),
        lost: sum((row) => row.lost),
      };
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

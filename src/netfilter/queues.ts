// The queues of netfilter that are answered here, as one.
import { loadLibc } from '../native/libc.js';
import { SystemCallError } from '../native/system-call.js';
import { type QueueSettings, type Verdict, writeUnbind } from './messages.js';
import { MessageWriter } from './netlink.js';
import { explainSocket, QueueError } from './problem.js';
import { KernelFigures } from './proc.js';
import { type PacketJudge, PacketQueue, type QueueStatistics } from './queue.js';
import { NetlinkSocket } from './socket.js';

/** Numbers of queues, both ends included. */
export interface QueueRange {
  readonly first: number;
  readonly last: number;
}

/** How the queues are opened. */
export interface PacketQueuesSettings extends QueueSettings {
  readonly queues: QueueRange;
  /** bytes that the kernel may keep for us, for each queue; without CAP_NET_ADMIN of the machine cut to net.core.rmem_max */
  readonly receiveBuffer: number;
}

/** Who judges packets, and hears of their end. */
export interface PacketHandler extends PacketJudge {
  /** The queues are lost; the kernel has dropped what waited in them. Not after {@link PacketQueues.close}. */
  failed(error: QueueError): void;
}

/** Queues that live and die together. */
export class PacketQueues {
  readonly description: string;
  /** packets that each had received when that was last looked at, and could be read then all the same */
  private suspects: (number | undefined)[] = [];

  private constructor(
    { first, last }: QueueRange,
    private readonly queues: readonly PacketQueue[],
  ) {
    this.description = `NFQUEUE ${first === last ? first : `${first}-${last}`}`;
  }

  /**
   * What needs root, and need be done once only: has the kernel load its module, and opens its figures.
   * @throws QueueError in words for the administrator
   */
  static async prepare(): Promise<KernelFigures | undefined> {
    const socket = (await socketMaker())();
    try {
      const bytes = new Uint8Array(64);
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
    settings: PacketQueuesSettings,
    handler: PacketHandler,
    figures?: KernelFigures,
  ): Promise<PacketQueues> {
    const { queues: range, receiveBuffer } = settings;
    const makeSocket = await socketMaker();
    const opened: PacketQueue[] = [];
    const release = (): void => opened.forEach((queue) => queue.release());
    try {
      for (let number = range.first; number <= range.last; number++) {
        opened.push(new PacketQueue(number, makeSocket(), settings, receiveBuffer, handler, figures));
      }
    } catch (error) {
      release();
      throw error instanceof SystemCallError ? explainSocket(error) : error;
    }
    const queues = new PacketQueues(range, opened);
    for (const queue of opened) {
      queue.start((error) => {
        release();
        handler.failed(new QueueError(`NFQUEUE ${queue.number}: ${error.message}`, 'died'));
      });
    }
    return queues;
  }

  /** bytes, of each queue */
  get receiveBuffer(): number {
    return Math.min(...this.queues.map(({ receiveBuffer }) => receiveBuffer));
  }

  /** addresses on netlink, as the kernel's list of queues has them */
  get ports(): number[] {
    return this.queues.map(({ port }) => port);
  }

  /** Of all queues together. */
  statistics(): QueueStatistics {
    const all = this.queues.map((queue) => queue.statistics());
    const sum = (of: (one: QueueStatistics) => number): number =>
      all.reduce((total, one) => total + of(one), 0);
    const known = (of: (one: QueueStatistics) => number | undefined): number | undefined =>
      all.some((one) => of(one) === undefined) ? undefined : sum((one) => of(one) ?? 0);
    return {
      received: sum(({ received }) => received),
      accepted: sum(({ accepted }) => accepted),
      dropped: sum(({ dropped }) => dropped),
      lost: sum(({ lost }) => lost),
      full: known(({ full }) => full),
      waiting: known(({ waiting }) => waiting),
    };
  }

  /**
   * Whether packets are taken as they come. To be asked now and then: it does not go on when twice in a row the kernel
   * has something for us, and nothing was read in between.
   */
  goesOn(): boolean {
    const suspects = this.queues.map((queue) => (queue.hasUnread ? queue.received : undefined));
    const stands = suspects.some((received, i) => received !== undefined && received === this.suspects[i]);
    this.suspects = suspects;
    return !stands;
  }

  /**
   * Judges what has been delivered, then gives the queues up.
   * @param rest - what becomes of packets that the kernel has not delivered to us
   * @returns how many those were
   */
  close(rest: Verdict): number {
    try {
      for (const queue of this.queues.toReversed()) queue.drain();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
    }
    return this.queues.reduce((left, queue) => left + queue.giveUp(rest), 0);
  }
}

/** @throws QueueError in words for the administrator, as does what it returns */
async function socketMaker(): Promise<() => NetlinkSocket> {
  const loaded = await loadLibc();
  if (!loaded.ok) throw new QueueError(`NFQUEUE ${loaded.message}`, 'unavailable');
  return () => {
    try {
      return NetlinkSocket.open(loaded.libc);
    } catch (error) {
      throw error instanceof SystemCallError ? explainSocket(error) : error;
    }
  };
}

/**
 * Run on the host mx of a World by the tests of PacketQueues.close: lets the first packet in, and while that is being
 * judged others come, which the kernel still holds when the queues are given up. Prints what came of it.
 */
import { spawnSync } from 'node:child_process';
import { KernelFigures, type QueueRow } from '../../src/netfilter/proc.js';
import { PacketQueues, type QueueRange } from '../../src/netfilter/queues.js';
import { Verdict } from '../../src/netfilter/messages.js';

/** A SYN from the host internet. */
export interface Syn {
  readonly from: string;
  readonly to: string;
  /** port that it comes from, and port that it goes to */
  readonly sourcePort: number;
  readonly port: number;
}

/** What the probe is to do. */
export interface CloseOrder {
  readonly queues: QueueRange;
  readonly rest: Verdict;
  /** waits in its queue when that is given up; is accepted */
  readonly first: Syn;
  /** come while the first one is judged */
  readonly late: readonly Syn[];
}

/** What came of it. */
export interface CloseResult {
  /** how many packets were judged */
  readonly judged: number;
  /** what close() said, and said when it was called once more */
  readonly left: readonly number[];
  /** queues that there are now */
  readonly queues: number;
}

/** It comes, unless something is broken. */
const DEADLINE_MS = 120_000;

/** The queues of this host. */
function readQueues(): QueueRow[] {
  const figures = KernelFigures.open();
  const rows = figures?.rows() ?? [];
  figures?.close();
  return rows;
}

/** Connects without waiting for an answer: the SYN is sent once. */
const SENDER = `
  const { from, to, sourcePort, port } = JSON.parse(process.argv[1]);
  const socket = require('node:net').connect({ host: to, port, localAddress: from, localPort: sourcePort });
  socket.on('error', () => undefined);
  setImmediate(() => process.exit());`;

/** Sends a SYN, and waits until it is in its queue: until so many wait there in all. */
function send(syn: Syn, waiting: number): void {
  const network = '--net=/run/netns/internet';
  const { status, stderr } = spawnSync(
    'nsenter',
    [network, process.execPath, '-e', SENDER, JSON.stringify(syn)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  const end = performance.now() + DEADLINE_MS;
  const count = (): number => readQueues().reduce((sum, row) => sum + row.waiting, 0);
  while (count() < waiting) if (performance.now() > end) throw new Error('the SYN has not come');
}

async function probe({ queues, rest, first, late }: CloseOrder): Promise<CloseResult> {
  let judged = 0;
  // so short that close() reads once
  const maxLength = 64 / (queues.last - queues.first + 1);
  const settings = { queues, maxLength, copyRange: 256, failOpen: false, receiveBuffer: 1 << 20 };
  const queue = await PacketQueues.open(settings, {
    judge: () => {
      judged++;
      late.forEach((syn, i) => send(syn, i + 2));
      return Verdict.ACCEPT;
    },
    answered: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
  // nothing is read until close() does it
  send(first, 1);
  const left = [queue.close(rest), queue.close(rest)];
  return { judged, left, queues: readQueues().length };
}

const order = process.argv[2];
if (order !== undefined) console.log(JSON.stringify(await probe(JSON.parse(order) as CloseOrder)));

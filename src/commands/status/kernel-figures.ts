// What the kernel says of the daemon's queues to root, and not to the daemon.
import type { QueueReport, StatusReport } from '../../control/protocol.js';
import { packetsLost } from '../../engine/health.js';
import { type QueueRow, readQueues } from '../../netfilter/proc.js';

/**
 * A report with what a daemon that never was root cannot know of its queues, where whoever asks may read it.
 * @param rows - the kernel's list of queues
 */
export function withKernelFigures<R extends { readonly queue: QueueReport | undefined }>(
  report: R,
  rows: () => readonly QueueRow[] | undefined = readQueues,
): R {
  const { queue } = report;
  if (queue?.full !== undefined || queue?.ports === undefined) return report;
  const { ports } = queue;
  const own = rows()?.filter(({ port }) => ports.includes(port)) ?? [];
  // in another network namespace there are other queues
  if (own.length === 0 || own.length < ports.length) return report;
  const sum = (of: (row: QueueRow) => number): number => own.reduce((total, row) => total + of(row), 0);
  const full = sum((row) => row.full);
  return { ...report, queue: { ...queue, full, waiting: sum(({ waiting }) => waiting) } };
}

/** The same for a status: packets that found the queue full are worth a finding. */
export function withKernelFindings(
  report: StatusReport,
  rows: () => readonly QueueRow[] | undefined = readQueues,
): StatusReport {
  const known = withKernelFigures(report, rows);
  if (known === report || known.queue === undefined) return report;
  const { lost, full = 0 } = known.queue;
  const finding = packetsLost(lost + full);
  const others = report.findings.filter(({ id }) => id !== 'packets-lost');
  return { ...known, findings: finding === undefined ? others : [...others, finding] };
}

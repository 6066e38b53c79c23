import type { PrefixText } from '../../src/packet/address.js';
import { formatPrefix, parsePrefix } from '../../src/packet/address.js';
import { type Clock, systemClock } from '../../src/clock.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import type { TableEntry } from '../../src/table/table.js';
import { TableWriter } from '../../src/table/writer.js';
import type { Verdict, WriterEvent } from '../../src/table/writer-events.js';
import type { PfctlStandIn } from './pfctl-harness.js';

/** Canonical text of a prefix that a test names. */
export function prefix(text: string): PrefixText {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return formatPrefix(parsed.prefix);
}

/** So many different addresses: 10.0.0.0 and on. */
export function addresses(count: number, first = 0): PrefixText[] {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    return prefix(`10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`);
  });
}

/** No pfctl takes so long, on any machine. */
export const HANGS_MS = 180_000;

/** Delays are cut to this part, so that a test need not wait out real ones. */
const FASTER = 20;

/** A writer on a stand-in pfctl, with everything it reports. */
export class WriterBench {
  readonly events: WriterEvent[] = [];
  readonly seen: TableEntry[] = [];
  readonly table: PfctlTable;
  readonly writer: TableWriter;
  private waiters: { accept: (event: WriterEvent) => boolean; resolve: () => void }[] = [];

  constructor(
    standIn: PfctlStandIn,
    options: {
      judge?: (entry: TableEntry, writer: TableWriter) => Verdict;
      most?: number;
      /** pfctl's, for its time-outs; absent: the real one */
      clock?: Clock;
    } = {},
  ) {
    this.table = new PfctlTable({
      path: standIn.path,
      table: 'mx-white',
      anchor: '',
      timeoutMs: HANGS_MS,
      clock: options.clock ?? systemClock,
    });
    this.writer = new TableWriter({
      table: this.table,
      judge: (entry) => {
        this.seen.push(entry);
        return options.judge?.(entry, this.writer) ?? 'leave';
      },
      report: (event) => {
        this.events.push(event);
        this.waiters = this.waiters.filter(({ accept, resolve }) => {
          if (!accept(event)) return true;
          resolve();
          return false;
        });
      },
      nowMs: () => performance.now(),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms / FASTER);
        return () => clearTimeout(timer);
      },
      soon: (callback) => void setImmediate(callback),
      ...(options.most === undefined ? {} : { most: () => options.most ?? 0 }),
    });
  }

  /** Waits for an event that comes from now on. */
  next(accept: (event: WriterEvent) => boolean): Promise<void> {
    return new Promise((resolve) => this.waiters.push({ accept, resolve }));
  }

  count(kind: WriterEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }
}

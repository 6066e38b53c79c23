// A source that is refused again and again: told at once, then together.
import type { Clock } from '../clock.js';
import { ADDRESS_BITS, type Prefix } from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import { PrefixMap } from '../tracker/prefix-map.js';
import type { HashKey } from '../tracker/siphash.js';
import type { Line } from './messages.js';

/** Repeats within this time after the first one are told together. */
const TOGETHER_MS = 60_000;
/** So many sources at the most; the oldest has its line early then. */
const MOST_SOURCES = 5000;

/** A source whose refusal was told. */
interface Told {
  readonly seen: Seen;
  readonly source: Prefix;
  /** what it was refused for: another reason is another line */
  readonly reason: string;
  /** as it was told */
  readonly line: Line;
  readonly firstMs: number;
  lastMs: number;
  /** how often it was refused since */
  count: number;
}

/** What is needed of an observation. */
export type Seen = Pick<Observation, 'family' | 'source' | 'source0' | 'source1' | 'source2' | 'source3'>;

/**
 * Knows whose refusal was told within the last minute. A refused client sends its SYN again after 1, 3, 7, ... seconds: its
 * repeats are counted, and told in one line a minute after the first.
 */
export class Repeats {
  private readonly bySource: PrefixMap<Told>;
  /** the oldest first */
  private readonly inOrder = new Set<Told>();
  private cancel: (() => void) | undefined;

  /** @param tell - writes a line about so many repeats */
  constructor(
    private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>,
    hashKey: HashKey,
    private readonly tell: (line: Line, count: number, seen: Seen) => void,
  ) {
    this.bySource = new PrefixMap(hashKey);
  }

  /**
   * Counts a refusal when one with the same reason was told within the last minute.
   * @returns the line that was told then; undefined: none
   */
  count(seen: Seen, reason: string): Line | undefined {
    const told = this.find(seen);
    if (told === undefined) return undefined;
    if (told.reason !== reason) {
      this.end(told);
      return undefined;
    }
    told.lastMs = this.clock.monotonicMs();
    told.count++;
    return told.line;
  }

  /** A refusal was told. */
  begin(seen: Seen, reason: string, line: Line): void {
    const [oldest] = this.inOrder;
    if (oldest !== undefined && this.inOrder.size >= MOST_SOURCES) this.end(oldest);
    const nowMs = this.clock.monotonicMs();
    const source = { address: seen.source, length: ADDRESS_BITS[seen.family] };
    const told = { seen, source, reason, line, firstMs: nowMs, lastMs: nowMs, count: 0 };
    this.bySource.set(source, told);
    this.inOrder.add(told);
    this.arm();
  }

  /** Something else happened to a source: its repeats come before that in the log. */
  interrupt(seen: Seen): void {
    const told = this.find(seen);
    if (told !== undefined) this.end(told);
  }

  /** Tells what there is to tell. */
  close(): void {
    this.cancel?.();
    this.cancel = undefined;
    for (const told of this.inOrder) this.end(told);
  }

  private find({ family, source0, source1, source2, source3 }: Seen): Told | undefined {
    if (this.inOrder.size === 0) return undefined;
    return this.bySource.matchWords(family, source0, source1, source2, source3);
  }

  private end(told: Told): void {
    this.bySource.delete(told.source);
    this.inOrder.delete(told);
    const { line, count, firstMs, lastMs, seen } = told;
    if (count > 0) this.tell(repeatsLine(line, count, lastMs - firstMs), count, seen);
  }

  private arm(): void {
    const [oldest] = this.inOrder;
    if (oldest === undefined || this.cancel !== undefined) return;
    const inMs = oldest.firstMs + TOGETHER_MS - this.clock.monotonicMs();
    this.cancel = this.clock.after(inMs, () => {
      this.cancel = undefined;
      const endMs = this.clock.monotonicMs() - TOGETHER_MS;
      for (const told of this.inOrder) {
        if (told.firstMs > endMs) break;
        this.end(told);
      }
      this.arm();
    });
  }
}

/**
 * The same refusal again, so many times.
 * @param first - as it was told
 * @param overMs - from the first to the last
 */
function repeatsLine(first: Line, count: number, overMs: number): Line {
  const { level, message, fields } = first;
  const seconds = Math.max(1, Math.ceil(overMs / 1000));
  return {
    level,
    message: `${message}, ${count} more ${count === 1 ? 'time' : 'times'} in ${seconds} s`,
    fields: { ...fields, count, seconds },
  };
}

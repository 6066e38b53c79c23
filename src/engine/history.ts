// The newest events, and what is remembered of each address; bounded.
import type { HistoryEvent } from '../control/protocol.js';

/** What is remembered of an address. */
export interface Remembered {
  /** those that were redirected among them */
  refusals: number;
  redirected: number;
  firstRefusalMs: number;
  lastRefusalMs: number;
  /** the last decision about its pool */
  pool: string | undefined;
  /** the latest last */
  readonly events: HistoryEvent[];
}

/** An address that is often refused. */
export interface Refused {
  readonly address: string;
  readonly count: number;
  readonly lastMs: number;
}

const MOST_EVENTS = 200;
const MOST_ADDRESSES = 2000;
const EVENTS_OF_ADDRESS = 8;

/**
 * The latest events, and what happened to the addresses that were seen last: for people who ask. Forgets the oldest:
 * its size does not depend on what comes. Times are milliseconds since 1970.
 */
export class History {
  private readonly events: HistoryEvent[] = [];
  private readonly addresses = new Map<string, Remembered>();
  private count = 0;

  /** number of events so far: what {@link since} takes */
  get position(): number {
    return this.count;
  }

  /** Notes an event; its text is escaped already. */
  note(event: HistoryEvent): void {
    this.count++;
    this.events.push(event);
    if (this.events.length > 2 * MOST_EVENTS) this.events.splice(0, MOST_EVENTS);
    const remembered = this.remember(event.address);
    remembered.events.push(event);
    if (remembered.events.length > EVENTS_OF_ADDRESS) remembered.events.shift();
    if (event.kind !== 'refusal' && event.kind !== 'redirected') return;
    if (event.kind === 'redirected') remembered.redirected++;
    if (remembered.refusals === 0) remembered.firstRefusalMs = event.atMs;
    remembered.refusals++;
    remembered.lastRefusalMs = event.atMs;
  }

  /** Notes what was decided about an address's pool. */
  notePool(address: string, decision: string): void {
    this.remember(address).pool = decision;
  }

  /** Events after a position, the oldest first; those that are forgotten are left out. */
  since(position: number, most: number): HistoryEvent[] {
    const wanted = Math.min(this.count - position, most, MOST_EVENTS);
    return wanted <= 0 ? [] : this.events.slice(-wanted);
  }

  /** What is remembered of an address. */
  of(address: string): Remembered | undefined {
    return this.addresses.get(address);
  }

  /** Who was refused most often. */
  topRefused(most: number): Refused[] {
    return [...this.addresses]
      .filter(([, { refusals }]) => refusals > 0)
      .sort(([, a], [, b]) => b.refusals - a.refusals || b.lastRefusalMs - a.lastRefusalMs)
      .slice(0, most)
      .map(([address, { refusals, lastRefusalMs }]) => ({ address, count: refusals, lastMs: lastRefusalMs }));
  }

  private remember(address: string): Remembered {
    const known = this.addresses.get(address);
    this.addresses.delete(address);
    const remembered = known ?? {
      refusals: 0,
      redirected: 0,
      firstRefusalMs: 0,
      lastRefusalMs: 0,
      pool: undefined,
      events: [],
    };
    this.addresses.set(address, remembered);
    if (this.addresses.size > MOST_ADDRESSES) {
      const [oldest] = this.addresses.keys();
      if (oldest !== undefined) this.addresses.delete(oldest);
    }
    return remembered;
  }
}

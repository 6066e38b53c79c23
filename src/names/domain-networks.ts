// What is known of the networks of one domain, over look-ups that say different things. Pure.
import { formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';
import { NETWORK_BOUNDS } from './network-bounds.js';
import type { PassedTerm, SpfNetworks } from './spf-networks.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What is looked up again after its time to live is so within these bounds. */
const LEAST_TTL_MS = 5 * MINUTE_MS;
const MOST_TTL_MS = HOUR_MS;
/** After one that DNS has not answered: soon, then each time twice as late, up to the least time to live. */
const FIRST_RETRY_MS = 15_000;
/** A network is gone when so many look-ups, over so long a time, have not named it. */
const MOST_MISSES = 3;
const GONE_AFTER_MS = HOUR_MS;
/** While one is missing it is looked up so often at least. */
const DOUBT_MS = GONE_AFTER_MS / (MOST_MISSES - 1);
/** So long a network stays of which no look-up has told anything. */
export const KEPT_MS = 30 * DAY_MS;
/** Networks that are known at the most: all of a domain, and as many that it names no more. */
const MOST_KNOWN = 2 * NETWORK_BOUNDS.ofDomain;
/** An unanswered look-up is not worth a word before so long. */
export const FINDING_AFTER_MS = DAY_MS;

interface Known {
  readonly network: Prefix;
  /** when a look-up has named it last */
  seenMs: number;
  misses: number;
  /** when one has not named it for the first time since */
  missedMs: number;
}

/** A network as it is kept over a restart. */
export interface KeptNetwork {
  readonly network: Prefix;
  /** when a look-up has named it last; monotonic milliseconds */
  readonly seenMs: number;
}

/** A domain's networks as they are kept over a restart. */
export interface KeptDomain {
  readonly domain: string;
  readonly networks: readonly KeptNetwork[];
}

/** How the look-ups of a domain go; times are monotonic milliseconds. */
export interface DomainState {
  /** undefined: not yet looked up */
  readonly lookedUpMs: number | undefined;
  /** since when DNS does not answer, or not all */
  readonly failingMs: number | undefined;
  /** what it has not answered */
  readonly unanswered: readonly string[];
  /** why there are no networks, as DNS has said last; for people, escaped */
  readonly none: string | undefined;
  /** terms that give no networks */
  readonly passed: readonly PassedTerm[];
}

/** What has come of a look-up. */
export interface DomainChange {
  readonly added: readonly PrefixText[];
  readonly gone: readonly PrefixText[];
}

/**
 * The networks of one domain. They change with what DNS says, but nobody loses his way in by one answer: a network goes
 * when three look-ups over an hour do not name it, and what DNS does not answer changes nothing for 30 days.
 */
export class DomainNetworks {
  private readonly known = new Map<PrefixText, Known>();
  private retryMs = FIRST_RETRY_MS;
  state: DomainState = {
    lookedUpMs: undefined,
    failingMs: undefined,
    unanswered: [],
    none: undefined,
    passed: [],
  };

  /** @param kept - of an earlier run */
  constructor(kept: readonly KeptNetwork[] = []) {
    for (const { network, seenMs } of kept) this.see(network, seenMs);
  }

  /** In the order in which they became known, those that the last look-up has not named behind the others. */
  get networks(): Prefix[] {
    const all = [...this.known.values()];
    const isNamed = ({ misses }: Known): boolean => misses === 0;
    return [...all.filter(isNamed), ...all.filter((one) => !isNamed(one))].map(({ network }) => network);
  }

  /** What a restart must find again. */
  get kept(): KeptNetwork[] {
    return [...this.known.values()].map(({ network, seenMs }) => ({ network, seenMs }));
  }

  /** When a look-up has named it last; monotonic milliseconds. */
  seenMs(network: PrefixText): number | undefined {
    return this.known.get(network)?.seenMs;
  }

  /** Takes over what a look-up has found. */
  take(result: SpfNetworks, nowMs: number): DomainChange {
    const before = new Set(this.known.keys());
    const found = result.kind === 'none' ? [] : result.networks;
    for (const network of found) this.see(network, nowMs);
    const named = new Set(found.map(formatPrefix));
    const isKnown = result.kind !== 'part';
    for (const [text, one] of this.known) {
      if (isKnown && !named.has(text)) this.miss(text, one, nowMs);
      if (nowMs - one.seenMs > KEPT_MS) this.known.delete(text);
    }
    this.note(result, nowMs);
    return {
      added: [...this.known.keys()].filter((text) => !before.has(text)),
      gone: [...before].filter((text) => !this.known.has(text)),
    };
  }

  /** How long to wait for the next look-up, in milliseconds, after {@link take}. */
  nextMs({ kind, ttlMs }: SpfNetworks): number {
    if (kind === 'part') {
      const waitMs = this.retryMs;
      this.retryMs = Math.min(2 * waitMs, LEAST_TTL_MS);
      return waitMs;
    }
    this.retryMs = FIRST_RETRY_MS;
    const isDoubted = [...this.known.values()].some(({ misses }) => misses > 0);
    const most = isDoubted ? DOUBT_MS : MOST_TTL_MS;
    return Math.min(Math.max(ttlMs, LEAST_TTL_MS), most);
  }

  private note(result: SpfNetworks, nowMs: number): void {
    const { failingMs } = this.state;
    this.state = {
      lookedUpMs: nowMs,
      failingMs: result.kind === 'part' ? (failingMs ?? nowMs) : undefined,
      unanswered: result.kind === 'part' ? result.unanswered : [],
      none: result.kind === 'none' ? result.why : undefined,
      passed: result.kind === 'none' ? [] : result.passed,
    };
  }

  private see(network: Prefix, seenMs: number): void {
    const text = formatPrefix(network);
    const known = this.known.get(text);
    if (known !== undefined) Object.assign(known, { seenMs, misses: 0 });
    else if (this.known.size < MOST_KNOWN)
      this.known.set(text, { network, seenMs, misses: 0, missedMs: seenMs });
  }

  private miss(text: PrefixText, one: Known, nowMs: number): void {
    if (one.misses === 0) one.missedMs = nowMs;
    one.misses++;
    if (one.misses >= MOST_MISSES && nowMs - one.missedMs >= GONE_AFTER_MS) this.known.delete(text);
  }
}

import { formatPrefix } from '../../src/packet/address.js';
import type { Decision } from '../../src/tracker/decision.js';
import { Tracker, type TrackerConfig } from '../../src/tracker/tracker.js';
import type { Use } from '../../src/tracker/uses.js';
import { address, type ObservationFields, prefixTexts, syn } from './observations.js';

export const FAKE = '192.0.2.3';
export const REAL = '192.0.2.4';
export const FAKE6 = '2001:db8::3';
export const REAL6 = '2001:db8::4';
export const HOUR_MS = 3_600_000;

/** No networks at all times, an hour, the defaults. */
export const CONFIG: TrackerConfig = {
  fake: [address(FAKE), address(FAKE6)],
  real: [address(REAL), address(REAL6)],
  allow: [],
  port: 25,
  whitelistTimeMs: HOUR_MS,
  knownTimeMs: 0,
  outbound: false,
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  maxEntries: 100_000,
  authority: 'whitelist',
};

/** What an earlier run has written of an entry that was used so often, once at most: at 0. */
export function used(admissions: number): Use {
  const atMs = admissions === 0 ? undefined : 0;
  return { admissions, firstAdmissionMs: atMs, lastAdmissionMs: atMs, isRegular: false };
}

/** A tracker, what its listener heard, and short ways to make it see a SYN. */
export class Scene {
  readonly tracker: Tracker;
  /** `+prefix`, or `-prefix reason admissions` */
  readonly heard: string[] = [];

  constructor(private config: TrackerConfig) {
    this.tracker = new Tracker(
      config,
      {
        added: (entry) => this.heard.push(`+${formatPrefix(entry.prefix)}`),
        removed: (entry, reason) =>
          this.heard.push(`-${formatPrefix(entry.prefix)} ${reason} ${entry.admissions}`),
      },
      [1, 2],
    );
  }

  /** A SYN; only what became of it, as `kind reason`. */
  see(from: string, to: string, nowMs = 0, fields: ObservationFields = {}): string {
    return words(this.tracker.observe(syn(from, to, fields), nowMs));
  }

  configure(change: Partial<TrackerConfig>): void {
    this.config = { ...this.config, ...change };
    this.tracker.configure(this.config);
  }

  get prefixes(): string[] {
    return prefixTexts(this.tracker.entries());
  }
}

/** A decision as `kind reason`. */
export function words(decision: Decision): string {
  return `${decision.kind} ${decision.reason}`;
}

/** A tracker whose configuration differs from {@link CONFIG} in this. */
export function scene(change: Partial<TrackerConfig> = {}): Scene {
  return new Scene({ ...CONFIG, ...change });
}

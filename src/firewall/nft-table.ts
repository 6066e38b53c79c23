// Our table in nftables: the kernel remembers who tries the fake MX, we put the others in; and it knows time.
import type { Core } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { widest } from '../nft/conf.js';
import { formatPrefix, parseCanonical, type Prefix, type PrefixText } from '../packet/address.js';
import { NflogAction } from '../packet/nflog.js';
import { mostLife, type Table, type TableEntry } from '../table/table.js';
import type { Compared } from '../table/writer-events.js';
import { isEntrySized } from '../tracker/roles.js';
import type { RemovalReason } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import { KeptTable } from './kept-table.js';

/** So often it is looked which entries the kernel would take out though they live on. */
const LOOK_EVERY_MS = 30_000;
/** What the kernel would take out within this time is written again. */
const SOON_MS = 2 * LOOK_EVERY_MS;
/** Who is admitted lives longer: it is written again when the kernel's time is short of it by this part of known-time. */
const SHORT_PART = 0.05;
/** Networks of domains stay so much longer than they are written again, in milliseconds. */
const NETWORKS_AGAIN_MS = 86_400_000;

/**
 * Keeps the sets of our table. Who has tried the fake MX is in the kernel's own set, for as long as its entry lives: we
 * write those who have reached the real MX, who came by somebody else's attempt or by hand, what an earlier run has left,
 * and whom the kernel remembers for a moment only. What has had its time goes by itself.
 */
export class NftTable extends KeptTable {
  /** the kernel has the entries that come now in a set of its own */
  private isKernels = false;
  /** who is in the kernel's own set, as it is being read */
  private seen = new Set<PrefixText>();
  private networksWrittenMs = 0;
  private cancelLook: (() => void) | undefined;
  private isOver = false;

  /** @param filled - is told when the table has been read, and perhaps changed the whitelist */
  constructor(core: Core, table: Table, filled: () => void) {
    super(core, table, 'nft', filled, {
      byKernel: (entry) => this.noteKernels(entry),
      lifeOf: (prefix) => this.lifeOf(prefix),
    });
  }

  override beginWatch(): void {
    super.beginWatch();
    this.lookLater();
  }

  override stop(withinMs: number): Promise<number> {
    this.isOver = true;
    this.cancelLook?.();
    return super.stop(withinMs);
  }

  /** Has something done while what comes is what the kernel has remembered by itself. */
  kernelsOwn<T>(isKernels: boolean, work: () => T): T {
    this.isKernels = isKernels;
    try {
      return work();
    } finally {
      this.isKernels = false;
    }
  }

  added(entry: Entry): void {
    if (!this.isKernels) this.writer.want(entry.text);
  }

  removed(entry: Entry, reason: RemovalReason): void {
    if (this.isAllowed(entry.text)) return;
    if (reason === 'timeout') this.writer.lapse(entry.text);
    else this.writer.expel(entry.text);
  }

  override entriesChanged(): void {
    this.renew();
  }

  follow({ decision, observation }: Judgement): void {
    const { kind, reason } = decision;
    if (kind === 'unjudged' || observation === undefined) return;
    const { entry } = decision;
    const { action } = observation;
    if (entry === undefined) {
      // it is in a set, and nobody here knows why
      const isUnknown = reason === 'passed-by-pf' && action === NflogAction.PASS;
      if (isUnknown) this.watch.doubt(this.core.clock.monotonicMs());
    } else if (kind === 'attempt') {
      if (action === NflogAction.FLOOD) this.writer.want(entry.text);
    } else if (kind === 'admission') this.admitted(entry);
    else if (reason === 'not-yet-in-table') {
      // the kernel's set has lost it
      this.writer.want(entry.text);
      this.writer.assure(entry.text);
      this.doubt(entry);
    }
  }

  /** The table had gone, or something of it, and is back. @param isEmpty - nothing is in it */
  restored(isEmpty: boolean): void {
    if (isEmpty) {
      this.writer.lost();
      for (const entry of this.core.tracker.entries()) this.writer.want(entry.text);
    }
    this.writer.compare();
  }

  /** Those of the configuration have a set of their own, which only root changes. */
  protected always(): readonly Prefix[] {
    const configured = new Set(this.core.config.allow.map(formatPrefix));
    return widest(this.core.always.filter((one) => !configured.has(formatPrefix(one))));
  }

  protected adopt({ prefix, expiresInMs }: TableEntry, origin: 'manual' | 'adopted'): boolean {
    const { tracker, clock, config } = this.core;
    const nowMs = clock.monotonicMs();
    const mostMs = Math.max(config.knownTime, config.whitelistTime) * 1000;
    if (!tracker.adopt(prefix, origin, expiresInMs ?? mostMs, nowMs, mostMs)) return false;
    const entry = tracker.get(prefix);
    if (entry !== undefined && expiresInMs !== undefined) entry.heldUntilMs = nowMs + expiresInMs;
    return true;
  }

  protected override compared(found: Compared): void {
    super.compared(found);
    const { seen } = this;
    this.seen = new Set();
    // who is in neither has been taken out by somebody
    for (const entry of this.core.tracker.entries()) {
      if (!this.writer.holds(entry.text) && !seen.has(entry.text)) this.writer.want(entry.text);
    }
  }

  /** The kernel has somebody in its own set: it has tried the fake MX, whether we have seen that or not. */
  private noteKernels({ prefix, expiresInMs }: TableEntry): void {
    const { tracker, clock, expired } = this.core;
    const text = formatPrefix(prefix);
    this.seen.add(text);
    if (expiresInMs === undefined || expired.has(text) || !isEntrySized(prefix)) return;
    const nowMs = clock.monotonicMs();
    this.kernelsOwn(true, () => tracker.adopt(prefix, 'attempt', expiresInMs, nowMs));
  }

  /** It lives longer now. */
  private admitted(entry: Entry): void {
    this.writer.want(entry.text);
    if (entry.deadlineMs - entry.heldUntilMs > this.shortMs) this.writer.assure(entry.text);
  }

  private get shortMs(): number {
    return Math.max(1000, this.core.config.knownTime * 1000 * SHORT_PART);
  }

  private lookLater(): void {
    if (this.isOver) return;
    this.cancelLook = this.core.clock.after(LOOK_EVERY_MS, () => {
      this.renew();
      this.lookLater();
    });
  }

  /** Writes again what the kernel would take out though it lives on. */
  private renew(): void {
    const { tracker, clock } = this.core;
    const nowMs = clock.monotonicMs();
    const { shortMs } = this;
    for (const entry of tracker.entries()) {
      const { heldUntilMs, deadlineMs } = entry;
      // of what was there at the start it is only known that it may be a little short
      const heldMs = heldUntilMs === 0 ? deadlineMs - shortMs : heldUntilMs;
      const lacksMs = deadlineMs - heldMs;
      if (lacksMs > shortMs || (lacksMs > 1000 && heldMs - nowMs < SOON_MS)) this.writer.assure(entry.text);
    }
    if (nowMs - this.networksWrittenMs < NETWORKS_AGAIN_MS) return;
    this.networksWrittenMs = nowMs;
    for (const network of this.allowedInTable()) this.writer.assure(network);
  }

  /** How long something is to stay in the table, in seconds. */
  private lifeOf(text: PrefixText): number {
    const { tracker, clock, config } = this.core;
    const most = mostLife(config.knownTime, config.whitelistTime);
    const prefix = parseCanonical(text);
    const entry = prefix && tracker.get(prefix);
    // a network of a domain
    if (entry === undefined || this.isAllowed(text)) return most;
    const nowMs = clock.monotonicMs();
    const seconds = Math.min(most, Math.max(1, Math.ceil((entry.deadlineMs - nowMs) / 1000)));
    entry.heldUntilMs = nowMs + seconds * 1000;
    return seconds;
  }
}

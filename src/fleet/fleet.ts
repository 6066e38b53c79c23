// This node among the others: what happens here is told, and what is told there counts here, within limits.
import type { Clock } from '../clock.js';
import { type Address, parseCanonical, type Prefix, type PrefixText } from '../packet/address.js';
import { Merged, type Voucher } from './merged.js';
import { Own } from './own.js';
import { Reader } from './reader.js';
import type { Change, Forgetting, Sighting } from './record.js';
import { Stamps } from './stamps.js';
import type { Store, StoreError } from './store.js';
import { Writer } from './writer.js';

/** What is forgotten is remembered for so long: a node may have been away. */
const FORGOTTEN_MS = 60 * 86_400_000;
/** A node's keys stay for so long after a known entry of it has ended. */
const KEEP_MORE_MS = 86_400_000;
const SWEEP_MS = 60_000;

/** An entry that this node has an opinion of its own about; times are monotonic milliseconds. */
export interface OwnFacts {
  /** until when it is let in by what was seen here */
  readonly untilMs: number;
  /** how long such an entry lives */
  readonly lifeMs: number;
  readonly isKnown: boolean;
  readonly isManual: boolean;
  readonly source: Address | undefined;
  readonly name: string | undefined;
}

/** What is taken from others, by this configuration. */
export interface FleetLimits {
  /** prefixes that others may vouch for */
  readonly share: number;
  /** nobody's word lasts longer than this, milliseconds */
  readonly lifeMs: number;
  /** whether what operators do elsewhere counts here */
  readonly isManualTaken: boolean;
}

/** The whitelist, as the fleet sees it. */
export interface Whitelisting {
  /** whether a prefix can be an entry here */
  accepts(prefix: Prefix): boolean;
  /** Somebody vouches for it, at least until then; others may do so for longer. */
  raise(prefix: Prefix, text: PrefixText, voucher: Voucher): void;
  /** Of all who vouch for it this one does so for longest. */
  vouch(prefix: Prefix, text: PrefixText, voucher: Voucher): void;
  /** Nobody vouches for it any more. */
  unvouch(prefix: Prefix): void;
  /** An operator elsewhere has taken it out. */
  forget(prefix: Prefix): void;
  /**
   * An earlier run of this node vouched for it, and has not left it in the state file.
   * @returns whether it is an entry now
   */
  adopt(prefix: Prefix, text: PrefixText, untilMs: number, sighting: Sighting): boolean;
  /** All others have been read: whom nobody vouches for now has been taken back while nobody looked. */
  synced(isVouched: (text: PrefixText) => boolean): void;
}

/** What a fleet works with. */
export interface FleetParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly version: string;
  /** random, for this run */
  readonly nonce: string;
  readonly limits: () => FleetLimits;
  readonly whitelist: Whitelisting;
  /** whether the store takes what we write, and we can read it */
  readonly outcome: (what: 'writing' | 'reading', error: StoreError | undefined) => void;
  /** whether somebody else writes under our name */
  readonly muted: (isMuted: boolean) => void;
}

/** Why something that another node told was not taken. */
export interface Skipped {
  unknown: number;
  stamp: number;
  prefix: number;
  manual: number;
}

/** This node among the others. */
export class Fleet {
  readonly merged: Merged;
  readonly own = new Own();
  readonly reader: Reader;
  readonly writer: Writer;
  readonly skipped: Skipped = { unknown: 0, stamp: 0, prefix: 0, manual: 0 };
  private readonly stamps = new Stamps();
  private readonly aheadMs: number;
  private cancelSweep: (() => void) | undefined;

  constructor(private readonly parts: FleetParts) {
    const { clock, store, limits, whitelist } = parts;
    this.aheadMs = clock.wallMs() - clock.monotonicMs();
    this.merged = new Merged(limits().share, {
      raised: (text, voucher) => this.raise(text, voucher),
      changed: (text) => this.reconsider(text),
    });
    const { outcome, version, nonce, muted } = parts;
    this.writer = new Writer({
      store,
      own: this.own,
      clock,
      ownMs: () => this.ownMs,
      keepMs: () => limits().lifeMs + KEEP_MORE_MS,
      version,
      nonce,
      adopt: (change) => this.adopt(change),
      muted,
      outcome: (error) => outcome('writing', error),
    });
    this.reader = new Reader({
      store,
      clock,
      merged: this.merged,
      mostFields: () => 2 * limits().share + 20_000,
      take: (node, change) => this.take(node, change),
      skipped: () => void this.skipped.unknown++,
      synced: () => whitelist.synced((text) => this.merged.best(text) !== undefined),
      outcome: (error) => outcome('reading', error),
    });
    this.sweepLater();
  }

  /** this node's time: milliseconds since 1970 as the wall clock had it at the start, and what has gone by since */
  get ownMs(): number {
    return this.parts.clock.monotonicMs() + this.aheadMs;
  }

  /** The store can be asked, or cannot any more. */
  link(isLinked: boolean): void {
    this.writer.link(isLinked);
    this.reader.link(isLinked);
  }

  /** The limits may be others now. */
  reconfigured(): void {
    this.merged.most = this.parts.limits().share;
  }

  close(): void {
    this.cancelSweep?.();
    this.writer.close();
    this.reader.close();
  }

  /** A sender has tried the fake MX here, or an operator has let it in here. */
  attempt(text: PrefixText, facts: OwnFacts): void {
    const after = Math.max(this.own.get(text)?.stamp ?? 0, this.merged.newestStamp(text));
    this.see(text, facts, this.stamps.next(this.ownMs, after));
  }

  /**
   * An entry was admitted here, or its name is known: that has no stamp of its own.
   * @param sinceMs - when it was let in, if nobody else knows, monotonic milliseconds
   */
  used(text: PrefixText, facts: OwnFacts, sinceMs: number): void {
    const own = this.own.get(text)?.stamp ?? 0;
    const theirs = this.merged.vouchers(text).map(({ sighting }) => sighting.stamp);
    const stamp = Math.max(own, ...theirs);
    this.see(text, facts, stamp > 0 ? stamp : Math.floor(sinceMs + this.aheadMs));
  }

  /** An entry has ended here. @param isOver - because its time was over */
  lost(text: PrefixText, isOver: boolean): void {
    this.own.lose(text, isOver);
    this.writer.poke();
  }

  /** An operator has taken a prefix out here. */
  forget(text: PrefixText): void {
    const after = Math.max(this.own.get(text)?.stamp ?? 0, this.merged.newestStamp(text));
    const stamp = this.stamps.next(this.ownMs, after);
    this.remember(text, { stamp, endMs: this.ownMs + FORGOTTEN_MS });
  }

  /** What was forgotten, in this node's time: for the state file. */
  forgettings(): Iterable<readonly [PrefixText, Forgetting]> {
    return this.own.forgettings();
  }

  /** An earlier run has left it. */
  restoreForgetting(text: PrefixText, forgetting: Forgetting): void {
    this.stamps.follow(forgetting.stamp, this.ownMs);
    if (forgetting.endMs > this.ownMs) this.remember(text, forgetting);
  }

  /** Who vouches for a prefix now. */
  vouchers(text: PrefixText): Voucher[] {
    const nowMs = this.parts.clock.monotonicMs();
    return this.merged.vouchers(text).filter(({ untilMs }) => untilMs > nowMs);
  }

  private see(text: PrefixText, facts: OwnFacts, stamp: number): void {
    const { isKnown, isManual, source, name, lifeMs } = facts;
    const hints = name === undefined ? { source: undefined, name: undefined } : { source, name };
    const sighting = { stamp, endMs: facts.untilMs + this.aheadMs, isKnown, isManual, ...hints };
    this.own.see(text, sighting, lifeMs);
    this.writer.poke();
  }

  private remember(text: PrefixText, forgetting: Forgetting): void {
    this.own.forget(text, forgetting);
    this.merged.forget(text, { stamp: forgetting.stamp, endMs: forgetting.endMs - this.aheadMs });
    this.writer.poke();
  }

  /** Another node has told something. */
  private take(node: string, change: Change): void {
    if (change.kind === 'gone') return;
    const prefix = parseCanonical(change.prefix);
    if (prefix === undefined || !this.parts.whitelist.accepts(prefix)) {
      this.skipped.prefix++;
      return;
    }
    const { isManualTaken, lifeMs } = this.parts.limits();
    const isManual = change.kind === 'forgotten' || change.sighting.isManual;
    if (isManual && !isManualTaken) {
      this.skipped.manual++;
      return;
    }
    const { stamp } = change.kind === 'seen' ? change.sighting : change.forgetting;
    if (!this.stamps.isCredible(stamp, this.ownMs)) {
      this.skipped.stamp++;
      return;
    }
    this.stamps.follow(stamp, this.ownMs);
    const aheadMs = this.merged.node(node).clock.aheadMs ?? 0;
    const nowMs = this.parts.clock.monotonicMs();
    if (change.kind === 'seen') {
      const endMs = Math.min(change.sighting.endMs, nowMs - aheadMs + lifeMs);
      this.merged.put(node, change.prefix, { ...change.sighting, endMs });
      return;
    }
    if (stamp <= this.own.forgottenAt(change.prefix)) return;
    const leftMs = Math.min(change.forgetting.endMs + aheadMs - nowMs, FORGOTTEN_MS);
    if (leftMs <= 0) return;
    const own = this.own.get(change.prefix);
    this.remember(change.prefix, { stamp, endMs: this.ownMs + leftMs });
    if (own !== undefined && own.stamp > stamp) return;
    this.parts.whitelist.forget(prefix);
    this.reconsider(change.prefix);
  }

  /** An earlier run of this node has left it in the store. */
  private adopt(change: Change): void {
    if (change.kind === 'gone') return;
    if (change.kind === 'forgotten') {
      const { stamp, endMs } = change.forgetting;
      if (this.stamps.isCredible(stamp, this.ownMs)) {
        this.restoreForgetting(change.prefix, { stamp, endMs: Math.min(endMs, this.ownMs + FORGOTTEN_MS) });
      }
      return;
    }
    const { sighting } = change;
    const prefix = parseCanonical(change.prefix);
    if (prefix === undefined || !this.stamps.isCredible(sighting.stamp, this.ownMs)) return;
    this.stamps.follow(sighting.stamp, this.ownMs);
    const endMs = Math.min(sighting.endMs, this.ownMs + this.parts.limits().lifeMs);
    const isForgotten = sighting.stamp <= this.merged.forgottenAt(change.prefix);
    if (isForgotten || endMs <= this.ownMs || !this.parts.whitelist.accepts(prefix)) return;
    const own = this.own.get(change.prefix);
    if (own === undefined) {
      if (!this.parts.whitelist.adopt(prefix, change.prefix, endMs - this.aheadMs, sighting)) return;
    }
    const stamp = Math.max(sighting.stamp, own?.stamp ?? 0);
    const kept = { ...(own ?? sighting), stamp, endMs: Math.max(endMs, own?.endMs ?? 0) };
    this.own.see(change.prefix, kept, this.parts.limits().lifeMs);
  }

  private raise(text: PrefixText, voucher: Voucher): void {
    const prefix = parseCanonical(text);
    const isOver = voucher.untilMs <= this.parts.clock.monotonicMs();
    if (prefix !== undefined && !isOver) this.parts.whitelist.raise(prefix, text, voucher);
  }

  private reconsider(text: PrefixText): void {
    const prefix = parseCanonical(text);
    if (prefix === undefined) return;
    const best = this.merged.best(text);
    if (best === undefined || best.untilMs <= this.parts.clock.monotonicMs()) {
      this.parts.whitelist.unvouch(prefix);
    } else this.parts.whitelist.vouch(prefix, text, best);
  }

  private sweepLater(): void {
    this.cancelSweep = this.parts.clock.after(SWEEP_MS, () => {
      this.own.sweep(this.ownMs);
      this.merged.sweep(this.parts.clock.monotonicMs());
      this.sweepLater();
    });
  }
}

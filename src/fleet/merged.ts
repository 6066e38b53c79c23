// What the other nodes vouch for, put together: the same whatever order it comes in. Pure.
import type { PrefixText } from '../packet/address.js';
import { OwnerClock } from './owner-clock.js';
import type { Forgetting, Sighting } from './record.js';

/** Who vouches for a prefix, and until when; times are our monotonic milliseconds. */
export interface Voucher {
  readonly node: string;
  readonly untilMs: number;
  readonly sighting: Sighting;
}

/** What one node vouches for. */
export class Vouched {
  readonly clock = new OwnerClock();
  /** never admitted there, and admitted: each by when it was last told, the oldest first */
  private readonly tried = new Map<PrefixText, Sighting>();
  private readonly known = new Map<PrefixText, Sighting>();

  constructor(readonly node: string) {}

  get size(): number {
    return this.tried.size + this.known.size;
  }

  get(prefix: PrefixText): Sighting | undefined {
    return this.tried.get(prefix) ?? this.known.get(prefix);
  }

  set(prefix: PrefixText, sighting: Sighting): void {
    this.delete(prefix);
    (sighting.isKnown ? this.known : this.tried).set(prefix, sighting);
  }

  delete(prefix: PrefixText): boolean {
    return this.tried.delete(prefix) || this.known.delete(prefix);
  }

  /** The one that goes first when there is no room. */
  first(): PrefixText | undefined {
    for (const prefix of this.tried.keys()) return prefix;
    for (const prefix of this.known.keys()) return prefix;
    return undefined;
  }

  *entries(): Generator<readonly [PrefixText, Sighting]> {
    yield* this.tried;
    yield* this.known;
  }
}

/** More prefixes that were forgotten are not remembered: the oldest stamp goes. */
export const MOST_FORGOTTEN = 10_000;

/**
 * Who vouches for what: a sighting for each prefix and node, and the newest forgetting of each prefix. A sighting
 * counts if it is stamped after that one. Pure: times come in.
 */
export class Merged {
  private readonly nodes = new Map<string, Vouched>();
  /** local times: until when each is remembered */
  private readonly forgotten = new Map<PrefixText, Forgetting>();
  /** number of prefixes that somebody vouches for */
  private prefixes = 0;
  /** sightings that had no room, or have lost it */
  leftOut = 0;

  /**
   * @param most - prefixes that others may vouch for, all together
   * @param listener - is told when somebody vouches for a prefix, at least as long as before, and when it may be another
   *   one now who vouches for it, or none
   */
  constructor(
    public most: number,
    private readonly listener: {
      readonly raised: (prefix: PrefixText, voucher: Voucher) => void;
      readonly changed: (prefix: PrefixText) => void;
    },
  ) {}

  /** number of prefixes that somebody vouches for, live or not */
  get size(): number {
    return this.prefixes;
  }

  get forgottenSize(): number {
    return this.forgotten.size;
  }

  /** What a node vouches for; made when it is new. */
  node(name: string): Vouched {
    let node = this.nodes.get(name);
    if (node === undefined) this.nodes.set(name, (node = new Vouched(name)));
    return node;
  }

  /** What is thought of a node's clock has changed: all that it vouches for ends at another time. */
  reconsider(name: string): void {
    for (const [prefix] of [...this.node(name).entries()]) this.listener.changed(prefix);
  }

  /** A node is forgotten with all that it vouched for. */
  drop(name: string): void {
    for (const [prefix] of [...this.node(name).entries()]) this.withdraw(name, prefix);
    this.nodes.delete(name);
  }

  /** A node vouches for a prefix, whatever it has said of it before. */
  put(name: string, prefix: PrefixText, sighting: Sighting): void {
    const node = this.node(name);
    const before = node.get(prefix);
    if (before === undefined && !this.makeRoom(node, prefix)) return;
    node.set(prefix, sighting);
    const { aheadMs } = node.clock;
    const isMore = before === undefined || sighting.endMs >= before.endMs;
    if (isMore && aheadMs !== undefined && sighting.stamp > this.forgottenAt(prefix)) {
      this.listener.raised(prefix, { node: name, untilMs: sighting.endMs + aheadMs, sighting });
    } else this.listener.changed(prefix);
  }

  /** A node does not vouch for a prefix any more. */
  withdraw(name: string, prefix: PrefixText): void {
    const node = this.nodes.get(name);
    if (node === undefined || !node.delete(prefix)) return;
    if (!this.isVouched(prefix)) this.prefixes--;
    this.listener.changed(prefix);
  }

  /**
   * Somebody has forgotten a prefix.
   * @param forgetting - its end in our monotonic time
   * @returns whether that was news
   */
  forget(prefix: PrefixText, forgetting: Forgetting): boolean {
    const before = this.forgotten.get(prefix);
    if (before !== undefined && before.stamp >= forgetting.stamp) return false;
    this.forgotten.delete(prefix);
    this.forgotten.set(prefix, forgetting);
    if (this.forgotten.size > MOST_FORGOTTEN) this.dropOldestForgetting();
    this.listener.changed(prefix);
    return true;
  }

  /** When a prefix was last forgotten, by stamp; 0: it was not. */
  forgottenAt(prefix: PrefixText): number {
    return this.forgotten.get(prefix)?.stamp ?? 0;
  }

  /** What is forgotten. */
  forgettings(): Iterable<readonly [PrefixText, Forgetting]> {
    return this.forgotten;
  }

  /** The newest stamp that anybody has given a prefix. */
  newestStamp(prefix: PrefixText): number {
    let newest = this.forgottenAt(prefix);
    for (const node of this.nodes.values()) newest = Math.max(newest, node.get(prefix)?.stamp ?? 0);
    return newest;
  }

  /** All who vouch for a prefix, and have not been overruled. */
  vouchers(prefix: PrefixText): Voucher[] {
    const forgottenAt = this.forgottenAt(prefix);
    const all: Voucher[] = [];
    for (const node of this.nodes.values()) {
      const sighting = node.get(prefix);
      const { aheadMs } = node.clock;
      if (sighting === undefined || aheadMs === undefined || sighting.stamp <= forgottenAt) continue;
      all.push({ node: node.node, untilMs: sighting.endMs + aheadMs, sighting });
    }
    return all;
  }

  /** The one of them whose word lasts longest. */
  best(prefix: PrefixText): Voucher | undefined {
    let best: Voucher | undefined;
    for (const one of this.vouchers(prefix)) {
      if (best === undefined || one.untilMs > best.untilMs) best = one;
    }
    return best;
  }

  /** Forgets what is long over. @param nowMs - our monotonic time */
  sweep(nowMs: number): void {
    for (const name of this.nodes.keys()) this.sweepNode(name, nowMs);
    for (const [prefix, { endMs }] of this.forgotten) if (endMs < nowMs) this.forgotten.delete(prefix);
  }

  /** The same for what one node has vouched for. */
  sweepNode(name: string, nowMs: number): void {
    const { clock } = this.node(name);
    const { aheadMs } = clock;
    if (aheadMs === undefined) return;
    for (const [prefix, { endMs }] of [...this.node(name).entries()]) {
      if (endMs + aheadMs < nowMs - KEPT_AFTER_END_MS) this.withdraw(name, prefix);
    }
  }

  private isVouched(prefix: PrefixText): boolean {
    for (const node of this.nodes.values()) if (node.get(prefix) !== undefined) return true;
    return false;
  }

  /**
   * Whether there is room for one more of a node; the largest node gives up what it has told first.
   * @param prefix - the new one; counted if it gets in
   */
  private makeRoom(node: Vouched, prefix: PrefixText): boolean {
    if (this.isVouched(prefix)) return true;
    while (this.prefixes >= this.most) {
      const largest = this.largest(node);
      const first = largest.first();
      if (first === undefined) {
        this.leftOut++;
        return false;
      }
      this.leftOut++;
      this.withdraw(largest.node, first);
    }
    this.prefixes++;
    return true;
  }

  /** Of two that are equal it is the one that wants more. */
  private largest(wanting: Vouched): Vouched {
    let largest = wanting;
    for (const node of this.nodes.values()) if (node.size > largest.size) largest = node;
    return largest;
  }

  private dropOldestForgetting(): void {
    let oldest: PrefixText | undefined;
    let stamp = Number.POSITIVE_INFINITY;
    for (const [prefix, forgetting] of this.forgotten) {
      if (forgetting.stamp < stamp) [oldest, stamp] = [prefix, forgetting.stamp];
    }
    if (oldest !== undefined) this.forgotten.delete(oldest);
  }
}

/** A sighting is kept so long after its end: what we think of the owner's clock may turn out to be wrong. */
const KEPT_AFTER_END_MS = 600_000;

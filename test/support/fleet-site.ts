// Nodes of a site that share a simulated store, and what is true of their senders.
import type { Clock } from '../../src/clock.js';
import { Fleet, type FleetLimits, type Whitelisting } from '../../src/fleet/fleet.js';
import { formatPrefix, parseCanonical, type Prefix, type PrefixText } from '../../src/packet/address.js';
import { Site, SimulatedStore } from './fleet-store.js';
import { HandClock } from './hand-clock.js';

export const LIFE_MS = 600_000;
export const STEP_MS = 20;

interface Known {
  ownMs: number;
  vouchedMs: number;
}

/** A whitelist with nothing but what the fleet asks of it. */
export class Model implements Whitelisting {
  readonly entries = new Map<PrefixText, Known>();
  hasSynced = false;

  accepts(): boolean {
    return true;
  }

  vouch(_: Prefix, text: PrefixText, { untilMs }: { readonly untilMs: number }): void {
    this.at(text).vouchedMs = untilMs;
  }

  raise(prefix: Prefix, text: PrefixText, { untilMs }: { readonly untilMs: number }): void {
    this.vouch(prefix, text, { untilMs: Math.max(untilMs, this.at(text).vouchedMs) });
  }

  unvouch(prefix: Prefix): void {
    this.at(formatPrefix(prefix)).vouchedMs = Number.NEGATIVE_INFINITY;
  }

  forget(prefix: Prefix): void {
    this.entries.delete(formatPrefix(prefix));
  }

  adopt(_: Prefix, text: PrefixText, untilMs: number): boolean {
    this.at(text).ownMs = untilMs;
    return true;
  }

  synced(): void {
    this.hasSynced = true;
  }

  at(text: PrefixText): Known {
    let known = this.entries.get(text);
    if (known === undefined) {
      known = { ownMs: Number.NEGATIVE_INFINITY, vouchedMs: Number.NEGATIVE_INFINITY };
      this.entries.set(text, known);
    }
    return known;
  }
}

/** One node: its clock, its connection, its whitelist. */
export class SimulatedNode {
  model = new Model();
  fleet: Fleet;
  store: SimulatedStore;
  isMuted = false;
  isUp = true;
  isCut = false;
  readonly problems = new Set<string>();
  private runs = 0;
  private startedMs = 0;
  /** what the wall clock is ahead of the true one */
  aheadMs = 0;

  constructor(
    readonly name: string,
    private readonly scene: Scene,
    private readonly limits: FleetLimits,
  ) {
    this.store = this.makeStore();
    this.fleet = this.makeFleet();
  }

  get clock(): Clock {
    const { clock } = this.scene;
    const { startedMs } = this;
    return {
      ...clock,
      monotonicMs: () => clock.monotonicMs() - startedMs,
      wallMs: () => clock.wallMs() + this.aheadMs,
      after: clock.after,
      soon: clock.soon,
    };
  }

  private makeStore(): SimulatedStore {
    return new SimulatedStore(this.name, this.scene.site, this.scene.delayMs);
  }

  private makeFleet(): Fleet {
    this.startedMs = this.scene.clock.monotonicMs() - 5;
    return new Fleet({
      store: this.store,
      clock: this.clock,
      version: '3.0.0',
      nonce: `r${this.runs++}${this.name.toLowerCase()}`,
      limits: () => this.limits,
      whitelist: this.model,
      outcome: (_, error) => error !== undefined && this.problems.add(error.problem),
      muted: (isMuted) => (this.isMuted = isMuted),
    });
  }

  connect(): void {
    this.store.connect();
    this.fleet.link(true);
  }

  disconnect(): void {
    this.store.disconnect();
    this.fleet.link(false);
  }

  /** It ends without a word, with all that it knew. */
  crash(): void {
    this.disconnect();
    this.fleet.close();
    this.isUp = false;
  }

  /** It begins again; what it had is lost, or in its state file: entries, and what was forgotten. */
  restart(hasState: boolean): void {
    const before = { model: this.model, fleet: this.fleet, startedMs: this.startedMs };
    this.store = this.makeStore();
    this.model = new Model();
    this.fleet = this.makeFleet();
    this.isUp = true;
    if (hasState) {
      for (const [text, forgetting] of before.fleet.forgettings()) {
        this.fleet.restoreForgetting(text, forgetting);
      }
      const shiftMs = before.startedMs - this.startedMs;
      for (const [text, { ownMs }] of before.model.entries) {
        if (ownMs + shiftMs <= this.clock.monotonicMs()) continue;
        this.model.at(text).ownMs = ownMs + shiftMs;
        const stamp = before.fleet.own.get(text)?.stamp ?? 0;
        this.fleet.used(text, this.facts(text), stamp - this.clock.wallMs() + this.clock.monotonicMs());
      }
    }
    if (!this.isCut) this.connect();
  }

  attempt(text: PrefixText, lifeMs: number): void {
    const known = this.model.at(text);
    known.ownMs = Math.max(known.ownMs, this.clock.monotonicMs() + lifeMs);
    this.fleet.attempt(text, this.facts(text));
  }

  /** @returns whether it was let in */
  admit(text: PrefixText, lifeMs: number): boolean {
    if (!this.isLive(text)) return false;
    const known = this.model.at(text);
    known.ownMs = Math.max(known.ownMs, this.clock.monotonicMs() + lifeMs);
    this.fleet.used(text, { ...this.facts(text), isKnown: true }, this.clock.monotonicMs());
    return true;
  }

  forget(text: PrefixText): void {
    this.model.entries.delete(text);
    this.fleet.forget(text);
  }

  isLive(text: PrefixText): boolean {
    const known = this.model.entries.get(text);
    return known !== undefined && Math.max(known.ownMs, known.vouchedMs) > this.clock.monotonicMs();
  }

  /** all that it lets in */
  get live(): PrefixText[] {
    return [...this.model.entries.keys()].filter((text) => this.isLive(text)).sort();
  }

  private facts(text: PrefixText): Parameters<Fleet['attempt']>[1] {
    const { ownMs } = this.model.at(text);
    return {
      untilMs: ownMs,
      // so each is worth telling
      lifeMs: 0,
      isKnown: false,
      isManual: false,
      source: undefined,
      name: undefined,
    };
  }
}

/** Some nodes and their store. */
export class Scene {
  readonly clock = new HandClock();
  readonly site: Site;
  readonly nodes: SimulatedNode[];
  /** until when each sender is let in, by all that has happened; the true time */
  readonly endsMs = new Map<PrefixText, number>();

  constructor(
    names: readonly string[],
    readonly delayMs: () => number = () => 0,
    limits: Partial<FleetLimits> = {},
  ) {
    this.clock.wallAheadMs = 1_700_000_000_000;
    this.site = new Site(this.clock);
    const all = { share: 1000, lifeMs: LIFE_MS, isManualTaken: true, ...limits };
    this.nodes = names.map((name) => new SimulatedNode(name, this, all));
    for (const node of this.nodes) node.connect();
  }

  node(at: number): SimulatedNode {
    const node = this.nodes[at % this.nodes.length];
    if (node === undefined) throw new Error('no node');
    return node;
  }

  attempt(at: number, text: PrefixText, lifeMs = LIFE_MS / 4): void {
    const node = this.node(at);
    if (!node.isUp) return;
    node.attempt(text, lifeMs);
    this.lives(text, lifeMs);
  }

  admit(at: number, text: PrefixText): void {
    const node = this.node(at);
    if (node.isUp && node.admit(text, LIFE_MS)) this.lives(text, LIFE_MS);
  }

  private lives(text: PrefixText, lifeMs: number): void {
    const endMs = this.clock.monotonicMs() + lifeMs;
    this.endsMs.set(text, Math.max(this.endsMs.get(text) ?? 0, endMs));
  }

  /** Time goes by, and everybody does what is due. */
  async pass(ms: number, each: () => void = () => undefined): Promise<void> {
    for (let gone = 0; gone < ms; gone += STEP_MS) {
      this.clock.pass(STEP_MS);
      // promises that are due have run when this one has
      await new Promise<void>((resolve) => setImmediate(resolve));
      each();
    }
  }

  /** Whether a sender is let in for now or not at all, whatever is said of the last two seconds. */
  isCertain(text: PrefixText): boolean {
    return Math.abs(this.clock.monotonicMs() - (this.endsMs.get(text) ?? 0)) > 2000;
  }

  /** How long the one that has lived on longest has been over, milliseconds. */
  get overdueMs(): number {
    const nowMs = this.clock.monotonicMs();
    const live = this.nodes.filter(({ isUp }) => isUp).flatMap((node) => node.live);
    return Math.max(0, ...live.map((text) => nowMs - (this.endsMs.get(text) ?? 0)));
  }
}

/** The n-th sender. */
export function sender(n: number): PrefixText {
  const text = `192.0.${2 + (n >> 8)}.${n & 255}`;
  const prefix = parseCanonical(text);
  if (prefix === undefined) throw new Error(text);
  return formatPrefix(prefix);
}

// A store in memory with everything that can go wrong with one, for simulations: time is a test's.
import type { Clock } from '../../src/clock.js';
import {
  type Fields,
  type Message,
  type OwnKeys,
  type Store,
  StoreError,
  type Writing,
} from '../../src/fleet/store.js';

interface Keys {
  head: Record<string, string>;
  hash: Map<string, string>;
  log: { readonly ms: number; readonly sequence: number; readonly fields: Fields }[];
  /** counts what is done to the keys, for those who watch them */
  version: number;
}

const MOST_LOG = 200;

/** The data of a store, its clock, and what is wrong with it. */
export class Site {
  keys = new Map<string, Keys>();
  isFrozen = false;
  isFull = false;
  /** what its clock is ahead */
  aheadMs = 0;
  commands = 0;
  private versions = 0;
  private waiting: (() => void)[] = [];

  constructor(readonly clock: Clock) {}

  get nowMs(): number {
    return this.clock.wallMs() + this.aheadMs;
  }

  /** What is asked while it is frozen is done when it is not any more. */
  whenAwake(run: () => void): void {
    if (this.isFrozen) this.waiting.push(run);
    else run();
  }

  thaw(): void {
    this.isFrozen = false;
    for (const run of this.waiting.splice(0)) run();
  }

  flush(): void {
    this.keys.clear();
  }

  /** As it is now, for {@link restore}. */
  copy(): Map<string, Keys> {
    return structuredClone(this.keys);
  }

  /** It is as it was once: a replica that was behind has taken over. */
  restore(keys: Map<string, Keys>): void {
    this.keys = structuredClone(keys);
    for (const one of this.keys.values()) one.version = ++this.versions;
  }

  write(node: string, { message, set, remove, head }: Writing): void {
    let keys = this.keys.get(node);
    if (keys === undefined) {
      keys = { head: {}, hash: new Map(), log: [], version: 0 };
      this.keys.set(node, keys);
    }
    keys.version = ++this.versions;
    if (message !== undefined) {
      const last = keys.log.at(-1);
      const ms = Math.max(this.nowMs, last?.ms ?? 0);
      keys.log.push({ ms, sequence: ms === last?.ms ? last.sequence + 1 : 0, fields: message });
      if (keys.log.length > MOST_LOG) keys.log.splice(0, keys.log.length - MOST_LOG);
    }
    for (const [field, value] of set) keys.hash.set(field, value);
    for (const field of remove) keys.hash.delete(field);
    Object.assign(keys.head, head);
  }
}

/** A node's connection to a {@link Site}. */
export class SimulatedStore implements Store {
  private watched: number | undefined;
  private connection = 0;
  private isUp = false;
  private rejects = new Set<(error: StoreError) => void>();

  constructor(
    readonly node: string,
    private readonly site: Site,
    /** a time for the way there and back, milliseconds */
    private readonly delayMs: () => number,
  ) {}

  connect(): void {
    this.isUp = true;
    this.connection++;
    this.watched = undefined;
  }

  /** What is under way fails, though the store may do it all the same. */
  disconnect(): void {
    this.isUp = false;
    for (const reject of this.rejects) reject(new StoreError('away', 'the connection is lost'));
    this.rejects.clear();
  }

  watch(): Promise<OwnKeys> {
    return this.ask(() => this.look());
  }

  write(change: Writing): Promise<OwnKeys | undefined> {
    return this.ask((isMine) => {
      if (this.site.isFull && (change.set.length > 0 || change.message !== undefined)) {
        throw new StoreError('out-of-memory', 'OOM');
      }
      const isTouched = isMine && this.watched !== undefined && this.watched !== this.version;
      if (isTouched) return undefined;
      this.site.write(this.node, change);
      return isMine ? this.look() : undefined;
    });
  }

  remove(fields: readonly string[]): Promise<void> {
    return this.ask(() => {
      for (const field of fields) this.site.keys.get(this.node)?.hash.delete(field);
    });
  }

  nodes(): Promise<string[]> {
    return this.ask(() => [...this.site.keys.keys()]);
  }

  heads(nodes: readonly string[]): Promise<(Fields | undefined)[]> {
    return this.ask(() => nodes.map((node) => copied(this.site.keys.get(node)?.head)));
  }

  newest(node: string): Promise<{ place: string; agoMs: number } | undefined> {
    return this.ask(() => {
      const last = this.site.keys.get(node)?.log.at(-1);
      return last && { place: `${last.ms}-${last.sequence}`, agoMs: this.site.nowMs - last.ms };
    });
  }

  page(node: string, cursor: string): Promise<{ cursor: string; fields: [string, string][] }> {
    return this.ask(() => {
      const all = [...(this.site.keys.get(node)?.hash ?? [])];
      const at = Number(cursor);
      const next = at + 50 >= all.length ? '0' : String(at + 50);
      return { cursor: next, fields: all.slice(at, at + 50) };
    });
  }

  async follow(places: ReadonlyMap<string, string>): Promise<Message[]> {
    for (let turn = 0; turn < 20; turn++) {
      const found = await this.ask(() => [...places].flatMap(([node, place]) => this.behind(node, place)));
      if (found.length > 0) return found;
      await new Promise<void>((resolve) => this.site.clock.after(50, resolve));
    }
    return [];
  }

  private behind(node: string, place: string): Message[] {
    const [ms = 0, sequence = 0] = place.split('-').map(Number);
    return (this.site.keys.get(node)?.log ?? [])
      .filter((one) => one.ms > ms || (one.ms === ms && one.sequence > sequence))
      .map((one) => ({ node, place: `${one.ms}-${one.sequence}`, fields: one.fields }));
  }

  private get version(): number {
    return this.site.keys.get(this.node)?.version ?? 0;
  }

  private look(): OwnKeys {
    this.watched = this.version;
    const keys = this.site.keys.get(this.node);
    return { head: copied(keys?.head), count: keys?.hash.size ?? 0 };
  }

  /** @param run - is told whether the connection is still the one that has asked */
  private ask<T>(run: (isMine: boolean) => T): Promise<T> {
    this.site.commands++;
    if (!this.isUp) return Promise.reject(new StoreError('away', 'not connected'));
    const { connection } = this;
    return new Promise<T>((resolve, reject) => {
      this.rejects.add(reject);
      this.site.clock.after(this.delayMs(), () =>
        this.site.whenAwake(() => {
          this.rejects.delete(reject);
          try {
            resolve(run(this.isUp && connection === this.connection));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        }),
      );
    });
  }
}

function copied(fields: Record<string, string> | undefined): Fields | undefined {
  return fields === undefined || Object.keys(fields).length === 0 ? undefined : { ...fields };
}

// Reads what the other nodes vouch for: who is there, their logs as they grow, their hashes where there is a gap.
import type { Clock } from '../clock.js';
import { type Epoch, type Head, isSameEpoch, readEpoch, readHead, whole } from './head.js';
import type { Merged } from './merged.js';
import { type Change, readChange, readField } from './record.js';
import { type Message, PROTOCOL, type Store, StoreError } from './store.js';
import type { PrefixText } from '../packet/address.js';

/** Who is there, and how far, is looked up so often. */
export const POLL_MS = 1000;
/** More nodes than that are not followed. */
export const MOST_PEERS = 1000;
/** Of a node that is gone nothing is kept so long after its last word has ended. */
const DROP_MS = 60_000;
/** Hashes are read so often at once, and then once in so long. */
const READS = 6;
const READ_EVERY_MS = 10_000;
/** Changes that a node may tell: at once, and in a second. The rest waits in its log. */
const MOST_CHANGES = 20_000;
const CHANGES_PER_SECOND = 5000;
/** What we think of a node's clock is corrected when it is wrong by more. */
const CLOCK_SLACK_MS = 250;

/** Another node, as far as we have read it. */
export class Peer {
  epoch: Epoch | undefined;
  /** the newest message that we have */
  n = 0;
  place = '0-0';
  /** `unread`: its hash must be read before its log can be followed */
  state: 'unread' | 'following' = 'unread';
  head: Head | undefined;
  isOtherProtocol = false;
  /** it has been heard, or was seen first, monotonic milliseconds */
  heardMs: number;
  hasBeenRead = false;
  messages = 0;
  changes = 0;
  /** what `head.n` and `n` were when we last looked */
  lastHeadN = -1;
  lastN = -1;
  reads = READS;
  readsMs: number;
  allowance = MOST_CHANGES;
  allowanceMs: number;
  usedAheadMs: number | undefined;

  constructor(
    readonly name: string,
    nowMs: number,
  ) {
    this.heardMs = this.readsMs = this.allowanceMs = nowMs;
  }

  /** messages that it has written and we have not read */
  get behind(): number {
    return isSameEpoch(this.epoch, this.head?.epoch) ? Math.max(0, (this.head?.n ?? 0) - this.n) : 0;
  }
}

/** What the reader needs. */
export interface ReaderParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly merged: Merged;
  /** fields of a hash that are read at the most */
  readonly mostFields: () => number;
  /** a node has told something; it is checked here */
  readonly take: (node: string, change: Change) => void;
  /** a line, a field or a message that nobody here understands */
  readonly skipped: (node: string) => void;
  /** all who were there have been read once since the store could be asked */
  readonly synced: () => void;
  readonly outcome: (error: StoreError | undefined) => void;
}

/** Reads what the other nodes vouch for. */
export class Reader {
  readonly peers = new Map<string, Peer>();
  private isLinked = false;
  private isClosed = false;
  private isPolling = false;
  private isReading = false;
  private isFollowing = false;
  private isSynced = false;
  private hasPolled = false;
  private cancelPoll: (() => void) | undefined;

  constructor(private readonly parts: ReaderParts) {}

  link(isLinked: boolean): void {
    this.isLinked = isLinked;
    this.hasPolled = false;
    if (!isLinked) return;
    this.armPoll(0);
    void this.followAll();
  }

  close(): void {
    this.isClosed = true;
    this.cancelPoll?.();
  }

  private get nowMs(): number {
    return this.parts.clock.monotonicMs();
  }

  private get isOn(): boolean {
    return this.isLinked && !this.isClosed;
  }

  private armPoll(ms: number): void {
    this.cancelPoll?.();
    if (!this.isOn) return;
    this.cancelPoll = this.parts.clock.after(ms, () => void this.poll());
  }

  private async poll(): Promise<void> {
    if (this.isPolling || !this.isOn) return;
    this.isPolling = true;
    try {
      await this.look();
      this.hasPolled = true;
      this.parts.outcome(undefined);
      void this.readAll();
      void this.followAll();
    } catch (error) {
      this.failed(error);
    } finally {
      this.isPolling = false;
      this.armPoll(POLL_MS);
    }
  }

  private failed(error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    if (this.isOn) this.parts.outcome(error);
  }

  /** Who is there, and how far. */
  private async look(): Promise<void> {
    const { store } = this.parts;
    const names = (await store.nodes()).filter((name) => name !== store.node);
    for (const name of names) {
      if (this.peers.size >= MOST_PEERS || this.peers.has(name)) continue;
      this.peers.set(name, new Peer(name, this.nowMs));
    }
    const peers = [...this.peers.values()];
    const heads = await store.heads(peers.map(({ name }) => name));
    for (const [at, peer] of peers.entries()) this.compare(peer, readHead(heads[at]));
  }

  private compare(peer: Peer, head: ReturnType<typeof readHead>): void {
    const { nowMs } = this;
    peer.isOtherProtocol = head === 'other-protocol';
    const before = peer.head;
    peer.head = typeof head === 'object' ? head : undefined;
    if (peer.head === undefined) {
      // a key that is missing withdraws nothing: what it has said ends by itself
      this.parts.merged.sweepNode(peer.name, nowMs);
      const isOver = this.parts.merged.node(peer.name).size === 0;
      if (isOver && nowMs - peer.heardMs > DROP_MS) {
        this.parts.merged.drop(peer.name);
        this.peers.delete(peer.name);
      }
      return;
    }
    if (before?.ownMs !== peer.head.ownMs) peer.heardMs = nowMs;
    const { n, epoch, isReady } = peer.head;
    const isOurs = isSameEpoch(peer.epoch, epoch);
    // a second ago it had said something that we have still not read, nor anything else
    const isStuck = isOurs && peer.n === peer.lastN && peer.lastHeadN > peer.n && peer.allowance > 0;
    if (peer.state === 'following' && ((!isOurs && isReady) || n < peer.n || isStuck)) peer.state = 'unread';
    peer.lastHeadN = isOurs ? n : -1;
    peer.lastN = peer.n;
  }

  private async readAll(): Promise<void> {
    if (this.isReading || !this.isOn) return;
    this.isReading = true;
    try {
      for (const peer of this.peers.values()) {
        if (peer.state === 'unread' && peer.head !== undefined && this.mayRead(peer)) await this.read(peer);
      }
      const isAll = [...this.peers.values()].every(
        ({ hasBeenRead, head }) => hasBeenRead || head === undefined,
      );
      if (!this.isSynced && this.hasPolled && isAll) {
        this.isSynced = true;
        this.parts.synced();
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.isReading = false;
    }
  }

  private mayRead(peer: Peer): boolean {
    const gained = Math.floor((this.nowMs - peer.readsMs) / READ_EVERY_MS);
    peer.reads = Math.min(READS, peer.reads + gained);
    peer.readsMs += gained * READ_EVERY_MS;
    return peer.reads > 0;
  }

  /** Reads a node's hash, and goes on where its log was before that. */
  private async read(peer: Peer): Promise<void> {
    const { store, merged } = this.parts;
    peer.reads--;
    const newest = await store.newest(peer.name);
    const head = await this.headOf(peer.name);
    if (head === undefined) return;
    if (!isSameEpoch(peer.epoch, head.epoch)) merged.node(peer.name).clock.reset();
    const { clock } = merged.node(peer.name);
    clock.estimate(this.nowMs - head.ownMs - Math.max(0, newest?.agoMs ?? 0));
    const seen = new Set<PrefixText>();
    const isWhole = await this.readHash(peer, seen);
    if (!this.isOn) return;
    const after = await this.headOf(peer.name);
    if (!isSameEpoch(after?.epoch, head.epoch)) return;
    if (head.isReady && isWhole) {
      const gone = [...merged.node(peer.name).entries()].filter(([prefix]) => !seen.has(prefix));
      for (const [prefix] of gone) merged.withdraw(peer.name, prefix);
    }
    peer.epoch = head.epoch;
    peer.n = head.n;
    peer.place = newest?.place ?? '0-0';
    peer.lastN = peer.lastHeadN = -1;
    peer.hasBeenRead = true;
    // one that is being written is read again when it is complete
    peer.state = head.isReady ? 'following' : 'unread';
    void this.followAll();
  }

  private async headOf(name: string): Promise<Head | undefined> {
    const [fields] = await this.parts.store.heads([name]);
    const head = readHead(fields);
    return typeof head === 'object' ? head : undefined;
  }

  /** @returns whether all of it was read */
  private async readHash(peer: Peer, seen: Set<PrefixText>): Promise<boolean> {
    const { store, take, skipped, mostFields } = this.parts;
    let left = mostFields();
    let cursor = '0';
    do {
      const page = await store.page(peer.name, cursor);
      if (!this.isOn) return false;
      for (const [field, value] of page.fields) {
        if (left-- <= 0) return false;
        const change = readField(field, value);
        if (change === undefined) skipped(peer.name);
        else {
          if (change.kind === 'seen') seen.add(change.prefix);
          take(peer.name, change);
        }
      }
      cursor = page.cursor;
    } while (cursor !== '0');
    return true;
  }

  private async followAll(): Promise<void> {
    if (this.isFollowing) return;
    this.isFollowing = true;
    try {
      while (this.isOn) {
        const places = this.places();
        if (places.size === 0) break;
        for (const message of await this.parts.store.follow(places)) this.hear(message);
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.isFollowing = false;
    }
  }

  private places(): Map<string, string> {
    const places = new Map<string, string>();
    for (const peer of this.peers.values()) {
      if (peer.state === 'following' && this.mayTell(peer)) places.set(peer.name, peer.place);
    }
    return places;
  }

  private mayTell(peer: Peer): boolean {
    const gained = ((this.nowMs - peer.allowanceMs) / 1000) * CHANGES_PER_SECOND;
    peer.allowance = Math.min(MOST_CHANGES, peer.allowance + gained);
    peer.allowanceMs = this.nowMs;
    return peer.allowance > 0;
  }

  private hear({ node, place, fields }: Message): void {
    const peer = this.peers.get(node);
    if (peer === undefined || peer.state !== 'following') return;
    peer.place = place;
    peer.messages++;
    const n = whole(fields['n']);
    const ownMs = whole(fields['t']);
    if (fields['p'] !== String(PROTOCOL) || n === undefined || ownMs === undefined) {
      this.parts.skipped(node);
      return;
    }
    if (!isSameEpoch(readEpoch(fields['e']), peer.epoch) || n > peer.n + 1) {
      peer.state = 'unread';
      void this.readAll();
      return;
    }
    this.timed(peer, ownMs);
    if (n <= peer.n) return;
    peer.n = n;
    for (const line of fields['c'] === undefined ? [] : fields['c'].split('\n')) {
      peer.allowance--;
      peer.changes++;
      const change = readChange(line);
      if (change === undefined) this.parts.skipped(node);
      else if (change.kind === 'gone') this.parts.merged.withdraw(node, change.prefix);
      else this.parts.take(node, change);
    }
  }

  /** It has said what time it has. */
  private timed(peer: Peer, ownMs: number): void {
    const { merged } = this.parts;
    const { clock } = merged.node(peer.name);
    peer.heardMs = this.nowMs;
    clock.sample(this.nowMs, ownMs);
    const { aheadMs } = clock;
    const { usedAheadMs } = peer;
    if (aheadMs === undefined) return;
    if (usedAheadMs !== undefined && Math.abs(aheadMs - usedAheadMs) <= CLOCK_SLACK_MS) return;
    peer.usedAheadMs = aheadMs;
    merged.reconsider(peer.name);
  }
}

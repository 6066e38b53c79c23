// The store in Redis or Valkey, through ioredis or iovalkey.
import type { Redis, RedisOptions } from 'ioredis';
import type { Clock } from '../clock.js';
import type { FleetUrl } from '../config/fleet-url.js';
import { escapeText } from '../packet/escape.js';
import {
  type Fields,
  type Message,
  type OwnKeys,
  type Store,
  StoreError,
  type StoreProblem,
  type Writing,
} from './store.js';

/** Where the store is, and how to get in. */
export interface RedisPlace {
  readonly url: FleetUrl;
  readonly password: string | undefined;
  /** certificates to trust, PEM; undefined: those that Node trusts */
  readonly ca: string | undefined;
  readonly site: string;
  readonly node: string;
}

/** Messages of a log, about. */
const MOST_LOG = 5000;
/** Fields of a hash, and messages of a log, that are asked for at a time. */
const PAGE = 1000;
const MESSAGES = 200;
const CONNECT_MS = 3000;
/** A store that has been asked and says nothing for so long is frozen. */
const SILENT_MS = 3000;
/** So long it is waited for messages. */
const BLOCK_MS = 1000;
const RETRY_MS = 1000;

/** The package that speaks to the store: loaded only when there is one. */
export type RedisClass = new (options: RedisOptions) => Redis;

/**
 * Loads the package that speaks to the store.
 * @returns undefined: it is not installed
 */
export async function loadRedis(): Promise<RedisClass | undefined> {
  const names: readonly string[] = ['ioredis', 'iovalkey'];
  for (const name of names) {
    try {
      const loaded = (await import(name)) as { Redis: RedisClass };
      return loaded.Redis;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

/** Connections to the store: one that asks and writes, one that waits for messages. */
export class RedisStore implements Store {
  readonly node: string;
  /** how long the last write took, milliseconds */
  latencyMs: number | undefined;
  private readonly main: Redis;
  private readonly ear: Redis;
  private readonly prefix: string;
  private isLinked = false;
  private isClosed = false;

  /**
   * @param linked - is told when it can be asked, and when it cannot any more
   * @param failed - is told why there is no connection
   */
  constructor(
    Client: RedisClass,
    place: RedisPlace,
    private readonly clock: Clock,
    private readonly linked: (isLinked: boolean) => void,
    private readonly failed: (error: StoreError) => void,
  ) {
    this.node = place.node;
    this.prefix = `mx:${place.site}:`;
    const options = optionsFor(place);
    this.main = new Client(options);
    this.ear = new Client(options);
    for (const one of [this.main, this.ear]) {
      one.on('error', (error: Error) => this.fail(error));
      one.on('close', () => this.unlink());
      one.on('ready', () => void this.greet());
    }
  }

  /** Connects, and goes on trying. */
  open(): void {
    // what fails is told by the event
    for (const one of [this.main, this.ear]) one.connect().catch(() => undefined);
  }

  close(): void {
    this.isClosed = true;
    this.unlink();
    this.main.disconnect();
    this.ear.disconnect();
  }

  async watch(): Promise<OwnKeys> {
    return this.looked(await this.run(this.look()));
  }

  async write(writing: Writing): Promise<OwnKeys | undefined> {
    const { message, set, remove, head, keepMs } = writing;
    const [headKey, hashKey, logKey] = this.keys(this.node);
    const all = this.main.multi();
    if (message !== undefined)
      all.xadd(logKey, 'MAXLEN', '~', MOST_LOG, '*', ...Object.entries(message).flat());
    if (set.length > 0) all.hset(hashKey, ...set.flat());
    if (remove.length > 0) all.hdel(hashKey, ...remove);
    all.hset(headKey, head);
    if (keepMs !== undefined)
      for (const key of [headKey, hashKey, logKey]) all.pexpire(key, Math.floor(keepMs));
    const atMs = this.clock.monotonicMs();
    // one after the other without waiting: between the two nobody else can write unseen
    const done = all.exec();
    const after = this.look();
    const [written, looked] = await Promise.allSettled([done, after]);
    if (written.status === 'rejected') throw toStoreError(written.reason as Error);
    if (looked.status === 'rejected') throw toStoreError(looked.reason as Error);
    this.latencyMs = this.clock.monotonicMs() - atMs;
    if (written.value === null) return undefined;
    checkAll(written.value);
    return this.looked(looked.value);
  }

  async remove(fields: readonly string[]): Promise<void> {
    const [, hashKey] = this.keys(this.node);
    await this.run(this.main.hdel(hashKey, ...fields));
  }

  async nodes(): Promise<string[]> {
    const begin = `${this.prefix}node:`;
    const names = new Set<string>();
    let cursor = '0';
    do {
      const [next, keys] = await this.run(this.main.scan(cursor, 'MATCH', `${begin}*`, 'COUNT', PAGE));
      for (const key of keys) {
        const name = key.slice(begin.length);
        if (/^[A-Za-z0-9._-]{1,64}$/.test(name)) names.add(name);
      }
      cursor = next;
    } while (cursor !== '0');
    return [...names];
  }

  async heads(nodes: readonly string[]): Promise<(Fields | undefined)[]> {
    const all = this.main.pipeline();
    for (const node of nodes) all.hmget(this.keys(node)[0], ...HEAD);
    const replies = await this.run(all.exec());
    return (replies ?? []).map(([error, values]) => {
      // a key of another type is none
      if (error !== null && !/^WRONGTYPE/.test(error.message)) throw toStoreError(error);
      return error === null ? headOf(values as (string | null)[]) : undefined;
    });
  }

  async newest(node: string): Promise<{ place: string; agoMs: number } | undefined> {
    const logKey = this.keys(node)[2];
    const [messages, [seconds, micros]] = await this.run(
      Promise.all([
        this.main.xrevrange(logKey, '+', '-', 'COUNT', 1),
        this.main.time() as Promise<unknown[]>,
      ]),
    );
    const [place] = messages[0] ?? [];
    if (place === undefined) return undefined;
    const nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
    return { place, agoMs: nowMs - Number(place.split('-')[0]) };
  }

  async page(node: string, cursor: string): Promise<{ cursor: string; fields: [string, string][] }> {
    const [next, flat] = await this.run(this.main.hscan(this.keys(node)[1], cursor, 'COUNT', PAGE));
    const fields: [string, string][] = [];
    for (let at = 0; at + 1 < flat.length; at += 2) fields.push([flat[at] ?? '', flat[at + 1] ?? '']);
    return { cursor: next, fields };
  }

  async follow(places: ReadonlyMap<string, string>): Promise<Message[]> {
    const keys = new Map([...places.keys()].map((node) => [this.keys(node)[2], node]));
    const replies = await this.run(
      this.ear.xread('COUNT', MESSAGES, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys.keys(), ...places.values()),
    );
    return (replies ?? []).flatMap(([key, messages]) => {
      const node = keys.get(key);
      if (node === undefined) return [];
      return messages.map(([place, flat]) => ({ node, place, fields: fieldsOf(flat) }));
    });
  }

  private look(): Promise<[error: Error | null, result: unknown][] | null> {
    const [headKey, hashKey, logKey] = this.keys(this.node);
    return this.main
      .pipeline()
      .watch(headKey, hashKey, logKey)
      .hmget(headKey, ...HEAD)
      .hlen(hashKey)
      .exec();
  }

  private looked(replies: [Error | null, unknown][] | null): OwnKeys {
    checkAll(replies ?? []);
    const [, head, count] = replies ?? [];
    return { head: headOf((head?.[1] ?? []) as (string | null)[]), count: Number(count?.[1] ?? 0) };
  }

  /** head, hash and log of a node */
  private keys(node: string): [string, string, string] {
    return [`${this.prefix}node:${node}`, `${this.prefix}now:${node}`, `${this.prefix}log:${node}`];
  }

  private async run<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      throw toStoreError(error as Error);
    }
  }

  /** A connection counts when it has answered: a frozen store takes connections, too. */
  private async greet(): Promise<void> {
    if (this.main.status !== 'ready' || this.ear.status !== 'ready') return;
    try {
      await Promise.all([this.main.time(), this.ear.time()]);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    if (this.isLinked || this.isClosed || this.main.status !== 'ready' || this.ear.status !== 'ready') return;
    this.isLinked = true;
    this.linked(true);
  }

  private unlink(): void {
    if (!this.isLinked) return;
    this.isLinked = false;
    this.linked(false);
  }

  private fail(error: Error): void {
    const told = toStoreError(error);
    if (!this.isClosed) this.failed(told);
    // a connection that was let in, but may not do what it must, is made anew in a while: the answer may be another one
    if (this.isLinked || told.problem === 'away') return;
    this.clock.after(RETRY_MS, () => void this.greet());
  }
}

const HEAD = ['p', 'e', 'n', 't', 'ready', 'v', 'count'] as const;

function headOf(values: readonly (string | null)[]): Fields | undefined {
  const fields: Record<string, string> = {};
  for (const [at, name] of HEAD.entries()) {
    const value = values[at];
    if (typeof value === 'string') fields[name] = value;
  }
  return Object.keys(fields).length === 0 ? undefined : fields;
}

function fieldsOf(flat: readonly string[]): Fields {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
  return fields;
}

/** @throws StoreError when one of the answers is an error */
function checkAll(replies: readonly [Error | null, unknown][]): void {
  for (const [error] of replies) if (error !== null) throw toStoreError(error);
}

function optionsFor({ url, password, ca }: RedisPlace): RedisOptions {
  const [first] = url.places;
  const tls = url.isTls ? { tls: { ...(ca === undefined ? {} : { ca }), ...nameOf(url) } } : {};
  const where: RedisOptions =
    url.kind === 'sentinel'
      ? {
          sentinels: [...url.places],
          name: url.master ?? '',
          ...(url.isTls && { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} }),
          sentinelRetryStrategy: () => RETRY_MS,
        }
      : url.kind === 'socket'
        ? { path: url.path ?? '' }
        : { host: first?.host ?? '', port: first?.port ?? 0 };
  return {
    ...where,
    ...tls,
    ...(url.user !== undefined && { username: url.user }),
    ...(password !== undefined && { password }),
    db: url.database,
    protocol: 2,
    lazyConnect: true,
    // nothing is queued, and nothing is sent twice
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    // what these ask needs permissions that nobody need give
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: CONNECT_MS,
    socketTimeout: SILENT_MS,
    retryStrategy: (times) => Math.min(times * 100, RETRY_MS),
    // a replica takes no writes: perhaps another one is the master now
    reconnectOnError: (error) => url.kind === 'sentinel' && /^READONLY/.test(error.message),
  };
}

/** The name that the certificate must have is that of the place; of an address there is none to ask for. */
function nameOf({ places }: FleetUrl): { servername?: string } {
  const host = places[0]?.host ?? '';
  return /[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {};
}

const REPLIES: readonly (readonly [RegExp, StoreProblem])[] = [
  [/^OOM/, 'out-of-memory'],
  [/^(?:READONLY|MISCONF|NOREPLICAS)/, 'read-only'],
  [/^NOPERM/, 'no-permission'],
  [/^(?:WRONGPASS|NOAUTH|ERR (?:invalid password|AUTH|Client sent AUTH))/, 'wrong-password'],
  [/^(?:LOADING|MASTERDOWN|BUSY)/, 'loading'],
  [/^Socket timeout|^connect ETIMEDOUT|Command timed out/, 'frozen'],
];

const TLS_CODES = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|EPROTO)/;

/** What an error of the package means. */
export function toStoreError(error: Error): StoreError {
  if (error instanceof StoreError) return error;
  const inner = (error as { previousErrors?: Error[] }).previousErrors?.[0] ?? error;
  const { code, message } = inner as NodeJS.ErrnoException;
  const words = escapeText(message.split('\n')[0] ?? '', 200);
  const known = REPLIES.find(([pattern]) => pattern.test(message));
  if (known !== undefined) return new StoreError(known[1], words);
  if (code !== undefined && TLS_CODES.test(code)) return new StoreError('tls', words);
  if (/^[A-Z]{3,} /.test(message) && code === undefined) return new StoreError('other', words);
  return new StoreError('away', words);
}

// DNS, bounded before it is asked.
import { Resolver } from 'node:dns';

/** What is asked for. */
export type RecordType = 'PTR' | 'A' | 'AAAA' | 'TXT' | 'MX';

/** A record as text: a name, an address, a text (its strings joined), or a name behind a preference. */
export interface Lookup {
  /**
   * `found`; `none`: there is no such name or record; `failed`: no usable answer (server failure, time-out, garbage);
   * `dropped`: too many look-ups wait already, this one was not made
   */
  readonly status: 'found' | 'none' | 'failed' | 'dropped';
  readonly records: readonly string[];
  /** the resolver's word for a failure, as `ETIMEOUT` */
  readonly code: string;
}

/** How the resolver works. */
export interface ResolverSettings {
  /** addresses with or without port, as `192.0.2.53`, `[2001:db8::53]:5353`; none: the system's */
  readonly servers: readonly string[];
  /** for the first try; each further one may take longer */
  readonly timeoutMs: number;
  readonly tries: number;
  /** look-ups under way at the most */
  readonly active: number;
  /** look-ups that wait at the most; what comes then is not made */
  readonly waiting: number;
  /** answers that are kept at the most */
  readonly cached: number;
  /** monotonic milliseconds */
  readonly nowMs: () => number;
}

/** Counted since the start. */
export interface ResolverCounters {
  asked: number;
  fromCache: number;
  dropped: number;
  failed: number;
}

/** Sensible for a mail server's firewall. */
export const RESOLVER_DEFAULTS = {
  timeoutMs: 2000,
  tries: 2,
  active: 64,
  waiting: 2000,
  // each may have 4.8 KB, if a stranger wants that, and there are two resolvers: 96 MB at the worst; what a DNS allow list
  // answers is no stranger's word
  cached: 10_000,
} as const;

/** A resolver of a command, which asks whom the configuration names, and ends soon. */
export function resolverOf({
  dnsServer,
  dnsTimeout,
}: {
  readonly dnsServer: readonly string[];
  /** seconds */
  readonly dnsTimeout: number;
}): BoundedResolver {
  return new BoundedResolver({
    ...RESOLVER_DEFAULTS,
    servers: dnsServer,
    timeoutMs: dnsTimeout * 1000,
    nowMs: () => performance.now(),
  });
}

/** How long an answer counts: where its records' time to live is not told, and its bounds where it is. */
const UNKNOWN_TTL_MS = 300_000;
const LEAST_TTL_MS = 30_000;
const MOST_TTL_MS = 3_600_000;
const NONE_TTL_MS = 120_000;
const FAILED_TTL_MS = 30_000;
/** More records than an honest name has are cut off, and longer texts: what strangers say must not fill our memory. */
export const MOST_RECORDS: Readonly<Record<RecordType, number>> = {
  PTR: 16,
  A: 64,
  AAAA: 64,
  TXT: 2,
  MX: 16,
};
const LONGEST_RECORD = 2100;
/** Longer ones do not exist (RFC 1035 section 2.3.4), but an SPF record can make them up. */
const LONGEST_NAME = 253;

/** What was counted of several resolvers. */
export function sumOf(...all: readonly Readonly<ResolverCounters>[]): ResolverCounters {
  const sum: ResolverCounters = { asked: 0, fromCache: 0, dropped: 0, failed: 0 };
  for (const one of all)
    for (const key of Object.keys(sum) as (keyof ResolverCounters)[]) sum[key] += one[key];
  return sum;
}

const DROPPED: Lookup = { status: 'dropped', records: [], code: 'dropped' };
/** There is no such name, or no such record. */
const NONE_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

interface Cached {
  readonly lookup: Lookup;
  readonly untilMs: number;
}

type Answer = { readonly records: readonly string[]; readonly ttlMs: number };

/**
 * DNS with bounds: so many look-ups at a time, so many waiting, so many answers kept; who asks for what is being
 * asked already waits for the same answer. Never throws: what goes wrong is an answer, too.
 */
export class BoundedResolver {
  readonly counters: ResolverCounters = { asked: 0, fromCache: 0, dropped: 0, failed: 0 };
  private resolver: Resolver;
  /** least recently used first */
  private readonly cache = new Map<string, Cached>();
  private readonly underWay = new Map<string, Promise<Lookup>>();
  private readonly queue: (() => void)[] = [];
  private active = 0;
  private closed = false;

  /** @throws TypeError when a server is not an address */
  constructor(private readonly settings: ResolverSettings) {
    this.resolver = makeResolver(settings);
  }

  /** Reads the system's servers again; answers that are on their way still come. */
  renew(): void {
    this.resolver = makeResolver(this.settings);
  }

  /** look-ups that wait for their turn */
  get waiting(): number {
    return this.queue.length;
  }

  /** Looks a name up, if need be. */
  lookup(type: RecordType, name: string): Promise<Lookup> {
    if (name.length > LONGEST_NAME) return Promise.resolve(failure('EBADNAME'));
    const key = `${type} ${name}`;
    const cached = this.fromCache(key);
    if (cached !== undefined) return Promise.resolve(cached);
    let answer = this.underWay.get(key);
    if (answer === undefined) {
      if (
        this.closed ||
        (this.active >= this.settings.active && this.queue.length >= this.settings.waiting)
      ) {
        this.counters.dropped++;
        return Promise.resolve(DROPPED);
      }
      answer = this.whenFree(() => this.ask(type, name)).then((lookup) => {
        this.underWay.delete(key);
        return lookup;
      });
      this.underWay.set(key, answer);
    }
    return answer;
  }

  /** Gives up all look-ups: those under way and those that wait fail. */
  close(): void {
    this.closed = true;
    this.resolver.cancel();
    for (const start of this.queue.splice(0)) start();
  }

  private fromCache(key: string): Lookup | undefined {
    const cached = this.cache.get(key);
    if (cached === undefined) return undefined;
    this.cache.delete(key);
    if (cached.untilMs <= this.settings.nowMs()) return undefined;
    this.cache.set(key, cached);
    this.counters.fromCache++;
    return cached.lookup;
  }

  private async whenFree(work: () => Promise<Lookup>): Promise<Lookup> {
    if (this.active >= this.settings.active) await new Promise<void>((resolve) => this.queue.push(resolve));
    else this.active++;
    try {
      return this.closed ? DROPPED : await work();
    } finally {
      // who waits takes our place
      const next = this.queue.shift();
      if (next === undefined) this.active--;
      else next();
    }
  }

  private async ask(type: RecordType, name: string): Promise<Lookup> {
    this.counters.asked++;
    const { lookup, ttlMs } = await this.query(type, name);
    if (lookup.status === 'failed') this.counters.failed++;
    this.cache.set(`${type} ${name}`, { lookup, untilMs: this.settings.nowMs() + ttlMs });
    if (this.cache.size > this.settings.cached) {
      const [oldest] = this.cache.keys();
      if (oldest !== undefined) this.cache.delete(oldest);
    }
    return lookup;
  }

  private async query(type: RecordType, name: string): Promise<{ lookup: Lookup; ttlMs: number }> {
    try {
      const { records, ttlMs } = await QUERIES[type](this.resolver, name);
      if (records.length === 0) return { lookup: failure('ENODATA'), ttlMs: NONE_TTL_MS };
      const cut = records.slice(0, MOST_RECORDS[type]).map((text) => text.slice(0, LONGEST_RECORD));
      return {
        lookup: { status: 'found', records: cut, code: '' },
        ttlMs: Math.min(Math.max(ttlMs, LEAST_TTL_MS), MOST_TTL_MS),
      };
    } catch (error) {
      const lookup = failure((error as NodeJS.ErrnoException).code ?? 'EUNKNOWN');
      return { lookup, ttlMs: lookup.status === 'none' ? NONE_TTL_MS : FAILED_TTL_MS };
    }
  }
}

function makeResolver({ timeoutMs, tries, servers }: ResolverSettings): Resolver {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  if (servers.length > 0) resolver.setServers(servers);
  return resolver;
}

function failure(code: string): Lookup {
  return { status: NONE_CODES.has(code) ? 'none' : 'failed', records: [], code };
}

/** One function of c-ares as a promise. */
function answer<T>(
  start: (done: (error: Error | null, result: T) => void) => void,
  read: (result: T) => Answer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error !== null) reject(error);
      else resolve(read(result));
    });
  });
}

/** Of TXT records only those for SPF are ever asked for (RFC 7208 section 4.5). */
export function isSpf(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

type WithTtl = readonly { readonly address: string; readonly ttl: number }[];

function readAddresses(all: WithTtl): Answer {
  // c-ares tells no time to live behind the 256th
  const found = all.slice(0, MOST_RECORDS.A);
  const ttls = found.map(({ ttl }) => ttl * 1000);
  return { records: found.map(({ address }) => address), ttlMs: Math.min(...ttls) };
}

const QUERIES: Readonly<Record<RecordType, (resolver: Resolver, name: string) => Promise<Answer>>> = {
  PTR: (resolver, name) =>
    answer<string[]>(
      (done) => resolver.resolvePtr(name, done),
      (records) => ({ records, ttlMs: UNKNOWN_TTL_MS }),
    ),
  A: (resolver, name) =>
    answer<WithTtl>((done) => resolver.resolve4(name, { ttl: true }, done), readAddresses),
  AAAA: (resolver, name) =>
    answer<WithTtl>((done) => resolver.resolve6(name, { ttl: true }, done), readAddresses),
  TXT: (resolver, name) =>
    answer<string[][]>(
      (done) => resolver.resolveTxt(name, done),
      (texts) => ({ records: texts.map((strings) => strings.join('')).filter(isSpf), ttlMs: UNKNOWN_TTL_MS }),
    ),
  MX: (resolver, name) =>
    answer<{ priority: number; exchange: string }[]>(
      (done) => resolver.resolveMx(name, done),
      (found) => ({
        records: found.map(({ priority, exchange }) => `${priority} ${exchange}`),
        ttlMs: UNKNOWN_TTL_MS,
      }),
    ),
};

// Whether a refused sender belongs to a pool of one that has tried the fake MX.
import { type Address, formatAddress } from '../packet/address.js';
import { encodesAddress, type HostName } from './name.js';
import type { ReverseAnswer } from './rdns.js';
import type { BoundedResolver, RecordType } from './resolver.js';

/** What a domain's SPF record says about an address (RFC 7208 section 2.6). */
export type SpfResult = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror';

/** Why an address does, or does not, belong to a pool of senders. */
export type PoolVerdict =
  | { readonly kind: 'pool'; readonly name: HostName; readonly domain: string }
  | {
      readonly kind: 'no-pool';
      readonly reason: 'no-name' | 'unconfirmed' | 'encodes-address' | 'no-domain' | 'no-attempt' | 'spf';
      /** the name or domain that it is about */
      readonly about: string;
      readonly spf?: SpfResult;
    };

/** DNS queries for one SPF check at the most, however they are counted by the RFC's rules. */
const MOST_SPF_QUERIES = 40;
/** RFC 7208 section 4.6.4 */
const SPF_LOOKUPS = 10;
const SPF_VOID_LOOKUPS = 2;

/**
 * The registrable domain of a name by the public suffix list, with its private part: of `x.github.io` it is that
 * itself, not `github.io`.
 */
export async function registrableDomain(name: HostName): Promise<string | undefined> {
  // the list is loaded when it is first needed: it takes some megabytes
  const { getDomain } = await import('tldts');
  return (
    getDomain(name, { allowPrivateDomains: true, detectIp: false, validateHostname: false }) ?? undefined
  );
}

/** The registrable domains of the confirmed names of an address, without those that merely encode it. */
export async function poolDomains(
  { names }: ReverseAnswer,
  address: Address,
): Promise<Map<string, HostName>> {
  const domains = new Map<string, HostName>();
  for (const { name, confirmed } of names) {
    const counts = confirmed && !encodesAddress(name, address);
    const domain = counts ? await registrableDomain(name) : undefined;
    if (domain !== undefined && !domains.has(domain)) domains.set(domain, name);
  }
  return domains;
}

/** The domains of those who tried the fake MX, each for some time. */
export class LiveDomains {
  /** when each ceases to count, monotonic milliseconds; the one noted longest ago first */
  private readonly domains = new Map<string, number>();

  /** @param most - domains that are kept at the most; the one noted longest ago goes first */
  constructor(private readonly most: number) {}

  get size(): number {
    return this.domains.size;
  }

  /** Somebody of this domain has tried the fake MX. */
  note(domain: string, untilMs: number): void {
    this.domains.delete(domain);
    this.domains.set(domain, untilMs);
    if (this.domains.size <= this.most) return;
    const [oldest] = this.domains.keys();
    if (oldest !== undefined) this.domains.delete(oldest);
  }

  /** Whether somebody of this domain has tried it lately. */
  has(domain: string, nowMs: number): boolean {
    const untilMs = this.domains.get(domain);
    if (untilMs === undefined || untilMs > nowMs) return untilMs !== undefined;
    this.domains.delete(domain);
    return false;
  }

  /** Whether there is any at all; forgets those whose time is over, where they stand in front. */
  isEmpty(nowMs: number): boolean {
    for (const [domain, untilMs] of this.domains) {
      if (untilMs > nowMs) return false;
      this.domains.delete(domain);
    }
    return true;
  }
}

/**
 * Decides whether an address belongs to the pool of somebody who has tried the fake MX.
 * @param isLive - whether somebody of a domain has
 */
export async function judgePool(
  resolver: BoundedResolver,
  address: Address,
  answer: ReverseAnswer,
  isLive: (domain: string) => boolean,
): Promise<PoolVerdict> {
  const [first] = answer.names;
  if (first === undefined) return { kind: 'no-pool', reason: 'no-name', about: answer.code };
  const confirmed = answer.names.filter((name) => name.confirmed);
  if (confirmed.length === 0) return { kind: 'no-pool', reason: 'unconfirmed', about: first.name };
  const telling = confirmed.filter(({ name }) => !encodesAddress(name, address));
  if (telling.length === 0) return { kind: 'no-pool', reason: 'encodes-address', about: first.name };
  const domains = await poolDomains(answer, address);
  if (domains.size === 0) return { kind: 'no-pool', reason: 'no-domain', about: first.name };
  const live = [...domains].filter(([domain]) => isLive(domain));
  if (live.length === 0)
    return { kind: 'no-pool', reason: 'no-attempt', about: [...domains.keys()].join(' ') };
  let refused: PoolVerdict | undefined;
  for (const [domain, name] of live) {
    const spf = await checkSpf(resolver, domain, address);
    if (spf === 'pass') return { kind: 'pool', name, domain };
    refused ??= { kind: 'no-pool', reason: 'spf', about: domain, spf };
  }
  return refused ?? { kind: 'no-pool', reason: 'no-attempt', about: '' };
}

/** What a domain's SPF record says about mail from an address, within the limits of RFC 7208 section 4.6.4. */
export async function checkSpf(
  resolver: BoundedResolver,
  domain: string,
  address: Address,
): Promise<SpfResult> {
  // likewise
  const { spf } = await import('mailauth/lib/spf/index.js');
  let queries = 0;
  const { status } = await spf({
    sender: `postmaster@${domain}`,
    helo: domain,
    ip: formatAddress(address),
    mta: 'mxallowd',
    maxResolveCount: SPF_LOOKUPS,
    maxVoidCount: SPF_VOID_LOOKUPS,
    resolver: async (name: string, type: string) => {
      if (++queries > MOST_SPF_QUERIES) throw dnsError('EREFUSED', 'too many queries');
      return answerSpf(resolver, name, type);
    },
  });
  return (status?.result ?? 'temperror') as SpfResult;
}

/** A record of a stranger costs time to read; honest ones fit into a DNS packet (RFC 7208 section 3.4). */
const LONGEST_SPF = 2048;
const LONGEST_TERM = 255;

function isTooLong(text: string): boolean {
  return text.length > LONGEST_SPF || text.split(' ').some((term) => term.length > LONGEST_TERM);
}

/** Answers as Node's dns.promises.resolve gives them, whose type its users know as strings only. */
async function answerSpf(resolver: BoundedResolver, name: string, type: string): Promise<string[]> {
  if (!['A', 'AAAA', 'TXT', 'MX', 'PTR'].includes(type)) throw dnsError('ENODATA', type);
  const { status, records, code } = await resolver.lookup(type as RecordType, name.toLowerCase());
  if (status === 'none') throw dnsError('ENOTFOUND', name);
  if (status !== 'found') throw dnsError(code === 'ETIMEOUT' ? code : 'EREFUSED', name);
  if (type === 'TXT' && records.length > 1) throw permerror(name, 'several SPF records');
  if (type === 'TXT' && records.some(isTooLong)) throw permerror(name, 'an SPF record that is too long');
  if (type === 'TXT') return records.map((text) => [text]) as unknown as string[];
  if (type !== 'MX') return [...records];
  return records.map((record) => {
    const [priority = '0', exchange = ''] = record.split(' ');
    return { priority: Number(priority), exchange };
  }) as unknown as string[];
}

function permerror(name: string, text: string): Error {
  return Object.assign(new Error(name), { spfResult: { error: 'permerror', text } });
}

function dnsError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

// The networks that an SPF record names, gathered from DNS (RFC 7208).
import {
  type Family,
  familyOf,
  formatPrefix,
  overlaps,
  parseAddress,
  type Prefix,
  type PrefixText,
  prefixOf,
} from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type HostName, hostName } from './name.js';
import type { Lookup, RecordType } from './resolver.js';
import { type Directive, type Mechanism, parseSpf, type SpfRecord } from './spf-record.js';

/** What is asked for. */
export type SpfRecordType = Extract<RecordType, 'A' | 'AAAA' | 'MX' | 'TXT'>;

/** Asks DNS; records as {@link Lookup} has them, of TXT those for SPF only. */
export type AskTimed = (type: SpfRecordType, name: string) => Promise<Lookup & { readonly ttlMs: number }>;

/** Why a term gives no networks. */
export type PassedReason = 'all' | 'exists' | 'ptr' | 'macro' | 'not-pass' | 'excepted';

/** A term that gives no networks, though mail that it matches may pass. */
export interface PassedTerm {
  /** whose record it stands in */
  readonly domain: string;
  /** as it stands there */
  readonly term: string;
  readonly why: PassedReason;
}

/** What a domain's SPF record says of networks. */
export type SpfNetworks =
  | {
      /** `part`: of some names DNS has not answered; what follows is without them */
      readonly kind: 'whole' | 'part';
      /** each once, in the order of the record */
      readonly networks: readonly Prefix[];
      readonly passed: readonly PassedTerm[];
      /** the shortest time to live of all that was answered, in milliseconds */
      readonly ttlMs: number;
      /** what was not answered: `TXT of example.com: ETIMEOUT` */
      readonly unanswered: readonly string[];
    }
  | {
      /** it names none: no such name, no record, or one that is an error for whoever asks (section 2.6.7) */
      readonly kind: 'none';
      /** for people, escaped */
      readonly why: string;
      readonly ttlMs: number;
    };

/** Section 4.6.4. */
const MOST_LOOKUPS = 10;
const MOST_VOID_LOOKUPS = 2;
const MOST_MX_HOSTS = 10;
/** Honest records fit into a DNS packet (section 3.4); reading a longer one would cost time. */
const LONGEST_RECORD = 2048;
const LONGEST_TERM = 255;

/**
 * Gathers the networks of a domain's SPF record: of `ip4`, `ip6`, `a`, `mx`, and of the records that `include` and
 * `redirect` lead to. What depends on the message (`exists`, `ptr`, macros) gives none.
 */
export async function spfNetworks(ask: AskTimed, domain: HostName): Promise<SpfNetworks> {
  return new Walk(ask).from(domain);
}

/** The networks around the addresses of a name. */
type Found = { readonly status: Lookup['status']; readonly networks: readonly Prefix[] };

/** One look at a record and all that it leads to. */
class Walk {
  private readonly networks = new Map<PrefixText, Prefix>();
  private readonly passed: PassedTerm[] = [];
  private readonly unanswered: string[] = [];
  private ttlMs = Number.POSITIVE_INFINITY;
  private lookups = 0;
  private voidLookups = 0;
  /** why the whole is an error */
  private broken: string | undefined;

  constructor(private readonly ask: AskTimed) {}

  async from(domain: HostName): Promise<SpfNetworks> {
    await this.record(domain, []);
    const ttlMs = Number.isFinite(this.ttlMs) ? this.ttlMs : 0;
    if (this.broken !== undefined) return { kind: 'none', why: this.broken, ttlMs };
    const { passed, unanswered } = this;
    const kind = unanswered.length === 0 ? 'whole' : 'part';
    return { kind, networks: [...this.networks.values()], passed, ttlMs, unanswered };
  }

  /** @param excepted - networks for which an earlier term has said something else than pass */
  private async record(domain: HostName, excepted: readonly Prefix[]): Promise<void> {
    const { status, records } = await this.look('TXT', domain);
    if (status === 'failed' || status === 'dropped') return;
    const [text, ...others] = records;
    if (text === undefined) return this.break(`${domain} has no SPF record`);
    if (others.length > 0) return this.break(`${domain} has several SPF records`);
    const isTooLong =
      text.length > LONGEST_RECORD || text.split(' ').some((term) => term.length > LONGEST_TERM);
    if (isTooLong) return this.break(`the SPF record of ${domain} is too long`);
    const parsed = parseSpf(text);
    if (!parsed.ok) return this.break(`the SPF record of ${domain} has "${escapeText(parsed.term, 60)}"`);
    await this.follow(parsed.record, domain, [...excepted]);
  }

  private async follow(
    { directives, redirect }: SpfRecord,
    domain: HostName,
    excepted: Prefix[],
  ): Promise<void> {
    for (const directive of directives) {
      if (directive.mechanism.kind === 'all') {
        if (directive.qualifier === '+') this.pass(domain, directive.text, 'all');
        // it matches everybody: nothing behind it counts, nor a redirect (section 6.1)
        return;
      }
      await this.directive(directive, domain, excepted);
      if (this.broken !== undefined) return;
    }
    if (redirect === undefined) return;
    await this.lead(redirect, `redirect=${redirect}`, domain, excepted);
  }

  private async directive(directive: Directive, domain: HostName, excepted: Prefix[]): Promise<void> {
    const { mechanism, qualifier, text } = directive;
    switch (mechanism.kind) {
      case 'ip':
        return this.take(directive, domain, [mechanism.network], excepted);
      case 'a':
      case 'mx':
        return this.hosts(directive, mechanism, domain, excepted);
      case 'include':
        if (qualifier === '+') return this.lead(mechanism.domain, text, domain, excepted);
        this.countLookup();
        return this.pass(domain, text, 'not-pass');
      case 'exists':
      case 'ptr':
        this.countLookup();
        return qualifier === '+' ? this.pass(domain, text, mechanism.kind) : undefined;
      case 'all':
    }
  }

  /** Goes on to the record of another domain. */
  private async lead(
    name: string,
    term: string,
    domain: HostName,
    excepted: readonly Prefix[],
  ): Promise<void> {
    if (!this.countLookup()) return;
    if (name.includes('%')) return this.pass(domain, term, 'macro');
    const target = hostName(name);
    if (target === undefined) return this.break(`the SPF record of ${domain} has "${escapeText(term, 60)}"`);
    await this.record(target, excepted);
  }

  private async hosts(
    directive: Directive,
    { kind, domain: named, length }: Mechanism & { kind: 'a' | 'mx' },
    domain: HostName,
    excepted: Prefix[],
  ): Promise<void> {
    if (!this.countLookup()) return;
    if (named?.includes('%') === true) return this.pass(domain, directive.text, 'macro');
    const target = named === undefined ? domain : hostName(named);
    if (target === undefined) {
      return this.break(`the SPF record of ${domain} has "${escapeText(directive.text, 60)}"`);
    }
    const names = kind === 'a' ? [target] : await this.mailServers(target);
    for (const name of names) {
      const { status, networks } = await this.addresses(name, length);
      if (kind === 'a' && status === 'none') this.countVoid();
      this.take(directive, domain, networks, excepted);
    }
  }

  private async mailServers(domain: HostName): Promise<HostName[]> {
    const { status, records } = await this.look('MX', domain);
    if (status === 'none') this.countVoid();
    if (records.length > MOST_MX_HOSTS) this.break(`${domain} has more than ${MOST_MX_HOSTS} MX records`);
    return records.flatMap((record) => hostName(record.split(' ')[1] ?? '') ?? []);
  }

  private async addresses(name: HostName, length: Readonly<Record<Family, number>>): Promise<Found> {
    const [ipv4, ipv6] = await Promise.all([this.look('A', name), this.look('AAAA', name)]);
    const networks = [...ipv4.records, ...ipv6.records].flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [prefixOf(address, length[familyOf(address)])];
    });
    const isNone = ipv4.status === 'none' && ipv6.status === 'none';
    return { status: isNone ? 'none' : 'found', networks };
  }

  private take(
    { qualifier, text }: Directive,
    domain: HostName,
    networks: readonly Prefix[],
    excepted: Prefix[],
  ): void {
    if (qualifier !== '+') {
      excepted.push(...networks);
      return;
    }
    for (const network of networks) {
      if (excepted.some((other) => overlaps(other, network))) this.pass(domain, text, 'excepted');
      else this.networks.set(formatPrefix(network), network);
    }
  }

  private async look(type: SpfRecordType, name: HostName): Promise<Lookup> {
    const lookup = await this.ask(type, name);
    if (lookup.status === 'found') this.ttlMs = Math.min(this.ttlMs, lookup.ttlMs);
    else if (lookup.status !== 'none') this.unanswered.push(`${type} of ${name}: ${lookup.code}`);
    return lookup;
  }

  /** @returns whether one more may be made */
  private countLookup(): boolean {
    this.lookups++;
    if (this.lookups > MOST_LOOKUPS) this.break(`more than ${MOST_LOOKUPS} look-ups are needed`);
    return this.lookups <= MOST_LOOKUPS;
  }

  private countVoid(): void {
    this.voidLookups++;
    if (this.voidLookups > MOST_VOID_LOOKUPS)
      this.break(`more than ${MOST_VOID_LOOKUPS} names in it do not exist`);
  }

  private pass(domain: HostName, term: string, why: PassedReason): void {
    this.passed.push({ domain, term, why });
  }

  /** The first reason counts. */
  private break(why: string): void {
    this.broken ??= why;
  }
}

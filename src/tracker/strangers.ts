// Who was refused: by address and by domain, bounded. Pure: the time comes with each call.
import type { PrefixText } from '../packet/address.js';

/** What DNS tells of somebody. */
export interface StrangerName {
  readonly name: string;
  /** whether the name points back */
  readonly isConfirmed: boolean;
  /** the registrable domain of a confirmed name that does not merely encode the address */
  readonly domain: string | undefined;
  /** what the domain's SPF record says of the address; undefined: not asked, or nobody knows */
  readonly spf: string | undefined;
}

/** Somebody who was refused. Times are milliseconds since 1970; 0: never. */
export interface Stranger {
  /** what would be stored of it as an entry */
  readonly prefix: PrefixText;
  /** the address that came last */
  readonly address: string;
  /** SYNs that were refused, or would have been */
  readonly count: number;
  /** how many of these got in all the same: in dry-run, or by rules that let everybody in for now */
  readonly passed: number;
  /** how many of these were led elsewhere (`strangers`), not dropped */
  readonly redirected: number;
  /** how often it came again {@link RETURN_MS} or more after it was last refused */
  readonly returns: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** when it became an entry after it was last refused: its next SYN gets in */
  readonly letInMs: number;
  /** when it was admitted after it was last refused */
  readonly admittedMs: number;
  /** when DNS was last asked about it */
  readonly askedMs: number;
  readonly named: StrangerName | undefined;
}

/** All of a domain who were refused, also those that are forgotten. Times as in {@link Stranger}. */
export interface StrangerDomain {
  readonly domain: string;
  readonly count: number;
  /** different ones; one that was forgotten and came again counts twice */
  readonly addresses: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** when one of it was last let in, or tried the fake MX with the right to send for it */
  readonly letInMs: number;
}

/** Who comes again after so long has not just repeated a SYN that was not answered. */
export const RETURN_MS = 600_000;

/** So many who came once, so many who came again, and so many domains; of each those that came last. */
export const MOST_NEW = 3000;
export const MOST_RETURNED = 3000;
export const MOST_DOMAINS = 1000;

/** The same, to be changed. */
type Open<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Remembers who was refused, and what became of it. Those who have come again stay apart from those who have not, so
 * that a flood of forged senders does not push them out; its size does not depend on what comes.
 */
export class Strangers {
  private readonly fresh = new Map<PrefixText, Open<Stranger>>();
  private readonly returned = new Map<PrefixText, Open<Stranger>>();
  private readonly byDomain = new Map<string, Open<StrangerDomain>>();
  /** prefixes and domains that are others now than they were last written */
  private readonly changed = new Set<string>();

  get size(): number {
    return this.fresh.size + this.returned.size;
  }

  /** What is known of somebody. */
  of(prefix: PrefixText): Stranger | undefined {
    return this.open(prefix);
  }

  ofDomain(domain: string): StrangerDomain | undefined {
    return this.byDomain.get(domain);
  }

  /** The one that came last comes last, of those who came again and of those who did not. */
  *[Symbol.iterator](): Generator<Stranger> {
    yield* this.fresh.values();
    yield* this.returned.values();
  }

  domains(): Iterable<StrangerDomain> {
    return this.byDomain.values();
  }

  /**
   * Somebody was refused.
   * @param how - `passed`: it got in all the same; `redirected`: it was led elsewhere
   */
  refused(
    prefix: PrefixText,
    address: string,
    how: 'dropped' | 'passed' | 'redirected',
    nowMs: number,
  ): Stranger {
    const known = this.open(prefix);
    const stranger = known ?? makeStranger(prefix, nowMs);
    const isReturn = known !== undefined && nowMs - known.lastMs >= RETURN_MS;
    stranger.address = address;
    stranger.count++;
    if (how !== 'dropped') stranger[how]++;
    if (isReturn) stranger.returns++;
    stranger.lastMs = nowMs;
    stranger.letInMs = 0;
    stranger.admittedMs = 0;
    this.place(stranger);
    this.countInDomain(stranger.named?.domain, nowMs);
    return stranger;
  }

  /** Somebody is an entry now; of whoever was not refused nothing is noted. */
  letIn(prefix: PrefixText, nowMs: number): void {
    const stranger = this.open(prefix);
    if (stranger === undefined || stranger.letInMs > 0) return;
    stranger.letInMs = nowMs;
    this.changed.add(prefix);
    if (stranger.named?.domain !== undefined) this.letInDomain(stranger.named.domain, nowMs);
  }

  /** Somebody was admitted. */
  admitted(prefix: PrefixText, nowMs: number): void {
    const stranger = this.open(prefix);
    if (stranger === undefined || stranger.admittedMs > 0) return;
    stranger.admittedMs = nowMs;
    this.changed.add(prefix);
    if (stranger.named?.domain !== undefined) this.letInDomain(stranger.named.domain, nowMs);
  }

  /** Somebody of a domain has tried the fake MX, with the right to send for it. */
  letInDomain(domain: string, nowMs: number): void {
    const known = this.byDomain.get(domain);
    if (known === undefined) return;
    known.letInMs = nowMs;
    this.changed.add(domain);
  }

  /**
   * DNS has been asked about somebody.
   * @param named - undefined: it has no name, or DNS has not answered
   * @param isComplete - whether there is nothing more to ask
   */
  named(prefix: PrefixText, named: StrangerName | undefined, isComplete: boolean, nowMs: number): void {
    const stranger = this.open(prefix);
    if (stranger === undefined) return;
    const before = stranger.named;
    if (isComplete) stranger.askedMs = nowMs;
    if (named === undefined) return;
    // what a complete answer has said of SPF is not forgotten for one that has not asked
    const spf = named.spf ?? (before?.domain === named.domain ? before?.spf : undefined);
    stranger.named = { ...named, spf };
    this.changed.add(prefix);
    if (named.domain === undefined || before?.domain === named.domain) return;
    const domain = this.domainOf(named.domain, stranger.firstMs);
    domain.count += stranger.count;
    domain.addresses++;
    domain.firstMs = Math.min(domain.firstMs, stranger.firstMs);
    domain.lastMs = Math.max(domain.lastMs, stranger.lastMs);
    domain.letInMs = Math.max(domain.letInMs, stranger.letInMs, stranger.admittedMs);
    this.touchDomain(domain);
  }

  /** Takes in what an earlier run has left; the oldest should come first. */
  restore(stranger: Stranger): void {
    this.place({ ...stranger });
    this.changed.delete(stranger.prefix);
  }

  restoreDomain(domain: StrangerDomain): void {
    this.touchDomain({ ...domain });
    this.changed.delete(domain.domain);
  }

  /**
   * Takes what has changed since it was last taken.
   * @param most - how many at the most
   * @param isAll - also those who came only once so far: bots, mostly, and many
   */
  takeChanges(most: number, isAll: boolean): (Stranger | StrangerDomain)[] {
    const taken: (Stranger | StrangerDomain)[] = [];
    for (const key of this.changed) {
      if (taken.length >= most) break;
      if (!isAll && this.fresh.has(key as PrefixText)) continue;
      this.changed.delete(key);
      const one = this.open(key as PrefixText) ?? this.byDomain.get(key);
      if (one !== undefined) taken.push(one);
    }
    return taken;
  }

  private open(prefix: PrefixText): Open<Stranger> | undefined {
    return this.returned.get(prefix) ?? this.fresh.get(prefix);
  }

  /** Puts it at the end of those of its kind, whoever has been there longest goes. */
  private place(stranger: Open<Stranger>): void {
    const { prefix } = stranger;
    this.fresh.delete(prefix);
    this.returned.delete(prefix);
    const [map, most] =
      stranger.returns > 0 ? [this.returned, MOST_RETURNED] : ([this.fresh, MOST_NEW] as const);
    map.set(prefix, stranger);
    this.changed.add(prefix);
    if (map.size > most) this.forgetOldest(map);
  }

  private countInDomain(name: string | undefined, nowMs: number): void {
    if (name === undefined) return;
    const domain = this.domainOf(name, nowMs);
    domain.count++;
    domain.lastMs = nowMs;
    // it was forgotten, and whoever came was of it before
    if (domain.addresses === 0) domain.addresses = 1;
    this.touchDomain(domain);
  }

  private domainOf(domain: string, nowMs: number): Open<StrangerDomain> {
    return (
      this.byDomain.get(domain) ?? {
        domain,
        count: 0,
        addresses: 0,
        firstMs: nowMs,
        lastMs: nowMs,
        letInMs: 0,
      }
    );
  }

  private touchDomain(domain: Open<StrangerDomain>): void {
    this.byDomain.delete(domain.domain);
    this.byDomain.set(domain.domain, domain);
    this.changed.add(domain.domain);
    if (this.byDomain.size > MOST_DOMAINS) this.forgetOldest(this.byDomain);
  }

  private forgetOldest(map: Map<string, unknown>): void {
    const [oldest] = map.keys();
    if (oldest === undefined) return;
    map.delete(oldest);
    this.changed.delete(oldest);
  }
}

/** Whether somebody is still kept out, as far as is known: it has not got in since, nor would its next SYN. */
export function isKeptOut(stranger: Stranger, domain: StrangerDomain | undefined): boolean {
  const { letInMs, admittedMs, lastMs, named } = stranger;
  if (letInMs > 0 || admittedMs > 0) return false;
  // its pool has been let in since
  return !(named?.spf === 'pass' && domain !== undefined && domain.letInMs >= lastMs);
}

function makeStranger(prefix: PrefixText, nowMs: number): Open<Stranger> {
  return {
    prefix,
    address: prefix,
    count: 0,
    passed: 0,
    redirected: 0,
    returns: 0,
    firstMs: nowMs,
    lastMs: nowMs,
    letInMs: 0,
    admittedMs: 0,
    askedMs: 0,
    named: undefined,
  };
}

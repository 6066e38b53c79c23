// DNS allow lists as dnswl.org has them: what is asked, and what the answer means. Pure.
import { type Address, familyOf, parseAddress } from '../packet/address.js';
import { reverseName } from './name.js';
import type { Lookup } from './resolver.js';

/** What a list says of an address. */
export type ListAnswer =
  | { readonly kind: 'listed'; readonly trust: number }
  | { readonly kind: 'not-listed' }
  /** no answer, now */
  | { readonly kind: 'failed'; readonly code: string }
  /** none that such a list gives: nothing that it says may be believed */
  | { readonly kind: 'wrong'; readonly record: string };

/** The name that is asked for an A record: the address backwards, in the zone (RFC 5782 section 2). */
export function listName(address: Address, zone: string): string {
  const suffix = familyOf(address) === 4 ? '.in-addr.arpa' : '.ip6.arpa';
  return `${reverseName(address).slice(0, -suffix.length)}.${zone}`;
}

/** An address that no list may have: a resolver that rewrites answers, or a list of everybody, has it. */
export const NEVER_LISTED = parseAddress('127.0.0.1') as Address;

/**
 * Reads an answer. Only 127.0.x.y is one, x the kind of sender (1 and more: 0 is what block lists answer, and 127.0.0.255
 * "query limit reached"), y the trust from 0 (none) to 3.
 */
export function readListAnswer({ status, records, code }: Lookup): ListAnswer {
  if (status === 'none') return { kind: 'not-listed' };
  if (status !== 'found') return { kind: 'failed', code };
  const trusts = records.map((record) => {
    const [, kind, trust] = /^127\.0\.(\d{1,3})\.([0-3])$/.exec(record) ?? [];
    return kind === undefined || kind === '0' ? undefined : Number(trust);
  });
  const wrong = trusts.indexOf(undefined);
  if (wrong >= 0) return { kind: 'wrong', record: records[wrong] ?? '' };
  return { kind: 'listed', trust: Math.max(...trusts.map(Number)) };
}

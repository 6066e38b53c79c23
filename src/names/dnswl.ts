// DNS allow lists as dnswl.org has them: what is asked, and what the answer means. Pure.
import { type Address, familyOf, formatAddress, parseAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
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

/** An address that no list may have (RFC 5782 section 5): a resolver that rewrites answers, or a list of everybody, has it. */
export const NEVER_LISTED = parseAddress('127.0.0.1') as Address;

/** An address that each list must have (RFC 5782 section 5). */
export const ALWAYS_LISTED = parseAddress('127.0.0.2') as Address;

/** What dnswl.org answers when too much was asked. */
const LIMIT_REACHED = '127.0.0.255';

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

/**
 * Why a list may not be believed any more.
 * @param answer - what it says of `address`
 * @returns undefined when it says nothing that would make it unbelievable; for people, without final dot
 */
export function distrustReason(address: Address, answer: ListAnswer): string | undefined {
  const whom = formatAddress(address);
  if (answer.kind === 'wrong') {
    const record = escapeText(answer.record, 40);
    const meaning =
      answer.record === LIMIT_REACHED ? 'too much was asked of it' : 'no allow list has such an answer';
    return `it answers ${record} about ${whom}: ${meaning}`;
  }
  if (answer.kind !== 'listed' || address !== NEVER_LISTED) return undefined;
  return `it lists ${whom}, so perhaps everybody: a resolver rewrites answers, or too much was asked`;
}

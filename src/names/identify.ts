// Who an address says it is, and whether its domain's SPF record agrees.
import type { Address } from '../packet/address.js';
import { encodesAddress, type HostName } from './name.js';
import { checkSpf, registrableDomain, type SpfResult } from './pool.js';
import { isPublic, reverse, type ReverseAnswer } from './rdns.js';
import type { BoundedResolver } from './resolver.js';

/** What DNS tells of somebody who was refused. */
export interface Identity {
  /** its name, one that points back if there is one; undefined: it has none, or DNS has not answered */
  readonly name: HostName | undefined;
  /** whether the name points back to it */
  readonly isConfirmed: boolean;
  /** the registrable domain of a confirmed name that does not merely encode the address */
  readonly domain: string | undefined;
  /** what that domain's SPF record says about the address */
  readonly spf: SpfResult | undefined;
  /** DNS has not answered: asked again, it may say more */
  readonly isFailure: boolean;
}

/** Nothing is known. */
export const NOBODY: Identity = {
  name: undefined,
  isConfirmed: false,
  domain: undefined,
  spf: undefined,
  isFailure: false,
};

/** Asks DNS who an address is. Nothing is asked about an address that is not the Internet's. */
export async function identify(resolver: BoundedResolver, address: Address): Promise<Identity> {
  return isPublic(address) ? identifyBy(resolver, address, await reverse(resolver, address)) : NOBODY;
}

/**
 * The same when its names are known already.
 * @param resolver - undefined: what the SPF record says is not asked
 */
export async function identifyBy(
  resolver: BoundedResolver | undefined,
  address: Address,
  answer: ReverseAnswer,
): Promise<Identity> {
  const isFailure = answer.status === 'failed' || answer.status === 'dropped';
  const confirmed = answer.names.filter((name) => name.confirmed).map(({ name }) => name);
  const telling = confirmed.find((name) => !encodesAddress(name, address));
  const name = telling ?? confirmed[0] ?? answer.names[0]?.name;
  const isConfirmed = confirmed.length > 0;
  const domain = telling === undefined ? undefined : await registrableDomain(telling);
  const isAsked = domain !== undefined && resolver !== undefined;
  const spf = isAsked ? await checkSpf(resolver, domain, address) : undefined;
  return { name, isConfirmed, domain, spf, isFailure };
}

// Which networks may be let in because DNS names them: the bounds of allow-domain. Pure.
import {
  type Address,
  ADDRESS_BITS,
  type Family,
  familyOf,
  formatAddress,
  formatPrefix,
  overlaps,
  parsePrefix,
  type Prefix,
  type PrefixText,
} from '../packet/address.js';

/**
 * How much may be let in. Whoever controls a domain's records, or the DNS server that is asked, or has taken the engine
 * over, can let in no more by that.
 */
export const NETWORK_BOUNDS = {
  /** shortest prefixes */
  widest: { 4: 14, 6: 32 } satisfies Record<Family, number>,
  /** networks of a domain */
  ofDomain: 300,
  /** networks of all domains together */
  networks: 2000,
  /** IPv4 addresses in them: half a percent of all that can be had */
  ipv4Addresses: 2 ** 23,
} as const;

/** Networks that nobody on the Internet sends from (RFC 6890, RFC 4193, RFC 6598), with what they are. */
const NEVER: readonly (readonly [Prefix, string])[] = (
  [
    ['0.0.0.0/8', 'unspecified'],
    ['10.0.0.0/8', 'private'],
    ['100.64.0.0/10', "a carrier's own"],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['172.16.0.0/12', 'private'],
    ['192.168.0.0/16', 'private'],
    ['224.0.0.0/3', 'multicast or reserved'],
  ] as const
).flatMap(([text, what]) => {
  const parsed = parsePrefix(text);
  return parsed.ok ? [[parsed.prefix, what] as const] : [];
});

/** A network that is not let in, and why. */
export interface RefusedNetwork {
  readonly network: PrefixText;
  /** for people: "it is private, ..." */
  readonly why: string;
}

/** What is ours, with what it is: `our MX 192.0.2.3`, `the network of em0`. */
export type Own = readonly (readonly [Prefix, string])[];

/**
 * What is ours.
 * @param interfaces - the networks of this machine's interfaces
 */
export function ownNetworks(
  servers: { readonly fakeMailserver: readonly Address[]; readonly realMailserver: readonly Address[] },
  interfaces: Own,
): Own {
  const all = [...servers.fakeMailserver, ...servers.realMailserver];
  const mx = all.map((address) => {
    const single = { address, length: ADDRESS_BITS[familyOf(address)] };
    return [single, `our MX ${formatAddress(address)}`] as const;
  });
  return [...mx, ...interfaces];
}

/**
 * Why a network is never let in, however many there are: it is too wide, not one of the Internet's, or ours.
 * @returns words that follow "it is" or "it has"; undefined: it may be
 */
export function whyNever(network: Prefix, own: Own): string | undefined {
  const family = familyOf(network.address);
  const widest = NETWORK_BOUNDS.widest[family];
  const never = NEVER.find(([range]) => overlaps(range, network));
  if (never !== undefined) return `it is ${never[1]}, or has such addresses`;
  if (network.length < widest) return `it is wider than /${widest}`;
  // 2000::/3 is all that has been given out (RFC 4291 section 2.4)
  if (family === 6 && !isGlobal(network)) return 'it is not of 2000::/3';
  const ours = own.find(([mine]) => overlaps(mine, network));
  return ours && `it has addresses of ${ours[1]}`;
}

function isGlobal({ address }: Prefix): boolean {
  return typeof address === 'string' && address.charCodeAt(0) >>> 5 === 1;
}

/**
 * Which networks of one domain may be let in, seen alone.
 * @param own - see {@link ownNetworks}
 */
export function withinBounds(
  networks: readonly Prefix[],
  own: Own,
): { readonly admitted: readonly PrefixText[]; readonly refused: readonly RefusedNetwork[] } {
  const admitted: PrefixText[] = [];
  const refused: RefusedNetwork[] = [];
  const most = NETWORK_BOUNDS.ofDomain;
  for (const one of networks) {
    const network = formatPrefix(one);
    const full = admitted.length >= most ? `the domain has ${most} networks already` : undefined;
    const why = whyNever(one, own) ?? full;
    if (why === undefined) admitted.push(network);
    else refused.push({ network, why });
  }
  return { admitted, refused };
}

/** Adds up what is let in, and says when it is enough. A network that is there already costs nothing. */
export class NetworkBudget {
  private readonly taken = new Set<PrefixText>();
  private addresses = 0;

  /** @param most - networks; never more than all domains may have together */
  constructor(private readonly most: number = NETWORK_BOUNDS.networks) {}

  get size(): number {
    return this.taken.size;
  }

  has(network: PrefixText): boolean {
    return this.taken.has(network);
  }

  /** Takes one more in. @returns why there is no room for it */
  take(network: Prefix, text: PrefixText = formatPrefix(network)): string | undefined {
    if (this.taken.has(text)) return undefined;
    const most = Math.min(this.most, NETWORK_BOUNDS.networks);
    if (this.taken.size >= most) return `there are ${most} networks already`;
    const addresses = this.addresses + addressesIn(network);
    if (addresses > NETWORK_BOUNDS.ipv4Addresses) {
      return `with it there would be more than ${NETWORK_BOUNDS.ipv4Addresses} IPv4 addresses`;
    }
    this.taken.add(text);
    this.addresses = addresses;
    return undefined;
  }

  /** Has room again for what one took. */
  giveBack(network: Prefix, text: PrefixText = formatPrefix(network)): void {
    if (this.taken.delete(text)) this.addresses -= addressesIn(network);
  }
}

/** IPv4 addresses in a network; of IPv6 none is counted. */
function addressesIn({ address, length }: Prefix): number {
  return typeof address === 'number' ? 2 ** (ADDRESS_BITS[4] - length) : 0;
}

// What addresses are by the configuration: our mail servers, allowed at all times, and what is stored of a sender. Pure.
import {
  type Address,
  ADDRESS_BITS,
  addressWords,
  familyOf,
  isLasting,
  isPossibleSource,
  isTranslated,
  type Prefix,
  prefixOf,
  WIDEST_ENTRY,
} from '../packet/address.js';
import type { Observation } from '../packet/observation.js';
import { PrefixMap } from './prefix-map.js';
import type { HashKey } from './siphash.js';

/** The two kinds of mail server address. */
export type Role = 'fake' | 'real';

/** A network that is admitted at all times because a domain's SPF record names it. */
export interface DomainNetwork {
  readonly network: Prefix;
  readonly domain: string;
  /** how often somebody was admitted by it */
  admissions: number;
}

/** What the configuration says of addresses. */
export interface RolesConfig {
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  /** other addresses of this machine: none of them is a sender's */
  readonly own?: readonly Address[];
  /** admitted at all times */
  readonly allow: readonly Prefix[];
  /** likewise, by domains; absent: none */
  readonly domains?: readonly DomainNetwork[];
  /** length of the prefix that is stored for an IPv4 sender, 24 to 32 */
  readonly ipv4Prefix: number;
  /** length of the prefix that is stored for an IPv6 sender, 48 to 128 */
  readonly ipv6Prefix: number;
}

/** What addresses are. Made anew for each configuration. */
export class Roles {
  private readonly roles: PrefixMap<Role>;
  private readonly allowed: PrefixMap<DomainNetwork | Prefix>;
  private readonly own: ReadonlySet<Address>;

  constructor(
    private readonly config: RolesConfig,
    hashKey: HashKey,
  ) {
    this.roles = new PrefixMap(hashKey);
    for (const address of config.fake) this.roles.set(single(address), 'fake');
    for (const address of config.real) this.roles.set(single(address), 'real');
    this.own = new Set([...config.fake, ...config.real, ...(config.own ?? [])]);
    this.allowed = new PrefixMap(hashKey);
    for (const one of config.domains ?? []) this.allowed.set(one.network, one);
    for (const prefix of config.allow) this.allowed.set(prefix, prefix);
  }

  /** What an address is for us. */
  of(address: Address): Role | undefined {
    return this.roles.match(address);
  }

  ofDestination(observation: Observation): Role | undefined {
    const { family, destination0, destination1, destination2, destination3 } = observation;
    return this.roles.matchWords(family, destination0, destination1, destination2, destination3);
  }

  /** The network that admits an address at all times. */
  allowing(address: Address): Prefix | undefined {
    const one = this.allowed.match(address);
    return one !== undefined && 'domain' in one ? one.network : one;
  }

  /** The same if a domain's record names it; undefined: the configuration names it, or nothing does. */
  allowingDomain(address: Address): DomainNetwork | undefined {
    const one = this.allowed.match(address);
    return one !== undefined && 'domain' in one ? one : undefined;
  }

  allowsSource(observation: Observation): boolean {
    const { family, source0, source1, source2, source3 } = observation;
    return this.allowed.matchId(family, source0, source1, source2, source3) >= 0;
  }

  /** Whether an address is a mail server's of ours, or another one of this machine. */
  isOwn(address: Address): boolean {
    return this.own.has(address);
  }

  /** Whether somebody who comes from an address can have an entry: nobody with one of ours, or a link-local one. */
  canHaveEntry(address: Address): boolean {
    return this.canBeEntry(single(address));
  }

  /** Somebody was admitted at all times. */
  countAdmission({ family, source0, source1, source2, source3 }: Observation): void {
    const one = this.allowed.matchWords(family, source0, source1, source2, source3);
    if (one !== undefined && 'domain' in one) one.admissions++;
  }

  /** What is stored of a sender. */
  entryPrefix(address: Address): Prefix {
    const family = familyOf(address);
    if (isTranslated(address)) return { address, length: ADDRESS_BITS[family] };
    const configured = family === 4 ? this.config.ipv4Prefix : this.config.ipv6Prefix;
    return prefixOf(address, Math.min(configured, ADDRESS_BITS[family]));
  }

  /** Whether a prefix can be an entry: of {@link isEntrySized}, of addresses that can send, and of none of ours. */
  canBeEntry(prefix: Prefix): boolean {
    const { address, length } = prefix;
    const family = familyOf(address);
    if (!isEntrySized(prefix) || !isLasting(address)) return false;
    if (!isPossibleSource(family, ...addressWords(address))) return false;
    return length < ADDRESS_BITS[family] ? !isTranslated(address) : !this.isOwn(address);
  }
}

/**
 * Whether a prefix is no wider than any configuration stores. Not than this one does: what another configuration has
 * put into the table must expire, too.
 */
export function isEntrySized(prefix: Prefix): boolean {
  return prefix.length >= WIDEST_ENTRY[familyOf(prefix.address)];
}

function single(address: Address): Prefix {
  return { address, length: ADDRESS_BITS[familyOf(address)] };
}

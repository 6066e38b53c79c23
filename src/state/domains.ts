// The networks of domains as lines of a state file. Pure.
import type { KeptDomain, KeptNetwork } from '../names/domain-networks.js';
import { hostName } from '../names/name.js';
import { NETWORK_BOUNDS } from '../names/network-bounds.js';
import { familyOf, formatPrefix, parseCanonical, WIDEST_NETWORK } from '../packet/address.js';
import { whole } from './format.js';
import type { Words } from './words.js';

/*
 *   N                                           the list of domains begins anew,
 *   N example.com 1000 192.0.2.0/24 2001:db8::/32
 *            and has these networks: of a domain, those that DNS has named last at that time (monotonic milliseconds)
 *
 * Version 2.0.0 passes such lines over.
 */

/** A network of a domain, in times from the moment of loading. */
export interface LoadedNetwork extends Pick<KeptNetwork, 'network'> {
  readonly seenAgoMs: number;
}

/** The networks of a domain as they were found. */
export interface LoadedDomain {
  readonly domain: string;
  readonly networks: readonly LoadedNetwork[];
}

/** So many networks fit into a line, behind the longest name. */
const NETWORKS_OF_A_LINE = 16;
/** Networks that are read at the most: more than can be let in, for those that are not are kept, too. */
const MOST_READ = 10 * NETWORK_BOUNDS.networks;

/** The bodies of lines with the networks of all domains. */
export function domainBodies(domains: readonly KeptDomain[]): string[] {
  return ['N', ...domains.flatMap(({ domain, networks }) => bodiesOf(domain, networks))];
}

function bodiesOf(domain: string, networks: readonly KeptNetwork[]): string[] {
  const byTime = new Map<number, string[]>();
  for (const { network, seenMs } of networks) {
    const texts = byTime.get(seenMs) ?? [];
    byTime.set(seenMs, texts);
    texts.push(formatPrefix(network));
  }
  return [...byTime].flatMap(([seenMs, texts]) => {
    const bodies: string[] = [];
    for (let at = 0; at < texts.length; at += NETWORKS_OF_A_LINE) {
      bodies.push(`N ${domain} ${whole(seenMs)} ${texts.slice(at, at + NETWORKS_OF_A_LINE).join(' ')}`);
    }
    return bodies;
  });
}

/** The networks of domains as they are read. */
export class RecordedDomains {
  private readonly domains = new Map<string, KeptNetwork[]>();
  private count = 0;

  /** Takes the rest of a line that begins with N. @returns false when it makes no sense */
  take(words: Words): boolean {
    if (words.done) {
      this.domains.clear();
      this.count = 0;
      return true;
    }
    const domain = words.text();
    const seenMs = words.number();
    if (hostName(domain) !== domain || Number.isNaN(seenMs) || words.done) return false;
    const networks = this.domains.get(domain) ?? [];
    this.domains.set(domain, networks);
    while (!words.done) {
      const network = parseCanonical(words.text());
      if (network === undefined || network.length < WIDEST_NETWORK[familyOf(network.address)]) return false;
      if (this.count >= MOST_READ) continue;
      this.count++;
      networks.push({ network, seenMs });
    }
    return true;
  }

  /** @param nowMs - what time it is by the clock of the process that has written the file */
  list(nowMs: number): LoadedDomain[] {
    return [...this.domains].map(([domain, networks]) => ({
      domain,
      networks: networks.map(({ network, seenMs }) => ({ network, seenAgoMs: Math.max(0, nowMs - seenMs) })),
    }));
  }
}

// Whether an allowed domain's SPF record names an address, by DNS as it is now.
import type { Config } from '../../config/config.js';
import { hostName } from '../../names/name.js';
import { whyNever } from '../../names/network-bounds.js';
import { spfNetworks } from '../../names/spf-networks.js';
import { timedLookup, WireClient } from '../../names/wire.js';
import { type Address, ADDRESS_BITS, contains, familyOf, formatPrefix } from '../../packet/address.js';

const TRIES = 2;

/** What lets an address in at all times: `allow-domain example.com: 198.51.100.0/24`; undefined: no domain does. */
export async function allowedByDomain(
  { allowDomain, dnsServer, dnsTimeout }: Config,
  address: Address,
): Promise<string | undefined> {
  if (allowDomain.length === 0) return undefined;
  const client = new WireClient({ servers: dnsServer, timeoutMs: dnsTimeout * 1000, tries: TRIES });
  const single = { address, length: ADDRESS_BITS[familyOf(address)] };
  try {
    const found = await Promise.all(
      allowDomain.map(async (domain) => {
        const name = hostName(domain);
        if (name === undefined) return undefined;
        const result = await spfNetworks((type, asked) => timedLookup(client, type, asked), name);
        const networks = result.kind === 'none' ? [] : result.networks;
        const network = networks.find((one) => contains(one, single) && whyNever(one, []) === undefined);
        return network && `allow-domain ${domain}: ${formatPrefix(network)}`;
      }),
    );
    return found.find((text) => text !== undefined);
  } finally {
    client.close();
  }
}

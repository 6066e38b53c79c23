// The networks that this machine's interfaces are in.
import { networkInterfaces } from 'node:os';
import type { Own } from '../names/network-bounds.js';
import { parseAddress, prefixOf } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';

/** The networks that this machine's interfaces are in, with the interface's name. */
export function interfaceNetworks(): Own {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).flatMap(({ address: text, cidr }) => {
      const address = parseAddress(text);
      const length = Number(cidr?.split('/')[1] ?? NaN);
      if (address === undefined || !Number.isInteger(length)) return [];
      return [[prefixOf(address, length), `the network of ${escapeText(name, 30)}`] as const];
    }),
  );
}

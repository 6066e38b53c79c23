// The addresses of this machine.
import { networkInterfaces } from 'node:os';
import { type Address, parseAddress } from '../packet/address.js';

/** All addresses of all interfaces, as they are now; none where they cannot be had. */
export function ownAddresses(): Address[] {
  try {
    return Object.values(networkInterfaces())
      .flatMap((all) => (all ?? []).map(({ address }) => parseAddress(address)))
      .filter((address): address is Address => address !== undefined);
  } catch {
    return [];
  }
}

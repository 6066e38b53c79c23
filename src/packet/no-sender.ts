// Networks that mail never comes from. Pure.
import { type Address, contains, parsePrefix, type Prefix } from './address.js';

/** By RFC 6890 and RFC 4291, the narrowest first; link-local addresses mean nothing without their interface. */
const NETWORKS = [
  ['0.0.0.0/8', 'unspecified'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::/96', 'IPv4-compatible'],
  ['::ffff:0:0/96', 'IPv4-mapped'],
  ['::/64', 'reserved'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
] as const;

const RANGES: readonly (readonly [Prefix, string])[] = NETWORKS.flatMap(([text, what]) => {
  const parsed = parsePrefix(text);
  return parsed.ok ? [[parsed.prefix, what] as const] : [];
});

/** Why mail cannot come from a network that begins with this address, in a word; undefined: it can. */
export function whyNoSender(address: Address): string | undefined {
  const single = { address, length: typeof address === 'number' ? 32 : 128 };
  return RANGES.find(([range]) => contains(range, single))?.[1];
}

// Whether a rule is about a SYN. Pure.
import { type Address, addressWords, familyOf, type Prefix, prefixOf } from '../packet/address.js';
import { both, type Interfaces, type Match, matchInterface, not } from './interfaces.js';
import type { Criteria, Endpoint, PortCondition, RuleAddress } from './rule.js';

/** A packet: of somebody in the Internet who comes in, unless it says otherwise. */
export interface Packet {
  /** a whole SYN, or a SYN cut into fragments, which has no port and no flags for the rules */
  readonly kind: 'syn' | 'fragment';
  readonly destination: Address;
  readonly port: number;
  /** whether its source is in our table */
  readonly listed: boolean;
  readonly direction?: 'in' | 'out';
  /** of this machine itself; `from`: its source, undefined where that is not known */
  readonly own?: { readonly from: Address | undefined };
}

/** What else decides if a rule matches. */
export interface Scene {
  /** name of our table */
  readonly table: string;
  /** interface or group that packets come in by; undefined: not known */
  readonly arrival: string | undefined;
  readonly interfaces: Interfaces | undefined;
  /** undefined: neither of the two, or not known */
  readonly os?: 'openbsd' | 'freebsd' | undefined;
}

/** A network of so few bits may well have any stranger in it. */
const WIDE = 3;

/** Service names that may stand for a port in a rule (services(5)). */
const SERVICES: Readonly<Record<string, readonly number[]>> = {
  ftp: [21],
  ssh: [22],
  telnet: [23],
  smtp: [25],
  mail: [25],
  domain: [53],
  http: [80],
  www: [80],
  pop3: [110],
  ntp: [123],
  imap: [143],
  https: [443],
  smtps: [465],
  submissions: [465],
  submission: [587],
  imaps: [993],
  pop3s: [995],
  spamd: [8025],
};

/** Whether a rule's conditions hold for an inbound packet, as far as that can be known. */
export function matchCriteria(criteria: Criteria, packet: Packet, scene: Scene): Match {
  const { direction, on, family, proto, from, to, doubts } = criteria;
  if ((direction ?? packet.direction ?? 'in') !== (packet.direction ?? 'in') || criteria.icmp) return 'no';
  if (family !== undefined && family !== familyOf(packet.destination)) return 'no';
  if (proto !== undefined && proto !== 'tcp' && proto !== '6') return 'no';
  let match: Match = doubts.length > 0 ? 'maybe' : 'yes';
  if (on !== undefined) {
    const isOn = matchInterface(on.name, scene.arrival, scene.interfaces);
    match = both(match, on.negated ? not(isOn) : isOn);
  }
  match = both(match, matchParts(criteria, packet));
  match = both(match, negatable(from, matchSource(from.address, packet, scene)));
  return both(match, negatable(to, matchDestination(to.address, packet.destination, scene)));
}

function negatable({ negated }: Endpoint, match: Match): Match {
  return negated ? not(match) : match;
}

/** Ports and flags, which a fragment does not have. */
function matchParts({ from, to, flags, fragment }: Criteria, packet: Packet): Match {
  if (packet.kind === 'fragment') {
    if (from.port !== undefined || to.port !== undefined) return 'no';
    return flags === undefined ? 'yes' : 'maybe';
  }
  if (fragment) return 'no';
  const port = to.port === undefined ? 'yes' : matchPort(to.port, packet.port);
  // where a sender's port lies is its own affair
  const source = from.port === undefined ? 'yes' : 'maybe';
  return both(both(port, source), flags === undefined ? 'yes' : matchFlags(flags));
}

/** A SYN has S, and may have E and W (ECN, RFC 3168). */
function matchFlags({ set, of }: { readonly set: string; readonly of: string }): Match {
  const looked = [...of];
  if (looked.some((flag) => !'SEW'.includes(flag) && set.includes(flag))) return 'no';
  if (looked.includes('S') !== set.includes('S')) return 'no';
  return looked.some((flag) => 'EW'.includes(flag)) ? 'maybe' : 'yes';
}

/** Whether a port fulfils a condition; a service name that is not known is in doubt. */
export function matchPort({ operator, values }: PortCondition, port: number): Match {
  const [first = '', second = ''] = values;
  if (operator === '=' || operator === '!=') {
    const numbers = /^\d+$/.test(first)
      ? [Number(first)]
      : Object.hasOwn(SERVICES, first)
        ? SERVICES[first]
        : undefined;
    const isEqual: Match = numbers === undefined ? 'maybe' : numbers.includes(port) ? 'yes' : 'no';
    return operator === '=' ? isEqual : not(isEqual);
  }
  const [low, high] = [Number(first), Number(second)];
  const holds: Record<typeof operator, boolean> = {
    '<': port < low,
    '<=': port <= low,
    '>': port > low,
    '>=': port >= low,
    ':': low <= port && port <= high,
    '><': low < port && port < high,
    '<>': port < low || port > high,
  };
  return holds[operator] ? 'yes' : 'no';
}

/** A stranger from anywhere: in no table but perhaps ours, in no network that somebody wrote down. */
function matchSource(address: RuleAddress, packet: Packet, scene: Scene): Match {
  if (packet.own !== undefined) return matchOwnSource(address, packet.own.from, scene);
  switch (address.kind) {
    case 'any':
      return 'yes';
    case 'table':
      return address.name === scene.table && packet.listed ? 'yes' : 'no';
    case 'prefix':
      if (familyOf(address.prefix.address) !== familyOf(packet.destination)) return 'no';
      return address.prefix.length === 0 ? 'yes' : address.prefix.length <= WIDE ? 'maybe' : 'no';
    case 'range':
    case 'interface':
    case 'nobody':
      return 'no';
    case 'unknown':
      return 'maybe';
  }
}

/** A source that is known, or one of the machine's addresses. */
function matchOwnSource(address: RuleAddress, from: Address | undefined, scene: Scene): Match {
  if (address.kind === 'any') return 'yes';
  if (address.kind === 'table') return address.name === scene.table ? 'no' : 'maybe';
  return from === undefined ? 'maybe' : matchDestination(address, from, scene);
}

function matchDestination(address: RuleAddress, destination: Address, scene: Scene): Match {
  switch (address.kind) {
    case 'any':
      return 'yes';
    case 'prefix':
      return isWithin(destination, address.prefix) ? 'yes' : 'no';
    case 'range':
      return isBetween(destination, address.first.address, address.last.address) ? 'yes' : 'no';
    case 'interface':
      return matchInterfaceAddress(address.text, destination, scene.interfaces);
    case 'nobody':
      return 'no';
    // a table may have our address in it
    case 'table':
    case 'unknown':
      return 'maybe';
  }
}

function isWithin(address: Address, { address: network, length }: Prefix): boolean {
  return familyOf(address) === familyOf(network) && prefixOf(address, length).address === network;
}

function isBetween(address: Address, first: Address, last: Address): boolean {
  const family = familyOf(first);
  if (familyOf(address) !== family || familyOf(last) !== family) return false;
  const key = (of: Address): string =>
    addressWords(of)
      .map((word) => hex(word))
      .join('');
  return key(first) <= key(address) && key(address) <= key(last);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** `(em0)` is all addresses of em0; `(em0:0)`, `(em0:network)` and the like are left in doubt. */
function matchInterfaceAddress(text: string, destination: Address, known: Interfaces | undefined): Match {
  const name = /^\(([^():/]+)\)$/.exec(text)?.[1];
  const addresses = name === undefined ? undefined : known?.get(name)?.addresses;
  if (addresses === undefined) return 'maybe';
  return addresses.includes(destination) ? 'yes' : 'no';
}

/** Whether a rule names a destination on purpose: an address, network or port of its own, not just anybody's. */
export function namesDestination({ to }: Criteria): boolean {
  return to.address.kind !== 'any' || to.port !== undefined;
}

// What rules say of interfaces. Pure.
import type { Address } from '../packet/address.js';

/** What is known of a network interface. */
export interface InterfaceFacts {
  /** as `egress`; the driver's name (`em` of `em0`) need not be among them */
  readonly groups: readonly string[];
  readonly addresses: readonly Address[];
}

/** All interfaces of the machine by name. */
export type Interfaces = ReadonlyMap<string, InterfaceFacts>;

/** Whether something holds, as far as we can know. */
export type Match = 'yes' | 'no' | 'maybe';

/** Both must hold. */
export function both(a: Match, b: Match): Match {
  if (a === 'no' || b === 'no') return 'no';
  return a === 'yes' && b === 'yes' ? 'yes' : 'maybe';
}

/** The opposite. */
export function not(match: Match): Match {
  return match === 'maybe' ? 'maybe' : match === 'yes' ? 'no' : 'yes';
}

/**
 * Whether a packet that came in by one interface matches `on NAME`.
 * @param name - of an interface or a group, from the rule
 * @param arrival - interface or group that the packet came in by; undefined: not known, but not the loopback
 * @param known - undefined: nothing is known of the machine's interfaces
 */
export function matchInterface(
  name: string,
  arrival: string | undefined,
  known: Interfaces | undefined,
): Match {
  if (name === 'any' || name === 'all' || name === arrival) return 'yes';
  if (isLoopback(arrival ?? '')) return isLoopback(name) ? 'yes' : 'no';
  if (isLoopback(name)) return 'no';
  if (arrival === undefined) return 'maybe';
  if (isInterface(arrival, known)) {
    if (isInterface(name, known)) return 'no';
    if (name === arrival.replace(/\d+$/, '')) return 'yes';
    const groups = known?.get(arrival)?.groups;
    return groups === undefined ? 'maybe' : groups.includes(name) ? 'yes' : 'no';
  }
  const groups = isInterface(name, known) ? known?.get(name)?.groups : undefined;
  return groups?.includes(arrival) === false ? 'no' : 'maybe';
}

function isLoopback(name: string): boolean {
  return /^lo\d*$/.test(name);
}

/** Names of interfaces end in a digit, those of groups do not (ifconfig(8)); FreeBSD lets interfaces be renamed. */
function isInterface(name: string, known: Interfaces | undefined): boolean {
  return known?.has(name) === true || /\d$/.test(name);
}

/** The interfaces that a name in a rule stands for; the name itself when nothing is known of it. */
export function expandInterface(name: string, known: Interfaces | undefined): string[] {
  if (known === undefined || known.has(name)) return [name];
  const members = [...known].filter(([member, { groups }]) => {
    return groups.includes(name) || member.replace(/\d+$/, '') === name;
  });
  return members.length === 0 ? [name] : members.map(([member]) => member);
}

/** Whether a machine whose interfaces are known has no interface and no group of this name. */
export function isMissing(name: string, known: Interfaces | undefined): boolean {
  if (known === undefined || name === 'any' || name === 'all' || known.has(name)) return false;
  return expandInterface(name, known)[0] === name;
}

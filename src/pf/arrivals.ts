// The SYNs that rules are asked about. Pure.
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { flatten } from './evaluate.js';
import { type Finding, finding } from './finding.js';
import { expandInterface, type Interfaces, isMissing } from './interfaces.js';
import { matchCriteria, namesDestination } from './match.js';
import type { PfRule } from './rule.js';

/** Where mail comes in, as far as that can be known. */
export interface Arrivals {
  /** interfaces or groups; undefined: not known. Never empty. */
  readonly names: readonly (string | undefined)[];
  readonly findings: readonly Finding[];
}

/** Interfaces that stand for another one, or for none: what pf sees there is not what comes in. */
const VIRTUAL = /^(?:lo|carp|bridge|veb|vether|tap|epair|pflog|pfsync|enc)\d*$/;

/**
 * Finds out by which interfaces mail for some addresses comes in: those that the rules about them name. Says so when
 * the machine has none of that name, or has the address elsewhere.
 */
export function findArrivals(
  rules: readonly PfRule[],
  addresses: readonly Address[],
  port: number,
  known: Interfaces | undefined,
): Arrivals {
  const named = namedInterfaces(rules, addresses, port);
  const missing = named.filter((name) => isMissing(name, known));
  const there = named.filter((name) => !missing.includes(name));
  const names = [...new Set(there.flatMap((name) => expandInterface(name, known)))];
  const owners = ownersOf(addresses, known);
  const findings = [
    ...missing.map((name) =>
      finding(
        'error',
        'rules-interface',
        `the rules for the mail servers are for interface ${escapeText(name, 20)}, which is not there`,
        owners.size === 0 ? '' : `the addresses are on ${[...owners.keys()].join(', ')}`,
      ),
    ),
    ...(names.length === 0 ? [] : elsewhere(owners, names)),
  ];
  if (names.length > 0) return { names, findings };
  return { names: owners.size > 0 ? [...owners.keys()] : [undefined], findings };
}

function namedInterfaces(rules: readonly PfRule[], addresses: readonly Address[], port: number): string[] {
  const names = flatten(rules).flatMap((rule) => {
    if (rule.kind === 'unknown' || rule.kind === 'scrub') return [];
    const { criteria } = rule;
    const { on } = criteria;
    if (on === undefined || on.negated || /^lo\d*$/.test(on.name) || !namesDestination(criteria)) return [];
    const anywhere = { ...criteria, on: undefined, from: { ...criteria.from, negated: false } };
    const isAbout = addresses.some((destination) => {
      const packet = { kind: 'syn', destination, port, listed: true } as const;
      const scene = { table: tableOf(rule), arrival: undefined, interfaces: undefined };
      return matchCriteria(anywhere, packet, scene) !== 'no';
    });
    return isAbout ? [on.name] : [];
  });
  return [...new Set(names)];
}

/** Whichever table a rule names, it is about our addresses. */
function tableOf(rule: Exclude<PfRule, { kind: 'unknown' }>): string {
  const { address } = rule.criteria.from;
  return address.kind === 'table' ? address.name : '';
}

function ownersOf(addresses: readonly Address[], all: Interfaces | undefined): Map<string, Address[]> {
  const owners = new Map<string, Address[]>();
  for (const [name, facts] of all ?? []) {
    const own = addresses.filter((address) => facts.addresses.includes(address));
    if (own.length > 0 && !VIRTUAL.test(name)) owners.set(name, own);
  }
  return owners;
}

function elsewhere(owners: ReadonlyMap<string, Address[]>, names: readonly string[]): Finding[] {
  return [...owners]
    .filter(([owner]) => !names.includes(owner))
    .map(([owner, addresses]) =>
      finding(
        'warning',
        'rules-interface',
        `the rules are for ${names.map((name) => escapeText(name, 20)).join(', ')}, but ${owner} has ` +
          addresses.map(formatAddress).join(', '),
        `right only if mail comes in by ${names.map((name) => escapeText(name, 20)).join(', ')}`,
      ),
    );
}

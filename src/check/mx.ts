// MX records judged against the configuration. Pure.
import { type Address, familyOf, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding, type Severity } from '../pf/finding.js';

/** One MX record of a domain, and what its host name leads to. */
export interface MxHost {
  /** lower is tried first (RFC 5321 section 5.1) */
  readonly preference: number;
  /** without final dot; empty: the "null MX" of RFC 7505 */
  readonly name: string;
  readonly addresses: readonly Address[];
  /** the name that it is an alias of, if so */
  readonly alias: string | undefined;
  /** whether DNS did not answer about its addresses */
  readonly failed: boolean;
}

/** Whose addresses are whose. */
export interface MxSetup {
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
}

/** Whose addresses an MX host has; `empty`: it has none. */
export type Role = 'fake' | 'real' | 'both' | 'other' | 'empty';

/** An MX host, and whose addresses it has. */
export interface Judged {
  readonly host: MxHost;
  readonly role: Role;
}

const ROLES: Readonly<Record<Role, string>> = {
  fake: 'fake',
  real: 'real',
  both: 'fake and real',
  other: 'neither',
  empty: 'no address',
};

/**
 * Judges the MX records of a domain: the fake MX must come first, the real one after it, nothing around them.
 * @param hosts - all of its MX records
 */
export function judgeMx(domain: string, hosts: readonly MxHost[], setup: MxSetup): Finding[] {
  const say = (severity: Severity, id: string, text: string, advice = ''): Finding =>
    finding(severity, id, `DNS of ${escapeText(domain, 100)}: ${text}`, advice);
  if (hosts.length === 0) {
    return [
      say('error', 'mx-none', 'there are no MX records', 'publish both, the fake one with the lower number'),
    ];
  }
  if (hosts.some(({ name }) => name === '')) {
    return [say('error', 'mx-null', 'it has a null MX (RFC 7505): it takes no mail')];
  }
  const judged = rolesOf(hosts, setup);
  const problems = [...judgeHosts(judged), ...judgeOrder(judged), ...judgeAddresses(judged, setup)].map(
    ({ severity, id, text, advice }) => say(severity, id, text, advice),
  );
  const shown = judged.map((one) => `${one.host.preference} ${nameWithRole(one)}`);
  return [say(problems.length === 0 ? 'ok' : 'note', 'mx', shown.join(', ')), ...problems];
}

/** The hosts in the order in which senders try them, each with its role. */
export function rolesOf(hosts: readonly MxHost[], setup: MxSetup): Judged[] {
  return [...hosts]
    .sort((a, b) => a.preference - b.preference)
    .map((host) => ({ host, role: roleOf(host, setup) }));
}

/** `mx1.example.org (fake)`, safe to print. */
export function nameWithRole({ host, role }: Judged): string {
  return `${nameOf(host)} (${ROLES[role]})`;
}

interface Problem {
  readonly severity: Severity;
  readonly id: string;
  readonly text: string;
  readonly advice?: string;
}

function roleOf({ addresses }: MxHost, { fake, real }: MxSetup): Role {
  if (addresses.length === 0) return 'empty';
  const isFake = addresses.some((address) => fake.includes(address));
  const isReal = addresses.some((address) => real.includes(address));
  return isFake && isReal ? 'both' : isFake ? 'fake' : isReal ? 'real' : 'other';
}

function nameOf({ name }: MxHost): string {
  return escapeText(name, 100);
}

function judgeHosts(judged: readonly Judged[]): Problem[] {
  return judged.flatMap(({ host, role }) => {
    const problems: Problem[] = [];
    const name = nameOf(host);
    if (host.alias !== undefined) {
      problems.push({
        severity: 'warning',
        id: 'mx-alias',
        text: `${name} is an alias of ${escapeText(host.alias, 100)}: an MX must not be (RFC 2181 section 10.3)`,
        advice: 'give it A and AAAA records of its own',
      });
    }
    if (role === 'both') {
      problems.push({
        severity: 'error',
        id: 'mx-both',
        text: `${name} has addresses of the fake MX and of the real one`,
        advice: 'two names, one for each',
      });
    }
    if (role === 'other') {
      problems.push({
        severity: 'warning',
        id: 'mx-around',
        text: `${name} (${host.addresses.map(formatAddress).join(', ')}) is neither fake nor real: a way around`,
        advice: 'take it out, or guard it likewise and name it in mxallowd.conf (real-mailserver)',
      });
    }
    if (role === 'empty') {
      problems.push({
        severity: 'warning',
        id: 'mx-empty',
        text: host.failed ? `DNS does not answer about ${name}` : `${name} has no address`,
      });
    }
    return problems;
  });
}

function judgeOrder(judged: readonly Judged[]): Problem[] {
  const fakes = judged.filter(({ role }) => role === 'fake');
  const reals = judged.filter(({ role }) => role === 'real');
  const problems: Problem[] = [];
  const [first] = fakes;
  if (first === undefined) {
    problems.push({
      severity: 'error',
      id: 'mx-fake',
      text: 'no MX host is the fake MX, so nobody tries it',
      advice: 'publish it with a lower number than the real one',
    });
  }
  if (reals.length === 0) {
    problems.push({
      severity: 'error',
      id: 'mx-real',
      text: 'no MX host is the real MX, so no mail gets there',
      advice: 'publish it with a higher number than the fake one',
    });
  }
  for (const { host } of reals) {
    if (first === undefined || host.preference > first.host.preference) continue;
    const isSame = host.preference === first.host.preference;
    problems.push({
      severity: 'error',
      id: 'mx-order',
      text: isSame
        ? `${nameOf(host)} (real) has the same number as ${nameOf(first.host)} (fake): either is tried first`
        : `${nameOf(host)} (real) has a lower number than ${nameOf(first.host)} (fake), and is tried first`,
      advice: 'the fake one needs the lower number',
    });
  }
  return problems;
}

/** The addresses of the names are exactly those of the configuration, in the same families. */
function judgeAddresses(judged: readonly Judged[], setup: MxSetup): Problem[] {
  const problems: Problem[] = [];
  const found = { fake: addressesOf(judged, 'fake'), real: addressesOf(judged, 'real') };
  for (const role of ['fake', 'real'] as const) {
    if (!judged.some((one) => one.role === role)) continue;
    for (const address of setup[role].filter((one) => !found[role].includes(one))) {
      problems.push({
        severity: 'warning',
        id: 'mx-unpublished',
        text: `no MX host has ${formatAddress(address)}, which is the ${role} MX in the configuration`,
      });
    }
    for (const { host } of judged.filter((one) => one.role === role)) {
      for (const address of host.addresses.filter((one) => !setup[role].includes(one))) {
        problems.push({
          severity: 'warning',
          id: 'mx-unknown',
          text: `${nameOf(host)} (${role}) has ${formatAddress(address)} as well, which is not in the configuration`,
          advice: `${role}-mailserver ${formatAddress(address)}`,
        });
      }
    }
  }
  return [...problems, ...judgeFamilies(found.fake, found.real)];
}

function addressesOf(judged: readonly Judged[], role: Role): Address[] {
  return judged.filter((one) => one.role === role).flatMap(({ host }) => host.addresses);
}

function judgeFamilies(fake: readonly Address[], real: readonly Address[]): Problem[] {
  if (fake.length === 0 || real.length === 0) return [];
  return ([4, 6] as const).flatMap((family) => {
    const has = { fake: hasFamily(fake, family), real: hasFamily(real, family) };
    if (has.fake === has.real) return [];
    const record = family === 4 ? 'A' : 'AAAA';
    const [rich, poor] = has.fake ? ['fake', 'real'] : ['real', 'fake'];
    return [
      {
        severity: 'warning' as const,
        id: 'mx-families',
        text: `the ${rich} MX has ${record} records, the ${poor} one has none`,
        advice: 'give both the same families',
      },
    ];
  });
}

function hasFamily(addresses: readonly Address[], family: 4 | 6): boolean {
  return addresses.some((address) => familyOf(address) === family);
}

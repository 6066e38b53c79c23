// An SPF record's text, read (RFC 7208 sections 4.6 and 12). Pure.
import {
  ADDRESS_BITS,
  type Family,
  familyOf,
  parseAddress,
  type Prefix,
  prefixOf,
} from '../packet/address.js';

/** What is meant when a mechanism matches: pass, fail, softfail, neutral. */
export type Qualifier = '+' | '-' | '~' | '?';

/** What a term says of addresses. Names are as they stand there. */
export type Mechanism =
  | { readonly kind: 'all' | 'ptr' | 'exists' }
  | { readonly kind: 'ip'; readonly network: Prefix }
  | { readonly kind: 'include'; readonly domain: string }
  | {
      readonly kind: 'a' | 'mx';
      /** undefined: of the domain that the record is of */
      readonly domain: string | undefined;
      /** of the networks around each address */
      readonly length: Readonly<Record<Family, number>>;
    };

/** A term with a mechanism. */
export interface Directive {
  readonly qualifier: Qualifier;
  readonly mechanism: Mechanism;
  readonly text: string;
}

/** A record. */
export interface SpfRecord {
  readonly directives: readonly Directive[];
  /** whose record counts when no term matches */
  readonly redirect: string | undefined;
}

/** What takes which value, by the names of mechanisms. */
const DOMAINS = {
  include: 'needed',
  exists: 'needed',
  a: 'possible',
  mx: 'possible',
  ptr: 'possible',
} as const;
const FAMILIES = { ip4: 4, ip6: 6 } as const;

const DIRECTIVE = /^([-+?~]?)([a-z][a-z0-9_.-]*)(.*)$/i;
const MODIFIER = /^([a-z][a-z0-9_.-]*)=(.*)$/i;

/**
 * Reads a record.
 * @param text - with the version in front
 * @returns the record, or the term that makes no sense
 */
export function parseSpf(
  text: string,
): { readonly ok: true; readonly record: SpfRecord } | { readonly ok: false; readonly term: string } {
  const [version = '', ...terms] = text.split(' ').filter((term) => term !== '');
  if (version.toLowerCase() !== 'v=spf1') return { ok: false, term: version };
  const directives: Directive[] = [];
  const modifiers = new Map<string, string>();
  for (const term of terms) {
    const [, name = '', value = ''] = MODIFIER.exec(term) ?? [];
    const key = name.toLowerCase();
    if (key !== '') {
      // RFC 7208 section 6: each of the two once at the most; others are passed over
      const isKnown = key === 'redirect' || key === 'exp';
      if (isKnown && (modifiers.has(key) || value === '')) return { ok: false, term };
      modifiers.set(key, value);
      continue;
    }
    const directive = parseDirective(term);
    if (directive === undefined) return { ok: false, term };
    directives.push(directive);
  }
  return { ok: true, record: { directives, redirect: modifiers.get('redirect') } };
}

function parseDirective(text: string): Directive | undefined {
  const [, sign = '', name = '', rest = ''] = DIRECTIVE.exec(text) ?? [];
  const key = name.toLowerCase();
  const isNetwork = key === 'ip4' || key === 'ip6';
  const mechanism = isNetwork ? parseNetwork(rest, FAMILIES[key]) : parseMechanism(key, ...splitValue(rest));
  return mechanism && { qualifier: sign === '' ? '+' : (sign as Qualifier), mechanism, text };
}

/** The name behind a colon, and the lengths behind that. A macro may have slashes in it: then all is the name. */
function splitValue(rest: string): [domain: string | undefined, lengths: string] {
  if (!rest.startsWith(':')) return [undefined, rest];
  const slash = rest.includes('%') ? -1 : rest.indexOf('/');
  return slash < 0 ? [rest.slice(1), ''] : [rest.slice(1, slash), rest.slice(slash)];
}

function parseMechanism(name: string, domain: string | undefined, lengths: string): Mechanism | undefined {
  if (name === 'all') return domain === undefined && lengths === '' ? { kind: 'all' } : undefined;
  if (!Object.hasOwn(DOMAINS, name)) return undefined;
  const kind = name as keyof typeof DOMAINS;
  if (domain === '' || (domain === undefined && DOMAINS[kind] === 'needed')) return undefined;
  if (kind === 'a' || kind === 'mx') {
    const length = parseLengths(lengths);
    return length && { kind, domain, length };
  }
  if (lengths !== '') return undefined;
  return kind === 'include' ? { kind, domain: domain ?? '' } : { kind };
}

/** What stands behind the length is masked out, not wrong (section 5.6). @param text - with the colon in front */
function parseNetwork(text: string, family: Family): Mechanism | undefined {
  const [, host = '', lengthText] = /^:([^/]+)(?:\/(.*))?$/.exec(text) ?? [];
  const address = parseAddress(host);
  const length = lengthText === undefined ? ADDRESS_BITS[family] : parseLength(lengthText, family);
  if (address === undefined || familyOf(address) !== family || length === undefined) return undefined;
  return { kind: 'ip', network: prefixOf(address, length) };
}

/** `/24`, `//64`, `/24//64`, or nothing (section 5.3). */
function parseLengths(text: string): Readonly<Record<Family, number>> | undefined {
  const match = /^(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, ipv4Text, ipv6Text] = match;
  const ipv4 = ipv4Text === undefined ? ADDRESS_BITS[4] : parseLength(ipv4Text, 4);
  const ipv6 = ipv6Text === undefined ? ADDRESS_BITS[6] : parseLength(ipv6Text, 6);
  return ipv4 === undefined || ipv6 === undefined ? undefined : { 4: ipv4, 6: ipv6 };
}

function parseLength(text: string, family: Family): number | undefined {
  const length = Number(text);
  return /^(?:0|[1-9]\d{0,2})$/.test(text) && length <= ADDRESS_BITS[family] ? length : undefined;
}

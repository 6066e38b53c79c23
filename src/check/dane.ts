// DANE (RFC 7672): the TLSA records of the MX hosts, and what they mean for them. Pure.
import { escapeText } from '../packet/escape.js';
import { type Finding, finding, type Severity } from '../pf/finding.js';
import type { WireRecord } from '../names/wire.js';
import { type Judged, nameWithRole } from './mx.js';

/** What DNS says of an MX host's TLSA records. */
export interface DaneHost {
  readonly judged: Judged;
  readonly records: readonly WireRecord<'TLSA'>[];
  /** c-ares' word when DNS gave no answer about them; empty: it did, if only that there are none */
  readonly code: string;
  /** whether the resolver has checked the signatures of the host's addresses (AD): else nobody asks for TLSA records */
  readonly isHostSigned: boolean;
  /** whether it has checked those of the TLSA records, or of there being none */
  readonly isSigned: boolean;
}

/** What DNS says of a domain's DANE. */
export interface DaneFound {
  /** whether the resolver has checked the signatures of the MX records */
  readonly isSigned: boolean;
  /** whether the domain, or the registrable one that it lies in, has a DS record; undefined: DNS did not answer */
  readonly hasDs: boolean | undefined;
  readonly hosts: readonly DaneHost[];
}

/** `unchecked`: there may be signatures, but this resolver does not say that it has checked them. */
type State = 'signed' | 'unsigned' | 'unchecked';

/** Bytes of a digest by the matching type (RFC 6698 section 2.1.3). */
const DIGESTS: Readonly<Record<number, number>> = { 1: 32, 2: 64 };

/** Whether senders of mail can use a TLSA record (RFC 7672 section 3.1): DANE-TA or DANE-EE, of the right length. */
export function isUsable({ usage, selector, matchingType, certificate }: WireRecord<'TLSA'>): boolean {
  if ((usage !== 2 && usage !== 3) || selector > 1) return false;
  return matchingType === 0 ? certificate.length > 0 : DIGESTS[matchingType] === certificate.length;
}

/** Where the TLSA records of a mail server are (RFC 7672 section 2.2.3). */
export function tlsaName(host: string): string {
  return `_25._tcp.${host}`;
}

/** Judges a domain's DANE by what it does to senders that use it. */
export function judgeDane(domain: string, found: DaneFound): Finding[] {
  const safe = escapeText(domain, 100);
  const say = ({ severity, id, text, advice = '' }: Problem): Finding =>
    finding(severity, id, `DANE of ${safe}: ${text}`, advice);
  const failed = found.hosts.filter(({ code }) => code !== '').map(judgeFailed);
  const having = found.hosts.filter(({ records }) => records.length > 0);
  if (having.length === 0) {
    if (failed.length > 0) return failed.map(say);
    return [
      say({ severity: 'ok', id: 'dane', text: 'no MX host has TLSA records, so senders do not use it' }),
    ];
  }
  const resolverChecks = found.isSigned || found.hosts.some((one) => one.isHostSigned || one.isSigned);
  const stateOf = (host: DaneHost): State => {
    if (host.isHostSigned && host.isSigned) return 'signed';
    const isUnsigned = resolverChecks || (found.hasDs === false && isBelow(host.judged.host.name, domain));
    return isUnsigned ? 'unsigned' : 'unchecked';
  };
  const counting = having.filter((host) => stateOf(host) !== 'unsigned');
  const isSure = counting.some((host) => stateOf(host) === 'signed');
  const unsigned = having.filter((host) => !counting.includes(host));
  const problems: Problem[] = [
    ...failed,
    ...(unsigned.length === 0 ? [] : [tellUnsigned(unsigned, resolverChecks)]),
    ...(counting.length === 0 || isSure ? [] : [tellUnchecked(found)]),
    ...counting.filter(({ records }) => !records.some(isUsable)).map(tellUnusable),
    ...judgeMissing(found.hosts, counting, isSure ? 'warning' : 'note'),
  ];
  const names = having.map(({ judged }) => nameWithRole(judged)).join(', ');
  const summary: Problem = {
    severity: problems.length === 0 ? 'ok' : 'note',
    id: 'dane',
    text: `TLSA records of ${names}${isSure ? ', signed' : ''}`,
  };
  return [summary, ...problems].map(say);
}

interface Problem {
  readonly severity: Severity;
  readonly id: string;
  readonly text: string;
  readonly advice?: string;
}

function judgeFailed({ judged, code, isHostSigned }: DaneHost): Problem {
  const text = `DNS does not answer about the TLSA records of ${nameWithRole(judged)} (${code})`;
  if (!isHostSigned) return { severity: 'note', id: 'dane-failed', text: `${text}, so they are not checked` };
  return {
    severity: 'warning',
    id: 'dane-failed',
    // RFC 7672 section 2.1.2
    text: `${text}, though its addresses are signed: senders that use DANE skip such a host`,
    advice: `see what your name servers say about ${tlsaName(escapeText(judged.host.name, 100))}`,
  };
}

function tellUnsigned(hosts: readonly DaneHost[], resolverChecks: boolean): Problem {
  const names = hosts.map(({ judged }) => nameWithRole(judged)).join(', ');
  const why = resolverChecks ? 'the resolver finds no valid signatures' : 'the domain has no DS record';
  return {
    severity: 'note',
    id: 'dane-unsigned',
    text: `the TLSA records of ${names} do not count, for DNSSEC does not sign them (${why})`,
    advice: 'sign the zone, and have its DS record published, or take them out',
  };
}

function tellUnchecked({ hasDs }: DaneFound): Problem {
  const zone = hasDs === true ? ', though a DS record says that the domain is signed' : '';
  return {
    severity: 'note',
    id: 'dane-unchecked',
    text: `the resolver does not say that it checks signatures (AD)${zone}, so whether the TLSA records count is not known`,
    advice: 'ask one that checks them: --dns-server',
  };
}

function isBelow(name: string, domain: string): boolean {
  return `.${name}`.toLowerCase().endsWith(`.${domain}`.toLowerCase());
}

function tellUnusable({ judged, records }: DaneHost): Problem {
  const shown = records.slice(0, 4).map(({ usage, selector, matchingType, certificate }) => {
    return `${usage} ${selector} ${matchingType} with ${certificate.length} bytes`;
  });
  return {
    severity: 'warning',
    id: 'dane-unusable',
    text: `senders can use no TLSA record of ${nameWithRole(judged)} (${shown.join(', ')})`,
    advice:
      "expected is 3 1 1 (SHA-256, 32 bytes) of the mail server's key, or usage 2 or 3 with another selector or digest",
  };
}

/** Hosts without TLSA records among others that have some: senders that insist on DANE (RFC 7672 section 6) skip them. */
function judgeMissing(
  hosts: readonly DaneHost[],
  counting: readonly DaneHost[],
  severity: Severity,
): Problem[] {
  const [first] = counting;
  if (first === undefined) return [];
  const model = counting.find(({ judged }) => judged.role === 'real') ?? first;
  return hosts
    .filter((host) => !counting.includes(host) && host.code === '')
    .flatMap(({ judged }): Problem[] => {
      const { role, host } = judged;
      if (role === 'other' || role === 'empty') return [];
      const isFake = role === 'fake';
      const effect = isFake
        ? 'skip it, come to the real MX first, and are refused there; tests of the domain complain, too'
        : 'do not deliver to it';
      const [name, like] = [host.name, model.judged.host.name].map((one) => tlsaName(escapeText(one, 100)));
      return [
        {
          severity,
          id: isFake ? 'dane-fake' : 'dane-real',
          text: `${nameWithRole(judged)} has no TLSA records that count, ${nameWithRole(model.judged)} has: senders that insist on DANE ${effect}`,
          advice: isFake
            ? `give it the same ones: ${name}. CNAME ${like}.`
            : `publish its own as ${name}, or take out those of the other`,
        },
      ];
    });
}

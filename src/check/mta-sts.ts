// MTA-STS (RFC 8461): the record, the policy, and what they mean for the MX hosts. Pure.
import { escapeText } from '../packet/escape.js';
import { type Finding, finding, type Severity } from '../pf/finding.js';
import { amount } from '../words.js';
import { type Judged, nameWithRole } from './mx.js';

/** What senders do with hosts that the policy does not name (RFC 8461 section 5). */
export type StsMode = 'enforce' | 'testing' | 'none';

/** A policy (RFC 8461 section 3.2). */
export interface StsPolicy {
  readonly mode: StsMode;
  /** host names, or `*.` and the rest of one; in lower case */
  readonly mx: readonly string[];
  /** seconds for which senders keep it, up to a year */
  readonly maxAge: number;
}

/** What was read, or what is wrong with it: safe to print, with what was expected. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** What came of asking for the policy. */
export type FetchedPolicy =
  | {
      readonly kind: 'answer';
      /** the body, not longer than {@link LONGEST_POLICY} */
      readonly text: string;
      /** without parameters, in lower case; empty: none was told */
      readonly mediaType: string;
    }
  /** nobody could be reached, which may be due to where we are; `why` is safe to print */
  | { readonly kind: 'unreached'; readonly why: string }
  /** whoever was there gave no policy that a sender takes; `why` is safe to print */
  | { readonly kind: 'wrong'; readonly why: string };

/** What was found of a domain's MTA-STS. */
export type StsFound =
  /** DNS did not answer about the record, or about the policy's host: c-ares' word */
  | { readonly kind: 'failed'; readonly name: string; readonly code: string }
  /** all TXT records of `_mta-sts`, and what came of the policy; undefined: not asked for */
  | { readonly kind: 'found'; readonly texts: readonly string[]; readonly policy: FetchedPolicy | undefined };

/** Where each domain's policy is (RFC 8461 section 3.3), on port 443 of the host mta-sts. */
export const POLICY_PATH = '/.well-known/mta-sts.txt';
/** More is not read (RFC 8461 section 3.3). */
export const LONGEST_POLICY = 65_536;

/** A year (RFC 8461 section 3.2). */
const LONGEST_AGE = 31_557_600;
const MODES: readonly string[] = ['enforce', 'testing', 'none'] satisfies readonly StsMode[];
const EXAMPLE_RECORD = '"v=STSv1; id=20260101T120000;"';
/** A host name (RFC 5321 section 4.1.2, and as MX hosts are called all the same), or with a wildcard for its first label. */
const MX_PATTERN = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/i;

/**
 * Reads the TXT records of `_mta-sts` (RFC 8461 section 3.1).
 * @param texts - all of them, the strings of each joined
 * @returns the policy's id; undefined when none of them is about MTA-STS
 */
export function readStsRecords(texts: readonly string[]): Read<string | undefined> {
  const records = texts.filter((text) => text.startsWith('v=STSv1;'));
  const [record, ...more] = records;
  if (more.length > 0) {
    const count = amount(records.length, 'TXT record');
    return bad(`${count} begin with "v=STSv1;", so senders take none: expected is one`);
  }
  if (record === undefined) {
    const similar = texts.find((text) => /^\s*v\s*=\s*sts/i.test(text));
    if (similar === undefined) return { ok: true, value: undefined };
    return bad(`"${escapeText(similar, 100)}" does not begin with "v=STSv1;": expected is ${EXAMPLE_RECORD}`);
  }
  const ids = record
    .split(';')
    .map((field) => field.trim())
    .filter((field) => field.startsWith('id='));
  const [id] = ids;
  if (id !== undefined && /^id=[a-z0-9]{1,32}$/i.test(id)) return { ok: true, value: id.slice(3) };
  const what = id === undefined ? 'has no id' : 'has an id that is not 1 to 32 letters and digits';
  return bad(`"${escapeText(record, 100)}" ${what}: expected is ${EXAMPLE_RECORD}`);
}

/** Reads a policy. Fields that are not known are passed over; of a field that comes twice the first counts, but of mx. */
export function readStsPolicy(text: string): Read<StsPolicy> {
  const fields = new Map<string, string>();
  const mx: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const [, name, rest = ''] = /^([a-z0-9][a-z0-9_.-]{0,31}):(.*)$/i.exec(line) ?? [];
    const value = rest.trim();
    const where = `line ${index + 1}, "${escapeText(line, 60)}"`;
    if (name === undefined) return bad(`${where}: expected is "name: value"`);
    if (name === 'mx') {
      if (!MX_PATTERN.test(value))
        return bad(`${where}: expected is a host name, or "*." and the rest of one`);
      mx.push(value.toLowerCase());
    } else if (!fields.has(name)) fields.set(name, value);
  }
  const wrong = (name: string, expected: string): Read<StsPolicy> => {
    const value = fields.get(name);
    const what = value === undefined ? `there is no ${name}` : `${name} is "${escapeText(value, 40)}"`;
    return bad(`${what}: expected is ${expected}`);
  };
  const mode = fields.get('mode') ?? '';
  const maxAge = fields.get('max_age') ?? '';
  if (fields.get('version') !== 'STSv1') return wrong('version', '"version: STSv1"');
  if (!isMode(mode)) return wrong('mode', 'enforce, testing or none');
  if (!/^[0-9]{1,10}$/.test(maxAge) || Number(maxAge) > LONGEST_AGE) {
    return wrong('max_age', `a number of seconds up to ${LONGEST_AGE}`);
  }
  if (mode !== 'none' && mx.length === 0)
    return bad('there is no mx: expected is a line "mx: NAME" for each MX host');
  return { ok: true, value: { mode, mx, maxAge: Number(maxAge) } };
}

function isMode(text: string): text is StsMode {
  return MODES.includes(text);
}

function bad(why: string): { readonly ok: false; readonly why: string } {
  return { ok: false, why };
}

/** Whether a line `mx:` names an MX host (RFC 8461 section 4.1): `*.` stands for one label, no more and no less. */
export function matchesMx(pattern: string, name: string): boolean {
  const host = name.toLowerCase();
  const wanted = pattern.toLowerCase();
  if (!wanted.startsWith('*.')) return host === wanted;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot) === wanted.slice(1);
}

/**
 * Judges a domain's MTA-STS by what it does to senders that keep to it.
 * @param judged - the domain's MX hosts
 */
export function judgeMtaSts(domain: string, found: StsFound, judged: readonly Judged[]): Finding[] {
  const safe = escapeText(domain, 100);
  const say = (severity: Severity, id: string, text: string, advice = ''): Finding =>
    finding(severity, id, `MTA-STS of ${safe}: ${text}`, advice);
  if (found.kind === 'failed') {
    const name = escapeText(found.name, 120);
    const text = `DNS does not answer about ${name} (${found.code}), so no policy is checked`;
    return [say('warning', 'mta-sts-failed', text)];
  }
  const record = readStsRecords(found.texts);
  if (!record.ok) return [say('warning', 'mta-sts-record', `at _mta-sts.${safe}, ${record.why}`)];
  const { policy } = found;
  if (record.value === undefined || policy === undefined) {
    return [say('ok', 'mta-sts', 'there is no policy, so senders go by the MX records alone')];
  }
  const url = `https://mta-sts.${safe}${POLICY_PATH}`;
  const names = unique(judged.filter(({ role }) => role !== 'empty').map(({ host }) => host.name));
  const lines = names.map((name) => `"mx: ${escapeText(name, 100)}"`).join(', ');
  if (policy.kind === 'unreached') {
    const text = `${url} cannot be reached from here (${policy.why})`;
    return [say('note', 'mta-sts-unreached', text, `look from elsewhere; it should say ${lines}`)];
  }
  if (policy.kind === 'wrong') {
    const advice = `senders do not take it; it should be there as text/plain, with ${lines}`;
    return [say('warning', 'mta-sts-policy', `${url}: ${policy.why}`, advice)];
  }
  const read = readStsPolicy(policy.text);
  if (!read.ok) return [say('warning', 'mta-sts-policy', `${url}: ${read.why}`, 'senders do not take it')];
  const problems: Finding[] = judgeHosts(read.value, judged).map(({ severity, id, text, name }) => {
    const advice = `add a line "mx: ${name}" to ${url}, then change the id in the TXT record of _mta-sts.${safe}`;
    return say(severity, id, text, advice);
  });
  if (policy.mediaType !== 'text/plain') {
    const type =
      policy.mediaType === '' ? 'no media type' : `the media type ${escapeText(policy.mediaType, 60)}`;
    const text = `${url} has ${type}: expected is text/plain, and some senders take no other`;
    problems.push(say('warning', 'mta-sts-type', text));
  }
  const { mode, mx } = read.value;
  const patterns = mx.map((one) => escapeText(one, 100)).join(', ');
  const shown =
    mode === 'none' ? 'mode none, so senders go by the MX records alone' : `mode ${mode}, mx ${patterns}`;
  return [say(problems.length === 0 ? 'ok' : 'note', 'mta-sts', shown), ...problems];
}

interface Problem {
  readonly severity: Severity;
  readonly id: string;
  readonly text: string;
  /** of the host, safe to print */
  readonly name: string;
}

/** What befalls a host that no line names, with a sender that keeps to the policy. */
const SKIPPED = {
  fake: 'skip it, come to the real MX first, and are refused there',
  real: 'do not deliver to it',
} as const;

function judgeHosts({ mode, mx }: StsPolicy, judged: readonly Judged[]): Problem[] {
  if (mode === 'none') return [];
  const unnamed = judged.filter(({ host }) => !mx.some((pattern) => matchesMx(pattern, host.name)));
  const problems = unnamed.flatMap((one): Problem[] => {
    const { host, role } = one;
    if (role === 'empty') return [];
    const kind = role === 'both' ? 'real' : role;
    const effect = SKIPPED[kind === 'fake' ? 'fake' : 'real'];
    const who =
      mode === 'enforce'
        ? `senders that keep to the policy ${effect}`
        : `senders report that, and some do as with mode enforce: they ${effect}`;
    return [
      {
        severity: mode === 'enforce' && kind !== 'other' ? 'error' : 'warning',
        id: `mta-sts-${kind}`,
        text: `no line mx: names ${nameWithRole(one)}: ${who}`,
        name: escapeText(host.name, 100),
      },
    ];
  });
  return [...new Map(problems.map((one) => [one.name.toLowerCase(), one])).values()];
}

function unique(names: readonly string[]): string[] {
  return [...new Map(names.map((name) => [name.toLowerCase(), name])).values()];
}

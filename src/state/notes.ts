// What is kept for those who ask: who was refused, and entries that have ended. Lines of the state file. Pure.
import { hostName } from '../names/name.js';
import {
  formatAddress,
  parseAddress,
  parseCanonical,
  type PrefixText,
  WIDEST_ENTRY,
  familyOf,
} from '../packet/address.js';
import { type Departure, DEPARTURE_REASONS, MOST_DEPARTED } from '../tracker/departed.js';
import {
  MOST_DOMAINS,
  MOST_NEW,
  MOST_RETURNED,
  type Stranger,
  type StrangerDomain,
  type StrangerName,
} from '../tracker/strangers.js';
import { ORIGINS } from './recorded-entries.js';
import type { Note } from './source.js';
import type { Words } from './words.js';

/*
 *   R 192.0.2.7 192.0.2.7 12 0 3 1764115411000 1764129811000 0 0 1764129812000 c mail.example.org example.org pass
 *            somebody who was refused: prefix, the address that came last, how often, how often it got in all the
 *            same, how often it came again, then milliseconds since 1970 (0: never): first, last, let in, admitted,
 *            asked about; then, if it was led elsewhere: r, and how often; then, if it has a name: whether that is
 *            confirmed (c or u), the name, its domain, the SPF record's word (- for what is missing)
 *   D example.org 40 7 1764115411000 1764129811000 0
 *            all of a domain: how often refused, addresses, first, last, let in
 *   X 192.0.2.7 attempt 1764115411000 1764115411000 3 1764119011000 timeout
 *            an entry that has ended: prefix, origin, added, last attempt (0: none), admissions, ended, why
 *
 * Version 2.0.0 passes such lines over.
 */

/** What nobody asks for any more: 60 days. */
export const FORGET_MS = 60 * 86_400_000;

/** The body of a note's line. */
export function noteBody(note: Note): string {
  switch (note.kind) {
    case 'stranger':
      return strangerBody(note.stranger);
    case 'domain': {
      const { domain, count, addresses, firstMs, lastMs, letInMs } = note.domain;
      return `D ${domain} ${count} ${addresses} ${[firstMs, lastMs, letInMs].map(Math.round).join(' ')}`;
    }
    case 'departure': {
      const { prefix, origin, addedMs, triedMs, admissions, endedMs, reason } = note.departure;
      const [added = 0, tried = 0, ended = 0] = [addedMs, triedMs, endedMs].map(wholePositive);
      return `X ${prefix} ${origin} ${added} ${tried} ${admissions} ${ended} ${reason}`;
    }
  }
}

function strangerBody(stranger: Stranger): string {
  const { prefix, address, count, passed, returns, firstMs, lastMs, letInMs, admittedMs, askedMs } = stranger;
  const times = [firstMs, lastMs, letInMs, admittedMs, askedMs].map(wholePositive).join(' ');
  const { named, redirected } = stranger;
  const led = redirected === 0 ? '' : ` r ${redirected}`;
  const body = `R ${prefix} ${address} ${count} ${passed} ${returns} ${times}${led}`;
  const name = named === undefined ? undefined : hostName(named.name);
  if (named === undefined || name === undefined) return body;
  const domain = named.domain === undefined ? undefined : hostName(named.domain);
  return `${body} ${named.isConfirmed ? 'c' : 'u'} ${name} ${domain ?? '-'} ${named.spf ?? '-'}`;
}

function wholePositive(ms: number): number {
  return Math.max(0, Math.round(ms));
}

const SPF_WORDS: ReadonlySet<string> = new Set([
  'none',
  'neutral',
  'pass',
  'fail',
  'softfail',
  'temperror',
  'permerror',
]);

/** Notes as they are read; of more than are kept those that were written last. Each is checked as if a stranger had written it. */
export class RecordedNotes {
  private readonly strangerMap = new Map<PrefixText, Stranger>();
  private readonly domainMap = new Map<string, StrangerDomain>();
  private readonly departureMap = new Map<PrefixText, Departure>();

  /** Takes the rest of a line that begins with R. @returns false when it makes no sense */
  takeStranger(words: Words): boolean {
    const prefix = words.text();
    const address = words.text();
    const [count, passed, returns] = [words.count(), words.count(), words.count()] as const;
    const [firstMs, lastMs, letInMs] = [words.count(), words.count(), words.count()] as const;
    const [admittedMs, askedMs] = [words.count(), words.count()] as const;
    const sum = count + passed + returns + firstMs + lastMs + letInMs + admittedMs + askedMs;
    if (!isPrefix(prefix) || !isAddress(address) || Number.isNaN(sum)) return false;
    let mark = words.done ? undefined : words.text();
    const redirected = mark === 'r' ? words.count() : 0;
    if (mark === 'r') mark = words.done ? undefined : words.text();
    const named = mark === undefined ? undefined : takeName(mark, words);
    if (!words.done || named === 'invalid' || Number.isNaN(redirected)) return false;
    const times = { firstMs, lastMs, letInMs, admittedMs, askedMs };
    keep(
      this.strangerMap,
      prefix,
      { prefix, address, count, passed, redirected, returns, ...times, named },
      MOST_NEW + MOST_RETURNED,
    );
    return true;
  }

  /** The same for D. */
  takeDomain(words: Words): boolean {
    const domain = words.text();
    const [count, addresses] = [words.count(), words.count()] as const;
    const [firstMs, lastMs, letInMs] = [words.count(), words.count(), words.count()] as const;
    const isWrong =
      Number.isNaN(count + addresses + firstMs + lastMs + letInMs) || hostName(domain) !== domain;
    if (isWrong || !words.done) return false;
    keep(this.domainMap, domain, { domain, count, addresses, firstMs, lastMs, letInMs }, MOST_DOMAINS);
    return true;
  }

  /** The same for X. */
  takeDeparture(words: Words): boolean {
    const prefix = words.text();
    const originWord = words.text();
    const [addedMs, triedMs, admissions, endedMs] = [
      words.count(),
      words.count(),
      words.count(),
      words.count(),
    ] as const;
    const reasonWord = words.text();
    const origin = ORIGINS.find((one) => one === originWord);
    const reason = DEPARTURE_REASONS.find((one) => one === reasonWord);
    if (!isPrefix(prefix) || origin === undefined || reason === undefined || !words.done) return false;
    if (Number.isNaN(addedMs + triedMs + admissions + endedMs)) return false;
    const departure = { prefix, origin, addedMs, triedMs, admissions, endedMs, reason };
    keep(this.departureMap, prefix, departure, MOST_DEPARTED);
    return true;
  }

  /** What is not too old, in the order in which it was written. @param wallNowMs - milliseconds since 1970 */
  *since(wallNowMs: number): Generator<Note> {
    const oldestMs = wallNowMs - FORGET_MS;
    for (const stranger of this.strangerMap.values())
      if (stranger.lastMs >= oldestMs) yield { kind: 'stranger', stranger };
    for (const domain of this.domainMap.values())
      if (domain.lastMs >= oldestMs) yield { kind: 'domain', domain };
    for (const departure of this.departureMap.values())
      if (departure.endedMs >= oldestMs) yield { kind: 'departure', departure };
  }
}

/** @param mark - what stands before the name */
function takeName(mark: string, words: Words): StrangerName | 'invalid' {
  const [name, domain, spf] = [words.text(), words.text(), words.text()] as const;
  const isMarked = mark === 'c' || mark === 'u';
  const isDomain = domain === '-' || hostName(domain) === domain;
  if (!isMarked || hostName(name) !== name || !isDomain || !(spf === '-' || SPF_WORDS.has(spf)))
    return 'invalid';
  return {
    name,
    isConfirmed: mark === 'c',
    domain: domain === '-' ? undefined : domain,
    spf: spf === '-' ? undefined : spf,
  };
}

function isPrefix(text: string): text is PrefixText {
  const prefix = parseCanonical(text);
  return prefix !== undefined && prefix.length >= WIDEST_ENTRY[familyOf(prefix.address)];
}

function isAddress(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && formatAddress(address) === text;
}

/** The last word about a key counts; the one that was written longest ago goes. */
function keep<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

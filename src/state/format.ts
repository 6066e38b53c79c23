// The lines of a state file, as text. Pure.
import { crc32 } from 'node:zlib';
import { hostName } from '../names/name.js';
import type { PrefixText } from '../packet/address.js';
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';
import type { SavedEntry } from './source.js';

/*
 * The state file, ASCII, lines that end with a line feed:
 *
 *   mxallowd-state 1 9f2c31ab                   format, and a random number of this file
 *   CHECKSUM T 1764115411000 123456             time: wall clock and monotonic, milliseconds
 *   CHECKSUM C attempts=17 renewals=3 ...       counters
 *   CHECKSUM A                                  the list of networks that "allow" has put into the table begins anew,
 *   CHECKSUM A 198.51.100.0/24 2001:db8::/32    and has these; 2.0.0 passes such lines over
 *   CHECKSUM + 192.0.2.7 attempt 1000 3601000 1000 1 0 mail.example.org
 *            an entry: prefix, origin, added, deadline, last attempt, attempts, admissions, name if it has one
 *   CHECKSUM K 192.0.2.7 2000 901000 regular    behind its line: first and last admission, and whether it is a regular;
 *                                               2.0.0 passes it over
 *   CHECKSUM O 192.0.2.7 outbound               behind its line: its origin, where 2.0.0 has no word for it and passes
 *                                               this over
 *   CHECKSUM S known-time                       what has been said to the administrator; 2.0.0 passes it over
 *   CHECKSUM - 192.0.2.7                        no entry any more
 *   CHECKSUM R ..., D ..., X ...                what is told to those who ask (notes.ts)
 *   CHECKSUM N ...                              the networks of domains (domains.ts)
 *
 * A snapshot has one T line before its entries and one behind them, each write to the journal begins with one. The last
 * line about a prefix counts. Times of entries are monotonic milliseconds of the one process that has written
 * the file; the last T line tells what they mean. CHECKSUM is the CRC-32 (as zlib's) of the first line, without its
 * line feed, and what follows the blank: so a line of an older file, which a crash can leave in a file's last blocks,
 * does not count either.
 */

/** The first word of the file. */
export const MAGIC = 'mxallowd-state';

/** The format that is written, and the newest one that is understood. */
export const FORMAT = 1;

/** Characters of a line at the most, without the line feed; a longer one is damaged. */
export const MOST_LINE = 1024;

/** Digits of a number at the most: what a double holds exactly, whatever they are. */
export const MOST_DIGITS = 15;

/** Digits of a checksum. */
export const CHECKSUM_DIGITS = 8;

/** The first line of a file, without the line feed. @param id - a random number of 32 bits */
export function headerText(id: number): string {
  return `${MAGIC} ${FORMAT} ${digits(id)}`;
}

/** What the checksums of a file begin with. @param header - its first line, without the line feed */
export function seedOf(header: string): number {
  return crc32(header);
}

/** A whole line: the body with its checksum, and the line feed. */
export function sealed(body: string, seed: number): string {
  return `${digits(crc32(body, seed))} ${body}\n`;
}

function digits(value: number): string {
  return value.toString(16).padStart(CHECKSUM_DIGITS, '0');
}

/** The body of a line that tells what time it is. */
export function timeBody(wallMs: number, monotonicMs: number): string {
  return `T ${whole(wallMs)} ${whole(monotonicMs)}`;
}

/** The body of a line with the counters. */
export function countersBody(counters: Counters): string {
  return `C ${Object.entries(counters)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`;
}

/** The word for a regular in a line of admissions. */
export const REGULAR = 'regular';

/** The word that says: the administrator has been told of known-time. */
export const KNOWN_TIME = 'known-time';

/** The body of a line with what has been said to the administrator. */
export function saidBody(): string {
  return `S ${KNOWN_TIME}`;
}

/** The bodies of the lines for an entry. */
export function entryBodies(entry: SavedEntry): string[] {
  const { prefix, origin, firstAdmissionMs, lastAdmissionMs, isRegular } = entry;
  const bodies = [entryBody(entry)];
  if (OLDER_WORDS[origin] !== undefined) bodies.push(`O ${prefix} ${origin}`);
  if (firstAdmissionMs === undefined || lastAdmissionMs === undefined) return bodies;
  const use = `K ${prefix} ${whole(firstAdmissionMs)} ${whole(lastAdmissionMs)}${isRegular ? ` ${REGULAR}` : ''}`;
  return [...bodies, use];
}

/** Origins that 2.0.0 does not know, and what it takes such an entry for. */
const OLDER_WORDS: Partial<Record<Origin, Origin>> = { dnswl: 'pool', outbound: 'name' };

/** The body of a line for an entry. A name that is no host name is left out: nothing depends on it. */
function entryBody(entry: SavedEntry): string {
  const times = `${whole(entry.addedMs)} ${whole(entry.deadlineMs)} ${whole(entry.lastAttemptMs)}`;
  const origin = OLDER_WORDS[entry.origin] ?? entry.origin;
  const body = `+ ${entry.prefix} ${origin} ${times} ${entry.attempts} ${entry.admissions}`;
  const name = entry.name === undefined ? undefined : hostName(entry.name);
  return name === undefined ? body : `${body} ${name}`;
}

/** So many networks fit into a line. */
const NETWORKS_OF_A_LINE = 20;

/** The bodies of lines with all networks that `allow` has put into the table. */
export function allowedBodies(networks: readonly PrefixText[]): string[] {
  const bodies = ['A'];
  for (let at = 0; at < networks.length; at += NETWORKS_OF_A_LINE) {
    bodies.push(`A ${networks.slice(at, at + NETWORKS_OF_A_LINE).join(' ')}`);
  }
  return bodies;
}

/** The body of a line for an entry that has gone. */
export function removedBody(prefix: PrefixText): string {
  return `- ${prefix}`;
}

const MOST_NUMBER = 10 ** MOST_DIGITS - 1;

/** No fractions, which cost space and tell nothing; no `Infinity`, which cannot be read. */
export function whole(ms: number): number {
  return Math.round(Math.max(-MOST_NUMBER, Math.min(ms, MOST_NUMBER)));
}

// Reads a state file, also a damaged one.
import { closeSync, constants, fstatSync, openSync, readSync, renameSync } from 'node:fs';
import { escapeText } from '../packet/escape.js';
import { parsePrefix, type Prefix, type PrefixText } from '../packet/address.js';
import type { Counters } from '../tracker/counters.js';
import type { Origin } from '../tracker/whitelist.js';
import type { LoadedDomain } from './domains.js';
import type { Contents, RecordedTime } from './contents.js';
import { FORMAT } from './format.js';
import type { Note } from './source.js';
import { type ParsedState, StateParser } from './parser.js';
import { errorCode, errorWords, type StateProblem } from './problem.js';
import type { RecordedEntries } from './recorded-entries.js';
import { amount } from '../words.js';

/** An entry as it was found, in times from the moment of loading. */
export interface LoadedEntry {
  readonly prefix: PrefixText;
  /** what `prefix` is the text of */
  readonly network: Prefix;
  readonly origin: Origin;
  /** how long it still lives: more than 0, {@link MOST_REMAINING_MS} at the most */
  readonly remainingMs: number;
  /** how long ago it was added */
  readonly ageMs: number;
  readonly lastAttemptAgoMs: number;
  readonly attempts: number;
  readonly admissions: number;
  /** undefined: it was not admitted, or nobody has written down when */
  readonly firstAdmissionAgoMs: number | undefined;
  readonly lastAdmissionAgoMs: number | undefined;
  readonly isRegular: boolean;
  /** its name in DNS; a host name in lower case */
  readonly name: string | undefined;
}

/** What a state file had to say. */
export interface LoadedState {
  /** `none`: there is no file, or an empty one; `damaged`: it was set aside; what is here was saved from it */
  readonly kind: 'none' | 'loaded' | 'damaged';
  /** made one at a time, as they are taken */
  readonly entries: Iterable<LoadedEntry>;
  /** number of entries */
  readonly size: number;
  /** entries whose time has run out meanwhile: not to be left in the table */
  readonly expired: readonly PrefixText[];
  /** taken out lately; whether the table was told before the end, nobody knows */
  readonly removed: readonly PrefixText[];
  /** what `allow` had put into the table */
  readonly allowed: readonly PrefixText[];
  readonly counters: Counters | undefined;
  /** the networks of domains; none when it is not known what time the file means */
  readonly domains: readonly LoadedDomain[];
  /** whether it was written by a version that has a time for those who have reached the real MX */
  readonly hasKnownTime: boolean;
  /** who was refused, and entries that have ended */
  readonly notes: Iterable<Note>;
  /** when the file was last written, milliseconds since 1970 */
  readonly writtenAtMs: number | undefined;
  readonly problems: readonly StateProblem[];
}

/** Nothing lives longer than the longest whitelist time that can be configured, whatever a file says: 366 days. */
export const MOST_REMAINING_MS = 31_622_400_000;

/** Bytes of a file at the most: three times what a million entries take. */
const MOST_BYTES = 256 * 1024 * 1024;

/** What is read of a file at the most, so that none that is much larger than it should be holds up a start. */
interface Bounds {
  /** entries, and removals */
  readonly entries: number;
  readonly bytes: number;
}

/**
 * What a file of so many entries can have: those that come while a snapshot is written, and have not yet gone; a
 * journal as long as the snapshot, and one write more. Lines have 50 to 110 bytes, seldom more.
 */
function boundsFor(maxEntries: number): Bounds {
  return {
    entries: 2 * maxEntries + 20_000,
    bytes: Math.min(MOST_BYTES, 16 * 1024 * 1024 + 640 * maxEntries),
  };
}

const PIECE = 64 * 1024;

const NOTHING = {
  entries: [],
  size: 0,
  expired: [],
  removed: [],
  allowed: [],
  counters: undefined,
  domains: [],
  hasKnownTime: false,
  notes: [],
  writtenAtMs: undefined,
} as const;

/**
 * Reads a state file, and sets one that is damaged aside, as PATH.damaged (in place of an older one).
 * To be called after root has been given up: the file lies in a folder of the unprivileged user. A symbolic link in
 * its place is not followed.
 * @param wallNowMs - milliseconds since 1970; the time since the file was written counts
 * @param maxEntries - as configured: of a file that has many more only a part is read
 * @returns what could be read; what went wrong is in `problems`, never thrown
 */
export function loadState(path: string, wallNowMs: number, maxEntries: number): LoadedState {
  const read = readStateFile(path, boundsFor(maxEntries));
  const file = `state file ${escapeText(path)}`;
  switch (read.kind) {
    case 'missing':
      return { kind: 'none', ...NOTHING, problems: [] };
    case 'empty':
      return { kind: 'none', ...NOTHING, problems: [note(`${file} is empty, as a crash may leave it`)] };
    case 'folder':
      return { kind: 'none', ...NOTHING, problems: [problem('error', `${file} is a folder: remove it`)] };
    case 'unusable': {
      const message = `${file} cannot be used: ${read.why}; ${setAside(path)}`;
      return { kind: 'damaged', ...NOTHING, problems: [problem('error', message)] };
    }
    case 'parsed':
      return translate(path, file, read, wallNowMs);
  }
}

/** What has been read of a file. */
interface Parsed {
  readonly parsed: ParsedState;
  /** undefined: all of it; otherwise only so many bytes */
  readonly bytes: number | undefined;
}

type Read =
  | { readonly kind: 'missing' | 'empty' | 'folder' }
  | { readonly kind: 'unusable'; readonly why: string }
  | ({ readonly kind: 'parsed' } & Parsed);

function readStateFile(path: string, bounds: Bounds): Read {
  let descriptor: number | undefined;
  try {
    // without O_NONBLOCK a FIFO in its place would hold up the start
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) return { kind: 'folder' };
    if (!stat.isFile()) return { kind: 'unusable', why: 'it is no regular file' };
    if (stat.size === 0) return { kind: 'empty' };
    if (stat.size > MOST_BYTES) return { kind: 'unusable', why: 'it is larger than 256 MB' };
    return { kind: 'parsed', ...parse(descriptor, bounds) };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return { kind: 'missing' };
    return { kind: 'unusable', why: errorWords(error) };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function parse(descriptor: number, { entries, bytes }: Bounds): Parsed {
  const parser = new StateParser(entries);
  const piece = Buffer.allocUnsafe(PIECE);
  // the file may grow while it is read, but not without end
  for (let total = 0; total < bytes;) {
    const length = readSync(descriptor, piece, 0, PIECE, null);
    if (length === 0) return { parsed: parser.end(), bytes: undefined };
    parser.push(piece.subarray(0, length));
    total += length;
  }
  return { parsed: parser.end(), bytes };
}

function translate(path: string, file: string, { parsed, bytes }: Parsed, wallNowMs: number): LoadedState {
  const { header, contents } = parsed;
  const { time, counters } = contents;
  const damage = damageOf(parsed);
  const problems: StateProblem[] = [];
  const found = time === undefined ? NOTHING : living(contents, time, wallNowMs);
  if (damage !== undefined) {
    const saved = `entries saved from it: ${found.size}`;
    const message = `${file} ${damage}; ${header.kind === 'ours' ? `${saved}; ` : ''}${setAside(path)}`;
    problems.push(problem('error', message));
  }
  if (contents.entriesLeftOut > 0 || bytes !== undefined) {
    const most =
      bytes === undefined ? amount(contents.entries.size, 'entry', 'entries') : `${bytes >> 20} MB`;
    problems.push(problem('warning', `${file} is too large for max-entries: read up to ${most}`));
  }
  if (bytes === undefined && parsed.cutBytes > 0 && (header.kind === 'ours' || header.kind === 'none')) {
    problems.push(
      note(`${file} ends within a line (${amount(parsed.cutBytes, 'byte')}), as after a crash: passed over`),
    );
  }
  if (parsed.unknownLines > 0) {
    problems.push(note(`${file} has ${amount(parsed.unknownLines, 'line')} of a later version: passed over`));
  }
  if (time !== undefined && wallNowMs < time.wallMs) {
    const seconds = Math.ceil((time.wallMs - wallNowMs) / 1000);
    const message = `the clock is ${seconds} s behind the time at which ${file} was written: entries live that much longer`;
    problems.push(problem('warning', message));
  }
  return {
    kind: damage === undefined ? 'loaded' : 'damaged',
    ...found,
    removed: [...contents.removed],
    allowed: [...contents.allowed],
    counters,
    domains: time === undefined ? [] : contents.domains.list(fileNowMs(time, wallNowMs)),
    hasKnownTime: contents.hasKnownTime,
    notes: contents.notes.since(wallNowMs),
    writtenAtMs: time?.wallMs,
    problems,
  };
}

/** What is wrong with a file, in words; undefined: nothing, or an end that was cut. */
function damageOf(parsed: ParsedState): string | undefined {
  const { header, contents, firstDamage, damagedLines } = parsed;
  if (header.kind === 'newer') {
    return `was written by a newer mxallowd (format ${header.format}; this one knows ${FORMAT})`;
  }
  if (header.kind === 'foreign') return 'is no state file, or its first line is damaged';
  if (firstDamage !== undefined) {
    const { line, why } = firstDamage;
    const count = damagedLines === 1 ? '' : `, and ${damagedLines - 1} more`;
    return `is damaged: line ${line}${count}: ${why}`;
  }
  return contents.entries.size > 0 && contents.time === undefined
    ? 'is damaged: it does not say when it was written'
    : undefined;
}

/** What time it is on the clock of the process that wrote the file; a wall clock that was set back tells nothing. */
function fileNowMs(time: RecordedTime, wallNowMs: number): number {
  return time.monotonicMs + Math.max(0, wallNowMs - time.wallMs);
}

/** Entries that still live, and those whose time is over. */
function living(
  { entries }: Contents,
  time: RecordedTime,
  wallNowMs: number,
): Pick<LoadedState, 'entries' | 'size' | 'expired'> {
  const nowMs = fileNowMs(time, wallNowMs);
  const expired = entries.expired(nowMs);
  return {
    entries: { [Symbol.iterator]: () => alive(entries, nowMs) },
    size: entries.size - expired.length,
    expired,
  };
}

function* alive(entries: RecordedEntries, nowMs: number): Generator<LoadedEntry> {
  const ago = (atMs: number | undefined): number | undefined => {
    return atMs === undefined ? undefined : Math.max(0, nowMs - atMs);
  };
  for (const [prefix, entry] of entries) {
    if (entry.deadlineMs <= nowMs) continue;
    yield {
      prefix,
      network: prefixOfText(prefix),
      origin: entry.origin,
      remainingMs: Math.min(entry.deadlineMs - nowMs, MOST_REMAINING_MS),
      ageMs: Math.max(0, nowMs - entry.addedMs),
      lastAttemptAgoMs: Math.max(0, nowMs - entry.lastAttemptMs),
      attempts: entry.attempts,
      admissions: entry.admissions,
      firstAdmissionAgoMs: ago(entry.firstAdmissionMs),
      lastAdmissionAgoMs: ago(entry.lastAdmissionMs),
      isRegular: entry.isRegular,
      name: entry.name,
    };
  }
}

function prefixOfText(text: PrefixText): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error('unchecked prefix');
  return parsed.prefix;
}

/** Moves the file out of the way of the next one, and says so. */
function setAside(path: string): string {
  try {
    renameSync(path, `${path}.damaged`);
    return `set aside as ${escapeText(path)}.damaged`;
  } catch (error) {
    return `it could not be set aside: ${errorWords(error)}`;
  }
}

function note(message: string): StateProblem {
  return problem('note', message);
}

function problem(severity: StateProblem['severity'], message: string): StateProblem {
  return { severity, message };
}

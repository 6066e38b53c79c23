import type { KeptDomain } from '../../src/names/domain-networks.js';
import { chownSync, statSync } from 'node:fs';
import type { PrefixText } from '../../src/packet/address.js';
import { type LoadedEntry, type LoadedState, loadState } from '../../src/state/load.js';
import type { Note, NoteSource } from '../../src/state/source.js';
import type { SavedEntry, StateChange, StateSource } from '../../src/state/source.js';
import { StateWriter } from '../../src/state/writer.js';
import { type Counters, newCounters } from '../../src/tracker/counters.js';
import { HandClock } from './hand-clock.js';

export const NO_COUNTERS: Readonly<Counters> = newCounters();

/** An entry that was added at 1,000 and lives an hour, unless told otherwise. */
export function entry(prefix: string, other: Partial<SavedEntry> = {}): SavedEntry {
  return {
    prefix: prefix as PrefixText,
    origin: 'attempt',
    addedMs: 1000,
    deadlineMs: 3_601_000,
    lastAttemptMs: 1000,
    attempts: 1,
    admissions: 0,
    firstAdmissionMs: undefined,
    lastAdmissionMs: undefined,
    isRegular: false,
    name: undefined,
    ...other,
  };
}

/** Entries that tests change, and what of it has not been taken. */
export class Entries implements StateSource {
  readonly current = new Map<PrefixText, SavedEntry>();
  readonly pending = new Set<PrefixText>();
  networks: readonly PrefixText[] = [];
  /** notes that are there, and those that have not been taken since they changed; urgent ones first */
  noted: Note[] = [];
  urgent: Note[] = [];
  leisurely: Note[] = [];
  readonly notes: NoteSource = {
    all: () => this.noted,
    takeChanges: (most, isAll) => [
      ...this.urgent.splice(0, most),
      ...(isAll ? this.leisurely.splice(0, most) : []),
    ],
  };
  domainNetworks: readonly KeptDomain[] = [];
  counted: Counters = { ...NO_COUNTERS };
  /** the most changes that were taken at a time */
  mostTaken = 0;

  set(entry: SavedEntry): void {
    this.current.set(entry.prefix, entry);
    this.pending.add(entry.prefix);
  }

  remove(prefix: string): void {
    if (this.current.delete(prefix as PrefixText)) this.pending.add(prefix as PrefixText);
  }

  takeChanges(most: number): StateChange[] {
    const changes: StateChange[] = [];
    for (const prefix of this.pending) {
      if (changes.length === most) break;
      this.pending.delete(prefix);
      const entry = this.current.get(prefix);
      changes.push(entry === undefined ? { kind: 'removed', prefix } : { kind: 'entry', entry });
    }
    this.mostTaken = Math.max(this.mostTaken, changes.length);
    return changes;
  }

  get changes(): number {
    return this.pending.size;
  }

  *entries(): Generator<SavedEntry> {
    for (const prefix of [...this.current.keys()]) {
      const entry = this.current.get(prefix);
      if (entry !== undefined) yield entry;
    }
  }

  get size(): number {
    return this.current.size;
  }

  domains(): readonly KeptDomain[] {
    return this.domainNetworks;
  }

  allowed(): readonly PrefixText[] {
    return this.networks;
  }

  counters(): Counters {
    return { ...this.counted };
  }
}

/** What was loaded, in the times of the process that wrote it, whose clock said so much at the moment of loading. */
export function savedEntries(loaded: LoadedAll, nowMs: number): SavedEntry[] {
  const before = (agoMs: number | undefined): number | undefined =>
    agoMs === undefined ? undefined : nowMs - agoMs;
  return loaded.entries.map((found) => ({
    prefix: found.prefix,
    origin: found.origin,
    addedMs: nowMs - found.ageMs,
    deadlineMs: nowMs + found.remainingMs,
    lastAttemptMs: nowMs - found.lastAttemptAgoMs,
    attempts: found.attempts,
    admissions: found.admissions,
    firstAdmissionMs: before(found.firstAdmissionAgoMs),
    lastAdmissionMs: before(found.lastAdmissionAgoMs),
    isRegular: found.isRegular,
    name: found.name,
  }));
}

/** What the problems say. */
export function messages(loaded: Pick<LoadedState, 'problems'>): string[] {
  return loaded.problems.map(({ severity, message }) => `${severity}: ${message}`);
}

/** What a state file has, with all its entries at once. */
export type LoadedAll = Omit<LoadedState, 'entries'> & { readonly entries: readonly LoadedEntry[] };

/** Loads a state file. */
export function loadAll(path: string, wallNowMs: number, maxEntries = 100_000): LoadedAll {
  const loaded = loadState(path, wallNowMs, maxEntries);
  return { ...loaded, entries: [...loaded.entries] };
}

/** Makes a state file of what it has, as if it had been written so many milliseconds ago. */
export async function age(path: string, ms: number): Promise<void> {
  const { uid, gid } = statSync(path);
  const clock = new HandClock();
  clock.wallAheadMs = Date.now() - ms - clock.monotonicMs();
  const entries = new Entries();
  for (const found of savedEntries(loadAll(path, Date.now()), clock.monotonicMs())) entries.set(found);
  const writer = new StateWriter(path, entries, clock);
  await writer.snapshot(() => false);
  await writer.close();
  chownSync(path, uid, gid);
}

// What of an engine is kept over a restart.
import type { SavedEntry, StateChange, StateSource } from '../state/source.js';
import type { Engine } from '../engine/engine.js';
import type { Entry } from '../tracker/whitelist.js';

/** What of an engine is kept over a restart. */
export function stateOf(
  engine: Pick<Engine, 'tracker' | 'allowedInTable' | 'domains' | 'memory'>,
): StateSource {
  const { tracker } = engine;
  tracker.keepChanges();
  return {
    takeChanges: (most) => {
      const { gone, entries } = tracker.takeChanges(most);
      return [
        ...gone.map((prefix): StateChange => ({ kind: 'removed', prefix })),
        ...entries.map((entry): StateChange => ({ kind: 'entry', entry: save(entry) })),
      ];
    },
    get changes() {
      return tracker.changeCount;
    },
    entries: () => saved(tracker.tellAll()),
    get size() {
      return tracker.size;
    },
    counters: () => tracker.counters,
    allowed: () => engine.allowedInTable(),
    notes: engine.memory,
    domains: () => engine.domains.kept,
  };
}

function* saved(entries: Iterable<Entry>): Generator<SavedEntry> {
  for (const entry of entries) yield save(entry);
}

function save(entry: Entry): SavedEntry {
  const { text, origin, addedMs, deadlineMs, lastAttemptMs, attempts, name } = entry;
  return {
    prefix: text,
    origin,
    addedMs,
    deadlineMs,
    lastAttemptMs,
    attempts,
    ...entry.use,
    name,
  };
}

// Keeps what a restart must find again, and finds it.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { StateReport } from '../control/protocol.js';
import { prepareStateFolder } from '../state/folder.js';
import { type LoadedEntry, loadState } from '../state/load.js';
import type { StateProblem } from '../state/problem.js';
import type { StateSource } from '../state/source.js';
import { StateFile } from '../state/state-file.js';
import type { RestoredEntry } from '../tracker/tracker.js';
import type { Clock } from '../clock.js';
import type { Restored } from '../engine/restored.js';
import type { Line } from '../engine/messages.js';
import type { SystemUser } from '../monitor/user-plan.js';
import { amount } from '../words.js';

/** Keeps what a restart must find again, and finds it. */
export class StateKeeper {
  private readonly file: StateFile;
  private problems: readonly StateProblem[] = [];

  /**
   * @param maxEntries - as configured
   * @param say - what the administrator should know
   */
  constructor(
    private readonly path: string,
    private readonly maxEntries: number,
    source: StateSource,
    private readonly clock: Clock,
    private readonly say: (line: Line) => void,
  ) {
    const report = ({ kind, message }: { kind: string; message: string }): void => {
      say({ level: kind === 'failed' ? 'error' : 'warn', message, fields: { event: `state-${kind}` } });
    };
    this.file = new StateFile({ path, source, clock, report });
  }

  /**
   * Makes the folder, while that can still be done; what is wrong with it is told by {@link load}.
   * @param user - whose it becomes; undefined: of whoever runs this
   */
  prepareFolder(user: SystemUser | undefined): void {
    if (process.getuid?.() === 0) {
      this.problems = prepareStateFolder(this.path, user?.uid ?? 0, user?.gid ?? 0);
      return;
    }
    // whoever started us has seen to it, or writing will say what is wrong
    try {
      mkdirSync(dirname(this.path), { mode: 0o700 });
    } catch {
      // it is there, or cannot be made
    }
  }

  /** Reads what an earlier run has left. What is wrong with it is logged, and does not hold up the start. */
  load(): Restored {
    const loaded = loadState(this.path, this.clock.wallMs(), this.maxEntries);
    for (const problem of [...this.problems, ...loaded.problems]) this.say(problemLine(problem));
    const nowMs = this.clock.monotonicMs();
    if (loaded.kind === 'loaded' || loaded.size > 0)
      this.say(loadedLine(this.path, loaded.size, loaded.expired.length));
    const entries = restored(loaded.entries, nowMs);
    const { expired, removed, allowed, counters, hasKnownTime, notes } = loaded;
    const domains = loaded.domains.map(({ domain, networks }) => ({
      domain,
      networks: networks.map(({ network, seenAgoMs }) => ({ network, seenMs: nowMs - seenAgoMs })),
    }));
    return { entries, expired: [...expired, ...removed], allowed, counters, hasKnownTime, domains, notes };
  }

  /** Begins to write; what {@link load} has found must have been taken in. */
  begin(): Promise<void> {
    return this.file.start();
  }

  /** To be called whenever something has changed: an entry, or no more than what was counted. */
  changed(what: 'entries' | 'counters'): void {
    this.file.changed(what);
  }

  report(): StateReport {
    return this.file.report();
  }

  /** Writes what is left; gives up after so many milliseconds. */
  async close(withinMs: number): Promise<void> {
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => (cancel = this.clock.after(withinMs, resolve)));
    await Promise.race([this.file.close(), late]);
    cancel();
  }
}

/** One at a time: a second list of all of them would be garbage at once. */
function* restored(entries: Iterable<LoadedEntry>, nowMs: number): Generator<RestoredEntry> {
  const before = (agoMs: number | undefined): number | undefined => {
    return agoMs === undefined ? undefined : nowMs - agoMs;
  };
  for (const entry of entries) {
    const { prefix, network, origin, attempts, admissions, isRegular, name } = entry;
    yield {
      prefix: network,
      text: prefix,
      origin,
      addedMs: nowMs - entry.ageMs,
      deadlineMs: nowMs + entry.remainingMs,
      lastAttemptMs: nowMs - entry.lastAttemptAgoMs,
      attempts,
      admissions,
      firstAdmissionMs: before(entry.firstAdmissionAgoMs),
      lastAdmissionMs: before(entry.lastAdmissionAgoMs),
      isRegular,
      name,
    };
  }
}

function problemLine({ severity, message }: StateProblem): Line {
  const level = severity === 'error' ? 'error' : severity === 'warning' ? 'warn' : 'info';
  return { level, message, fields: { event: 'state-problem' } };
}

function loadedLine(path: string, entries: number, expired: number): Line {
  const message = `${amount(entries, 'entry', 'entries')} taken over from ${path}; the time of ${expired} is over`;
  return { level: 'info', message, fields: { event: 'state-loaded', entries, expired } };
}

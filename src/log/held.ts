// A log that waits: what is written early goes out later.
import type { Level } from './line.js';
import type { Fields, Log } from './log.js';

/** Lines that wait at the most; the start of a daemon has a few. */
const MOST_HELD = 1000;

/** A log whose lines wait until it is released. */
export interface HeldLog {
  readonly log: Log;
  /** Writes what waits, in its order; from now on nothing does. */
  release(): void;
}

/**
 * Holds lines back: what writes to syslog starts a process, which must not have the rights that are about to be given
 * up.
 */
export function holdBack(log: Log): HeldLog {
  let held: (readonly [Level, string, Fields])[] | undefined = [];
  const release = (): void => {
    const lines = held ?? [];
    held = undefined;
    for (const line of lines) log.write(...line);
  };
  return {
    log: {
      write: (...line) => {
        if (held === undefined) log.write(...line);
        else if (held.length < MOST_HELD) held.push(line);
      },
      isEnabled: (level) => log.isEnabled(level),
      setLevel: (level) => log.setLevel(level),
      get description() {
        return log.description;
      },
      get lost() {
        return log.lost;
      },
      close: () => {
        release();
        return log.close();
      },
    },
    release,
  };
}

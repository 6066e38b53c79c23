// The one place where a bug ends the process.
import type { Log } from '../log/log.js';
import { escapeText } from '../packet/escape.js';
import { Exit } from '../sysexits.js';

/** Nothing of the log may keep us for longer. */
const MOST_MS = 3000;

/** The one place where a bug ends the process: told to the log, and with a status of its own. */
export function endOnBug(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.write('error', `bug, ending: ${escapeText(error.stack ?? String(error), 2000)}`, { event: 'bug' });
    setTimeout(() => process.exit(Exit.SOFTWARE), MOST_MS);
    void log.close().then(() => process.exit(Exit.SOFTWARE));
  });
}

import { formatLine, isWithin } from './line.js';
import type { Log, LogSettings } from './log.js';
import { Syslog } from './syslog.js';

/** Bytes that wait for a reader of standard output at the most. */
const MOST_WAITING = 1 << 16;

/** The same log without winston, for a process that stays small and says little. */
export function openSmallLog(settings: LogSettings): Log {
  const syslog =
    settings.destination === 'syslog' ? new Syslog(settings.trouble, settings.loggerPath) : undefined;
  let { level: most } = settings;
  return {
    write: (level, message, fields) => {
      if (!isWithin(level, most)) return;
      const line = formatLine(settings, level, message, fields, new Date());
      if (syslog !== undefined) syslog.write(level, line);
      else if (process.stdout.writableLength <= MOST_WAITING) process.stdout.write(`${line}\n`);
    },
    isEnabled: (level) => isWithin(level, most),
    setLevel: (level) => (most = level),
    close: async () => syslog?.drain(),
  };
}

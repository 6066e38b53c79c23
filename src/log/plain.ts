// The log without winston: for the monitor, which writes few lines and loads no more than it must as root.
import { formatLine, isWithin } from './line.js';
import type { Log } from './log.js';
import type { LogSettings } from './settings.js';
import { closeWriter, openWriter } from './open-writer.js';

/** Opens a log that has the same lines and the same writers as the one with winston. */
export function openPlainLog(settings: LogSettings): Log {
  const writer = openWriter(settings);
  let { level: most } = settings;
  return {
    write: (level, message, fields) => {
      if (isWithin(level, most)) {
        writer.write(level, formatLine(settings, { level, message, ...fields }, new Date()));
      }
    },
    isEnabled: (level) => isWithin(level, most),
    setLevel: (level) => (most = level),
    description: writer.description,
    get lost() {
      return writer.lost;
    },
    close: () => closeWriter(writer, settings),
  };
}

// The log: winston's levels, formats and transports, over our writers.
import winston from 'winston';
import { type Entry, formatLine, type Level, SEVERITY } from './line.js';
import type { Log } from './log.js';
import type { LogSettings } from './settings.js';
import { closeWriter, openWriter } from './open-writer.js';
import { LineTransport } from './transport.js';

const LEVELS = Object.keys(SEVERITY) as Level[];

/** Opens the log of a process that judges. */
export function openLog(settings: LogSettings): Log {
  const writer = openWriter(settings);
  const logger = winston.createLogger({
    levels: { ...SEVERITY },
    level: settings.level,
    format: winston.format.printf((info) => formatLine(settings, info as Entry, new Date())),
    transports: [new LineTransport(writer)],
  });
  // asked for each packet: winston looks through its transports each time
  let enabled: ReadonlySet<Level>;
  const setLevel = (level: Level): void => {
    logger.level = level;
    enabled = new Set(LEVELS.filter((one) => logger.isLevelEnabled(one)));
  };
  setLevel(settings.level);
  let closing: Promise<void> | undefined;
  return {
    write: (level, message, fields) => {
      if (closing === undefined) logger.log({ level, message, ...fields });
    },
    isEnabled: (level) => enabled.has(level),
    setLevel,
    description: writer.description,
    get lost() {
      return writer.lost;
    },
    close: () => {
      closing ??= new Promise<void>((finished) => logger.once('finish', finished).end()).then(() =>
        closeWriter(writer, settings),
      );
      return closing;
    },
  };
}

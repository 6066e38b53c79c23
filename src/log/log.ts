import { createLogger, format, type Logger } from 'winston';
import { StdoutTransport } from './stdout.js';
import { formatLine, isWithin } from './line.js';
import { SyslogTransport } from './syslog-transport.js';

/** Severities, most severe first. */
export type Level = 'error' | 'warn' | 'info' | 'debug';

/** Structured fields beside the sentence. Values from outside are escaped by whoever passes them. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>> & {
  readonly event: string;
};

/** Where the daemon tells what happened. */
export interface Log {
  write(level: Level, message: string, fields: Fields): void;
  /** Whether lines of this level go anywhere: saves making them. */
  isEnabled(level: Level): boolean;
  setLevel(level: Level): void;
  /** Hands over what is waiting, and ends. */
  close(): Promise<void>;
}

/** What the options say about the log. */
export interface LogSettings {
  readonly destination: 'syslog' | 'stdout';
  readonly format: 'text' | 'json';
  readonly level: Level;
  /** path of logger(1); undefined: where the system keeps it */
  readonly loggerPath?: string;
  /** is told when the log itself is in trouble */
  readonly trouble: (message: string) => void;
}

/** Makes the log: winston, with syslog or standard output behind it. */
export function openLog(settings: LogSettings): Log {
  const syslog =
    settings.destination === 'syslog'
      ? new SyslogTransport(settings.trouble, settings.loggerPath)
      : undefined;
  const logger = createLogger({
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    level: settings.level,
    format: lineFormat(settings),
    transports: [syslog ?? new StdoutTransport(process.stdout)],
    exitOnError: false,
  });
  logger.on('error', (error: Error) => settings.trouble(`log: ${error.message}`));
  return {
    write: (level, message, fields) => void logger.log(level, message, fields),
    isEnabled: (level) => isWithin(level, logger.level as Level),
    setLevel: (level) => void (logger.level = level),
    close: () => endLogger(logger, syslog),
  };
}

function lineFormat(settings: LogSettings): ReturnType<typeof format.printf> {
  return format.printf(({ level, message, ...fields }) =>
    formatLine(settings, level, String(message), fields, new Date()),
  );
}

async function endLogger(logger: Logger, syslog: SyslogTransport | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    logger.once('finish', () => resolve());
    logger.end();
  });
  await syslog?.drain();
}

// Where the daemon tells what happened.
import { formatLine, isWithin, type Level } from './line.js';
import { StdoutLines } from './stdout.js';
import { Syslog } from './syslog.js';

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

/** Who takes finished lines. */
interface Destination {
  write(level: Level, line: string): void;
  /** Waits until everything is handed over, a second at the most. */
  drain(): Promise<void>;
}

/** Makes the log, to syslog or to standard output. */
export function openLog(settings: LogSettings): Log {
  const destination: Destination =
    settings.destination === 'syslog'
      ? new Syslog(settings.trouble, settings.loggerPath)
      : new StdoutLines(process.stdout);
  let { level: most } = settings;
  return {
    write: (level, message, fields) => {
      if (!isWithin(level, most)) return;
      destination.write(level, formatLine(settings, level, message, fields, new Date()));
    },
    isEnabled: (level) => isWithin(level, most),
    setLevel: (level) => (most = level),
    close: () => destination.drain(),
  };
}

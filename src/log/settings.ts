// What the options say about the log.
import type { Config } from '../config/config.js';
import type { Level, LineStyle } from './line.js';
import { complain, isJournal } from './outputs.js';

const STDOUT = 1;

/** How a log is to be. */
export interface LogSettings extends LineStyle {
  readonly level: Level;
  /** path of logger(1); undefined: where the system keeps it */
  readonly loggerPath?: string;
  /** is told when the log itself is in trouble */
  readonly trouble: (message: string) => void;
}

/** What a configuration asks for, with standard output and error as they are. */
export function logSettings(config: Config): LogSettings {
  const output = isJournal(STDOUT, process.env) ? 'journal' : 'stdout';
  return {
    destination: config.stdout ? output : 'syslog',
    format: config.logFormat,
    level: levelOf(config),
    trouble: (message) => complain(message),
  };
}

/** The level that a configuration asks for. */
export function levelOf({ quiet, logLevel }: Pick<Config, 'quiet' | 'logLevel'>): Level {
  return quiet ? 'error' : logLevel;
}

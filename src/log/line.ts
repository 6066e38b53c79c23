// Log lines as text, and their severities. Pure.

/** Severities, as `log-level` names them, most severe first. */
export type Level = 'error' | 'warn' | 'info' | 'debug';

/** Their numbers: the severities of syslog (RFC 5424, section 6.2.1, table 2), which are winston's levels for it, too. */
export const SEVERITY: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether lines of a level are written when those up to another one are asked for. */
export function isWithin(level: Level, most: Level): boolean {
  return SEVERITY[level] <= SEVERITY[most];
}

/** How lines look, which depends on who adds the time. */
export interface LineStyle {
  /** `journal`: standard output, and systemd reads it */
  readonly destination: 'syslog' | 'stdout' | 'journal';
  readonly format: 'text' | 'json';
}

/** What a line is made of; winston's `info` is one. */
export interface Entry {
  readonly level: Level;
  readonly message: string;
  readonly [field: string]: unknown;
}

/**
 * A log line, without its end. syslogd and the journal add time and name by themselves; the journal takes the severity
 * from the beginning of the line (sd-daemon(3)), syslogd from whoever sends it.
 */
export function formatLine({ destination, format }: LineStyle, entry: Entry, now: Date): string {
  const { level, message, ...fields } = entry;
  const time = now.toISOString();
  const hasTime = destination === 'stdout';
  const priority = destination === 'journal' ? `<${SEVERITY[level]}>` : '';
  if (format === 'text') return hasTime ? `${time} ${level}: ${message}` : `${priority}${message}`;
  return priority + JSON.stringify({ ...(hasTime && { time }), level, message, ...fields });
}

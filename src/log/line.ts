// A log line as text. Pure.

/** Severities, most severe first. */
export type Level = 'error' | 'warn' | 'info' | 'debug';

const ORDER: readonly Level[] = ['error', 'warn', 'info', 'debug'];

/** Whether lines of a level are written when those up to another one are asked for. */
export function isWithin(level: Level, most: Level): boolean {
  return ORDER.indexOf(level) <= ORDER.indexOf(most);
}

/** A log line, without its end. syslogd adds the time and the name by itself. */
export function formatLine(
  settings: { readonly destination: 'syslog' | 'stdout'; readonly format: 'text' | 'json' },
  level: string,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  now: Date,
): string {
  const isSyslog = settings.destination === 'syslog';
  if (settings.format === 'json') {
    const time = isSyslog ? {} : { time: now.toISOString() };
    return JSON.stringify({ ...time, level, message, ...fields });
  }
  return isSyslog ? message : `${now.toISOString()} ${level}: ${message}`;
}

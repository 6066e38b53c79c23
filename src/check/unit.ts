// The unit that systemd starts mxallowd by, as far as check needs it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a unit says of whom it runs mxallowd as. */
export interface ServiceUnit {
  readonly path: string;
  /** systemd makes its user for as long as it runs, and what it keeps the user's own at each start (systemd.exec(5)) */
  readonly isDynamic: boolean;
  /** undefined: root, or a dynamic one of the unit's name */
  readonly user: string | undefined;
}

/** Where units are, the first one counts (systemd.unit(5)). */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];
const NAME = 'mxallowd.service';
/** What systemd takes for true. */
const TRUE = new Set(['1', 'yes', 'y', 'true', 't', 'on']);

/**
 * Reads a unit's [Service] section.
 * @param texts - the unit, then its drop-ins; the last word counts
 */
export function parseService(texts: readonly string[]): Omit<ServiceUnit, 'path'> {
  const values = new Map<string, string>();
  for (const text of texts) {
    let section = '';
    for (const line of text.split('\n')) {
      section = /^\[(.*)\]\s*$/.exec(line)?.[1] ?? section;
      const [, key = '', value = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (section === 'Service' && key !== '') values.set(key, value);
    }
  }
  const user = values.get('User');
  return {
    isDynamic: TRUE.has(values.get('DynamicUser')?.toLowerCase() ?? ''),
    user: user === '' ? undefined : user,
  };
}

/** Finds the unit that is installed; undefined when there is none that can be read. */
export function readUnit(): ServiceUnit | undefined {
  for (const folder of FOLDERS) {
    const path = join(folder, NAME);
    const text = read(path);
    if (text !== undefined) return { path, ...parseService([text, ...dropIns()]) };
  }
  return undefined;
}

/** By name, whatever folder they are in; of two with one name the first one counts. */
function dropIns(): string[] {
  const found = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const name of names(join(folder, `${NAME}.d`))) {
      const text = found.has(name) ? undefined : read(join(folder, `${NAME}.d`, name));
      if (text !== undefined) found.set(name, text);
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.conf'));
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

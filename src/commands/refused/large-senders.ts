// The domains of large senders that the package knows: those of examples/large-senders.conf.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostName } from '../../names/name.js';
import { packageFolder } from '../../version.js';

const OPTION = 'allow-domain';

/** The domains in the lines of a configuration file, commented out or not. */
export function largeSendersIn(text: string): ReadonlySet<string> {
  const lines = text.split('\n').map((line) => /^#?\s*allow-domain\s+(\S+)/.exec(line)?.[1]);
  return new Set(lines.flatMap((name) => (name === undefined ? [] : (hostName(name) ?? []))));
}

/**
 * Reads them.
 * @param optionNames - of a configuration file; without `allow-domain` among them there are none
 */
export function loadLargeSenders(optionNames: readonly string[]): ReadonlySet<string> {
  if (!optionNames.includes(OPTION)) return new Set();
  try {
    return largeSendersIn(readFileSync(join(packageFolder(), 'examples', 'large-senders.conf'), 'utf8'));
  } catch {
    return new Set();
  }
}

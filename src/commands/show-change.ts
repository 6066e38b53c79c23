// What commands that change files have in common: they show it, and are not interrupted.
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { escapeText } from '../packet/escape.js';

/** Characters of a line that are shown at the most. */
export const MOST_OF_A_LINE = 2000;

/** Prints a message to standard error. */
export function say(text: string): void {
  process.stderr.write(`mxallowd: ${escapeText(text, MOST_OF_A_LINE)}\n`);
}

/** As `diff -u` shows a change. */
const PATCH_FORMAT = { context: 3, headerOptions: FILE_HEADERS_ONLY };

/**
 * The lines that tell how a file changes, as `diff -u` does; none when it does not.
 * @param from - undefined: there is no such file
 * @param to - undefined: there will be none
 */
export function shownDifference(path: string, from: string | undefined, to: string | undefined): string[] {
  if (from === to) return [];
  const nameOf = (text: string | undefined): string => (text === undefined ? '/dev/null' : path);
  const texts = [from ?? '', to ?? ''] as const;
  const patch = createTwoFilesPatch(nameOf(from), nameOf(to), ...texts, undefined, undefined, PATCH_FORMAT);
  return patch.split('\n').slice(0, -1).map(shownLine);
}

/** A line of a file, with nothing that a terminal could take for a command. */
function shownLine(line: string): string {
  return line
    .split(/([\t\\])/)
    .map((part, index) => (index % 2 === 1 ? part : escapeText(part, MOST_OF_A_LINE)))
    .join('');
}

/** A signal must not leave half of the work: what it has started gets it as well, fails, and things are put back. */
export async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const ignore = (): void => undefined;
  for (const signal of signals) process.on(signal, ignore);
  try {
    return await work();
  } finally {
    for (const signal of signals) process.off(signal, ignore);
  }
}

// Probe: whether a shell can read the options that rc.d starts mxallowd with.
import { readFileSync } from 'node:fs';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import type { Probe } from './probe.js';

/** Where a system's rc.d finds them; the last one that has them counts. */
const FILES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  openbsd: ['/etc/rc.conf.local'],
  freebsd: ['/etc/rc.conf', '/etc/rc.conf.local', '/etc/rc.conf.d/mxallowd'],
};

/** rc.subr hands the options to a shell, as they stand there. */
export const rcFlagsProbe: Probe = {
  name: 'rc.d',
  applies: ({ machine }) => FILES[machine.platform] !== undefined,
  run: ({ machine }) =>
    Promise.resolve((FILES[machine.platform] ?? []).flatMap((file) => judgeFlags(read(file), file))),
};

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/**
 * Judges `mxallowd_flags`.
 * @param text - of rc.conf.local(8) or rc.conf(5)
 * @param file - its name
 */
export function judgeFlags(text: string, file: string): Finding[] {
  return text.split('\n').flatMap((line, index) => {
    const value = /^\s*mxallowd_flags\s*=(.*)$/.exec(line)?.[1];
    if (value === undefined) return [];
    const where = `${escapeText(file, 100)}:${index + 1}: mxallowd_flags`;
    const problem = flagsProblem(unquoted(value));
    if (problem === undefined) return [finding('ok', 'rc-flags', `${where}: can be read by a shell`)];
    const message = `${where}: ${problem}: rc.d does not start mxallowd`;
    return [finding('error', 'rc-flags', message, `quote it: -l '(tcp or udp) and port 25'`)];
  });
}

/** What is behind `#` is lost, and so are quotes around the whole (OpenBSD's rc.subr). */
function unquoted(value: string): string {
  const text = value.replace(/#.*$/, '').trim();
  return /^(["']).*\1$/.test(text) && text.length > 1 ? text.slice(1, -1) : text;
}

/**
 * Why a shell that is given these words does not take them for words: what ends or joins commands outside quotes, and
 * quotes that are not closed.
 */
export function flagsProblem(flags: string): string | undefined {
  let quote = '';
  for (let at = 0; at < flags.length; at++) {
    const character = flags.charAt(at);
    if (character === '\\' && quote !== "'") at++;
    else if (quote !== '') quote = character === quote ? '' : quote;
    else if (character === '"' || character === "'") quote = character;
    else if ('()|&;<>'.includes(character))
      return `"${character}" outside quotes means something to the shell`;
  }
  return quote === '' ? undefined : `a quote (${quote}) is not closed`;
}

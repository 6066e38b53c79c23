// Finds the control socket of the daemon that is asked.
import { resolve } from 'node:path';
import { defaultValue, type Given } from '../config/config.js';
import { parseConfigFile } from '../config/file.js';
import { OPTIONS } from '../config/options.js';
import type { Problem } from '../config/problem.js';
import { absolutePathOrNone } from '../config/values.js';
import { escapeText } from '../packet/escape.js';
import { Exit } from '../sysexits.js';
import { readConfigFile } from '../process/load-config.js';

/** Where the daemon can be asked, or why nowhere. */
export type LocatedSocket =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly exitStatus: number };

/**
 * Finds the control socket: the one that the command line names, else the configuration file, else the system's
 * default. Whatever else is wrong with the file is the daemon's business; and who may ask the daemon need not be
 * allowed to read it.
 * @param given - from the command line
 * @param problems - found on the command line already
 */
export function locateSocket(
  given: readonly Given[],
  problems: readonly Problem[],
  platform: NodeJS.Platform,
): LocatedSocket {
  if (problems.length > 0) return { ok: false, problems, exitStatus: Exit.USAGE };
  const named = given.findLast(({ key }) => key === 'controlSocket');
  if (named !== undefined) return check(named);
  const file = given.findLast(({ key }) => key === 'config')?.text;
  const path = resolve(file ?? OPTIONS.config.defaultText ?? '');
  const { text, problems: unreadable, exitStatus } = readConfigFile(path, file !== undefined);
  if (file !== undefined && unreadable.length > 0) {
    return { ok: false, problems: unreadable, exitStatus };
  }
  const line = parseConfigFile(path, text ?? '').given.findLast(({ key }) => key === 'controlSocket');
  return line === undefined ? { ok: true, path: defaultValue('controlSocket', platform) ?? '' } : check(line);
}

function check({ text = '', where, origin }: Given): LocatedSocket {
  const { name } = OPTIONS.controlSocket;
  const fail = (message: string, exitStatus: number): LocatedSocket => {
    const kind = origin === 'file' ? 'config' : 'usage';
    const subject = origin === 'file' ? `${name}: ` : '';
    return { ok: false, problems: [{ where, kind, message: `${subject}${message}` }], exitStatus };
  };
  const checked = absolutePathOrNone(text);
  if (!checked.ok) {
    const message = `"${escapeText(text, 80)}" is not ${checked.expected}`;
    return fail(message, origin === 'file' ? Exit.CONFIG : Exit.USAGE);
  }
  if (checked.value === '') return fail('none, so the daemon cannot be asked', Exit.UNAVAILABLE);
  return { ok: true, path: checked.value };
}

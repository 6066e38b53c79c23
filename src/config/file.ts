// The configuration file's text, mxallowd.conf(5). Pure.
import { escapeText } from '../packet/escape.js';
import type { Given } from './config.js';
import { OPTION_LIST } from './options.js';
import { type Problem, suggestion } from './problem.js';
import { changesTime } from './values.js';

const FILE_OPTIONS = OPTION_LIST.filter(([, spec]) => spec.commandLineOnly !== true);
const BY_NAME = new Map(FILE_OPTIONS.map((option) => [option[1].name, option]));
const NAMES = [...BY_NAME.keys()];

/** What a configuration file says, and what is wrong with its form. */
export interface ParsedFile {
  readonly given: readonly Given[];
  readonly problems: readonly Problem[];
  /** what 1.9 passed over in silence, and we pass over too */
  readonly remarks: readonly Problem[];
}

/**
 * Reads the text of a configuration file: `name value` on each line, blanks or tabs between, `#` begins a comment
 * line, names without regard to case. As with 1.9, a value ends at the first blank, and what follows it on the line
 * does not count; only a filter goes on to the end of the line.
 * @param path - for messages
 */
export function parseConfigFile(path: string, text: string): ParsedFile {
  const given: Given[] = [];
  const problems: Problem[] = [];
  const remarks: Problem[] = [];
  // a byte order mark, as some editors leave it (the text is Latin-1)
  const lines = text.replace(/^\xef\xbb\xbf/, '').split('\n');
  for (const [index, rawLine] of lines.entries()) {
    const line = rawLine.replace(/\r$/, '').trim();
    if (line === '' || line.startsWith('#')) continue;
    const where = `${path}:${index + 1}`;
    const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    const known = BY_NAME.get(name.toLowerCase());
    if (known === undefined) {
      const shown = escapeText(name, 60);
      const message = `Unknown configfile option: ${shown}${suggestion(name, NAMES)}`;
      problems.push({ where, kind: 'config', message });
      continue;
    }
    const [key, spec] = known;
    const value = spec.restOfLine === true ? rest.replace(/\s+#.*$/, '') : (rest.split(/\s/)[0] ?? '');
    const ignored = rest.slice(value.length).trim();
    if (spec.value === undefined) {
      if (/^(no|off|false|0)\b/i.test(rest)) {
        const message = `${spec.name} takes no value, and "${escapeText(rest, 60)}" would switch it on: leave the line out`;
        problems.push({ where, kind: 'config', message });
        continue;
      }
      given.push({ key, text: undefined, where, origin: 'file' });
      if (rest !== '' && !rest.startsWith('#')) {
        const message = `${spec.name} takes no value, "${escapeText(rest, 60)}" is ignored`;
        remarks.push({ where, kind: 'config', message });
      }
    } else if (value === '' || value.startsWith('#')) {
      problems.push({ where, kind: 'config', message: `${spec.name} needs a value (${spec.value})` });
    } else if (spec.value === 'SEC' && changesTime(ignored)) {
      const shown = escapeText(`${value} ${ignored}`, 60);
      const message = `${spec.name}: "${shown}" has a blank in it: times are written without, as 90m, 8h or 1h30m`;
      problems.push({ where, kind: 'config', message });
    } else {
      given.push({ key, text: value, where, origin: 'file' });
      if (ignored !== '' && !ignored.startsWith('#')) remarks.push(remark(where, name, ignored));
    }
  }
  return { given, problems, remarks };
}

function remark(where: string, name: string, ignored: string): Problem {
  const message = `what follows the value of ${escapeText(name, 60)} is ignored: "${escapeText(ignored, 60)}"`;
  return { where, kind: 'config', message };
}

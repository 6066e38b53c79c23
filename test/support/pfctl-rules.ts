/**
 * How the stand-in for pfctl reads rules: as far as a simple look at words goes. Includes are followed; what one of the
 * systems is known to reject is rejected in its words (OpenBSD 7.8, FreeBSD 11.1).
 */
import { readFileSync } from 'node:fs';
import { errorCode, type Flavour } from './pfctl-state.js';

/** A statement on one line, without comment; blanks are single outside quotes. */
export interface RuleLine {
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

/** The statements of a file and of what it includes, or what is said on standard error. */
export type RulesRead =
  | { readonly ok: true; readonly lines: readonly RuleLine[] }
  | { readonly ok: false; readonly stderr: string };

/** Reads the text of a main file; `file` is its name for messages. */
export function readRuleset(text: string, file: string, flavour: Flavour): RulesRead {
  const lines: RuleLine[] = [];
  const stderr = follow(text, file, flavour, lines, 0) ?? wrongOrder(lines, flavour);
  return stderr === undefined ? { ok: true, lines } : { ok: false, stderr };
}

/** Statements that each system rejects as a syntax error. */
const REJECTED: Readonly<Record<Flavour, readonly RegExp[]>> = {
  openbsd: [/^(no )?(scrub|nat|rdr|binat)\b/, /^(nat|rdr|binat)-anchor\b/, /^altq\b/, /^set require-order\b/],
  freebsd: [/^match\b/, /\bonce\b/, /\b(nat|rdr)-to\b/, /^set reassemble\b/],
  freebsd15: [/\breceived-on\b/],
};
const REJECTED_BY_ALL = [
  ...[/^include [^"']/, /^table [^<]/, /\blog-all\b/, /^(pass|block) quick in\b/, /^blokc\b/],
  /^anchor .* \{ [^}]+\}$/,
];

function follow(
  text: string,
  file: string,
  flavour: Flavour,
  lines: RuleLine[],
  depth: number,
): string | undefined {
  const { statements, isOpen, last } = split(text);
  const syntaxError = (line: number): string => `${file}:${line}: syntax error\n`;
  for (const { text: statement, line } of statements) {
    const rejected = [...REJECTED[flavour], ...REJECTED_BY_ALL].some((pattern) => pattern.test(statement));
    if (rejected) return syntaxError(line);
    const [, path] = /^include ["'](.*)["']$/.exec(statement) ?? [];
    if (path === undefined) lines.push({ text: statement, file, line });
    else {
      const included = depth < 16 ? readInclude(path) : undefined;
      if (included === undefined) {
        const name = flavour === 'openbsd' ? `pushfile: ${path}` : path;
        return `pfctl: ${name}: No such file or directory\n${file}:${line}: failed to include file ${path}\n`;
      }
      const stderr = follow(included, path, flavour, lines, depth + 1);
      if (stderr !== undefined) return stderr;
    }
  }
  const isCut = flavour !== 'openbsd' && text !== '' && !text.endsWith('\n');
  return isOpen || isCut ? syntaxError(last) : undefined;
}

function readInclude(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** FreeBSD wants options, normalization, queueing, translation, filtering in this order. */
const ORDER = [
  /^set\b/,
  /^(no )?scrub\b/,
  /^(altq|queue)\b/,
  /^(no )?(nat|rdr|binat)\b/,
  /^(pass|block|antispoof|anchor)\b/,
];

function wrongOrder(lines: readonly RuleLine[], flavour: Flavour): string | undefined {
  if (flavour === 'openbsd' || lines.some(({ text }) => /^set require-order no\b/.test(text)))
    return undefined;
  let reached = 0;
  for (const { text, file, line } of lines) {
    const place = ORDER.findIndex((pattern) => pattern.test(text));
    if (place >= 0 && place < reached) {
      return `${file}:${line}: Rules must be in order: options, normalization, queueing, translation, filtering\n`;
    }
    reached = Math.max(reached, place);
  }
  return undefined;
}

interface Split {
  readonly statements: { text: string; line: number }[];
  /** The text ends inside quotes or braces. */
  readonly isOpen: boolean;
  /** Number of the last line. */
  readonly last: number;
}

/** Comments, quotes, joined lines, and lists over several lines. */
function split(text: string): Split {
  const statements: { text: string; line: number }[] = [];
  let [statement, line, depth, start, quote] = ['', 1, 0, 1, ''];
  const end = (): void => {
    const trimmed = statement.trim();
    if (trimmed !== '') statements.push({ text: trimmed, line: start });
    statement = '';
  };
  for (const [piece] of text.matchAll(/\\\n|#(?:\\\n|[^\n])*|\n|["'{}]|[ \t\r]+|[^\\\n#"'{} \t\r]+|\\/g)) {
    if (quote !== '') {
      statement += piece === '\n' || piece === '\\\n' ? '' : piece;
      if (piece === quote) quote = '';
    } else if (piece.startsWith('#')) {
      // a comment
    } else if (piece === '\n' && depth === 0) end();
    else if (/^[ \t\r\n]|^\\\n/.test(piece)) statement += statement.endsWith(' ') ? '' : ' ';
    else {
      if (statement.trim() === '') start = line;
      if (piece === '"' || piece === "'") quote = piece;
      if (piece === '{') depth++;
      if (piece === '}') depth--;
      statement += piece;
    }
    line += piece.split('\n').length - 1;
  }
  end();
  return { statements, isOpen: quote !== '' || depth > 0, last: line };
}

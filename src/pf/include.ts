// Puts the include into a pf.conf, and takes it out. Pure.
import {
  Classifier,
  hasWord,
  includedPath,
  type Item,
  mayDecide,
  RANKS,
  type ReadInclude,
  tableNames,
} from './classify.js';
import { type IncludeSpec, type PfSystem, type Present, reassemblyLine } from './conf.js';
import { adviceOn, reassembly, refusals } from './remarks.js';
import { parseConf, type Statement, tokensOf } from './statements.js';

/** A pf.conf that includes the rules, or why that cannot be done. */
export type Placed =
  | {
      readonly ok: true;
      readonly text: string;
      /** what pf.conf says outside the rules file */
      readonly present: Present;
      /** what the administrator should look at */
      readonly advice: readonly string[];
    }
  | { readonly ok: false; readonly reasons: readonly string[] };

/** What our lines in pf.conf end in. */
const MARK = 'mxallowd pf-conf';
const MARK_WITH_NEWLINE = `${MARK} (with the newline before this line)`;

/** Replaces `text.slice(start, end)`. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly line: string;
}

/**
 * Puts the include into a pf.conf that has none: behind options, translation and rules that are not quick, ahead of
 * the first rule that may decide about mail. On FreeBSD the scrub line, which has to be ahead of translation, becomes a
 * line of pf.conf itself. What is there already stays as and where it is.
 * @param text - pf.conf, one character a byte (latin1)
 */
export function addInclude(text: string, spec: IncludeSpec, readInclude: ReadInclude): Placed {
  const parsed = parseConf(text);
  const { statements } = parsed;
  const items = new Classifier(readInclude, spec.rules).items(statements, spec.file);
  const reasons = refusals(parsed, items, spec);
  if (reasons.length > 0) return { ok: false, reasons };
  const include = items.some(({ kind }) => kind === 'ours') ? undefined : includeAt(items, statements.length);
  const scrub = spec.system === 'freebsd' ? scrubEdit(text, statements, items, spec) : [];
  const isOrdered = spec.system === 'freebsd' && !items.some(isOrderOff);
  if (isOrdered && !keepsOrder(items, include, scrub)) return { ok: false, reasons: byHand(spec) };
  const edits = [
    ...scrub.map(({ edit }) => edit),
    ...(include === undefined ? [] : [insertion(text, statements, include, includeLine(spec.rules))]),
  ];
  return {
    ok: true,
    text: apply(text, edits, spec.system),
    present: {
      table: items.some((item) => item.kind === 'table' && tableNames(item).includes(spec.table)),
      reassembly: spec.system === 'freebsd' || reassembly(items) === 'yes',
    },
    advice: adviceOn(items, spec),
  };
}

/**
 * Takes out of a pf.conf what {@link addInclude} has put there: it is then, byte by byte, what it was before.
 * @param rules - absolute path of the rules file
 */
export function removeInclude(text: string, rules: string): string {
  let rest = text;
  for (const statement of parseConf(text).statements.toReversed()) {
    if (!isOurs(statement, rules)) continue;
    const isLast = statement.end === rest.length;
    let { start } = statement;
    if (statement.comment === MARK_WITH_NEWLINE && isLast) start -= rest.endsWith('\r\n') ? 2 : 1;
    rest = rest.slice(0, start) + rest.slice(statement.end);
  }
  return rest;
}

/** Has a pf.conf include another rules file, for a check; line numbers stay. */
export function pointInclude(text: string, rules: string, other: string): string {
  let result = text;
  for (const { tokens, start, end } of parseConf(text).statements.toReversed()) {
    if (includedPath(tokens) !== rules) continue;
    const newlines = '\n'.repeat(text.slice(start, end).split('\n').length - 1);
    result = `${result.slice(0, start)}include "${other}"${newlines}${result.slice(end)}`;
  }
  return result;
}

function isOurs(statement: Statement, rules: string): boolean {
  return includedPath(statement.tokens) === rules || isOurScrub(statement);
}

function isOurScrub({ tokens, comment }: Statement): boolean {
  return tokens[0]?.text === 'scrub' && (comment === MARK || comment === MARK_WITH_NEWLINE);
}

function includeLine(rules: string): string {
  return `include "${rules}"`;
}

/** Index of the statement that the include goes ahead of. */
function includeAt(items: readonly Item[], end: number): number {
  return items.find(mayDecide)?.top ?? end;
}

/** The scrub line: nothing where there is one, in its own place where it is ours and another, else a new line. */
function scrubEdit(
  text: string,
  statements: readonly Statement[],
  items: readonly Item[],
  spec: IncludeSpec,
): { readonly at: number; readonly edit: Edit }[] {
  const line = reassemblyLine(spec);
  const wanted = asText(tokensOf(line));
  if (items.some(({ tokens }) => asText(tokens) === wanted)) return [];
  const old = statements.findIndex(isOurScrub);
  const replaced = statements[old];
  if (replaced !== undefined) return [{ at: old, edit: { start: replaced.start, end: replaced.end, line } }];
  const at = scrubAt(items, statements.length);
  return [{ at, edit: insertion(text, statements, at, line) }];
}

function asText(tokens: Item['tokens']): string {
  return tokens.map(({ text }) => text).join(' ');
}

/** Behind the last option or scrub line; where there is none, ahead of what has to come later. */
function scrubAt(items: readonly Item[], end: number): number {
  const last = items.findLast(({ kind }) => (RANKS[kind] ?? Infinity) <= 2);
  if (last !== undefined) return last.top + 1;
  return items.find(({ kind }) => (RANKS[kind] ?? 0) > 2 || kind === 'ours')?.top ?? end;
}

/** Whether FreeBSD's order of statements holds with what is inserted. */
function keepsOrder(
  items: readonly Item[],
  include: number | undefined,
  scrub: readonly { readonly at: number }[],
): boolean {
  const rules = include ?? items.find(({ kind }) => kind === 'ours')?.top ?? 0;
  const at = scrub[0]?.at ?? 0;
  return items.every(({ kind, top }) => {
    const rank = RANKS[kind];
    if (rank === undefined) return true;
    return (top < rules || rank >= 5) && (scrub.length === 0 || top >= at || rank <= 2);
  });
}

function isOrderOff(item: Item): boolean {
  return item.kind === 'option' && hasWord(item, 'require-order') && hasWord(item, 'no');
}

function byHand(spec: IncludeSpec): string[] {
  return [
    `${spec.file}: no place is both ahead of the first quick rule and in FreeBSD's order (options, scrub, nat and rdr, rules)`,
    'write these lines yourself, then run this again. Ahead of nat and rdr:',
    `    ${reassemblyLine(spec)}`,
    'behind nat and rdr, ahead of the first quick rule:',
    `    ${includeLine(spec.rules)}`,
  ];
}

/** A new line ahead of a statement: behind the one before it, so that comments stay with what follows them. */
function insertion(text: string, statements: readonly Statement[], at: number, line: string): Edit {
  const offset = offsetOf(text, statements, at);
  return { start: offset, end: offset, line };
}

function offsetOf(text: string, statements: readonly Statement[], at: number): number {
  const next = statements[at];
  if (next === undefined) return text.length;
  const before = statements[at - 1];
  if (before !== undefined) return before.end;
  const comments = /(?:^[ \t]*#.*\n)+(?![^])/m.exec(text.slice(0, next.start));
  // what begins the file speaks of the file
  return comments === null || comments.index === 0 ? next.start : comments.index;
}

function apply(text: string, edits: readonly Edit[], system: PfSystem): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  let result = '';
  let from = 0;
  for (const { start, end, line } of [...edits].sort((a, b) => a.start - b.start)) {
    result += text.slice(from, start);
    const isCut = result !== '' && !result.endsWith('\n');
    // FreeBSD's pfctl takes no file that does not end in a newline: there it was missing
    const mark = isCut && system === 'openbsd' ? MARK_WITH_NEWLINE : MARK;
    result += `${isCut ? newline : ''}${line} # ${mark}${newline}`;
    from = end;
  }
  return result + text.slice(from);
}

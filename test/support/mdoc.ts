/**
 * Reads manual pages in mdoc(7), as far as it takes to compare them with the program: sections, subsections, lists in
 * lists, and their texts without macros.
 */

/** An item of a list. */
export interface MdocItem {
  /** the words of `.It` as they are printed, blanks between them: `-c , --config file` */
  readonly head: string;
  /** the text below it, without lists */
  readonly text: string;
  readonly lists: readonly (readonly MdocItem[])[];
}

/** What stands below a `.Sh` or a `.Ss`. */
export interface MdocSection {
  readonly title: string;
  readonly text: string;
  readonly lists: readonly (readonly MdocItem[])[];
}

/** Macros that print something of their own. */
const WORDS: Readonly<Record<string, string>> = { Ox: 'OpenBSD', Fx: 'FreeBSD', Nm: 'mxallowd', No: '' };
/** Macros that print their arguments only. */
const PLAIN = new Set(
  'Ar Bq Cm Dq Dv Em Ev Fl Ic Li Ns Oc Oo Op Pa Pc Po Pq Sq Xr Brq Bro Brc Ad Sy It'.split(' '),
);
/** Macros that print nothing here. */
const SILENT = new Set('Pp Bd Ed Dd Dt Os Nd'.split(' '));

interface Open {
  words: string[];
  lists: MdocItem[][];
}

/**
 * Splits a page into its sections, subsections among them.
 * @throws Error at a macro that is not known here
 */
export function parseMdoc(page: string): MdocSection[] {
  const sections: (Open & { title: string })[] = [];
  /** whom text belongs to: the section, or the items that are open, the innermost last */
  const open: (Open & { head?: string })[] = [];
  const ends: (() => void)[] = [];
  const place = (): Open => open.at(-1) ?? sections.at(-1) ?? { words: [], lists: [] };
  for (const line of page.split('\n')) {
    if (line === '' || line.startsWith('.\\"')) continue;
    const [macro = '', ...rest] = line.startsWith('.') ? splitWords(line.slice(1)) : [];
    if (macro === '') place().words.push(line);
    else if (macro === 'Sh' || macro === 'Ss') sections.push({ title: rest.join(' '), words: [], lists: [] });
    else if (macro === 'Bl') {
      const list: MdocItem[] = [];
      place().lists.push(list);
      const depth = open.length;
      ends.push(() => closeItem(open, depth, list));
    } else if (macro === 'El') ends.pop()?.();
    else if (macro === 'It') {
      ends.at(-1)?.();
      open.push({ head: printed('It', rest), words: [], lists: [] });
    } else place().words.push(printed(macro, rest));
  }
  return sections.map(({ title, words, lists }) => ({ title, text: joined(words), lists }));
}

function closeItem(open: (Open & { head?: string })[], depth: number, list: MdocItem[]): void {
  if (open.length <= depth) return;
  const item = open.pop();
  if (item !== undefined) list.push({ head: item.head ?? '', text: joined(item.words), lists: item.lists });
}

/** The words of a line; quotes keep blanks together. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

function printed(first: string, rest: readonly string[]): string {
  if (SILENT.has(first)) return '';
  const words: string[] = [];
  let isFlag = false;
  for (const word of [first, ...rest]) {
    if (WORDS[word] !== undefined) words.push(WORDS[word]);
    if (PLAIN.has(word) || WORDS[word] !== undefined) isFlag = word === 'Fl';
    else if (/^[A-Z][a-z]$/.test(word))
      throw new Error(`unknown macro ${word}: ${[first, ...rest].join(' ')}`);
    else words.push(isFlag && /^[\w-]/.test(word) ? `-${word}` : word);
  }
  return words.join(' ');
}

/** One line, with commas and points where they are printed. */
function joined(words: readonly string[]): string {
  return words
    .filter((word) => word !== '')
    .join(' ')
    .replace(/\s+/g, ' ')
    .replace(/ ([.,:;)])(?= |$)/g, '$1');
}

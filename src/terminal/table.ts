// Tables, rows and wrapped text. Pure.

/** How wide output for people is, where nobody tells. */
export const PLAIN_WIDTH = 80;

const NARROWEST = 40;

/**
 * Columns that output for people may take: the terminal's, else what `COLUMNS` says, else 80.
 * @param terminal - columns of the terminal, if the output is one
 */
export function outputWidth(
  terminal: number | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): number {
  const told = terminal ?? Number(environment['COLUMNS'] ?? '');
  return Number.isInteger(told) && told > 0 ? Math.max(told, NARROWEST) : PLAIN_WIDTH;
}

/** Words in lines of at most `width` characters; a word that is longer has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width || line === '') line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** A text cut to `width` characters, with dots where something is missing. */
export function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  return width <= 3 ? text.slice(0, width) : `${text.slice(0, width - 3)}...`;
}

/** A title and what it says; the title of a row that goes on is empty. */
export type Row = readonly [title: string, value: string];

/**
 * Rows of a title and a value; values that are too long go on below.
 * @param titleWidth - columns of the titles, with the colon and at least one blank
 */
export function formatRows(rows: readonly Row[], titleWidth: number, width = PLAIN_WIDTH): string[] {
  return rows.flatMap(([title, value]) => {
    const head = title === '' ? '' : `${title}:`;
    return wrap(value, width - titleWidth).map((part, index) =>
      `${(index === 0 ? head : '').padEnd(titleWidth)}${part}`.trimEnd(),
    );
  });
}

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const GAP = '  ';
/** What the last column has at least, if it has so much to say. */
const LEAST_LAST = 16;
const LEAST_FIRST = 8;

/**
 * A table with a line of titles, no wider than `width` if that can be: what is too long for the last column is cut,
 * what is too long for the first one stands on a line of its own.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string[] {
  const widths = columnWidths(columns, rows, width);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const columnWidth = widths[index] ?? 0;
        if (index > 0 && index === cells.length - 1) return cut(cell, columnWidth);
        return columns[index]?.align === 'right' ? cell.padStart(columnWidth) : cell.padEnd(columnWidth);
      })
      .join(GAP)
      .trimEnd();
  const titles = line(columns.map(({ title }) => title));
  return [
    titles,
    ...rows.flatMap((cells) => {
      const [first = '', ...others] = cells;
      return first.length > (widths[0] ?? 0) ? [first, line(['', ...others])] : [line(cells)];
    }),
  ];
}

function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): number[] {
  const longest = (index: number, most = Infinity): number =>
    rows.reduce((width, cells) => {
      const length = cells[index]?.length ?? 0;
      return length > most ? width : Math.max(width, length);
    }, columns[index]?.title.length ?? 0);
  const last = columns.length - 1;
  const between = columns.slice(1, last).map((_, index) => longest(index + 1));
  const room = width - between.reduce((sum, value) => sum + value, 0) - GAP.length * last;
  // what is longer has a line of its own, and need not push the others aside
  const first = longest(0, Math.max(room - Math.min(longest(last), LEAST_LAST), LEAST_FIRST));
  return [first, ...between, Math.max(Math.min(longest(last), room - first), LEAST_FIRST)];
}

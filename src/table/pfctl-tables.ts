// How many addresses tables have, as pfctl(8) prints it beside them and in rules. Pure.

/** A table in the output of `pfctl -vv -s Tables`. */
export interface TableRow {
  /** in an anchor OpenBSD 7.8 prints `name@anchor` */
  readonly name: string;
  /** letters: `c` const, `p` persist, `a` active, `r` referenced by rules, `h` by those of anchors, `C` counters */
  readonly flags: string;
  /** undefined: it does not say, or cannot be believed */
  readonly addresses: number | undefined;
}

const HEAD = /^([-a-zA-Z]+)\t(\S+)/;
const ADDRESSES = /^\tAddresses: +(\d+)$/;
const REFERENCES = /^\tReferences: +\[ Anchors: (\d+) +Rules: (\d+) /;

/**
 * Reads what `pfctl -vv -s Tables` prints: `-pa-rh-\tmx-white`, then `\tAddresses:   3` and more. FreeBSD 15's takes
 * the references for the addresses and shows none of them, though the letters say that there are some: then no number
 * can be believed. Where no rule refers to any table nothing tells which of the two it is, and 0 can be either.
 */
export function parseTables(text: string): TableRow[] {
  const rows: { name: string; flags: string; addresses: number | undefined }[] = [];
  let counting: 'right' | 'wrong' | undefined;
  for (const line of text.split('\n')) {
    const [, flags, name] = HEAD.exec(line) ?? [];
    if (flags !== undefined && name !== undefined) rows.push({ name, flags, addresses: undefined });
    const row = rows.at(-1);
    if (row === undefined) continue;
    const count = ADDRESSES.exec(line)?.[1];
    if (count !== undefined) row.addresses = Number(count);
    counting ??= countingOf(row.flags, line);
  }
  const isDoubtful = ({ addresses }: TableRow): boolean =>
    counting === 'wrong' || (counting === undefined && addresses === 0);
  return rows.map((row) => (isDoubtful(row) ? { ...row, addresses: undefined } : row));
}

/** What a table's references say of how this pfctl counts; undefined: nothing. */
function countingOf(flags: string, line: string): 'right' | 'wrong' | undefined {
  const [, anchors, rules] = REFERENCES.exec(line) ?? [];
  if (anchors === undefined || !/[rh]/.test(flags)) return undefined;
  return Number(anchors) + Number(rules) > 0 ? 'right' : 'wrong';
}

/** `<mx-white:5>` in a rule. */
const SIZED = /<([^<>:\s]+):(\d+)>/g;

/** Collects how many addresses tables have from `pfctl -vv -s rules`, where each rule tells it of those it refers to. */
export class SizesInRules {
  private readonly sizes = new Map<string, number>();

  /** @param lines - whole lines */
  take(lines: string): void {
    for (const [, name = '', size] of lines.matchAll(SIZED)) this.sizes.set(name, Number(size));
  }

  /** @returns undefined when no rule refers to the table */
  of(table: string): number | undefined {
    return this.sizes.get(table);
  }
}

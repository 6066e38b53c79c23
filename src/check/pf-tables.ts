// What `pfctl -s Tables -v` prints. Pure.

/** A table in the output of `pfctl -vv -s Tables`. */
export interface TableRow {
  /** in an anchor OpenBSD 7.8 prints `name@anchor` */
  readonly name: string;
  /** letters: `c` const, `p` persist, `a` active, `r` referenced, `h`, `C` counters */
  readonly flags: string;
  /** undefined: it does not say */
  readonly addresses: number | undefined;
}

/**
 * Reads what `pfctl -vv -s Tables` prints: `-pa-rh-\tmx-white`, then `\tAddresses:   3` and more. FreeBSD 15's takes
 * the references for the addresses: then no number of addresses can be believed.
 */
export function parseTables(text: string): TableRow[] {
  const rows: { name: string; flags: string; addresses: number | undefined }[] = [];
  let isMiscounted = false;
  for (const line of text.split('\n')) {
    const head = /^([-a-zA-Z]+)\t(\S+)/.exec(line);
    if (head !== null) rows.push({ name: head[2] ?? '', flags: head[1] ?? '', addresses: undefined });
    const row = rows.at(-1);
    if (row === undefined) continue;
    const count = /^\tAddresses: +(\d+)$/.exec(line)?.[1];
    if (count !== undefined) row.addresses = Number(count);
    isMiscounted ||= row.flags.includes('r') && /^\tReferences: .* Rules: 0 /.test(line);
  }
  return isMiscounted ? rows.map((row) => ({ ...row, addresses: undefined })) : rows;
}

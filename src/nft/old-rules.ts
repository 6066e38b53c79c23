// The rules of 2.0.0 and 1.9, which send packets to a queue: found as text, and taken out. Pure.

/** The table of 2.0.0's examples/nftables.conf. */
export const OLD_TABLE = 'inet mxallowd';

/** A text without the old lines. */
export interface WithoutOld {
  /** lines that are not there any more, in their order */
  readonly removed: readonly string[];
  readonly text: string;
}

/** The table's declaration, its removal, and its body; or a line that includes 2.0.0's file. */
const DECLARED = /^\s*(?:(?:add|delete|destroy)\s+)?table\s+inet\s+mxallowd\s*;?\s*$/;
const BODY = /^\s*(?:add\s+)?table\s+inet\s+mxallowd\s*\{/;
const INCLUDED = /^\s*include\s+"[^"]*mxallowd[^"]*nftables\.conf"/;
/** A comment that belongs to what follows. */
const REMARK = /^\s*#/;
/** The first line of 2.0.0's file, for nft as an interpreter; it may stand in the middle of a file, too. */
const HEADING = '# Nolisting with mxallowd on Linux: connections to port 25 are asked about.';

/**
 * Takes the lines of 2.0.0's example out of a file of nft, with the remarks of that example ahead of them. All other
 * lines stay as they are.
 */
export function withoutOldRules(text: string): WithoutOld {
  const lines = text.split('\n');
  const isGone = lines.map(() => false);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (BODY.test(line)) {
      const end = endOfBlock(lines, at);
      for (let inside = at; inside <= end; inside++) isGone[inside] = true;
      at = end;
    } else if (DECLARED.test(line) || INCLUDED.test(line)) isGone[at] = true;
  }
  for (let at = lines.length - 1; at > 0; at--) {
    if (isGone[at] === true && isGone[at - 1] === false) takeRemarks(lines, isGone, at - 1);
  }
  const removed = lines.filter((line, at) => isGone[at] === true && line.trim() !== '');
  if (removed.length === 0) return { removed, text };
  return { removed, text: lines.filter((_, at) => isGone[at] !== true).join('\n') };
}

/** The remarks right above, or with one empty line between, if they are 2.0.0's. */
function takeRemarks(lines: readonly string[], isGone: boolean[], last: number): void {
  let at = last;
  while (at >= 0 && (lines[at] ?? '').trim() === '') at--;
  const end = at;
  while (at >= 0 && REMARK.test(lines[at] ?? '') && !(lines[at] ?? '').startsWith('#!')) at--;
  const remarks = lines.slice(at + 1, end + 1);
  const isOurs =
    remarks.includes(HEADING) || remarks.join('').includes('so that loading it again does not double it');
  if (!isOurs) return;
  for (let gone = at + 1; gone <= last; gone++) isGone[gone] = true;
  if (at >= 0 && !remarks.includes(HEADING)) takeRemarks(lines, isGone, at);
  // at the beginning of a file it is the file's own
  else if (at > 0 && (lines[at] ?? '').startsWith('#!')) isGone[at] = true;
}

/** The line with the brace that ends a block; the last one, if none does. */
function endOfBlock(lines: readonly string[], start: number): number {
  let depth = 0;
  for (let at = start; at < lines.length; at++) {
    const code = (lines[at] ?? '').replace(/"[^"]*"/g, '').replace(/#.*$/, '');
    for (const character of code) {
      if (character === '{') depth++;
      if (character === '}' && --depth === 0) return at;
    }
  }
  return lines.length - 1;
}

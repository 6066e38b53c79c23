// Two texts compared line by line. Pure.

/** Lines around a change that are shown, too. */
const CONTEXT = 3;
/** Cells of the table for the longest common lines; more than that is shown as one change. */
const MOST_CELLS = 4_000_000;

/** A line with its mark: as in both texts, only in the old, only in the new. */
interface Line {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

/**
 * The difference of two texts in the unified form of diff(1), without its two head lines; empty if there is none.
 */
export function difference(before: string, after: string): string[] {
  const lines = compare(splitLines(before), splitLines(after));
  const shown: string[] = [];
  let line = 0;
  while (line < lines.length) {
    const change = lines.findIndex(({ mark }, index) => index >= line && mark !== ' ');
    if (change < 0) break;
    const from = Math.max(line, change - CONTEXT);
    const to = endOfHunk(lines, change);
    shown.push(hunkHead(lines, from, to));
    for (const { mark, text } of lines.slice(from, to)) shown.push(...`${mark}${text}`.split('\n'));
    line = to;
  }
  return shown;
}

/** Lines; one without a newline at its end says so, as diff does. */
function splitLines(text: string): string[] {
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  return last === '' ? lines : [...lines, `${last}\n\\ No newline at end of file`];
}

function endOfHunk(lines: readonly Line[], change: number): number {
  let end = change;
  for (let index = change; index < lines.length && index <= end + 2 * CONTEXT; index++) {
    if (lines[index]?.mark !== ' ') end = index;
  }
  return Math.min(lines.length, end + 1 + CONTEXT);
}

function hunkHead(lines: readonly Line[], from: number, to: number): string {
  const range = (not: Line['mark']): string => {
    const count = (part: readonly Line[]): number => part.filter(({ mark }) => mark !== not).length;
    const length = count(lines.slice(from, to));
    return `${count(lines.slice(0, from)) + (length === 0 ? 0 : 1)},${length}`;
  };
  return `@@ -${range('+')} +${range('-')} @@`;
}

function compare(before: readonly string[], after: readonly string[]): Line[] {
  let head = 0;
  while (head < before.length && before[head] === after[head]) head++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const same = (text: string): Line => ({ mark: ' ', text });
  return [
    ...before.slice(0, head).map(same),
    ...compareMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** By the longest common subsequence. */
function compareMiddle(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const isTooLarge = (before.length + 1) * width > MOST_CELLS;
  const common = new Uint32Array(isTooLarge ? 0 : (before.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0 && !isTooLarge; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const isSame = before[i] === after[j];
      common[i * width + j] = isSame ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh && !isTooLarge) {
      lines.push({ mark: ' ', text: old });
      i++;
      j++;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ mark: '-', text: old });
      i++;
    } else {
      lines.push({ mark: '+', text: fresh ?? '' });
      j++;
    }
  }
  return lines;
}

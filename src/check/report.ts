// Findings as the report of `mxallowd check`.
import { type Finding, SEVERITIES, type Severity } from '../pf/finding.js';

/** Columns of a terminal. */
const WIDTH = 80;
const LABEL_WIDTH = 9;

/** A finding as lines of at most 80 columns: how bad it is, the sentence, and below it what to do. */
export function formatFinding({ severity, message, advice }: Finding): string[] {
  const indent = ' '.repeat(LABEL_WIDTH);
  const told = wrap(message, WIDTH - LABEL_WIDTH).map((line, i) =>
    i === 0 ? `${severity.padEnd(LABEL_WIDTH)}${line}` : `${indent}${line}`,
  );
  const advised = wrap(advice ?? '', WIDTH - LABEL_WIDTH - 3).map(
    (line, i) => `${indent}${i === 0 ? '-> ' : '   '}${line}`,
  );
  return [...told, ...advised];
}

/** Breaks a text at blanks; a word that is too long is broken where the line ends. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((one) => one.match(new RegExp(`.{1,${width}}`, 'g')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** `2 errors, 1 warning, 3 notes`, or that all is well. */
export function formatSummary(findings: readonly Finding[]): string {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const counts = (['error', 'warning', 'note'] as const)
    .map((severity) => [severity, count(severity)] as const)
    .filter(([, number]) => number > 0)
    .map(([severity, number]) => `${number} ${severity}${number === 1 ? '' : 's'}`);
  return counts.length === 0 ? `all is well: ${findings.length} checks` : counts.join(', ');
}

/** Exit status: 0 when there is nothing worse than a note, 1 with a warning, 2 with an error. */
export function exitStatusOf(findings: readonly Finding[]): number {
  const worst = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return Math.max(0, worst - 1);
}

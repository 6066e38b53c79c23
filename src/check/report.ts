// Findings as the report of `mxallowd check`.
import { type Finding, SEVERITIES, type Severity } from '../pf/finding.js';
import { PLAIN_WIDTH, wrap } from '../terminal/table.js';
import { amount } from '../words.js';

const LABEL_WIDTH = 9;

/** A finding as lines of at most 80 columns (a longer word stays whole): how bad, the sentence, below it what to do. */
export function formatFinding({ severity, message, advice }: Finding): string[] {
  const indent = ' '.repeat(LABEL_WIDTH);
  const told = wrap(message, PLAIN_WIDTH - LABEL_WIDTH).map((line, i) =>
    i === 0 ? `${severity.padEnd(LABEL_WIDTH)}${line}` : `${indent}${line}`,
  );
  if (advice === undefined) return told;
  const advised = wrap(advice, PLAIN_WIDTH - LABEL_WIDTH - 3).map(
    (line, i) => `${indent}${i === 0 ? '-> ' : '   '}${line}`,
  );
  return [...told, ...advised];
}

/** `2 errors, 1 warning, 3 notes`, or that all is well. */
export function formatSummary(findings: readonly Finding[]): string {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const counts = (['error', 'warning', 'note'] as const)
    .map((severity) => [severity, count(severity)] as const)
    .filter(([, number]) => number > 0)
    .map(([severity, number]) => amount(number, severity));
  return counts.length === 0 ? `all is well: ${amount(findings.length, 'check')}` : counts.join(', ');
}

/** Exit status: 0 when there is nothing worse than a note, 1 with a warning, 2 with an error. */
export function exitStatusOf(findings: readonly Finding[]): number {
  const worst = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return Math.max(0, worst - 1);
}

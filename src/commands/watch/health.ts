// Findings in a few words, for watch. Pure.
import type { HealthFinding, Severity } from '../../control/protocol.js';
import { counted } from '../../terminal/human.js';

function count(findings: readonly HealthFinding[], severity: Severity): number {
  return findings.filter((finding) => finding.severity === severity).length;
}

/** Health in a few words: `ok`, `1 error, 2 warnings`. */
export function healthWords(findings: readonly HealthFinding[]): string {
  const parts = (['error', 'warning'] as const).flatMap((severity) => {
    const value = count(findings, severity);
    return value === 0 ? [] : [counted(value, severity)];
  });
  return parts.length === 0 ? 'ok' : parts.join(', ');
}

/** What is wrong, the worst first. */
export function troubles(findings: readonly HealthFinding[]): HealthFinding[] {
  return (['error', 'warning'] as const).flatMap((severity) =>
    findings.filter((finding) => finding.severity === severity),
  );
}

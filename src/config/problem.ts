// Something wrong with what the administrator wrote.
import { closest, distance } from 'fastest-levenshtein';

/** Something wrong with what the administrator wrote. */
export interface Problem {
  /** `FILE:LINE` or `--option` */
  readonly where: string;
  readonly message: string;
  /** whose rules it breaks: decides the exit status */
  readonly kind: 'usage' | 'config';
}

/** A problem as one line of text. */
export function formatProblem(problem: Problem): string {
  return problem.where === '' ? problem.message : `${problem.where}: ${problem.message}`;
}

/** " (did you mean "x"?)" for the known name nearest to a wrong one; empty when none is near. */
export function suggestion(wrong: string, known: readonly string[]): string {
  const name = wrong.replace(/^-+/, '').toLowerCase();
  const best = closest(name, [...known]);
  return distance(name, best) * 2 < Math.max(best.length, name.length) ? ` (did you mean "${best}"?)` : '';
}

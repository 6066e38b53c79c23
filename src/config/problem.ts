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

/**
 * ` (did you mean "x"?)` for the known name that is most like a wrong one; empty when none is. The same letters in
 * another order are a slip of the fingers, nearer than a letter more or less: `stauts` is status, not stats.
 */
export function suggestion(wrong: string, known: readonly string[]): string {
  const name = wrong.replace(/^-+/, '').toLowerCase();
  const inOrder = (word: string): string => [...word].sort().join('');
  const swapped = known.find((word) => inOrder(word) === inOrder(name));
  const best = swapped ?? closest(name, [...known]);
  const isNear = best === swapped || distance(name, best) * 2 < Math.max(best.length, name.length);
  return isNear ? ` (did you mean "${best}"?)` : '';
}

// Interfaces that pf does not look at (`set skip`). Pure.
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from './finding.js';
import { expandInterface, type Interfaces } from './interfaces.js';

/** `vio0 (skip)`, among names of interfaces and groups, as `pfctl -v -s Interfaces` prints them. */
const SKIPPED = /^(\S+) \(.*\bskip\b.*\)$/;

/** The interfaces and groups that pf does not look at, by what `pfctl -v -s Interfaces` prints. */
export function parseSkipped(text: string): Set<string> {
  return new Set(text.split('\n').flatMap((line) => SKIPPED.exec(line.trim())?.[1] ?? []));
}

/** Interfaces by which mail comes in and that pf looks at; the others are told. */
export interface SkippedArrivals {
  readonly names: readonly (string | undefined)[];
  readonly findings: readonly Finding[];
}

/**
 * Tells interfaces where mail comes in but pf does not look.
 * @param arrivals - interfaces or groups; undefined: not known
 * @param skipped - undefined: not known
 */
export function judgeSkipped(
  arrivals: readonly (string | undefined)[],
  skipped: ReadonlySet<string> | undefined,
  known: Interfaces | undefined,
): SkippedArrivals {
  const isSkipped = (name: string | undefined): boolean =>
    name !== undefined && [name, ...expandInterface(name, known)].some((one) => skipped?.has(one));
  const names = arrivals.filter((name) => !isSkipped(name));
  const lost = arrivals.filter(isSkipped).map((name) => escapeText(name ?? '', 20));
  if (lost.length > 0) {
    const message = `pf skips ${lost.join(', ')}, where mail comes in: everybody is let in there, and nothing is logged`;
    return {
      names,
      findings: [finding('error', 'rules-skip', message, 'take it out of "set skip on" in pf.conf')],
    };
  }
  const others = [...(skipped ?? [])].filter((name) => !/^lo\d*$/.test(name));
  if (others.length === 0 || !arrivals.includes(undefined)) return { names, findings: [] };
  const list = others.map((name) => escapeText(name, 20)).join(', ');
  const message = `pf skips ${list}: if mail comes in there, everybody is let in, and nothing is logged`;
  return { names, findings: [finding('note', 'rules-skip', message)] };
}

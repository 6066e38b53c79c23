// What an installation is going to change.
import type { ReadInclude } from './classify.js';
import { GENERATED, type IncludeSpec, type RulesSpec, rulesText } from './conf.js';
import { addInclude, removeInclude } from './include.js';

/** The two files, one character a byte. */
export interface Files {
  /** pf.conf */
  readonly main: string;
  /** undefined: there is none */
  readonly rules: string | undefined;
}

/** What is to become of the two files, or why nothing can. */
export type Plan =
  | {
      readonly ok: true;
      readonly before: Files;
      readonly after: Files;
      /** what the administrator should look at */
      readonly advice: readonly string[];
    }
  | { readonly ok: false; readonly reasons: readonly string[] };

/** Where the two files are. */
export type Place = Pick<IncludeSpec, 'file' | 'rules'>;

/** Plans to write the rules and to include them in pf.conf. Nothing that is not ours is changed. */
export function planInstall(spec: RulesSpec, place: Place, before: Files, readInclude: ReadInclude): Plan {
  const foreign = foreignRules(place, before);
  if (foreign.length > 0) return { ok: false, reasons: foreign };
  const placed = addInclude(before.main, { ...spec, ...place }, readInclude);
  if (!placed.ok) return placed;
  const rules = rulesText(spec, placed.present);
  return { ok: true, before, after: { main: placed.text, rules }, advice: placed.advice };
}

/** Plans to take out of pf.conf what was put in, and to remove the rules. */
export function planUninstall(place: Place, before: Files): Plan {
  const foreign = foreignRules(place, before);
  if (foreign.length > 0) return { ok: false, reasons: foreign };
  const main = removeInclude(before.main, place.rules);
  return { ok: true, before, after: { main, rules: undefined }, advice: [] };
}

/** Whether a plan leaves both files as they are. */
export function changesNothing({ before, after }: { before: Files; after: Files }): boolean {
  return before.main === after.main && before.rules === after.rules;
}

/** Why the rules file is not ours to touch. */
function foreignRules({ rules }: Place, before: Files): string[] {
  if (before.rules === undefined || before.rules.startsWith(`${GENERATED}\n`)) return [];
  return [`${rules} has not been written by this command: see what it is, or name another file with --rules`];
}

// Rules in a sentence. Pure.
import { escapeText } from '../packet/escape.js';

const LONGEST_RULE = 120;
const MOST_QUOTED = 2;

/** A rule as pfctl printed it, in quotes; safe to print. */
export function quote({ text }: { readonly text: string }): string {
  return `"${escapeText(text, LONGEST_RULE)}"`;
}

/** The first rules, and how many more there are. */
export function quoteAll(rules: readonly { readonly text: string }[]): string {
  const more = rules.length > MOST_QUOTED ? ` and ${rules.length - MOST_QUOTED} more` : '';
  return rules.slice(0, MOST_QUOTED).map(quote).join(', ') + more;
}

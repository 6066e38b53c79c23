// What FreeBSD's `pfctl -s nat` prints. Pure.
import { parseRedirect, Words } from './parse-endpoint.js';
import { MOST_RULES, readCondition, wordsOf } from './parse-rules.js';
import type { TranslationRule } from './rule.js';

/**
 * Reads what FreeBSD's `pfctl -s nat` prints, as far as it concerns what comes in: `rdr`, `no rdr`. What else may lead
 * a packet elsewhere (`binat`, `rdr-anchor`), and what is not understood, becomes a rule of kind `unknown`.
 */
export function parseRedirects(text: string): TranslationRule[] {
  return text
    .split('\n', MOST_RULES)
    .map((line) => line.trim().replace(/^@\d+ /, ''))
    .filter((line) => line !== '' && !line.startsWith('[ ') && !/^(no )?nat(-anchor)?\b/.test(line))
    .map(parseRedirectRule);
}

function parseRedirectRule(text: string): TranslationRule {
  const unknown: TranslationRule = { kind: 'unknown', text };
  const [condition = '', target, ...more] = text.split(' -> ');
  const tokens = wordsOf(condition);
  if (tokens === undefined || more.length > 0) return unknown;
  const words = new Words(tokens);
  const isException = words.skip('no');
  if (words.take() !== 'rdr' || isException !== (target === undefined)) return unknown;
  const passes = words.skip('pass');
  const read = readCondition(words);
  if (read === undefined) return unknown;
  const redirect = target === undefined ? undefined : parseRedirect(target.split(/\s+/), true);
  return { kind: 'rdr', text, ...read, redirect, passes };
}

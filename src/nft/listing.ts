// What is there of our table: read from nft's list, or from the file that we have written. Pure.
import { type NftMark, parseMark } from './mark.js';

/** A rule as far as it is compared. */
export interface ListedRule {
  readonly chain: string;
  /** empty: none, so it is not ours */
  readonly comment: string;
  /** as it stands there */
  readonly text: string;
}

/** A table as it is there. */
export interface ListedTable {
  /** empty: none */
  readonly comment: string;
  /** undefined: the comment is not ours */
  readonly mark: NftMark | undefined;
  /** chains, and in them the rules, in their order */
  readonly chains: ReadonlyMap<string, readonly ListedRule[]>;
}

const COMMENT = /^comment "([^"]*)"$/;
const RULE_COMMENT = / comment "([^"]*)"$/;
const CHAIN = /^chain (\S+) \{$/;
/** What stands in a chain and is no rule. */
const NO_RULE = /^(?:type \w+ hook |policy \w+;|comment ")/;

/**
 * Reads `nft list table` (better without elements, `-t`), or what {@link import('./conf.js').tableText} writes.
 * @returns undefined when there is no table in it
 */
export function readTable(text: string): ListedTable | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  const start = lines.findIndex((line) => /^table \w+ \S+ \{/.test(line));
  if (start < 0) return undefined;
  let comment = '';
  const chains = new Map<string, ListedRule[]>();
  let chain: string | undefined;
  let depth = 0;
  for (const line of lines.slice(start + 1)) {
    const opened = CHAIN.exec(line)?.[1];
    if (opened !== undefined) {
      chain = opened;
      chains.set(chain, []);
    } else if (line.endsWith('{')) depth++;
    else if (line === '}') {
      if (chain !== undefined) chain = undefined;
      else depth--;
    } else if (chain === undefined) {
      if (depth === 0) comment = COMMENT.exec(line)?.[1] ?? comment;
    } else if (line !== '' && !NO_RULE.test(line)) {
      chains.get(chain)?.push({ chain, comment: RULE_COMMENT.exec(line)?.[1] ?? '', text: line });
    }
  }
  return { comment, mark: parseMark(comment), chains };
}

/** How a table differs from what it should be. */
export interface Difference {
  /** chains and rules that are not there */
  readonly missing: readonly string[];
  /** rules that are there, and should not */
  readonly surplus: readonly string[];
}

/** Compares a table with what it should be, by its chains and the comments of its rules. */
export function compareTables(expected: ListedTable, found: ListedTable): Difference {
  const missing: string[] = [];
  const surplus: string[] = [];
  for (const [name, rules] of expected.chains) {
    const there = found.chains.get(name);
    if (there === undefined) {
      missing.push(`chain ${name}`);
      continue;
    }
    const comments = new Set(there.map(({ comment }) => comment));
    for (const { comment } of rules) if (!comments.has(comment)) missing.push(`${name}: "${comment}"`);
    const wanted = new Set(rules.map(({ comment }) => comment));
    for (const { comment, text } of there) if (!wanted.has(comment)) surplus.push(`${name}: ${text}`);
  }
  for (const name of found.chains.keys()) if (!expected.chains.has(name)) surplus.push(`chain ${name}`);
  return { missing, surplus };
}

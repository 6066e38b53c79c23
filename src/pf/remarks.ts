// What speaks against an include in a pf.conf, or should be looked at. Pure.
import { resolve } from 'node:path';
import { hasWord, type Item, mayDecide, tableNames } from './classify.js';
import type { IncludeSpec } from './conf.js';
import type { ParsedConf } from './statements.js';

/** What a pf.conf says about fragments (OpenBSD); the last word counts. */
export function reassembly(items: readonly Item[]): 'yes' | 'no' | undefined {
  const last = items.findLast((item) => item.kind === 'option' && hasWord(item, 'reassemble'));
  if (last === undefined) return undefined;
  return hasWord(last, 'no') ? 'no' : 'yes';
}

/** Why the rules cannot be included in this pf.conf; empty: they can. */
export function refusals(parsed: ParsedConf, items: readonly Item[], spec: IncludeSpec): string[] {
  const { file, table, rules } = spec;
  const reasons: string[] = [];
  if (parsed.openAt !== undefined) {
    reasons.push(`${file}:${parsed.openAt}: what begins here is not finished where the file ends`);
  }
  for (const item of items) {
    if (item.kind === 'filter' && tableNames(item).includes(table)) {
      reasons.push(`${item.where}: a rule for <${table}> is there already: take the old rules out first`);
    }
    const isElsewhere = item.kind === 'ours' && !item.where.startsWith(`${file}:`);
    if (isElsewhere || includesInside(item, rules)) {
      reasons.push(`${item.where}: includes ${rules}, but it has to be a line of its own in ${file}`);
    }
    if (spec.system === 'openbsd' && item.kind === 'option' && reassembly([item]) === 'no') {
      reasons.push(
        `${item.where}: with "set reassemble no" a SYN in fragments gets past the rules; make it "yes"`,
      );
    }
  }
  return reasons;
}

/** Whether a statement with a block of rules includes a file in there. */
function includesInside({ kind, tokens }: Item, rules: string): boolean {
  return (
    kind !== 'ours' &&
    tokens.some(({ kind: form, text }, index) => {
      const next = tokens[index + 1];
      return form === 'word' && text === 'include' && next !== undefined && resolve('/', next.text) === rules;
    })
  );
}

/** What an administrator should look at in a pf.conf that includes, or is going to include, the rules. */
export function adviceOn(items: readonly Item[], spec: IncludeSpec): string[] {
  const ours = items.findIndex(({ kind }) => kind === 'ours');
  const first = items.findIndex(mayDecide);
  const advice: string[] = [];
  if (ours >= 0 && first >= 0 && first < ours) {
    advice.push(
      `${items[first]?.where}: this comes before the rules for mxallowd, and may decide about mail`,
    );
  }
  for (const item of items) {
    const text = adviceOnItem(item, spec);
    if (text !== undefined) advice.push(`${item.where}: ${text}`);
  }
  return advice;
}

function adviceOnItem(item: Item, spec: IncludeSpec): string | undefined {
  const { table, interfaces } = spec;
  if (item.kind === 'option' && hasWord(item, 'skip') && interfaces.some((name) => hasWord(item, name))) {
    return 'pf skips the interface where mail comes in: no rule is looked at';
  }
  if (item.kind === 'table' && tableNames(item).includes(table)) {
    const hasList = item.tokens.some(({ text }) => text === '{') || hasWord(item, 'file');
    if (hasList) return `each load of the rules sets <${table}> back to this list`;
    return hasWord(item, 'persist') ? undefined : `<${table}> should be "persist"`;
  }
  if (item.kind === 'scrub') return adviceOnScrub(item);
  return concernsMail(item, spec) ? adviceOnRedirection(item) : undefined;
}

function adviceOnScrub(item: Item): string | undefined {
  const isLeaky =
    item.tokens[0]?.text === 'no' || ['crop', 'drop-ovl', 'no'].some((word) => hasWord(item, word));
  return isLeaky ? 'what this keeps from "fragment reassemble" gets past the rules in fragments' : undefined;
}

function adviceOnRedirection(item: Item): string | undefined {
  if (item.kind === 'translation' && item.tokens[0]?.text === 'rdr') {
    return hasWord(item, 'pass')
      ? '"rdr pass" leads mail past all rules: take the "pass" out'
      : 'rdr comes before the rules: mxallowd.conf must name the address that it leads to';
  }
  if (hasWord(item, 'divert-to')) return 'mail for the MX no longer gets here: their rules are quick';
  if (hasWord(item, 'rdr-to'))
    return 'redirects mail: see whether it agrees with the rules for the MX (docs/pf.md)';
  return undefined;
}

function concernsMail(item: Item, { port }: IncludeSpec): boolean {
  return !hasWord(item, 'port') || hasWord(item, String(port)) || (port === 25 && hasWord(item, 'smtp'));
}

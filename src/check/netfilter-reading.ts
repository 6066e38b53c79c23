// Reads the rules of Linux' netfilter, whoever has made them.
import { type Finding } from '../pf/finding.js';
import { judgeMark } from './mark-rules.js';
import { iptablesRules, type NetfilterRule, nftRules, routingRules } from './netfilter-rules.js';
import type { CheckContext } from './probe.js';
import { findProgram, runProgram } from './program.js';

/** What a program prints, read; undefined when it cannot be asked. */
async function ask<T>(
  { machine, times }: CheckContext,
  [name, ...args]: readonly [string, ...string[]],
  parse: (text: string) => T[],
): Promise<T[] | undefined> {
  const path = findProgram(name, machine.searchPath);
  const result = path === undefined ? undefined : await runProgram(path, args, times.childMs);
  return result?.ok === true ? parse(result.stdout) : undefined;
}

/** Rules of all tables, of nft and of iptables. @returns undefined when they cannot be read */
export async function readNetfilter(context: CheckContext): Promise<NetfilterRule[] | undefined> {
  const all = await Promise.all([
    // without the elements of sets
    ask(context, ['nft', '-t', 'list', 'ruleset'], nftRules),
    // of all tables that there are; "iptables -t mangle -S" would make one
    ask(context, ['iptables-save'], (text) => iptablesRules(text, 4)),
    ask(context, ['ip6tables-save'], (text) => iptablesRules(text, 6)),
  ]);
  const known = all.filter((rules) => rules !== undefined);
  return known.length === 0 ? undefined : known.flat();
}

/**
 * Whether a rule uses the mark that strangers get.
 * @param rules - what {@link readNetfilter} has found
 * @param asking - those where the mark is given
 */
export async function judgeMarked(
  context: CheckContext,
  rules: readonly NetfilterRule[],
  asking: readonly NetfilterRule[],
): Promise<Finding[]> {
  const { strangers, realMailserver, port } = context.config;
  if (strangers.kind !== 'mark') return [];
  const ways = await Promise.all([
    ask(context, ['ip', '-4', 'rule'], (text) => routingRules(text, 4)),
    ask(context, ['ip', '-6', 'rule'], (text) => routingRules(text, 6)),
  ]);
  const all = [...rules, ...ways.flatMap((known) => known ?? [])];
  return judgeMark({ mark: strangers.mark, real: realMailserver, port }, all, asking);
}

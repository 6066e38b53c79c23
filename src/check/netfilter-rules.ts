// Rules of Linux' netfilter, one by one, as nft(8), iptables-save(8) and ip-rule(8) print them. Pure.
import type { Family } from '../packet/address.js';

/** A rule, with where it stands. */
export interface NetfilterRule {
  readonly text: string;
  readonly families: readonly Family[];
  /** table and chain */
  readonly chain: string;
  /** undefined: packets come there from other chains only, or it is not known */
  readonly place: Place | undefined;
}

/** When the kernel asks a chain: by hook, and within a hook the lowest priority first. */
export interface Place {
  readonly hook: Hook;
  readonly priority: number;
}

/** In the order in which a packet to this machine, or one that is passed on, comes by. */
const HOOKS = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
export type Hook = (typeof HOOKS)[number];

const TABLE_FAMILIES: Readonly<Record<string, readonly Family[]>> = { ip: [4], ip6: [6], inet: [4, 6] };

/** The names of priorities in nft(8), and where iptables' tables have their chains. */
const PRIORITIES: Readonly<Record<string, number>> = {
  ...{ raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 },
};

/** Whether packets come to one place only after the other; undefined: it is not known. */
export function isLater(one: Place | undefined, other: Place | undefined): boolean | undefined {
  if (one === undefined || other === undefined) return undefined;
  const hooks = HOOKS.indexOf(one.hook) - HOOKS.indexOf(other.hook);
  return hooks === 0 ? one.priority > other.priority : hooks > 0;
}

/** Reads what `nft list ruleset` prints, or a file of rules; all lines in chains. */
export function nftRules(text: string): NetfilterRule[] {
  const rules: NetfilterRule[] = [];
  let [table, chain] = ['', ''];
  let families: readonly Family[] = [];
  let place: Place | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const [, ofTable, family = ''] = /^(table (\w+) .*?) *\{?$/.exec(line) ?? [];
    const [, ofChain] = /^chain (\S+)/.exec(line) ?? [];
    const hook = /^type \w+ hook (\w+).* priority (\w+)?(?: *([+-]? *\d+))?/.exec(line);
    if (ofTable !== undefined) {
      table = ofTable;
      families = TABLE_FAMILIES[family] ?? [];
      place = undefined;
    } else if (ofChain !== undefined) {
      chain = `${table} ${ofChain}`;
      place = undefined;
    } else if (hook !== null) {
      place = placeOf(hook[1], (PRIORITIES[hook[2] ?? ''] ?? 0) + Number(hook[3]?.replaceAll(' ', '') ?? 0));
    } else if (!/^(?:#|\}|$)/.test(line)) {
      rules.push({ text: line, families: families.filter((one) => !isForOther(line, one)), chain, place });
    }
  }
  return rules;
}

function isForOther(line: string, family: Family): boolean {
  const other =
    family === 4 ? /\bip6 |\bnfproto ipv6\b/ : /\bip (?:saddr|daddr|protocol|to)\b|\bnfproto ipv4\b/;
  return other.test(line);
}

/** Reads what `iptables-save` or `ip6tables-save` prints, or rules alone, as `iptables -S` does: those of `filter`. */
export function iptablesRules(text: string, family: Family): NetfilterRule[] {
  const rules: NetfilterRule[] = [];
  let table = 'filter';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const [, chain] = /^-A (\S+)/.exec(line) ?? [];
    if (chain === undefined) continue;
    const place = placeOf(chain.toLowerCase(), priorityOf(table, chain));
    rules.push({ text: line, families: [family], chain: `${table} ${chain}`, place });
  }
  return rules;
}

/** Addresses are translated at two places. */
function priorityOf(table: string, chain: string): number {
  if (table !== 'nat') return PRIORITIES[table] ?? 0;
  return chain === 'PREROUTING' || chain === 'OUTPUT' ? -100 : 100;
}

function placeOf(hook = '', priority: number): Place | undefined {
  const known = HOOKS.find((one) => one === hook);
  return known && { hook: known, priority };
}

/** Reads what `ip -4 rule` or `ip -6 rule` prints: ways for packets. */
export function routingRules(text: string, family: Family): NetfilterRule[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => ({
    text: line.replace(/\s+/g, ' ').trim(),
    families: [family],
    chain: 'ip rule',
    place: undefined,
  }));
}

/** The ports of the destination that a rule names; empty: none. */
export function portsOf(text: string): string[] {
  const nft = /\bdport (?:\{ ([^}]*)\}|(\S+))/.exec(text);
  const match = / --dports? ()(\S+)/.exec(text) ?? nft;
  const list = match?.[1] || match?.[2] || '';
  return list
    .split(/[\s,]+/)
    .filter((port) => port !== '')
    .map((port) => (port === 'smtp' ? '25' : port));
}

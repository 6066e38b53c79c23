// iptables' rules that lead to a queue. Pure.
import type { Family } from '../packet/address.js';

/** A rule of Linux' netfilter that sends packets to a queue. */
export interface QueueRule {
  readonly first: number;
  readonly last: number;
  /** lets packets pass while nobody answers */
  readonly bypass: boolean;
  readonly families: readonly Family[];
  /** ports that it names; empty: none */
  readonly ports: readonly string[];
  readonly text: string;
}

const TABLE_FAMILIES: Readonly<Record<string, readonly Family[]>> = { ip: [4], ip6: [6], inet: [4, 6] };

/** `queue to 23`, `queue num 23-26 bypass`, `queue flags bypass,fanout to 23-26` (nft(8)). */
const NFT_QUEUE = /\bqueue\b(?: flags ([\w,]+))?(?: (?:to|num))? (\d+)(?:-(\d+))?(?: ([\w,]+))?/;

/** Reads the rules with `queue` in what `nft list ruleset` prints. */
export function parseNftQueues(text: string): QueueRule[] {
  const rules: QueueRule[] = [];
  let families: readonly Family[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const table = /^table (\w+) /.exec(line)?.[1];
    if (table !== undefined) families = TABLE_FAMILIES[table] ?? [];
    const queue = NFT_QUEUE.exec(line);
    if (queue === null || line.startsWith('#') || line.startsWith('chain ')) continue;
    const first = Number(queue[2]);
    rules.push({
      first,
      last: Number(queue[3] ?? first),
      bypass: /\bbypass\b/.test(`${queue[1] ?? ''} ${queue[4] ?? ''}`),
      families: families.filter((family) => !isForOther(line, family)),
      ports: portsOf(/\bdport (?:\{ ([^}]*)\}|(\S+))/.exec(line)),
      text: line,
    });
  }
  return rules;
}

function isForOther(line: string, family: Family): boolean {
  const other = family === 4 ? /\bip6 |\bnfproto ipv6\b/ : /\bip (?:saddr|daddr|protocol)\b|\bnfproto ipv4\b/;
  return other.test(line);
}

/** Reads the rules with NFQUEUE in what `iptables -S` or `ip6tables -S` prints. */
export function parseIptablesQueues(text: string, family: Family): QueueRule[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('-A ') || !/ -j NFQUEUE\b/.test(line)) return [];
    const number = / --queue-num (\d+)/.exec(line)?.[1] ?? '0';
    const range = / --queue-balance (\d+):(\d+)/.exec(line);
    return [
      {
        first: Number(range?.[1] ?? number),
        last: Number(range?.[2] ?? number),
        bypass: / --queue-bypass\b/.test(line),
        families: [family],
        ports: portsOf(/ --dports? ()(\S+)/.exec(line)),
        text: line,
      },
    ];
  });
}

function portsOf(match: RegExpExecArray | null): string[] {
  const list = match?.[1] || match?.[2] || '';
  return list
    .split(/[\s,]+/)
    .filter((port) => port !== '')
    .map((port) => (port === 'smtp' ? '25' : port));
}

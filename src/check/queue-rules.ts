// Rules of Linux' netfilter that lead to a queue. Pure.
import { type NetfilterRule, portsOf } from './netfilter-rules.js';

/** A rule of Linux' netfilter that sends packets to a queue. */
export interface QueueRule extends NetfilterRule {
  readonly first: number;
  readonly last: number;
  /** lets packets pass while nobody answers */
  readonly bypass: boolean;
  /** ports that it names; empty: none */
  readonly ports: readonly string[];
}

/** `queue to 23`, `queue num 23-26 bypass`, `queue flags bypass,fanout to 23-26` (nft(8)). */
const NFT_QUEUE = /\bqueue\b(?: flags ([\w,]+))?(?: (?:to|num))? (\d+)(?:-(\d+))?(?: ([\w,]+))?/;

/** The rule, if it leads to a queue; else nothing. */
export function queueRule(rule: NetfilterRule): QueueRule[] {
  return rule.text.startsWith('-A ') ? iptablesQueue(rule) : nftQueue(rule);
}

function nftQueue(rule: NetfilterRule): QueueRule[] {
  const queue = NFT_QUEUE.exec(rule.text);
  if (queue === null) return [];
  const first = Number(queue[2]);
  const last = Number(queue[3] ?? first);
  const bypass = /\bbypass\b/.test(`${queue[1] ?? ''} ${queue[4] ?? ''}`);
  return [{ ...rule, first, last, bypass, ports: portsOf(rule.text) }];
}

function iptablesQueue(rule: NetfilterRule): QueueRule[] {
  if (!/ -j NFQUEUE\b/.test(rule.text)) return [];
  const number = / --queue-num (\d+)/.exec(rule.text)?.[1] ?? '0';
  const range = / --queue-balance (\d+):(\d+)/.exec(rule.text);
  const first = Number(range?.[1] ?? number);
  const last = Number(range?.[2] ?? number);
  const bypass = / --queue-bypass\b/.test(rule.text);
  return [{ ...rule, first, last, bypass, ports: portsOf(rule.text) }];
}

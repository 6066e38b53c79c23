// What loaded rules do with a connection of the machine that they are loaded on. Pure.
import type { Address } from '../packet/address.js';
import { judgePacket, type Outcome } from './evaluate.js';
import { parseRules } from './parse-rules.js';
import { quote } from './quote.js';
import type { RulesSetup } from './rules.js';

/** Whether a rule refuses a connection. */
export interface Refusal {
  readonly by: 'no' | 'yes' | 'maybe';
  /** the rule, in quotes; safe to print */
  readonly rule: string;
}

/**
 * Whether pf refuses (`block return`) when this machine connects to an address: to one of its own by the loopback
 * interface, else by whatever interface leads there. A refusal tells nothing then of who listens.
 * @param text - what `pfctl -s rules` prints
 * @param isOwn - whether the address is one of this machine's
 */
export function judgeOwnConnection(
  text: string,
  destination: Address,
  isOwn: boolean,
  { port, table, interfaces, skipped, os }: RulesSetup,
): Refusal {
  const none: Refusal = { by: 'no', rule: '' };
  if (isOwn && ['lo', 'lo0'].some((name) => skipped?.has(name))) return none;
  const rules = parseRules(text);
  const scene = { table, arrival: isOwn ? 'lo0' : undefined, interfaces, os };
  const own = { from: isOwn ? destination : undefined };
  const verdicts = (isOwn ? (['out', 'in'] as const) : (['out'] as const)).map((direction) =>
    judgePacket(rules, { kind: 'syn', destination, port, listed: false, direction, own }, scene),
  );
  const refuses = ({ returns }: Outcome): boolean => returns;
  for (const { likely, possible } of verdicts) {
    if (refuses(likely) && possible.every(refuses)) return { by: 'yes', rule: quoted(likely) };
  }
  const doubtful = verdicts.flatMap(({ possible }) => possible).find(refuses);
  return doubtful === undefined ? none : { by: 'maybe', rule: quoted(doubtful) };
}

function quoted({ rule }: Outcome): string {
  return rule === undefined ? '' : quote(rule);
}

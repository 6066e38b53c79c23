// What loaded rules do with connections to other mail servers: whether mxallowd hears of them (outbound). Pure.
import { type Address, type Family, familyOf, formatAddress, parseAddress } from '../packet/address.js';
import { judgePacket, type Outcome, type Verdict } from './evaluate.js';
import { type Finding, finding } from './finding.js';
import type { Scene } from './match.js';
import { quote } from './quote.js';
import type { PfRule, TranslationRule } from './rule.js';

/** Somebody in the Internet whom no rule names (RFC 5737, RFC 3849). */
const SOMEBODY: Readonly<Record<Family, Address | undefined>> = {
  4: parseAddress('203.0.113.25'),
  6: parseAddress('2001:db8:ffff::25'),
};

/** What is looked for, and where. */
export interface OutboundAsking {
  readonly rules: readonly PfRule[];
  readonly translations: readonly TranslationRule[];
  readonly real: readonly Address[];
  readonly port: number;
  readonly pflogInterface: string;
  readonly scenes: readonly Scene[];
}

/**
 * Judges whether connections that the mail servers open to others are logged, for each of their addresses.
 * @returns findings, safe to print
 */
export function judgeOutbound(asking: OutboundAsking): Finding[] {
  const silent = asking.real.flatMap((address) => {
    const verdicts = asking.scenes.flatMap((scene) => verdictsOf(asking, address, scene));
    const isHeard = ({ action, logs }: Outcome): boolean =>
      action === 'pass' && logs.includes(asking.pflogInterface);
    if (verdicts.some(({ likely }) => isHeard(likely))) return [];
    const maybe = verdicts.some(({ possible }) => possible.some(isHeard));
    return [{ address, maybe, rule: verdicts[0]?.likely.rule }];
  });
  if (silent.length === 0) {
    return [finding('ok', 'rules-outbound', 'outbound: connections to other mail servers are logged')];
  }
  return silent.map(({ address, maybe, rule }) =>
    finding(
      maybe ? 'note' : 'warning',
      'rules-outbound',
      `outbound: connections of ${formatAddress(address)} to other mail servers are ${maybe ? 'perhaps not logged' : 'not logged, so nobody becomes an entry by them'}` +
        (rule === undefined ? '' : `: ${quote(rule)} decides`),
      'they need a "pass out log" rule; "mxallowd pf-conf" prints it',
    ),
  );
}

function verdictsOf(asking: OutboundAsking, from: Address, scene: Scene): Verdict[] {
  const destination = SOMEBODY[familyOf(from)];
  if (destination === undefined) return [];
  const { rules, port, translations } = asking;
  const packet = { kind: 'syn', destination, port, listed: false, direction: 'out', own: { from } } as const;
  return [judgePacket(rules, packet, scene, translations)];
}

// Loaded rules judged: findings for `check` and `status`. Pure.
import type { Address } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { judgeRole } from './answers.js';
import { findArrivals } from './arrivals.js';
import { flatten } from './evaluate.js';
import { type Finding, finding } from './finding.js';
import { judgeOutbound } from './outbound.js';
import { judgeFragments, type SaidOfFragments } from './fragments.js';
import type { Interfaces } from './interfaces.js';
import type { Scene } from './match.js';
import { parseRedirects } from './parse-redirects.js';
import { parseRules } from './parse-rules.js';
import type { PfRule } from './rule.js';
import { judgeSkipped } from './skipped.js';

/** What rules are judged for. */
export interface RulesSetup {
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  readonly port: number;
  /** whether mxallowd is to hear of connections to other mail servers */
  readonly outbound?: boolean;
  /** name of our table */
  readonly table: string;
  /** where mxallowd listens */
  readonly pflogInterface: string;
  /** where strangers are to be led (`strangers redirect`); undefined: they are to be dropped */
  readonly strangersPort?: number | undefined;
  /** undefined: neither of the two */
  readonly os: 'openbsd' | 'freebsd' | undefined;
  /** of the system, as `15.1-RELEASE-p1`; undefined: not known */
  readonly release?: string | undefined;
  /** of the machine that the rules are of; undefined: not known */
  readonly interfaces?: Interfaces | undefined;
  /** interfaces and groups that pf does not look at (`set skip`); undefined: not known */
  readonly skipped?: ReadonlySet<string> | undefined;
  /** what FreeBSD's `pfctl -s nat` prints */
  readonly translations?: string | undefined;
  /** what pf.conf says of fragments; undefined: it has not been read */
  readonly said?: SaidOfFragments | undefined;
}

/**
 * Judges whether pf's rules do what nolisting needs: for each address whether SYNs of strangers and of admitted
 * senders are logged, refused, dropped or let in. No I/O.
 * @param text - what `pfctl -s rules` prints; with `-a '*'` the rules in anchors are judged, too
 * @returns findings, safe to print; where a rule cannot be judged they say so instead of guessing
 */
export function judgeRules(text: string, setup: RulesSetup): Finding[] {
  const rules = parseRules(text);
  if (flatten(rules).every(({ kind }) => kind === 'scrub')) {
    const message = 'pf has no rules: everybody is let in, and nothing is logged';
    return [finding('error', 'rules-none', message, '"mxallowd pf-conf" prints the rules that are needed')];
  }
  const { fake, real, port, table, pflogInterface, os, interfaces } = setup;
  const arrivals = findArrivals(rules, [...fake, ...real], port, interfaces);
  const skipped = judgeSkipped(arrivals.names, setup.skipped, interfaces);
  const scenes = skipped.names.map((arrival): Scene => ({ table, arrival, interfaces, os }));
  const wrongTable = judgeTable(rules, setup);
  const translations = parseRedirects(setup.translations ?? '');
  const asking = {
    ...{ rules, translations, port, pflogInterface, scenes },
    isTableWrong: wrongTable.length > 0,
    strangersPort: setup.strangersPort,
    knowsTranslations: os !== 'freebsd' || setup.translations !== undefined,
  };
  return [
    ...arrivals.findings,
    ...skipped.findings,
    ...wrongTable,
    ...judgeRole({ ...asking, role: 'fake', addresses: fake }),
    ...judgeRole({ ...asking, role: 'real', addresses: real }),
    ...(setup.outbound === true ? judgeOutbound({ ...asking, real }) : []),
    ...(scenes.length === 0 ? [] : judgeFragments(rules, setup, scenes)),
  ];
}

/** The rules must let in those of our table, not of another. */
function judgeTable(rules: readonly PfRule[], { table }: RulesSetup): Finding[] {
  const all = flatten(rules);
  if (all.some((rule) => tablesOf(rule).includes(table))) return [];
  const others = all.flatMap((rule) => (rule.kind === 'pass' ? tablesOf(rule) : []));
  const other = others[0] === undefined ? '' : `; they let in <${escapeText(others[0], 31)}>`;
  const isHidden = all.some((rule) => rule.kind === 'anchor' && rule.rules === undefined);
  return [
    finding(
      isHidden ? 'warning' : 'error',
      'rules-table',
      `no rule names the table <${table}>, so nobody is let in by it${other}`,
      isHidden
        ? 'unless one in an anchor does: those are not shown here'
        : `write "from <${table}>" in the pass rule, or set table in mxallowd.conf`,
    ),
  ];
}

function tablesOf(rule: PfRule): string[] {
  if (rule.kind === 'unknown') return [...rule.text.matchAll(/<([^:>]+)/g)].map(([, name]) => name ?? '');
  const { address } = rule.criteria.from;
  return address.kind === 'table' ? [address.name] : [];
}

// What DNS says of an address, and what follows for its pool.
import type { Config } from '../../config/config.js';
import { durationText } from '../../config/values.js';
import { distrustReason, type ListAnswer, listName, readListAnswer } from '../../names/dnswl.js';
import { encodesAddress } from '../../names/name.js';
import { checkSpf, judgePool, poolDomains, type SpfResult } from '../../names/pool.js';
import { companions, describe, isPublic, reverse, type ReverseAnswer } from '../../names/rdns.js';
import { type BoundedResolver, resolverOf } from '../../names/resolver.js';
import { type Address, formatAddress, formatPrefix, prefixOf } from '../../packet/address.js';
import { noPoolReason } from '../../engine/messages.js';
import type { Row } from '../../terminal/table.js';
import { allowedByDomain } from './domains.js';

/** A step on the way to what an address may do: of the configuration, then of DNS. Addresses are canonical text. */
export type Finding =
  /** what the configuration says of it, or a domain that it allows; then nothing else counts */
  | { readonly step: 'role'; readonly role: string }
  | {
      readonly step: 'attempt';
      readonly prefix: string;
      readonly seconds: number;
      /** from each time that it has reached the real MX; 0: no longer than that */
      readonly knownSeconds: number;
    }
  | { readonly step: 'no-look-up'; readonly reason: string }
  /** DNS does not answer */
  | { readonly step: 'failed'; readonly code: string }
  | {
      readonly step: 'ptr';
      readonly names: readonly {
        readonly name: string;
        readonly confirmed: boolean;
        /** both, and why, for people */
        readonly text: string;
      }[];
      /** for people, when there are no names */
      readonly none: string;
    }
  /** the addresses that come in with it */
  | { readonly step: 'companions'; readonly addresses: readonly string[] }
  | { readonly step: 'encodes-address'; readonly name: string }
  | { readonly step: 'domain'; readonly domain: string; readonly spf: SpfResult }
  | { readonly step: 'pool'; readonly domain: string; readonly windowSeconds: number }
  | { readonly step: 'no-pool'; readonly reason: string; readonly text: string }
  /** what the DNS allow list says */
  | {
      readonly step: 'list';
      readonly zone: string;
      readonly answer: ListAnswer['kind'];
      /** for people */
      readonly text: string;
      readonly letsIn: boolean;
    };

/** What the configuration and DNS say about an address, step by step as it becomes known. */
export async function* findOut(config: Config, address: Address): AsyncGenerator<Finding, void, undefined> {
  const { ipv4Prefix, ipv6Prefix, whitelistTime, knownTime } = config;
  const role = roleOf(config, address);
  if (role !== undefined) {
    yield { step: 'role', role };
    return;
  }
  const domain = isPublic(address) ? await allowedByDomain(config, address) : undefined;
  if (domain !== undefined) {
    yield { step: 'role', role: `admitted at all times (${domain})` };
    return;
  }
  const prefix = formatPrefix(prefixOf(address, typeof address === 'number' ? ipv4Prefix : ipv6Prefix));
  yield { step: 'attempt', prefix, seconds: whitelistTime, knownSeconds: knownTime };
  const reason = noLookUp(config, address);
  if (reason !== undefined) {
    yield { step: 'no-look-up', reason };
    return;
  }
  const resolver = resolverOf(config);
  try {
    yield* askDns(config, resolver, address);
  } finally {
    resolver.close();
  }
}

function roleOf(config: Config, address: Address): string | undefined {
  if (config.fakeMailserver.includes(address)) return 'our fake MX';
  if (config.realMailserver.includes(address)) return 'our real MX';
  const allowed = config.allow.find(
    (network) =>
      typeof network.address === typeof address &&
      prefixOf(address, network.length).address === network.address,
  );
  return allowed === undefined ? undefined : `admitted at all times (allow ${formatPrefix(allowed)})`;
}

function noLookUp({ noRdnsWhitelist, noPool, dnswl }: Config, address: Address): string | undefined {
  if (noRdnsWhitelist && noPool && dnswl === undefined) return 'no-rdns-whitelist, no-pool';
  return isPublic(address) ? undefined : 'not an address of the Internet';
}

async function* askDns(
  config: Config,
  resolver: BoundedResolver,
  address: Address,
): AsyncGenerator<Finding, void, undefined> {
  yield* askNames(config, resolver, address);
  if (config.dnswl !== undefined) yield await askList(resolver, config.dnswl, config.dnswlTrust, address);
}

async function* askNames(
  config: Config,
  resolver: BoundedResolver,
  address: Address,
): AsyncGenerator<Finding, void, undefined> {
  const answer = await reverse(resolver, address);
  if (answer.status === 'failed' || answer.status === 'dropped') {
    yield { step: 'failed', code: answer.code };
    return;
  }
  yield {
    step: 'ptr',
    names: answer.names.map((name) => ({
      name: name.name,
      confirmed: name.confirmed,
      text: describe(name),
    })),
    none: answer.status === 'found' ? 'no name that a mail server could have' : 'there is none',
  };
  if (!config.noRdnsWhitelist) yield { step: 'companions', addresses: companionsOf(config, address, answer) };
  if (!config.noPool) yield* judge(config, resolver, address, answer);
}

async function askList(
  resolver: BoundedResolver,
  zone: string,
  least: number,
  address: Address,
): Promise<Finding & { step: 'list' }> {
  const answer = readListAnswer(await resolver.lookup('A', listName(address, zone)));
  const letsIn = answer.kind === 'listed' && answer.trust >= least;
  const text = distrustReason(address, answer) ?? listText(answer, least);
  return { step: 'list', zone, answer: answer.kind, text, letsIn };
}

function listText(answer: ListAnswer, least: number): string {
  if (answer.kind === 'failed') return `DNS does not answer (${answer.code})`;
  if (answer.kind !== 'listed') return 'does not know it';
  const follows =
    answer.trust >= least ? 'so it is let in when it is refused' : `less than dnswl-trust ${least}`;
  return `knows it, with trust ${answer.trust}: ${follows}`;
}

/** What comes in with it when it tries the fake MX. */
function companionsOf(config: Config, address: Address, answer: ReverseAnswer): string[] {
  const ours = [...config.fakeMailserver, ...config.realMailserver];
  const names = answer.names.filter(({ confirmed }) => confirmed || config.rdnsUnconfirmed);
  return companions(address, names, ours).map(([other]) => formatAddress(other));
}

/** What opens the door to it when it goes straight to the real MX. */
async function* judge(
  config: Config,
  resolver: BoundedResolver,
  address: Address,
  answer: ReverseAnswer,
): AsyncGenerator<Finding, void, undefined> {
  for (const { name, confirmed } of answer.names) {
    if (confirmed && encodesAddress(name, address)) yield { step: 'encodes-address', name };
  }
  const domains = [...(await poolDomains(answer, address)).keys()];
  for (const domain of domains) {
    yield { step: 'domain', domain, spf: await checkSpf(resolver, domain, address) };
  }
  const verdict = await judgePool(resolver, address, answer, () => true);
  if (verdict.kind === 'no-pool') {
    yield { step: 'no-pool', reason: verdict.reason, text: noPoolReason(verdict) };
  } else {
    yield { step: 'pool', domain: verdict.domain, windowSeconds: config.poolWindow };
  }
}

/**
 * A step for people.
 * @param isDry - nobody is refused for now
 */
export function findingRows(finding: Finding, isDry: boolean): Row[] {
  const straight = 'straight to the real MX';
  const refused = isDry ? 'let in only because of dry-run' : 'refused';
  switch (finding.step) {
    case 'role':
      return [['is', finding.role]];
    case 'attempt':
      return [
        [
          'if it tries the fake MX',
          `${finding.prefix} is let in for ${durationText(finding.seconds)}${knownText(finding.knownSeconds)}`,
        ],
      ];
    case 'no-look-up':
      return [['names', noLookUpText(finding.reason)]];
    case 'failed':
      return [['PTR', `DNS does not answer (${finding.code}): the rest is not known`]];
    case 'ptr':
      return titled(
        'PTR',
        finding.names.map(({ text }) => text),
        finding.none,
      );
    case 'companions':
      return titled('and with it', finding.addresses, 'no other address');
    case 'encodes-address':
      return [['pool', `${finding.name} merely encodes the address: not counted`]];
    case 'domain':
      return [
        ['registrable domain', finding.domain],
        ['SPF', `${finding.domain}: ${finding.spf}`],
      ];
    case 'pool':
      return [
        [
          straight,
          `admitted if somebody of ${finding.domain} has tried the fake MX ` +
            `within ${finding.windowSeconds} s before, otherwise ${refused}`,
        ],
      ];
    case 'no-pool':
      return [[straight, `${refused}: ${finding.text}`]];
    case 'list':
      return [['allow list', `${finding.zone}: ${finding.text}`]];
  }
}

function noLookUpText(reason: string): string {
  return reason.startsWith('no-') ? `are not looked up (${reason})` : `are not looked up: ${reason}`;
}

/** A list under one title. */
function titled(title: string, values: readonly string[], none: string): Row[] {
  const [first = none, ...others] = values;
  return [[title, first], ...others.map((value): Row => ['', value])];
}

function knownText(seconds: number): string {
  return seconds === 0 ? '' : `, then for ${durationText(seconds)} from each time it reaches the real MX`;
}

import { checkSpf, judgePool, poolDomains } from '../names/pool.js';
import { encodesAddress } from '../names/name.js';
import { companions, describe, isPublic, reverse, type ReverseAnswer } from '../names/rdns.js';
import { BoundedResolver, RESOLVER_DEFAULTS } from '../names/resolver.js';
import type { Config } from '../config/config.js';
import { type Address, formatAddress, formatPrefix, parseAddress, prefixOf } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { noPoolReason } from '../service/messages.js';
import { Exit } from '../service/sysexits.js';
import { collectOptions, type ParsedArguments, wordsOf } from './arguments.js';
import { loadConfig, printProblems } from './load-config.js';

/** `mxallowd why ADDRESS`: what DNS says about an address, step by step, and what the daemon would make of it. */
export async function why(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'all');
  const [text, ...more] = wordsOf(argv).slice(1);
  const address = text === undefined ? undefined : parseAddress(text);
  if (address === undefined || more.length > 0) {
    const shown = [text ?? '', ...more].join(' ');
    problems.push({
      where: '',
      kind: 'usage',
      message: `why needs one address, not "${escapeText(shown, 60)}"`,
    });
  }
  const loaded = loadConfig(given, problems);
  if (!loaded.ok || address === undefined) {
    printProblems(loaded.ok ? problems : loaded.problems);
    return loaded.ok ? Exit.USAGE : loaded.exitStatus;
  }
  const { dnsServer, dnsTimeout } = loaded.config;
  const resolver = new BoundedResolver({
    ...RESOLVER_DEFAULTS,
    servers: dnsServer,
    timeoutMs: dnsTimeout * 1000,
    nowMs: () => performance.now(),
  });
  const isKnown = await explain(loaded.config, resolver, address);
  resolver.close();
  return isKnown ? Exit.OK : Exit.UNAVAILABLE;
}

/** @returns whether DNS has answered */
async function explain(config: Config, resolver: BoundedResolver, address: Address): Promise<boolean> {
  const { ipv4Prefix, ipv6Prefix, whitelistTime } = config;
  const prefix = prefixOf(address, typeof address === 'number' ? ipv4Prefix : ipv6Prefix);
  row('address', formatAddress(address));
  const role = roleOf(config, address);
  if (role !== undefined) {
    row('is', role);
    return true;
  }
  row('if it tries the fake MX', `${formatPrefix(prefix)} is admitted for ${whitelistTime} s`);
  if (config.noRdnsWhitelist && config.noPool) {
    row('names', 'are not looked up (no-rdns-whitelist, no-pool)');
    return true;
  }
  if (!isPublic(address)) {
    row('names', 'are not looked up: not an address of the Internet');
    return true;
  }
  const answer = await reverse(resolver, address);
  if (answer.status === 'failed' || answer.status === 'dropped') {
    row('PTR', `DNS does not answer (${answer.code}): the rest is not known`);
    return false;
  }
  const [first, ...others] = answer.names;
  row('PTR', first === undefined ? nothing(answer) : describe(first));
  for (const name of others) row('', describe(name));
  explainNames(config, address, answer);
  await explainPool(config, resolver, address, answer);
  return true;
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

function nothing({ status }: ReverseAnswer): string {
  return status === 'found' ? 'no name that a mail server could have' : 'there is none';
}

/** What comes in with it when it tries the fake MX. */
function explainNames(config: Config, address: Address, answer: ReverseAnswer): void {
  if (config.noRdnsWhitelist) return;
  const ours = [...config.fakeMailserver, ...config.realMailserver];
  const names = answer.names.filter(({ confirmed }) => confirmed || config.rdnsUnconfirmed);
  const others = companions(address, names, ours).map(([other]) => formatAddress(other));
  const [first = 'no other address', ...more] = others;
  row('and with it', first);
  for (const other of more) row('', other);
}

/** What opens the door to it when it goes straight to the real MX. */
async function explainPool(
  config: Config,
  resolver: BoundedResolver,
  address: Address,
  answer: ReverseAnswer,
): Promise<void> {
  if (config.noPool) return;
  for (const { name, confirmed } of answer.names) {
    if (confirmed && encodesAddress(name, address))
      row('pool', `${name} merely encodes the address: not counted`);
  }
  const domains = [...(await poolDomains(answer, address)).keys()];
  for (const domain of domains) {
    row('registrable domain', domain);
    row('SPF', `${domain}: ${await checkSpf(resolver, domain, address)}`);
  }
  const verdict = await judgePool(resolver, address, answer, () => true);
  const title = 'straight to the real MX';
  if (verdict.kind === 'no-pool') row(title, `refused: ${noPoolReason(verdict)}`);
  else {
    row(title, `admitted if somebody of ${verdict.domain} has tried the fake MX`);
    row('', `within ${config.poolWindow} s before, otherwise refused`);
  }
}

function row(name: string, value: string): void {
  process.stdout.write(`${(name === '' ? '' : `${name}:`).padEnd(26)}${value}\n`);
}

// Probe: whether the domain's MX records fit the configuration.
import { Resolver } from 'node:dns/promises';
import type { Config } from '../config/config.js';
import { type Address, parseAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { judgeMx, type MxHost } from './mx.js';
import type { Probe } from './probe.js';

/** A domain has few MX hosts; more are not looked at. */
const MOST_HOSTS = 16;
const MOST_ADDRESSES = 64;
/** There is no such name, or no such record. */
const NONE: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/** What the domain's MX records lead senders to. */
export const dnsProbe: Probe = {
  name: 'DNS',
  run: async ({ config, domains }) => {
    if (domains.length === 0) {
      const message = 'DNS: the MX records are not checked, for no domain is named';
      return [finding('note', 'mx-not-checked', message, 'mxallowd check --domain example.org')];
    }
    const resolver = new Resolver({ timeout: config.dnsTimeout * 1000, tries: 2 });
    if (config.dnsServer.length > 0) resolver.setServers(config.dnsServer);
    const found = await Promise.all(domains.map((domain) => checkDomain(resolver, domain, config)));
    return found.flat();
  },
};

async function checkDomain(resolver: Resolver, domain: string, config: Config): Promise<Finding[]> {
  const answer = await ask(() => resolver.resolveMx(domain));
  if (answer.code !== undefined && !NONE.has(answer.code)) {
    const message = `DNS of ${escapeText(domain, 100)}: does not answer about MX records (${answer.code})`;
    return [finding('warning', 'mx-failed', message, 'the rest is not known; see dns-server')];
  }
  if (answer.code === 'ENOTFOUND')
    return [finding('error', 'mx-none', `DNS of ${escapeText(domain, 100)}: there is no such domain`)];
  const hosts = answer.records.slice(0, MOST_HOSTS).map(({ priority, exchange }) => {
    return lookUp(resolver, priority, exchange.replace(/\.$/, ''));
  });
  const setup = { fake: config.fakeMailserver, real: config.realMailserver };
  return judgeMx(domain, await Promise.all(hosts), setup);
}

async function lookUp(resolver: Resolver, preference: number, name: string): Promise<MxHost> {
  if (name === '') return { preference, name, addresses: [], alias: undefined, failed: false };
  const [ipv4, ipv6, alias] = await Promise.all([
    ask(() => resolver.resolve4(name)),
    ask(() => resolver.resolve6(name)),
    ask(() => resolver.resolveCname(name)),
  ]);
  const addresses = [...ipv4.records, ...ipv6.records]
    .slice(0, MOST_ADDRESSES)
    .map(parseAddress)
    .filter((address): address is Address => address !== undefined);
  const failed = [ipv4, ipv6].some(({ code }) => code !== undefined && !NONE.has(code));
  return { preference, name, addresses, alias: alias.records[0], failed };
}

/** Records, or c-ares' word for why there are none. */
async function ask<T>(
  query: () => Promise<T[]>,
): Promise<{ readonly records: readonly T[]; readonly code: string | undefined }> {
  try {
    return { records: await query(), code: undefined };
  } catch (error) {
    return { records: [], code: (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN' };
  }
}

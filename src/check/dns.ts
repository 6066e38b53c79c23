// Probe: whether the domain's MX records fit the configuration, and its MTA-STS and DANE fit the MX records.
import { hostName } from '../names/name.js';
import { registrableDomain } from '../names/pool.js';
import { joinStrings, WireClient, type WireType } from '../names/wire.js';
import { type Address, formatAddress, parseAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { type DaneFound, type DaneHost, judgeDane, tlsaName } from './dane.js';
import { fetchPolicy } from './fetch-policy.js';
import { judgeMtaSts, readStsRecords, type StsFound } from './mta-sts.js';
import { type Judged, judgeMx, type MxHost, rolesOf } from './mx.js';
import type { CheckContext, CheckTimes, Probe } from './probe.js';

/** A domain has few MX hosts; more are not looked at. */
const MOST_HOSTS = 16;
const MOST_ADDRESSES = 64;
/** Of the policy's host so many addresses are tried. */
const MOST_TRIED = 4;
const MOST_TEXTS = 16;
const MOST_TLSA = 32;
/** There are records, or there is no such name, or no such record. */
const ANSWERS: ReadonlySet<string> = new Set(['', 'ENOTFOUND', 'ENODATA']);

/** What the domain's MX records lead senders to. */
export const dnsProbe: Probe = {
  name: 'DNS',
  run: async (context) => {
    const { config, domains } = context;
    if (domains.length === 0) {
      const message = 'DNS: the MX records are not checked, for no domain is named';
      return [finding('note', 'mx-not-checked', message, 'mxallowd check --domain example.org')];
    }
    const client = new WireClient({
      servers: config.dnsServer,
      timeoutMs: config.dnsTimeout * 1000,
      tries: 2,
    });
    const found = await Promise.all(domains.map((domain) => checkDomain(client, domain, context)));
    return found.flat();
  },
};

async function checkDomain(client: WireClient, domain: string, context: CheckContext): Promise<Finding[]> {
  const answer = await client.ask('MX', domain);
  if (!ANSWERS.has(answer.code)) {
    const message = `DNS of ${escapeText(domain, 100)}: does not answer about MX records (${answer.code})`;
    return [finding('warning', 'mx-failed', message, 'the rest is not known; see dns-server')];
  }
  if (answer.code === 'ENOTFOUND')
    return [finding('error', 'mx-none', `DNS of ${escapeText(domain, 100)}: there is no such domain`)];
  const records = answer.records.slice(0, MOST_HOSTS);
  const looked = await Promise.all(
    records.map(({ preference = 0, exchange }) => lookUp(client, preference, exchange.replace(/\.$/, ''))),
  );
  const hosts = looked.map(({ host }) => host);
  const setup = { fake: context.config.fakeMailserver, real: context.config.realMailserver };
  const findings = judgeMx(domain, hosts, setup);
  if (hosts.length === 0 || hosts.some(({ name }) => name === '')) return findings;
  const judged = rolesOf(hosts, setup);
  const signed = new Set(looked.filter(({ isSigned }) => isSigned).map(({ host }) => host));
  const [sts, dane] = await Promise.all([
    findMtaSts(client, domain, context.times),
    findDane(client, domain, judged, signed),
  ]);
  return [
    ...findings,
    ...judgeMtaSts(domain, sts, judged),
    ...judgeDane(domain, { ...dane, isSigned: answer.isAuthentic }),
  ];
}

/** @returns the host, and whether the resolver has checked the signatures of its addresses */
async function lookUp(
  client: WireClient,
  preference: number,
  name: string,
): Promise<{ readonly host: MxHost; readonly isSigned: boolean }> {
  if (name === '') {
    return { host: { preference, name, addresses: [], alias: undefined, failed: false }, isSigned: false };
  }
  const [addresses, alias] = await Promise.all([findAddresses(client, name), client.ask('CNAME', name)]);
  const { found, codes, isSigned } = addresses;
  const failed = codes.some((code) => !ANSWERS.has(code));
  return { host: { preference, name, addresses: found, alias: alias.records[0], failed }, isSigned };
}

interface FoundAddresses {
  readonly found: readonly Address[];
  /** of the look-ups, as WireAnswer has them */
  readonly codes: readonly string[];
  readonly isSigned: boolean;
}

async function findAddresses(client: WireClient, name: string): Promise<FoundAddresses> {
  const answers = await Promise.all([client.ask('A', name), client.ask('AAAA', name)]);
  const found = answers
    .flatMap(({ records }) => records)
    .slice(0, MOST_ADDRESSES)
    .map(parseAddress)
    .filter((address): address is Address => address !== undefined);
  return {
    found,
    codes: answers.map(({ code }) => code),
    isSigned: answers.every(({ isAuthentic }) => isAuthentic),
  };
}

async function findMtaSts(client: WireClient, domain: string, times: CheckTimes): Promise<StsFound> {
  const record = `_mta-sts.${domain}`;
  const { code, records } = await client.ask('TXT', record);
  if (!ANSWERS.has(code)) return { kind: 'failed', name: record, code };
  const texts = records.slice(0, MOST_TEXTS).map(joinStrings);
  const read = readStsRecords(texts);
  if (!read.ok || read.value === undefined) return { kind: 'found', texts, policy: undefined };
  const name = `mta-sts.${domain}`;
  const { found, codes } = await findAddresses(client, name);
  if (found.length === 0) {
    const bad = codes.find((one) => !ANSWERS.has(one));
    if (bad !== undefined) return { kind: 'failed', name, code: bad };
    return { kind: 'found', texts, policy: { kind: 'wrong', why: 'its host has no address' } };
  }
  const addresses = found.slice(0, MOST_TRIED).map(formatAddress);
  const { connectMs, policyMs: totalMs } = times;
  return { kind: 'found', texts, policy: await fetchPolicy({ name, addresses, connectMs, totalMs }) };
}

/** @param signed - the hosts whose addresses' signatures the resolver has checked */
async function findDane(
  client: WireClient,
  domain: string,
  judged: readonly Judged[],
  signed: ReadonlySet<MxHost>,
): Promise<Omit<DaneFound, 'isSigned'>> {
  const once = new Map(judged.map((one) => [one.host.name.toLowerCase(), one]));
  const [hasDs, ...hosts] = await Promise.all([
    findDs(client, domain),
    ...[...once.values()].map((one) => findTlsa(client, one, signed.has(one.host))),
  ]);
  return { hasDs, hosts };
}

async function findDs(client: WireClient, domain: string): Promise<boolean | undefined> {
  const name = hostName(domain);
  const registrable = name === undefined ? undefined : await registrableDomain(name);
  const zones = new Set([domain.toLowerCase(), registrable ?? domain.toLowerCase()]);
  const answers = await Promise.all([...zones].map((zone) => client.ask('DS', zone)));
  if (answers.some(({ records }) => records.length > 0)) return true;
  return answers.every(({ code }) => ANSWERS.has(code)) ? false : undefined;
}

/** The TLSA records of a host: those of the name that it is an alias of, if there are any (RFC 7672 section 2.2.2). */
async function findTlsa(client: WireClient, judged: Judged, isHostSigned: boolean): Promise<DaneHost> {
  const { name, alias } = judged.host;
  const ask = (host: string) => client.ask('TLSA' satisfies WireType, tlsaName(host));
  let answer = await ask(alias ?? name);
  if (alias !== undefined && answer.records.length === 0 && ANSWERS.has(answer.code))
    answer = await ask(name);
  const { code, records, isAuthentic } = answer;
  return {
    judged,
    records: records.slice(0, MOST_TLSA),
    code: ANSWERS.has(code) ? '' : code,
    isHostSigned,
    isSigned: isAuthentic,
  };
}

// `mxallowd spf`.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { defaultValue, type Given } from '../config/config.js';
import { parseConfigFile } from '../config/file.js';
import { OPTIONS } from '../config/options.js';
import { type Problem } from '../config/problem.js';
import { type Check, dnsServer, domainName, duration } from '../config/values.js';
import { passedWords, refusedWords } from '../engine/domain-messages.js';
import { type HostName, hostName } from '../names/name.js';
import { type RefusedNetwork, withinBounds } from '../names/network-bounds.js';
import { spfNetworks, type SpfNetworks } from '../names/spf-networks.js';
import { timedLookup, WireClient } from '../names/wire.js';
import type { PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { printProblems, readConfigFile } from '../process/load-config.js';
import { Exit } from '../sysexits.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from './arguments.js';
import { printLines, wantsJson } from './ask-daemon.js';
import type { Command } from './command.js';

const OPTIONS_OF_SPF: readonly ExtraOption[] = [
  { name: 'json', help: 'print NDJSON: an object for each domain' },
];

/** `mxallowd spf NAME...`: the networks that `allow-domain NAME` would let in. */
export const command: Command = {
  text:
    "Prints the networks of a domain's SPF record, as allow-domain lets them in: a\n" +
    'network a line. What is passed over is said on standard error.',
  words: 'NAME...',
  optionSet: 'dns',
  options: OPTIONS_OF_SPF,
  run,
};

const TRIES = 2;

/** What is printed of a domain. */
interface Report {
  readonly domain: HostName;
  readonly result: SpfNetworks;
  readonly networks: readonly PrefixText[];
  readonly refused: readonly RefusedNetwork[];
}

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'dns', OPTIONS_OF_SPF);
  const domains = readNames(wordsOf(argv).slice(1), problems);
  const settings = dnsSettings(given, problems);
  if (problems.length > 0) {
    printProblems(problems);
    return problems.some(({ kind }) => kind === 'usage') ? Exit.USAGE : Exit.CONFIG;
  }
  const client = new WireClient(settings);
  let status: number = Exit.OK;
  for (const domain of domains) {
    const report = await lookUp(client, domain);
    if (wantsJson(argv)) printLines([JSON.stringify(forPrograms(report))]);
    else printReport(report);
    // what DNS does not answer weighs more than what it says
    if (report.result.kind === 'part') status = Exit.UNAVAILABLE;
    else if (report.result.kind === 'none' && status === Exit.OK) status = Exit.DATAERR;
  }
  client.close();
  return status;
}

async function lookUp(client: WireClient, domain: HostName): Promise<Report> {
  const result = await spfNetworks((type, name) => timedLookup(client, type, name), domain);
  const { admitted, refused } = withinBounds(result.kind === 'none' ? [] : result.networks, []);
  return { domain, result, networks: admitted, refused };
}

function printReport({ domain, result, networks, refused }: Report): void {
  printLines(networks);
  const say = (text: string): void => void process.stderr.write(`mxallowd: ${domain}: ${text}\n`);
  if (result.kind === 'none') return say(result.why);
  for (const one of refused) say(`passed over: ${refusedWords(one)}`);
  for (const term of result.passed) say(`passed over: ${passedWords(term)}`);
  for (const unanswered of result.unanswered) say(`DNS does not answer: ${unanswered}`);
}

function forPrograms({ domain, result, networks, refused }: Report): unknown {
  if (result.kind === 'none') return { domain, networks, why: result.why };
  const { kind, passed, unanswered, ttlMs } = result;
  return {
    domain,
    networks,
    refused,
    passed,
    unanswered,
    isWhole: kind === 'whole',
    ttlSeconds: ttlMs / 1000,
  };
}

/** Names on the command line, or else what standard input has, separated by white space. */
function readNames(words: readonly string[], problems: Problem[]): HostName[] {
  const isAsked = words.length === 0 && process.stdin.isTTY !== true;
  const texts = isAsked
    ? readFileSync(0, 'latin1')
        .split(/\s+/)
        .filter((text) => text !== '')
    : words;
  if (texts.length === 0) {
    const message = 'spf needs a domain: mxallowd spf NAME..., or names on standard input';
    problems.push({ where: '', kind: 'usage', message });
  }
  return texts.flatMap((text) => {
    const checked = domainName(text);
    const name = checked.ok ? hostName(checked.value) : undefined;
    if (name !== undefined) return [name];
    const expected = checked.ok ? 'a domain name' : checked.expected;
    const message = `"${escapeText(text, 60)}" is not ${expected}`;
    problems.push({ where: '', kind: 'usage', message });
    return [];
  });
}

/** Whom to ask: as the command line says, else the configuration file; whatever else is wrong with that is not asked here. */
function dnsSettings(
  given: readonly Given[],
  problems: Problem[],
): { servers: string[]; timeoutMs: number; tries: number } {
  const file = given.findLast(({ key }) => key === 'config')?.text;
  const path = resolve(file ?? OPTIONS.config.defaultText ?? '');
  const { text, problems: unreadable } = readConfigFile(path, file !== undefined);
  if (file !== undefined) problems.push(...unreadable);
  const all = [...parseConfigFile(path, text ?? '').given, ...given];
  const servers = all
    .filter(({ key }) => key === 'dnsServer')
    .flatMap((one) => value(one, dnsServer, problems));
  const times = all
    .filter(({ key }) => key === 'dnsTimeout')
    .flatMap((one) => value(one, duration(1, 30), problems));
  const seconds = times.at(-1) ?? defaultValue('dnsTimeout') ?? 0;
  return { servers, timeoutMs: seconds * 1000, tries: TRIES };
}

function value<T>({ text = '', where, origin, key }: Given, check: Check<T>, problems: Problem[]): T[] {
  const checked = check(text);
  if (checked.ok) return [checked.value];
  const subject = origin === 'file' ? `${OPTIONS[key].name}: ` : '';
  const message = `${subject}"${escapeText(text, 80)}" is not ${checked.expected}`;
  problems.push({ where, kind: origin === 'file' ? 'config' : 'usage', message });
  return [];
}

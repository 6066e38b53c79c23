// `mxallowd check-config`.
import { type Config, defaultValue } from '../config/config.js';
import { formatProblem } from '../config/problem.js';
import { durationText } from '../config/values.js';
import type { QueueRange } from '../netfilter/queues.js';
import { formatAddress, formatPrefix } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { findGroup, findUser, userAdvice } from '../process/users.js';
import { Exit } from '../sysexits.js';
import { NFT_TABLE } from '../table/nft-sets.js';
import { collectOptions, type ParsedArguments, wordsOf } from './arguments.js';
import { printLines } from './ask-daemon.js';
import type { Command } from './command.js';
import { formatRows, type Row } from '../terminal/table.js';
import { loadConfig, printProblems } from '../process/load-config.js';

/** `mxallowd check-config`: reads the configuration as the daemon would, and says what it means or what is wrong. */
export const command: Command = {
  text: 'Reads the configuration as the daemon would, and says what it means.',
  words: '',
  optionSet: 'all',
  shown: ['config', 'fakeMailserver', 'realMailserver'],
  options: [],
  run,
};

const TITLE_WIDTH = 22;

function run(argv: ParsedArguments): number {
  const { given, problems } = collectOptions(argv, 'all');
  for (const word of wordsOf(argv).slice(1)) {
    const message = `"${escapeText(word, 60)}" is not an option: the file is named with --config`;
    problems.push({ where: '', kind: 'usage', message });
  }
  const loaded = loadConfig(given, problems);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  for (const remark of loaded.remarks) process.stderr.write(`mxallowd: warning: ${formatProblem(remark)}\n`);
  const { config } = loaded;
  const missing = missingNames(config);
  if (missing.length > 0) {
    for (const message of missing) process.stderr.write(`mxallowd: ${message}\n`);
    return Exit.CONFIG;
  }
  const rows: Row[] = [
    ['fake MX', config.fakeMailserver.map(formatAddress).join(' ')],
    ['real MX', config.realMailserver.map(formatAddress).join(' ')],
    ['allowed at all times', config.allow.map(formatPrefix).join(' ') || 'nobody'],
    ...(config.allowDomain.length === 0 ? [] : [domainsRow(config)]),
    ['port', String(config.port)],
    ['strangers', strangersRow(config)],
    ['whitelist time', `${durationText(config.whitelistTime)} after the last attempt`],
    ['known time', knownRow(config)],
    ...(config.outbound
      ? [['outbound', 'those to whom this network opens connections are let in'] as const]
      : []),
    ['entries', `at most ${config.maxEntries}; IPv4 /${config.ipv4Prefix}, IPv6 /${config.ipv6Prefix}`],
    ...firewallRows(config),
    ['names', namesRow(config)],
    ...(config.dnswl === undefined ? [] : [listRow(config.dnswl, config.dnswlTrust)]),
    ...dnsRows(config),
    ...dryRows(config),
    ...(config.fleetUrl === undefined ? [] : [fleetRow(config)]),
    ['user', userRow(config.user)],
    ['state file', config.stateFile || 'none: a restart forgets everything'],
    ['control socket', controlRow(config)],
    ['log', `${config.stdout ? 'standard output' : 'syslog'}, ${config.quiet ? 'error' : config.logLevel}`],
  ];
  printLines([...formatRows(rows, TITLE_WIDTH), `${loaded.path ?? 'the command line'}: ok`]);
  return Exit.OK;
}

function domainsRow({ allowDomain }: Config): Row {
  return ['networks by SPF of', allowDomain.join(' ')];
}

/** What becomes of who comes to the real MX and has not tried the fake one. */
function strangersRow({ strangers, firewall }: Config): string {
  switch (strangers.kind) {
    case 'drop':
      return 'get no answer at the real MX';
    case 'redirect':
      return `are led to port ${strangers.port}, by the rules (mxallowd ${firewall === 'nft' ? 'nft-conf' : 'pf-conf'})`;
    case 'mark':
      return `are let in with packet mark ${strangers.mark}, for rules of your own (docs/strangers.md)`;
  }
}

function fleetRow({ fleetUrl, fleetSite, fleetNode, fleetShare, fleetManual }: Config): Row {
  const manual = fleetManual ? '; what others do by hand counts' : '';
  const node = fleetNode ?? 'the host name';
  return [
    'shared',
    `by ${fleetUrl?.text} as ${node} of site ${fleetSite}; others fill ${fleetShare} %${manual}`,
  ];
}

function knownRow({ knownTime }: Config): string {
  return knownTime === 0
    ? 'none: reaching the real MX prolongs nothing'
    : `${durationText(knownTime)} after the real MX was reached last`;
}

function firewallRows(config: Config): Row[] {
  if (config.queueNum !== undefined) return queueRows(config, config.queueNum);
  return config.firewall === 'nft' ? nftRows(config) : pfRows(config);
}

function nftRows({ capture, nflogGroup, nft, nftRules }: Config): Row[] {
  return [
    ['capture', `${capture} on group ${nflogGroup} of NFLOG`],
    ['table', `${NFT_TABLE}, by ${nft}; its rules for the boot: ${nftRules}`],
  ];
}

function listRow(zone: string, trust: number): Row {
  return ['DNS allow list', `${zone}, with trust ${trust} or more`];
}

function pfRows(config: Config): Row[] {
  return [
    ['capture', `${config.capture} on ${config.pflogInterface}, filter "${config.pcapFilter}"`],
    [
      'table',
      `<${config.table}>${config.anchor === '' ? '' : ` of anchor "${config.anchor}"`}, by ${config.pfctl}`,
    ],
  ];
}

function queueRows(config: Config, { first, last }: QueueRange): Row[] {
  const full = config.failOpen ? 'accepted' : 'dropped';
  return [
    ['NFQUEUE', first === last ? String(first) : `${first} to ${last}`],
    ['queue length', `${config.queueLength}; what finds it full is ${full}`],
    ['at the end', `what is left in the queue: ${config.queueExit}`],
  ];
}

function dnsRows({ noRdnsWhitelist, noPool, poolWindow, dnswl, dnsTimeout }: Config): Row[] {
  const pool: Row = ['pool window', `${durationText(poolWindow)} after an attempt`];
  const answer: Row = ['DNS', `${durationText(dnsTimeout)} for an answer, then it is asked once more`];
  return [...(noPool ? [] : [pool]), ...(noPool && noRdnsWhitelist && dnswl === undefined ? [] : [answer])];
}

function namesRow({ noRdnsWhitelist, noPool, dnswl, dnsServer }: Config): string {
  const what = [noRdnsWhitelist ? [] : ['other addresses'], noPool ? [] : ['pool']].flat().join(' and ');
  if (what === '') return dnswl === undefined ? 'DNS is not asked' : 'are not looked up';
  return `a sender's ${what}; asks ${dnsServer.length === 0 ? "the system's DNS" : 'dns-server'}`;
}

function dryRows({ dryRun }: Config): Row[] {
  return dryRun ? [['dry-run', 'everything is accepted, and nothing is dropped']] : [];
}

/** What the daemon would not start with. */
function missingNames({ user, controlGroup }: Config): string[] {
  const missing: string[] = [];
  if (user !== undefined && findUser(user) === undefined) {
    missing.push(`user: there is no user "${user}" (${userAdvice(process.platform, user)})`);
  }
  if (controlGroup !== undefined && findGroup(controlGroup) === undefined) {
    missing.push(`control-group: there is no group "${controlGroup}"`);
  }
  return missing;
}

function controlRow({ controlSocket, controlGroup }: Config): string {
  if (controlSocket === '') return 'none: nobody can ask';
  return `${controlSocket}, for root${controlGroup === undefined ? '' : ` and group ${controlGroup}`}`;
}

function userRow(given: string | undefined): string {
  const name = given ?? defaultValue('user') ?? '';
  return findUser(name) === undefined ? `root, for there is no user ${name}` : name;
}

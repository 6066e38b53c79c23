// Probe: our table in nftables, and what of other rules stands in its way.
import { readFileSync } from 'node:fs';
import { systemClock } from '../clock.js';
import { readQueues } from '../netfilter/proc.js';
import { markOf, modeOfFile, tableText } from '../nft/conf.js';
import { lookAtTable } from '../nft/kernel.js';
import { compareTables, readTable } from '../nft/listing.js';
import type { NftMode } from '../nft/spec.js';
import { nftSpec } from '../nft/spec.js';
import { formatAddress, formatPrefix } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { readBytes, targetOf } from '../pf/files.js';
import { type Finding, finding } from '../pf/finding.js';
import { parseSet } from '../table/nft-output.js';
import { LISTED, NftProgram } from '../table/nft-program.js';
import { FAMILIES, NFT_TABLE, setName } from '../table/nft-sets.js';
import { amount } from '../words.js';
import { foreignDrops } from './nft-foreign.js';
import { judgeMarked, readNetfilter } from './netfilter-reading.js';
import type { CheckContext, Probe } from './probe.js';
import { queueRule } from './queue-rules.js';

const INSTALL = 'mxallowd nft-conf --install';
/** So many differences are named. */
const MOST_NAMED = 3;
/** Who has which group of NFLOG; root may read it. */
const PROC_GROUPS = '/proc/self/net/netfilter/nfnetlink_log';

/** The table, its rules and sets, rules of others ahead of it, and whether somebody hears what it tells. */
export const nftProbe: Probe = {
  name: 'nft',
  applies: ({ config }) => config.firewall === 'nft',
  run: async (context) => {
    const { config, times, machine } = context;
    const nft = new NftProgram({ path: config.nft, timeoutMs: times.childMs, clock: systemClock });
    const looked = await lookAtTable(nft);
    if (!looked.ok) {
      if (looked.failure === 'permission' && !machine.isRoot) {
        return [
          finding(
            'warning',
            'nft-table',
            'nft: the table is not checked, for only root can read it',
            'run it as root',
          ),
        ];
      }
      return [finding('error', 'nft-table', `nft: cannot be asked: ${escapeText(looked.message, 300)}`)];
    }
    const { table } = looked;
    if (table === undefined) return [judgeMissing(config.nftRules)];
    const { mark } = table;
    if (mark === undefined) {
      const message = `nft: table ${NFT_TABLE} is there, but mxallowd has not made it`;
      return [finding('error', 'nft-table', message, `see whose it is (nft list table ${NFT_TABLE})`)];
    }
    return [
      finding('ok', 'nft-table', `nft: table ${NFT_TABLE} is there`),
      ...judgeRules(context, mark.mode, table),
      ...(await judgeSets(context, nft, mark.mode)),
      ...(await judgeTraffic(nft)),
      ...(await foreignDrops(nft, config)),
      ...judgeGroup(config.nflogGroup),
      ...(await judgeOthers(context, mark.mode)),
    ];
  },
};

/** Rules beside ours: one that leads mail to a queue, which nobody answers, and those for the mark of strangers. */
async function judgeOthers(context: CheckContext, mode: NftMode): Promise<Finding[]> {
  const { nftHook, nftPriority: priority, port } = context.config;
  const rules = await readNetfilter(context);
  if (rules === undefined) return [];
  const rows = readQueues() ?? [];
  const stray = rules.flatMap(queueRule).filter(({ first, last, ports, bypass }) => {
    const isForMail = ports.length === 0 || ports.includes(String(port));
    return isForMail && !bypass && !rows.some(({ queue }) => queue >= first && queue <= last);
  });
  const queues = [...new Set(stray.map(({ text }) => text))].map((text) =>
    finding(
      'error',
      'nft-queue',
      `nft: "${escapeText(text, 200)}": nobody answers that queue with "firewall nft": mail is dropped`,
      'take that rule away (docs/linux.md)',
    ),
  );
  // while it learns nobody gets a mark
  if (mode === 'learn') return queues;
  const hooks = nftHook === 'both' ? (['input', 'forward'] as const) : [nftHook];
  const asking = hooks.map((hook) => ({
    text: '',
    families: FAMILIES,
    chain: `table ${NFT_TABLE}`,
    place: { hook, priority },
  }));
  return [...queues, ...(await judgeMarked(context, rules, asking))];
}

function judgeMissing(rules: string): Finding {
  const mode = modeOfFile(readText(rules) ?? '');
  const message = `nft: there is no table ${NFT_TABLE}: everybody gets in`;
  if (mode === 'live' || mode === 'learn') {
    return finding(
      'error',
      'nft-table',
      `${message}, though it was installed`,
      'start mxallowd, which loads it',
    );
  }
  return finding('error', 'nft-table', message, INSTALL);
}

function readText(path: string): string | undefined {
  try {
    return readBytes(targetOf(path));
  } catch {
    return undefined;
  }
}

function judgeRules(
  { config }: CheckContext,
  mode: NftMode,
  found: NonNullable<ReturnType<typeof readTable>>,
): Finding[] {
  const spec = nftSpec(config, mode);
  const expected = readTable(tableText(spec));
  if (expected === undefined) return [];
  const { missing, surplus } = compareTables(expected, found);
  const findings: Finding[] = [];
  if (missing.length > 0) {
    const message = `nft: ${amount(missing.length, 'rule is', 'rules are')} not there: ${some(missing)}`;
    findings.push(finding('error', 'nft-rules', message, INSTALL));
  }
  if (surplus.length > 0) {
    const message = `nft: ${amount(surplus.length, 'rule is', 'rules are')} not mxallowd's: ${some(surplus)}`;
    findings.push(finding('warning', 'nft-rules', message, `${INSTALL} takes them out`));
  }
  const { shape, version } = markOf(spec);
  if (findings.length === 0 && (found.mark?.shape !== shape || found.mark.version !== version)) {
    const message = 'nft: the rules are for another configuration, or of another version';
    findings.push(finding('warning', 'nft-rules', message, INSTALL));
  }
  if (findings.length === 0)
    findings.push(finding('ok', 'nft-rules', 'nft: the rules are as they should be'));
  if (mode === 'learn') {
    const message = 'nft: the rules only learn: strangers get in, and are told';
    findings.push(finding('note', 'nft-learn', message, `${INSTALL} when you have seen enough`));
  }
  return findings;
}

function some(texts: readonly string[]): string {
  const named = texts.slice(0, MOST_NAMED).map((text) => escapeText(text, 100));
  return named.join('; ') + (texts.length > MOST_NAMED ? '; ...' : '');
}

/** Whether the sets of the configuration have what it says now. */
async function judgeSets({ config }: CheckContext, nft: NftProgram, mode: NftMode): Promise<Finding[]> {
  const spec = nftSpec(config, mode);
  const wanted = new Set<string>([
    ...spec.fake.map((one) => `fake ${formatAddress(one)}`),
    ...spec.real.map((one) => `real ${formatAddress(one)}`),
  ]);
  const found = new Set<string>();
  for (const family of FAMILIES) {
    for (const kind of ['fake', 'real'] as const) {
      const args = ['-j', 'list', 'set', ...NFT_TABLE.split(' '), setName(kind, family)];
      const printed = await nft.print(args, LISTED);
      if (!printed.ok) continue;
      for (const { prefix } of parseSet(printed.text)?.elements ?? [])
        found.add(`${kind} ${formatPrefix(prefix)}`);
    }
  }
  const lacks = [...wanted].filter((one) => !found.has(one));
  const others = [...found].filter((one) => !wanted.has(one));
  if (lacks.length === 0 && others.length === 0) {
    return [finding('ok', 'nft-addresses', 'nft: the kernel has the addresses of the configuration')];
  }
  const what = [
    ...lacks.map((one) => `${one} is missing`),
    ...others.map((one) => `${one} is not configured`),
  ];
  const message = `nft: the kernel has other addresses than the configuration: ${some(what)}`;
  return [finding('error', 'nft-addresses', message, 'have mxallowd read it (mxallowd reload), or start it')];
}

/** Rules that tell of SYNs count them. */
async function judgeTraffic(nft: NftProgram): Promise<Finding[]> {
  const printed = await nft.print(['-t', 'list', 'table', ...NFT_TABLE.split(' ')], LISTED);
  if (!printed.ok) return [];
  const packets = (chains: RegExp): number =>
    [...printed.text.matchAll(/^\tchain (\w+) \{\n([^}]*)\}/gm)]
      .filter(([, name = '']) => chains.test(name))
      .flatMap(([, , rules = '']) => [...rules.matchAll(/counter packets (\d+)/g)])
      .reduce((sum, [, count]) => sum + Number(count), 0);
  const fake = packets(/^(?:tried|flood)$/);
  const real = packets(/^(?:known|allowed|new|stranger\d|led\d)$/);
  const seen = `nft: since the rules were loaded ${amount(fake, 'SYN', 'SYNs')} to the fake MX, ${real} to the real one`;
  if (fake > 0) return [finding('ok', 'nft-traffic', seen)];
  const advice = 'is the fake MX in DNS, with the lower preference number, and does its address lead here?';
  return [finding('note', 'nft-traffic', seen, real > 0 ? advice : '')];
}

/** Without somebody who hears it the kernel goes on, and nobody becomes known. */
function judgeGroup(group: number): Finding[] {
  let text: string;
  try {
    text = readFileSync(PROC_GROUPS, 'latin1');
  } catch {
    return [];
  }
  const isTaken = text
    .split('\n')
    .some((line) => Number(line.trim().split(/\s+/)[0] ?? 'x') === group && line.trim() !== '');
  if (isTaken) return [finding('ok', 'nft-group', `nft: a program reads group ${group} of NFLOG`)];
  const message = `nft: no program reads group ${group} of NFLOG: who tries the fake MX gets in, but nobody stays known`;
  return [finding('warning', 'nft-group', message, 'start mxallowd')];
}

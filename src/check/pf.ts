// Probe: pf, its rules and its table.
import { type Finding, finding } from '../pf/finding.js';
import { parsePfInfo } from '../pf/info.js';
import { judgeRules } from '../pf/rules.js';
import { parseTableEntriesLimit, sumOtherTables } from '../table/pfctl-output.js';
import { roomFor } from '../table/room.js';
import { parseTables, type TableRow } from './pf-tables.js';
import type { CheckContext, Probe } from './probe.js';
import { type ProgramResult, runProgram } from './program.js';
import { amount } from '../words.js';

/** pf, its rules and its table, as pfctl(8) tells. */
export const pfProbe: Probe = {
  name: 'pf',
  applies: ({ config }) => config.queueNum === undefined,
  run: async (context) => {
    const info = await ask(context, ['-s', 'info']);
    if (!info.ok) return [unreadable(context, info)];
    // one after the other: OpenBSD's pf lets only one in, anyway
    const rules = await checkRules(context);
    return [judgeInfo(info.stdout), ...rules, ...(await checkTable(context))];
  },
};

function ask({ config, times }: CheckContext, args: readonly string[]): Promise<ProgramResult> {
  return runProgram(config.pfctl, args, times.childMs);
}

function unreadable({ machine }: CheckContext, { kind, message }: ProgramResult & { ok: false }): Finding {
  const text = `pf: cannot be asked, so neither rules nor table are checked: ${message}`;
  switch (kind) {
    case 'missing':
      return finding('error', 'pf-missing', text, 'it comes with pf, on OpenBSD and FreeBSD; or set pfctl');
    case 'permission':
      return finding('warning', 'pf-permission', text, 'run this as root');
    case 'failed': {
      const advice = machine.platform === 'freebsd' ? 'kldload pf; sysrc pf_enable=YES' : '';
      return finding('error', 'pf-failed', text, advice);
    }
  }
}

function judgeInfo(text: string): Finding {
  const info = parsePfInfo(text);
  if (info === undefined) return finding('warning', 'pf-enabled', 'pf: "pfctl -s info" prints no status');
  return info.enabled
    ? finding('ok', 'pf-enabled', 'pf: is enabled')
    : finding(
        'error',
        'pf-enabled',
        'pf: is disabled: nothing is blocked, and nothing is logged',
        'pfctl -e',
      );
}

async function checkRules(context: CheckContext): Promise<Finding[]> {
  const { config, machine } = context;
  const main = await ask(context, ['-s', 'rules']);
  if (!main.ok) return [unreadable(context, main)];
  const isAnchored = /^\s*anchor\b/m.test(main.stdout);
  const whole = isAnchored ? await ask(context, ['-a', '*', '-s', 'rules']) : main;
  const { platform, interfaces } = machine;
  // "rdr" rules come before those, and are shown apart
  const nat = platform === 'freebsd' ? await ask(context, ['-s', 'nat']) : undefined;
  return judgeRules(whole.ok ? whole.stdout : main.stdout, {
    fake: config.fakeMailserver,
    real: config.realMailserver,
    port: config.port,
    table: config.table,
    pflogInterface: config.pflogInterface,
    strangersPort: config.strangers.kind === 'redirect' ? config.strangers.port : undefined,
    translations: nat?.ok === true ? nat.stdout : undefined,
    os: platform === 'openbsd' || platform === 'freebsd' ? platform : undefined,
    interfaces: platform === 'linux' ? undefined : interfaces,
  });
}

async function checkTable(context: CheckContext): Promise<Finding[]> {
  const { table, anchor } = context.config;
  const main = await ask(context, ['-vv', '-s', 'Tables']);
  const shown = anchor === '' ? main : await ask(context, ['-a', anchor, '-vv', '-s', 'Tables']);
  if (!shown.ok) return [unreadable(context, shown)];
  const row = parseTables(shown.stdout).find(({ name }) => name === table || name === `${table}@${anchor}`);
  const memory = await ask(context, ['-s', 'memory']);
  return [
    judgeTable(context, row),
    ...(memory.ok && main.ok ? judgeLimit(context, memory.stdout, main.stdout) : []),
  ];
}

function judgeTable({ config: { table, anchor } }: CheckContext, row: TableRow | undefined): Finding {
  const who = `table <${table}>${anchor === '' ? '' : ` of anchor "${anchor}"`}`;
  const advice = `write into pf.conf: table <${table}> persist`;
  if (row === undefined) return finding('error', 'table', `${who}: is not there`, advice);
  if (row.flags.includes('c'))
    return finding('error', 'table', `${who}: is const, so nobody can be added`, advice);
  const size =
    row.addresses === undefined
      ? 'an unknown number of addresses'
      : amount(row.addresses, 'address', 'addresses');
  if (!row.flags.includes('p')) {
    return finding(
      'warning',
      'table',
      `${who}: ${size}; it is not persist, so it goes when no rule names it`,
      advice,
    );
  }
  return finding('ok', 'table', `${who}: ${size}`);
}

function judgeLimit({ config }: CheckContext, memory: string, tables: string): Finding[] {
  const limit = parseTableEntriesLimit(memory);
  if (limit === undefined) return [];
  const free = Math.max(0, limit - sumOtherTables(tables, config.table, config.anchor));
  const { ceiling } = roomFor(free);
  const text = `table limit: pf has room for ${amount(free, 'address', 'addresses')}, of which mxallowd uses ${ceiling} at most`;
  if (config.maxEntries <= ceiling) return [finding('ok', 'table-limit', text)];
  return [
    finding(
      'warning',
      'table-limit',
      `${text}; max-entries is ${config.maxEntries}`,
      'raise it in pf.conf (set limit table-entries), or set max-entries lower',
    ),
  ];
}

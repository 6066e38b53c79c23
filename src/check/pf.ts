// Probe: pf, its rules and its table.
import { type Finding, finding } from '../pf/finding.js';
import { parsePfInfo } from '../pf/info.js';
import { judgeRules } from '../pf/rules.js';
import { parseTableEntriesLimit, sumOtherTables } from '../table/pfctl-output.js';
import { roomFor } from '../table/room.js';
import { parseTables, type TableRow } from './pf-tables.js';
import { askPfctl, type PfReading, readPf } from './pf-reading.js';
import type { CheckContext, Probe } from './probe.js';
import { amount } from '../words.js';

/** pf, its rules and its table, as pfctl(8) tells. */
export const pfProbe: Probe = {
  name: 'pf',
  applies: ({ config }) => config.queueNum === undefined,
  run: async (context) => {
    const reading = await readPf(context);
    if (!reading.ok) return [unreadable(context, reading)];
    const rules = judgeRules(reading.rules, reading.setup);
    return [judgeInfo(reading.info), ...rules, ...(await checkTable(context))];
  },
};

type Unanswered = Pick<PfReading & { readonly ok: false }, 'args' | 'failure'>;

function unreadable({ machine }: CheckContext, { args, failure }: Unanswered): Finding {
  const text = `pf: cannot be asked, so neither rules nor table are checked: ${failure.message}`;
  switch (failure.kind) {
    case 'missing':
      return finding('error', 'pf-missing', text, 'it comes with pf, on OpenBSD and FreeBSD; or set pfctl');
    case 'permission':
      return finding('warning', 'pf-permission', text, 'run this as root');
    case 'hangs': {
      const message = `pf: pfctl hangs (${args}), so neither rules nor table are checked: ${failure.message}`;
      return finding('error', 'pf-hangs', message, hangAdvice(machine.platform));
    }
    case 'failed': {
      const advice = machine.platform === 'freebsd' ? 'kldload pf; sysrc pf_enable=YES' : '';
      return finding('error', 'pf-failed', text, advice);
    }
  }
}

/** At its limit of table entries OpenBSD 7.8's pfctl sleeps for good, and each one after it waits for that one. */
function hangAdvice(platform: NodeJS.Platform): string {
  return platform === 'openbsd'
    ? 'ps -axo pid,stat,wchan,command: one at "pfrke_p" has met the limit table-entries, and holds up all others until a reboot'
    : 'ps -axl shows whether another pfctl is under way, and what it waits for';
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

async function checkTable(context: CheckContext): Promise<Finding[]> {
  const { table, anchor } = context.config;
  const main = await askPfctl(context, ['-vv', '-s', 'Tables']);
  const shown = anchor === '' ? main : await askPfctl(context, ['-a', anchor, '-vv', '-s', 'Tables']);
  if (!shown.ok) return [unreadable(context, { args: '-s Tables', failure: shown })];
  const row = parseTables(shown.stdout).find(({ name }) => name === table || name === `${table}@${anchor}`);
  const memory = await askPfctl(context, ['-s', 'memory']);
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

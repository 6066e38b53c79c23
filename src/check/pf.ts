// Probe: pf, its rules and its table.
import { type Finding, finding } from '../pf/finding.js';
import { parsePfInfo } from '../pf/info.js';
import { judgeRules } from '../pf/rules.js';
import { PfctlCounts } from '../table/pfctl-counts.js';
import { parseTables, type TableRow } from '../table/pfctl-tables.js';
import { listRoom, roomFor } from '../table/room.js';
import type { TableLimits } from '../table/table.js';
import { askPfctl, type PfReading, readPf } from './pf-reading.js';
import type { CheckContext, Probe } from './probe.js';
import { findProgram, type ProgramResult, runProgram } from './program.js';
import { listAdvice } from '../table/listable.js';
import { amount } from '../words.js';

/** pf, its rules and its table, as pfctl(8) tells. */
export const pfProbe: Probe = {
  name: 'pf',
  applies: ({ config }) => config.firewall === 'pf',
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
  const where = anchor === '' ? [] : ['-a', anchor];
  const askOnce = once((args) => askPfctl(context, args));
  const shown = await askOnce([...where, '-vv', '-s', 'Tables']);
  if (!shown.ok) return [unreadable(context, { args: '-s Tables', failure: shown })];
  const row = parseTables(shown.stdout).find(({ name }) => name === table || name === `${table}@${anchor}`);
  const asked = counts(context, askOnce);
  const counted = await asked.ours(true);
  const size = typeof counted === 'number' ? counted : undefined;
  const limits = await asked.limits();
  const judged = judgeTable(context, row && { ...row, addresses: size });
  return [judged, ...(limits === undefined ? [] : judgeLimits(context, limits, size))];
}

type Asking = (args: readonly string[]) => Promise<ProgramResult>;

/** Asks the same thing once. */
function once(asking: Asking): Asking {
  const answers = new Map<string, Promise<ProgramResult>>();
  return (args) => {
    const key = args.join(' ');
    const answer = answers.get(key) ?? asking(args);
    answers.set(key, answer);
    return answer;
  };
}

/** Counts as the daemon does. */
function counts(context: CheckContext, asking: Asking): PfctlCounts {
  const { config, machine, times } = context;
  const sysctl = machine.platform === 'freebsd' ? findProgram('sysctl', machine.searchPath) : undefined;
  return new PfctlCounts({
    table: config.table,
    anchor: config.anchor,
    pfctl: async (args, take) => {
      const printed = await asking(args);
      if (printed.ok) take(printed.stdout);
      return printed.ok;
    },
    sysctl: async (name) => {
      const read = sysctl === undefined ? undefined : await runProgram(sysctl, ['-n', name], times.childMs);
      return read?.ok === true ? read.stdout : undefined;
    },
  });
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

function judgeLimits(
  { config }: CheckContext,
  { limit, usedByOthers, listable }: TableLimits,
  size = 0,
): Finding[] {
  const free = Math.max(0, limit - usedByOthers);
  const { ceiling } = roomFor(free);
  const text = `table limit: pf has room for ${amount(free, 'address', 'addresses')}, of which mxallowd uses ${ceiling} at most`;
  const limited =
    config.maxEntries <= ceiling
      ? finding('ok', 'table-limit', text)
      : finding(
          'warning',
          'table-limit',
          `${text}; max-entries is ${config.maxEntries}`,
          'raise it in pf.conf (set limit table-entries), or set max-entries lower',
        );
  return listable === undefined ? [limited] : [limited, judgeList(config, listable, size)];
}

/** FreeBSD lists no table that has more, and one that cannot be listed cannot be kept right. */
function judgeList({ maxEntries, allow }: CheckContext['config'], listable: number, size: number): Finding {
  const most = listRoom(listable);
  const text = `table list: FreeBSD lists up to ${listable} addresses of a table (net.pf.request_maxcount), of which mxallowd uses ${most} at most`;
  const wanted = maxEntries + allow.length;
  if (size > listable) {
    const message = `table list: the table has ${size} addresses, and FreeBSD lists no more than ${listable} (net.pf.request_maxcount): mxallowd takes all out, and puts back what it knows`;
    return finding('error', 'table-list', message, listAdvice(Math.max(wanted, size)));
  }
  if (wanted <= most) return finding('ok', 'table-list', text);
  const beside = allow.length === 0 ? '' : `, and ${allow.length} more are by "allow"`;
  return finding(
    'warning',
    'table-list',
    `${text}; max-entries is ${maxEntries}${beside}`,
    `${listAdvice(wanted)}; or set max-entries lower`,
  );
}

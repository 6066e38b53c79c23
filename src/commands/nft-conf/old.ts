// What there is of rules for NFQUEUE, which nobody would answer any more.
import { findProgram, runProgram } from '../../check/program.js';
import { iptablesRules } from '../../check/netfilter-rules.js';
import { queueRule } from '../../check/queue-rules.js';
import { OLD_TABLE, withoutOldRules } from '../../nft/old-rules.js';
import { readBytes, targetOf } from '../../pf/files.js';
import type { NftProgram } from '../../table/nft-program.js';

/** Old rules: in the kernel, and in the files that are loaded at the boot. */
export interface OldRules {
  /** the table of 2.0.0, as nft lists it; undefined: it is not there */
  readonly table: string | undefined;
  /** files with its lines, and what they are without */
  readonly files: readonly {
    readonly path: string;
    readonly before: string;
    readonly after: string;
    readonly removed: readonly string[];
  }[];
  /** lines of iptables, as a command that takes each away */
  readonly iptables: readonly string[];
}

const TIMEOUT_MS = 10_000;

/**
 * Looks for the rules of 2.0.0 and 1.9.
 * @param port - of the mail servers
 * @param files - that nft may load at the boot
 */
export async function findOldRules(
  nft: NftProgram,
  port: number,
  searchPath: string,
  files: readonly string[],
): Promise<OldRules> {
  const listed = await nft.print(['list', 'table', ...OLD_TABLE.split(' ')]);
  const lines = await Promise.all([
    iptablesLines('iptables', 4, port, searchPath),
    iptablesLines('ip6tables', 6, port, searchPath),
  ]);
  return {
    table: listed.ok ? listed.text : undefined,
    files: files.flatMap((file) => {
      const path = targetOf(file);
      const before = readBytes(path);
      const { removed, text } = withoutOldRules(before ?? '');
      return removed.length === 0 || before === undefined ? [] : [{ path, before, after: text, removed }];
    }),
    iptables: lines.flat(),
  };
}

/** Whether there are none. */
export function isClean({ table, files, iptables }: OldRules): boolean {
  return table === undefined && files.length === 0 && iptables.length === 0;
}

async function iptablesLines(
  name: string,
  family: 4 | 6,
  port: number,
  searchPath: string,
): Promise<string[]> {
  // of all tables that there are; "iptables -t mangle -S" would make one
  const path = findProgram(`${name}-save`, searchPath);
  const result = path === undefined ? undefined : await runProgram(path, [], TIMEOUT_MS);
  if (result?.ok !== true) return [];
  return iptablesRules(result.stdout, family)
    .flatMap(queueRule)
    .filter(({ ports }) => ports.length === 0 || ports.includes(String(port)))
    .map(({ text, chain }) => {
      const [table = ''] = chain.split(' ');
      return `${name}${table === 'filter' ? '' : ` -t ${table}`} ${text.replace(/^-A/, '-D')}`;
    });
}

// Rules of other tables that drop mail before or after ours: in nftables a drop is final, whoever says it.
import type { Config } from '../config/config.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { isRecord, objects } from '../table/nft-output.js';
import { LISTED, type NftProgram } from '../table/nft-program.js';
import { NFT_TABLE } from '../table/nft-sets.js';

/** A chain that is hooked in, of another table. */
interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: string;
  readonly priority: number;
  readonly dropsByDefault: boolean;
}

const HOOKS: Readonly<Record<Config['nftHook'], readonly string[]>> = {
  input: ['input'],
  forward: ['forward'],
  both: ['input', 'forward'],
};
/** Before all that, on the way of every packet. */
const EARLIER = ['ingress', 'prerouting'];

/**
 * Looks at the tables of others.
 * @returns what drops connections to the mail servers' port, as far as its rules say so by themselves
 */
export async function foreignDrops(nft: NftProgram, config: Config): Promise<Finding[]> {
  const listed = await nft.print(['-j', 'list', 'chains']);
  if (!listed.ok) return [];
  const hooks = [...HOOKS[config.nftHook], ...EARLIER];
  const chains = objects(listed.text)
    .flatMap(({ chain }) => baseChain(chain) ?? [])
    .filter(({ family, table, hook }) => `${family} ${table}` !== NFT_TABLE && hooks.includes(hook));
  const findings: Finding[] = [];
  const tables = new Set(chains.map(({ family, table }) => `${family} ${table}`));
  for (const table of tables) {
    const printed = await nft.print(['-s', '-t', 'list', 'table', ...table.split(' ')], LISTED);
    if (!printed.ok) continue;
    for (const chain of chains.filter((one) => `${one.family} ${one.table}` === table)) {
      findings.push(...judgeChain(chain, rulesOf(printed.text, chain.name), config.port));
    }
  }
  return findings;
}

function baseChain(value: unknown): BaseChain | undefined {
  if (!isRecord(value) || typeof value['hook'] !== 'string') return undefined;
  const { family, table, name, hook, prio, policy } = value;
  return {
    family: String(family),
    table: String(table),
    name: String(name),
    hook,
    priority: Number(prio),
    dropsByDefault: policy === 'drop',
  };
}

function rulesOf(text: string, chain: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const start = lines.indexOf(`chain ${chain} {`);
  if (start < 0) return [];
  const end = lines.indexOf('}', start);
  return lines
    .slice(start + 1, end < 0 ? undefined : end)
    .filter((line) => !/^(?:type|policy|comment) /.test(line));
}

/** What a chain does with a connection to the port: the first rule that names the port, else what it does by default. */
function judgeChain(chain: BaseChain, rules: readonly string[], port: number): Finding[] {
  const { family, table, name, dropsByDefault } = chain;
  const where = `nft: chain ${escapeText(name, 40)} of table ${escapeText(`${family} ${table}`, 60)}`;
  const aboutMail = rules.find((rule) => namesPort(rule, port) && /\b(?:accept|drop|reject)\b/.test(rule));
  if (aboutMail !== undefined) {
    if (!/\b(?:drop|reject)\b/.test(aboutMail)) return [];
    const message = `${where} drops mail, and no other rule can let it in: "${escapeText(aboutMail, 150)}"`;
    return [
      finding(
        'warning',
        'nft-foreign',
        message,
        'let port 25 pass there: mxallowd drops whom it does not know',
      ),
    ];
  }
  if (!dropsByDefault) return [];
  // it may be let in by a chain that this one leads to
  const isOpen = rules.some((rule) => /\b(?:jump|goto|vmap)\b/.test(rule));
  const message = `${where} drops what it does not let in, and has no rule for port ${port}`;
  return [
    finding(isOpen ? 'note' : 'warning', 'nft-foreign', message, `add there: tcp dport ${port} accept`),
  ];
}

function namesPort(rule: string, port: number): boolean {
  const ports = /\bdport (?:\{([^}]*)\}|(\S+))/.exec(rule);
  if (ports === null) return false;
  return (ports[1] ?? ports[2] ?? '').split(',').some((text) => {
    const [from = 0, to = from] = text.trim().split('-').map(Number);
    return from <= port && port <= to;
  });
}

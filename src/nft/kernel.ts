// Our table in the kernel: looked at, checked, loaded, through nft(8).
import { ADDRESS_BITS, familyOf, type Prefix } from '../packet/address.js';
import { parseSet } from '../table/nft-output.js';
import { LISTED, type NftProgram } from '../table/nft-program.js';
import {
  elementText,
  type EntryLengths,
  FAMILIES,
  grantedKind,
  NFT_TABLE,
  setName,
  type SetKind,
} from '../table/nft-sets.js';
import type { TableReply } from '../table/table.js';
import { widest } from './conf.js';
import { type ListedTable, readTable } from './listing.js';

type Failed = TableReply & { ok: false };

/** What is there. */
export type Looked = Failed | { readonly ok: true; readonly table: ListedTable | undefined };

/** Entries of our sets, with what time they have left. */
export interface Kept {
  readonly kind: SetKind;
  readonly prefix: Prefix;
  readonly seconds: number;
}

/** The sets whose entries outlive a change of the rules. */
const KEPT_KINDS = ['tried', 'granted', 'single', 'wide'] as const satisfies readonly SetKind[];

/** Looks at our table. Without elements; yet nft reads them all, which takes a second for 100,000. */
export async function lookAtTable(nft: NftProgram, table = NFT_TABLE): Promise<Looked> {
  const printed = await nft.print(['-s', '-t', 'list', 'table', ...table.split(' ')], LISTED);
  if (printed.ok) return { ok: true, table: readTable(printed.text) };
  return printed.failure === 'missing-table' ? { ok: true, table: undefined } : printed;
}

/** Asks nft and the kernel whether they would take a text; nothing is loaded. */
export async function checkText(nft: NftProgram, text: string): Promise<TableReply> {
  return nft.judge(await nft.run(['-c', '-f', '-'], text));
}

/** Reads who is in our sets; the lengths of what is stored are in the sets' comments. */
export async function keptEntries(nft: NftProgram): Promise<Failed | { ok: true; entries: Kept[] }> {
  const entries: Kept[] = [];
  for (const family of FAMILIES) {
    for (const kind of KEPT_KINDS) {
      const args = ['-j', 'list', 'set', ...NFT_TABLE.split(' '), setName(kind, family)];
      const printed = await nft.print(args, LISTED);
      // one that another version has not made
      if (!printed.ok && printed.failure === 'missing-table') continue;
      if (!printed.ok) return printed;
      const set = parseSet(printed.text);
      const length = Number(/^\/(\d+)$/.exec(set?.comment ?? '')?.[1] ?? ADDRESS_BITS[family]);
      for (const { prefix, expiresS = 0 } of set?.elements ?? []) {
        if (familyOf(prefix.address) !== family || expiresS < 1) continue;
        const isNetwork = prefix.length < ADDRESS_BITS[family];
        entries.push({
          kind,
          prefix: isNetwork ? prefix : { address: prefix.address, length },
          seconds: expiresS,
        });
      }
    }
  }
  return { ok: true, entries };
}

/** Commands that put entries back; those that are not stored so any more have a set of their own. */
export function keptText(entries: readonly Kept[], lengths: EntryLengths): string {
  const now = entries.map(({ kind, prefix, seconds }) => {
    const isAsStored = kind === 'tried' && prefix.length === lengths[familyOf(prefix.address)];
    return { kind: isAsStored ? kind : grantedKind(prefix, lengths), prefix, seconds };
  });
  // nets within nets nft does not take
  const nets = new Set(widest(now.filter(({ kind }) => kind === 'wide').map(({ prefix }) => prefix)));
  const bySet = new Map<string, string[]>();
  for (const { kind, prefix, seconds } of now) {
    if (kind === 'wide' && !nets.has(prefix)) continue;
    const name = setName(kind, familyOf(prefix.address));
    const list = bySet.get(name) ?? [];
    bySet.set(name, list);
    list.push(`${elementText(prefix, kind)} timeout ${seconds}s`);
  }
  return [...bySet]
    .map(([name, list]) => `add element ${NFT_TABLE} ${name} {\n${list.join(',\n')}\n}\n`)
    .join('');
}

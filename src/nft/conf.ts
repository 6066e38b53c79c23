// The rules of nftables that mxallowd needs, as text. Pure.
import { createHash } from 'node:crypto';
import {
  type Address,
  familyOf,
  formatAddress,
  formatPrefix,
  type Prefix,
  prefixOf,
} from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { NFT_TABLE } from '../table/nft-sets.js';
import { chainsOf, type ChainText } from './chains.js';
import { setsOf, type SetText } from './sets.js';
import { markText, type NftMark } from './mark.js';
import type { NftMode, NftSpec } from './spec.js';

/** The version of what is written here: another one is put in place by `--install` only. */
const VERSION = 1;

/** The first line of the file that we write: one that begins otherwise is not ours. */
export const NFT_GENERATED = '# nftables rules for mxallowd. Generated: changes made here get lost.';

/** What our table's comment is to say. */
export function markOf(spec: NftSpec): NftMark {
  return { version: VERSION, mode: spec.mode, shape: shapeOf(spec) };
}

/** A check sum of all that a running daemon cannot change: sets and rules, without addresses. */
export function shapeOf(spec: NftSpec): string {
  const text = [...setsOf(spec).map((set) => setText(set)), ...chainsOf(spec).map(chainText)].join('\n');
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** The table as nft takes it, in the place of the one that may be there: one transaction. */
export function tableText(spec: NftSpec): string {
  const sets = setsOf(spec).map((set) => setText(set, elementsOf(spec, set)));
  const parts = [`\tcomment "${markText(markOf(spec))}"\n`, ...sets, ...chainsOf(spec).map(chainText)];
  return `${removalText()}\ntable ${NFT_TABLE} {\n${parts.join('\n')}}\n`;
}

/** Takes the table away, whether it is there or not. */
export function removalText(): string {
  return `table ${NFT_TABLE}\ndelete table ${NFT_TABLE}\n`;
}

/** The file for the boot. */
export function fileText(spec: NftSpec, command: readonly string[]): string {
  const heading = [
    NFT_GENERATED,
    `# mode: ${spec.mode}`,
    '# To write it anew:',
    `#   ${command.map(shellWord).join(' ')}`,
  ];
  return `${heading.join('\n')}\n\n${tableText(spec)}`;
}

/** The same file, switched off: it does nothing, and still tells how it is written anew. */
export function offText(file: string): string {
  const heading = [NFT_GENERATED, '# mode: off', ...file.split('\n').slice(2, 4)];
  return `${heading.join('\n')}\n\n# It has been switched off: "mxallowd nft-conf --off".\n`;
}

/** The mode that a file of {@link fileText} says; undefined: the file is not ours. */
export function modeOfFile(text: string): NftMode | 'off' | undefined {
  const [first, second = ''] = text.split('\n', 2);
  if (first !== NFT_GENERATED) return undefined;
  const mode = /^# mode: (live|learn|off)$/.exec(second)?.[1];
  return mode as NftMode | 'off' | undefined;
}

/** Those of some networks that lie in no other one of them, each once, the widest first. */
export function widest(networks: readonly Prefix[]): Prefix[] {
  const lengths = [...new Set(networks.map(({ length }) => length))].sort((a, b) => a - b);
  const kept = new Map<string, Prefix>();
  for (const one of [...networks].sort((a, b) => a.length - b.length)) {
    const isInside = lengths.some(
      (length) => length <= one.length && kept.has(formatPrefix(prefixOf(one.address, length))),
    );
    if (!isInside) kept.set(formatPrefix(one), one);
  }
  return [...kept.values()];
}

/** What the configuration puts into a set. */
function elementsOf({ fake, real, allow }: NftSpec, { kind, family }: SetText): string[] {
  const ofFamily = (addresses: readonly Address[]): string[] => [
    ...new Set(addresses.filter((one) => familyOf(one) === family).map(formatAddress)),
  ];
  if (kind === 'fake') return ofFamily(fake);
  if (kind === 'real') return ofFamily(real);
  if (kind !== 'allowed') return [];
  return widest(allow.filter(({ address }) => familyOf(address) === family)).map(formatPrefix);
}

/** Commands that give the sets of the configuration what it says now. */
export function configuredText(spec: NftSpec): string {
  return setsOf(spec)
    .filter(({ isConfigured }) => isConfigured)
    .map((set) => {
      const elements = elementsOf(spec, set);
      const add = `add element ${NFT_TABLE} ${set.name} { ${elements.join(', ')} }\n`;
      return `flush set ${NFT_TABLE} ${set.name}\n${elements.length === 0 ? '' : add}`;
    })
    .join('');
}

function setText({ name, properties }: SetText, elements: readonly string[] = []): string {
  const lines = [...properties, ...(elements.length === 0 ? [] : [`elements = { ${elements.join(', ')} }`])];
  return `\tset ${name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function chainText({ name, base, rules }: ChainText): string {
  const lines = [...(base === undefined ? [] : [base]), ...rules.map(ruleText)];
  return `\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function ruleText({ text, comment }: ChainText['rules'][number]): string {
  return `${text} comment "${comment}"`;
}

/** A word as a shell takes it; the text stays on its line, in any case. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${escapeText(word).replaceAll("'", String.raw`'\''`)}'`;
}

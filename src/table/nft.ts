// Our table in nftables, through nft(8): who may reach the real MX, and for how long.
import { type Family, familyOf, parseCanonical, type Prefix, type PrefixText } from '../packet/address.js';
import { eachElement } from './nft-output.js';
import type { CallsSettings } from './calls.js';
import { LISTED, NftProgram } from './nft-program.js';
import {
  elementText,
  type EntryLengths,
  FAMILIES,
  GRANTED_KINDS,
  grantedKind,
  hasSet,
  NFT_TABLE,
  setName,
  type SetKind,
} from './nft-sets.js';
import { parseShown } from './pfctl-output.js';
import type { FirewallTexts, ShownEntry, Table, TableCount, TableLimits, TableReply } from './table.js';

/** How the table is reached, and what is stored in it. */
export interface NftTableSettings extends CallsSettings {
  /** of the configuration by which the rules were installed */
  readonly lengths: EntryLengths;
}

type Failed = TableReply & { readonly ok: false };

/** An entry, where it belongs, and how long it stays. */
interface Item {
  readonly prefix: Prefix;
  readonly kind: SetKind;
  readonly family: Family;
  /** undefined: as long as the set says */
  readonly seconds: number | undefined;
}

/**
 * So many calls may fail while it is looked for what has a batch refused. In a full set all are: then it is known after
 * a few.
 */
const MOST_FAILED = 40;
/** The kernel's sets: who is taken out is taken out of them, too. */
const KERNELS_KINDS = ['tried', 'flood'] as const satisfies readonly SetKind[];
/** What nft says of an element that is not there, from the kernel or by itself. */
const ABSENT = /No such file or directory|element does not exist/;

/**
 * Our table in nftables. A batch is one transaction of the kernel: one element that cannot be had, and all are refused.
 * So what may be there is added before it is taken out (nft has no way to take out what may be absent, before 1.0.7), and
 * taken out before it is added with another time (kernels before 6.12 leave the old one); and a batch that is refused all
 * the same is tried in halves, down to single entries.
 */
export class NftTable implements Table {
  readonly description = NFT_TABLE;
  /** the sets have a size */
  readonly isBounded = true;
  private readonly nft: NftProgram;

  constructor(private readonly settings: NftTableSettings) {
    this.nft = new NftProgram(settings);
  }

  add(prefixes: readonly PrefixText[], seconds?: readonly number[]): Promise<TableReply> {
    const items = prefixes.map((text, at) => this.item(text, seconds?.[at]));
    return this.change(items, (part) => `${replacedText(part)}${timedText(part)}`);
  }

  delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    const { lengths } = this.settings;
    const items = prefixes.map((text) => this.item(text));
    return this.change(
      items,
      (part) =>
        replacedText(part) + KERNELS_KINDS.map((kind) => replacedText(stored(part, kind, lengths))).join(''),
      (item) => this.deleteOne(item),
    );
  }

  flush(): Promise<TableReply> {
    return this.nft.load(
      this.sets()
        .map((set) => `flush set ${NFT_TABLE} ${set.name}\n`)
        .join(''),
      LISTED,
    );
  }

  /** nft counts no elements, so it tells no more than whether the table is there. */
  async count(): Promise<TableCount> {
    const tables = await this.nft.print(['list', 'tables']);
    if (!tables.ok) return undefined;
    return tables.text.split('\n').includes(`table ${NFT_TABLE}`) ? undefined : 'missing';
  }

  show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    return parseShown((take) => this.showText(take), entry);
  }

  /** What is in the sets, in the form that {@link parseShown} reads: in pieces of whole lines. */
  async showText(take: (lines: string) => void): Promise<TableReply> {
    for (const set of [...this.sets(), ...this.sets(['tried'])]) {
      const printed = await this.nft.print(['-j', 'list', 'set', ...NFT_TABLE.split(' '), set.name], LISTED);
      if (!printed.ok) return printed;
      const mark = set.kind === 'tried' ? '~' : ' ';
      const length =
        set.kind === 'granted' || set.kind === 'tried' ? this.settings.lengths[set.family] : undefined;
      let lines = '';
      eachElement(printed.text, length, (text, seconds) => {
        lines += `  ${mark}${text}\n${seconds === undefined ? '' : `\tExpires: ${seconds}\n`}`;
        if (lines.length < PIECE) return;
        take(lines);
        lines = '';
      });
      if (lines !== '') take(lines);
    }
    return { ok: true, changed: undefined, created: false };
  }

  limits(): Promise<TableLimits | undefined> {
    return Promise.resolve(undefined);
  }

  async inspect(): Promise<FirewallTexts> {
    return { info: undefined, rules: undefined, entries: await this.count(), unanswered: undefined };
  }

  abort(): void {
    this.nft.abort();
  }

  /** The sets that there are of some kinds: those in which only we put entries, unless told. */
  private sets(kinds: readonly SetKind[] = GRANTED_KINDS): { name: string; kind: SetKind; family: Family }[] {
    return FAMILIES.flatMap((family) =>
      kinds
        .filter((kind) => hasSet(kind, family, this.settings.lengths))
        .map((kind) => ({ name: setName(kind, family), kind, family })),
    );
  }

  private item(text: PrefixText, seconds?: number): Item {
    const prefix = parseCanonical(text);
    if (prefix === undefined) throw new Error(`not a prefix for nft: ${JSON.stringify(text)}`);
    const family = familyOf(prefix.address);
    return { prefix, kind: grantedKind(prefix, this.settings.lengths), family, seconds };
  }

  /**
   * Carries out a batch; one that is refused in halves.
   * @param text - the commands for some of it
   * @param single - another way for a single one that is refused
   */
  private async change(
    items: readonly Item[],
    text: (items: readonly Item[]) => string,
    single?: (item: Item) => Promise<TableReply>,
  ): Promise<TableReply> {
    let failed = 0;
    const carryOut = async (part: readonly Item[]): Promise<Failed | undefined> => {
      const reply = await this.nft.load(text(part), part.length);
      if (reply.ok) return undefined;
      failed++;
      const [first, second] = part;
      if (!isOfOne(reply) || first === undefined || failed > MOST_FAILED) return reply;
      if (second === undefined) return single === undefined ? reply : failure(await single(first));
      const middle = part.length >> 1;
      const before = await carryOut(part.slice(0, middle));
      if (before !== undefined && !isOfOne(before)) return before;
      return (await carryOut(part.slice(middle))) ?? before;
    };
    return (await carryOut(items)) ?? { ok: true, changed: undefined, created: false };
  }

  /** In a full set nothing can be added before it is taken out. */
  private async deleteOne(item: Item): Promise<TableReply> {
    const { lengths } = this.settings;
    const all = [[item], ...KERNELS_KINDS.map((kind) => stored([item], kind, lengths))];
    for (const part of all) {
      if (part.length === 0) continue;
      const reply = await this.nft.load(commandText('delete', part));
      if (!reply.ok && !ABSENT.test(reply.message)) return reply;
    }
    return { ok: true, changed: undefined, created: false };
  }
}

/** Characters of a list that are handed on at once. */
const PIECE = 1 << 16;

/** Whether it may be a single element that has the whole batch refused. */
function isOfOne({ failure }: Failed): boolean {
  return failure === 'refused' || failure === 'no-room';
}

function failure(reply: TableReply): Failed | undefined {
  return reply.ok ? undefined : reply;
}

/** Those of some entries that may be in a set of the kernel's. */
function stored(items: readonly Item[], kind: SetKind, lengths: EntryLengths): Item[] {
  return items
    .filter(({ prefix, family }) => prefix.length === lengths[family])
    .map((item) => ({ ...item, kind }));
}

/** Takes out what may be there. */
function replacedText(items: readonly Item[]): string {
  return commandText('add', items) + commandText('delete', items);
}

function timedText(items: readonly Item[]): string {
  return commandText('add', items, ({ seconds }) => (seconds === undefined ? '' : ` timeout ${seconds}s`));
}

/** A command for each set. */
function commandText(
  verb: 'add' | 'delete',
  items: readonly Item[],
  more: (item: Item) => string = () => '',
): string {
  const bySet = new Map<string, string[]>();
  for (const item of items) {
    const name = setName(item.kind, item.family);
    const elements = bySet.get(name) ?? [];
    bySet.set(name, elements);
    elements.push(elementText(item.prefix, item.kind) + more(item));
  }
  return [...bySet]
    .map(([name, elements]) => `${verb} element ${NFT_TABLE} ${name} { ${elements.join(', ')} }\n`)
    .join('');
}

// How many entries pf's tables have and may have, asked of pfctl(8) and sysctl(8).
import { LISTABLE } from './listable.js';
import { parseTableEntriesLimit } from './pfctl-output.js';
import { parseTables, SizesInRules, type TableRow } from './pfctl-tables.js';
import type { TableCount, TableLimits } from './table.js';

/** What counts are asked by. */
export interface CountSettings {
  readonly table: string;
  /** anchor path, empty for the main ruleset */
  readonly anchor: string;
  /**
   * Runs pfctl.
   * @param take - gets what it prints, in pieces of whole lines
   * @returns whether it ended with status 0
   */
  readonly pfctl: (args: readonly string[], take: (lines: string) => void) => Promise<boolean>;
  /** what `sysctl -n NAME` prints; undefined: there is no such variable, or no sysctl */
  readonly sysctl: (name: string) => Promise<string | undefined>;
}

/** Of what is printed about tables so much is read at the most: some 1,500 tables. */
const MOST_TEXT = 1 << 20;
/** Tables that no rule refers to are listed to be counted; more than so many of them are not. */
const MOST_LISTED = 20;

/** Asks how many entries the tables have. */
export class PfctlCounts {
  constructor(private readonly settings: CountSettings) {}

  /**
   * How many entries our table has.
   * @param mayList - it is listed where it cannot be counted in another way
   */
  async ours(mayList = false): Promise<TableCount> {
    const { table } = this.settings;
    const { where } = this;
    const rows = await this.tables(where);
    if (rows === undefined) return undefined;
    const row = rows.find((candidate) => this.isOurs(candidate));
    if (row === undefined) return 'missing';
    if (row.addresses !== undefined) return row.addresses;
    const size = (await this.sizes(where)).of(table);
    if (size !== undefined) return size;
    // rules of anchors may refer to a table of the main ruleset
    const anchored = where.length === 0 ? (await this.sizes(['-a', '*'])).of(table) : undefined;
    return anchored ?? (mayList ? this.length(where, table) : undefined);
  }

  /** The limit on entries, and what others have of it; undefined: pf does not tell. */
  async limits(): Promise<TableLimits | undefined> {
    const limit = parseTableEntriesLimit((await this.print(['-s', 'memory'])) ?? '');
    if (limit === undefined) return undefined;
    const rows = await this.tables([]);
    if (rows === undefined) return undefined;
    const listable = await this.listable();
    // in an anchor ours is not among those of the main ruleset, whatever their names
    const others = this.settings.anchor === '' ? rows.filter((row) => !this.isOurs(row)) : rows;
    return { limit, usedByOthers: await this.sum(others, listable ?? limit), listable };
  }

  /** @param beyond - what a table counts for that is too long to be listed */
  private async sum(rows: readonly TableRow[], beyond: number): Promise<number> {
    const unknown = rows.filter(({ addresses }) => addresses === undefined);
    let sum = rows.reduce((total, { addresses = 0 }) => total + addresses, 0);
    if (unknown.length === 0) return sum;
    const inRules = await this.sizes(['-a', '*']);
    let listed = 0;
    for (const { name } of unknown) {
      const size = inRules.of(name);
      if (size !== undefined) sum += size;
      else if (listed++ < MOST_LISTED) sum += (await this.length([], name)) ?? beyond;
    }
    return sum;
  }

  private get where(): string[] {
    const { anchor } = this.settings;
    return anchor === '' ? [] : ['-a', anchor];
  }

  /** Counts a table's entries by its list; undefined: it cannot be listed. */
  private async length(where: readonly string[], table: string): Promise<number | undefined> {
    let lines = 0;
    const isDone = await this.settings.pfctl([...where, '-t', table, '-T', 'show'], (text) => {
      lines += text.split('\n').length - 1;
    });
    return isDone ? lines : undefined;
  }

  private async listable(): Promise<number | undefined> {
    const text = (await this.settings.sysctl(LISTABLE))?.trim() ?? '';
    return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
  }

  private async tables(where: readonly string[]): Promise<TableRow[] | undefined> {
    const text = await this.print([...where, '-vv', '-s', 'Tables']);
    return text === undefined ? undefined : parseTables(text);
  }

  private async sizes(where: readonly string[]): Promise<SizesInRules> {
    const sizes = new SizesInRules();
    await this.settings.pfctl([...where, '-vv', '-s', 'rules'], (lines) => sizes.take(lines));
    return sizes;
  }

  private async print(args: readonly string[]): Promise<string | undefined> {
    let text = '';
    const isDone = await this.settings.pfctl(args, (lines) => {
      if (text.length < MOST_TEXT) text += lines;
    });
    // a part of it would be taken for all
    return isDone && text.length < MOST_TEXT ? text : undefined;
  }

  /** OpenBSD 7.8 prints `name@anchor`. */
  private isOurs({ name }: TableRow): boolean {
    const { table, anchor } = this.settings;
    return name === table || name === `${table}@${anchor}`;
  }
}

// What `allow` has in the table, and what is still to be taken out of it. Pure.
import { formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';

/**
 * What the configuration has put into the table for good, and what it names no more and may still be there: a restart
 * must know both, or the latter would stay.
 */
export class AllowedNetworks {
  private now: ReadonlySet<PrefixText>;
  private readonly withdrawn = new Set<PrefixText>();
  private all: readonly PrefixText[];

  constructor(allow: readonly Prefix[]) {
    this.now = new Set(allow.map(formatPrefix));
    this.all = [...this.now];
  }

  /** What the configuration names. */
  get current(): ReadonlySet<PrefixText> {
    return this.now;
  }

  /** What is, or may be, in the table: the same array until that changes. */
  get inTable(): readonly PrefixText[] {
    return this.all;
  }

  /** Takes over another configuration. @returns what it names no more */
  configure(allow: readonly Prefix[]): PrefixText[] {
    const before = this.now;
    this.now = new Set(allow.map(formatPrefix));
    return [...before].filter((prefix) => !this.now.has(prefix));
  }

  /** These are to be taken out. */
  withdraw(prefixes: Iterable<PrefixText>): void {
    for (const prefix of prefixes) this.withdrawn.add(prefix);
    this.update();
  }

  /** The table is known: forgets what is out of it. @returns what is still to be taken out */
  settle(isInTable: (prefix: PrefixText) => boolean): PrefixText[] {
    for (const prefix of this.withdrawn) if (!isInTable(prefix)) this.withdrawn.delete(prefix);
    this.update();
    return [...this.withdrawn];
  }

  private update(): void {
    for (const prefix of this.now) this.withdrawn.delete(prefix);
    const all = [...this.now, ...this.withdrawn];
    const isSame = all.length === this.all.length && all.every((prefix, at) => prefix === this.all[at]);
    if (!isSame) this.all = all;
  }
}

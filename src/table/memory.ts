// A table in memory, for replays and tests.
import { parsePrefix, type PrefixText } from '../packet/address.js';
import type { FirewallTexts, ShownEntry, Table, TableCount, TableLimits, TableReply } from './table.js';

/** A table without a firewall: for replays, and to try things out. */
export class MemoryTable implements Table {
  readonly description = 'memory';
  private readonly clearedAtMs = new Map<PrefixText, number>();

  /** @param wallClockMs - milliseconds since 1970 */
  constructor(private readonly wallClockMs: () => number) {}

  /** number of entries */
  get size(): number {
    return this.clearedAtMs.size;
  }

  has(prefix: PrefixText): boolean {
    return this.clearedAtMs.has(prefix);
  }

  add(prefixes: readonly PrefixText[]): Promise<TableReply> {
    const before = this.size;
    for (const prefix of prefixes) {
      if (!this.has(prefix)) this.clearedAtMs.set(prefix, this.wallClockMs());
    }
    return Promise.resolve({ ok: true, changed: this.size - before, created: false });
  }

  delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    const before = this.size;
    for (const prefix of prefixes) this.clearedAtMs.delete(prefix);
    return Promise.resolve({ ok: true, changed: before - this.size, created: false });
  }

  flush(): Promise<TableReply> {
    const changed = this.size;
    this.clearedAtMs.clear();
    return Promise.resolve({ ok: true, changed, created: false });
  }

  count(): Promise<TableCount> {
    return Promise.resolve(this.size);
  }

  show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    for (const [text, clearedAtMs] of this.clearedAtMs) {
      const read: ShownEntry['read'] = () => {
        const parsed = parsePrefix(text);
        return parsed.ok
          ? { prefix: parsed.prefix, negated: false, clearedAtMs, expiresInMs: undefined }
          : undefined;
      };
      entry({ text, negated: false, isByKernel: false, read });
    }
    return Promise.resolve({ ok: true, changed: undefined, created: false });
  }

  limits(): Promise<TableLimits | undefined> {
    return Promise.resolve(undefined);
  }

  inspect(): Promise<FirewallTexts> {
    return Promise.resolve({ info: undefined, rules: undefined, entries: this.size, unanswered: undefined });
  }

  abort(): void {
    // nothing runs
  }
}

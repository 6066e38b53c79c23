import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePrefix, type PrefixText } from '../../src/packet/address.js';
import { MemoryTable } from '../../src/table/memory.js';
import type { ShownEntry, TableReply } from '../../src/table/table.js';
import { TableWriter } from '../../src/table/writer.js';
import { HandClock } from '../support/hand-clock.js';
import { prefix } from '../support/writing.js';

const [A, B, C] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map(prefix) as [PrefixText, PrefixText, PrefixText];

/** A table that keeps time, and has what the kernel has put in beside what we have. */
class TimedTable extends MemoryTable {
  readonly calls: string[] = [];
  readonly kernels = new Set<PrefixText>();

  override add(prefixes: readonly PrefixText[], seconds?: readonly number[]): Promise<TableReply> {
    this.calls.push(`add ${prefixes.map((one, at) => `${one} ${seconds?.[at]}`).join(', ')}`);
    return super.add(prefixes);
  }

  override delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    this.calls.push(`delete ${prefixes.join(', ')}`);
    for (const one of prefixes) this.kernels.delete(one);
    return super.delete(prefixes);
  }

  override async show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    const reply = await super.show(entry);
    for (const text of this.kernels) {
      const read: ShownEntry['read'] = () => {
        const parsed = parsePrefix(text);
        return parsed.ok
          ? { prefix: parsed.prefix, negated: false, clearedAtMs: undefined, expiresInMs: 7000 }
          : undefined;
      };
      entry({ text, negated: false, isByKernel: true, read });
    }
    return reply;
  }
}

function make(): { clock: HandClock; table: TimedTable; writer: TableWriter; told: PrefixText[] } {
  const clock = new HandClock();
  const table = new TimedTable(clock.wallMs);
  const told: PrefixText[] = [];
  const writer = new TableWriter({
    table,
    judge: () => 'leave',
    byKernel: ({ prefix: { address } }) => void told.push(String(address) as PrefixText),
    lifeOf: (one) => (one === A ? 100 : 200),
    report: () => undefined,
    nowMs: clock.monotonicMs,
    after: clock.after,
    soon: clock.soon,
  });
  return { clock, table, writer, told };
}

/** Lets what is due be done. */
async function settle(clock: HandClock): Promise<void> {
  for (let i = 0; i < 5; i++) {
    clock.pass(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the table writer, where the table keeps time', () => {
  it('says how long each entry stays, when it is written once more, too', async () => {
    const { clock, table, writer } = make();
    writer.want(A);
    writer.want(B);
    await settle(clock);
    writer.assure(A);
    await settle(clock);
    assert.deepEqual(table.calls, [`add ${A} 100, ${B} 200`, `add ${A} 100`]);
  });

  it('does nothing about an entry whose time is over: it goes by itself', async () => {
    const { clock, table, writer } = make();
    writer.want(A);
    await settle(clock);
    writer.lapse(A);
    writer.lapse(B);
    await settle(clock);
    assert.deepEqual(table.calls, [`add ${A} 100`]);
    assert.equal(writer.tableSize, 0);
    assert.equal(writer.pending, 0);
    writer.want(A);
    await settle(clock);
    assert.equal(table.calls.length, 2, 'it is written anew when it comes again');
  });

  it('takes out what the kernel may have put in, and what it has put in is no entry of ours', async () => {
    const { clock, table, writer, told } = make();
    table.kernels.add(A).add(B);
    await writer.start();
    assert.equal(told.length, 2);
    assert.equal(writer.tableSize, 0);
    writer.want(C);
    writer.expel(A);
    await settle(clock);
    assert.deepEqual([...table.calls].sort(), [`add ${C} 200`, `delete ${A}`]);
    assert.equal(writer.tableSize, 1);
    assert.deepEqual([...table.kernels], [B]);
  });

  it('takes it out when it is listed in the moment in which it is to go', async () => {
    const { clock, table, writer, told } = make();
    await writer.start();
    table.kernels.add(A);
    writer.compare();
    writer.expel(A);
    await settle(clock);
    assert.deepEqual(table.calls, [`delete ${A}`]);
    assert.deepEqual(told, []);
    assert.equal(writer.pending, 0);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { TableGuard } from '../../src/monitor/guard.js';
import type { EngineRequest, MonitorMessage } from '../../src/monitor/messages.js';
import { RemoteTable } from '../../src/monitor/remote-table.js';
import type { PrefixText } from '../../src/packet/address.js';
import { MemoryTable } from '../../src/table/memory.js';
import type { TableReply } from '../../src/table/table.js';
import { TableWriter } from '../../src/table/writer.js';
import { HandClock } from '../support/hand-clock.js';
import { addresses } from '../support/writing.js';

/** A pfctl of a real system, on a clock of the test's. */
class TimedTable extends MemoryTable {
  calls = 0;

  constructor(private readonly clock: HandClock) {
    super(clock.wallMs);
  }

  override async add(prefixes: readonly PrefixText[]): Promise<TableReply> {
    this.calls++;
    // 8 ms a call, and what OpenBSD took for each address on an emulated CPU
    await new Promise<void>((resolve) => this.clock.after(8 + prefixes.length * 0.038, resolve));
    return super.add(prefixes);
  }

  showText(): Promise<TableReply> {
    return Promise.resolve({ ok: true, changed: undefined, created: false });
  }
}

/** So many senders come, so many in each millisecond. @returns how long each waited for the table, and the calls */
async function flood(senders: number, perMs: number) {
  const clock = new HandClock();
  const table = new TimedTable(clock);
  const given = [
    { key: 'fakeMailserver', text: '192.0.2.3', where: '', origin: 'command line' },
    { key: 'realMailserver', text: '192.0.2.4', where: '', origin: 'command line' },
  ] as const;
  const config = resolveConfig(given, [], 'openbsd');
  if (!config.ok) throw new Error('configuration');
  const refused: string[] = [];
  const toEngine = (message: MonitorMessage): void =>
    remote.handle(message as Extract<MonitorMessage, { id: number }>);
  const guard = new TableGuard(table, toEngine, (why) => refused.push(why), clock);
  guard.configure(config.config);
  const remote = new RemoteTable('', (message) => void guard.handle(message as EngineRequest));
  const writer = new TableWriter({
    table: remote,
    judge: () => 'leave',
    report: () => undefined,
    nowMs: clock.monotonicMs,
    after: clock.after,
    soon: (callback) => void setImmediate(callback),
  });
  const all = addresses(senders);
  const start = clock.monotonicMs();
  let come = 0;
  let ms = 0;
  for (; table.size < senders; ms++) {
    for (const one of all.slice(come, come + perMs)) writer.want(one);
    come += perMs;
    // what is due now begins, and what follows from that
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    clock.pass(1);
  }
  assert.deepEqual(refused, []);
  return { tookMs: clock.monotonicMs() - start, lastCameMs: senders / perMs, calls: table.calls };
}

describe('a flood of new senders, through the guard', () => {
  it('is in the table at once when it is a burst: nothing waits but for pfctl', async () => {
    const { tookMs, calls } = await flood(5000, 5000);
    // the batch, and what the guard looks at before
    assert.ok(tookMs <= 8 + 5000 * 0.038 + 5, `${tookMs} ms`);
    assert.equal(calls, 1);
  });

  it('is as fast as batches allow when 5,000 come within a second', async () => {
    const { tookMs, lastCameMs, calls } = await flood(5000, 5);
    assert.ok(tookMs - lastCameMs <= 100, `${tookMs - lastCameMs} ms after the last`);
    assert.ok(calls <= 50 + 25 + 2, `${calls} calls`);
  });

  it('takes no more calls than the rate allows when it goes on', async () => {
    const { tookMs, lastCameMs, calls } = await flood(10_000, 1);
    assert.ok(tookMs - lastCameMs <= 100, `${tookMs - lastCameMs} ms after the last`);
    assert.ok(calls <= 50 + 25 * 10 + 2, `${calls} calls`);
  });
});

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { PrefixText } from '../../src/packet/address.js';
import { KILLED_MS } from '../../src/table/child.js';
import { MemoryTable } from '../../src/table/memory.js';
import type { TableReply } from '../../src/table/table.js';
import { TableWriter } from '../../src/table/writer.js';
import type { WriterEvent } from '../../src/table/writer-events.js';
import { HandClock } from '../support/hand-clock.js';
import { CANNOT_HOLD } from '../support/held.js';
import { type PfctlCall, PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { addresses, HANGS_MS, prefix, WriterBench } from '../support/writing.js';

const failed = (event: WriterEvent): boolean => event.kind === 'failed';
const A = prefix('192.0.2.1');
const B = prefix('2001:db8::/64');

/** What a call asked for: "add", "delete", "show", or another command. */
function command(call: PfctlCall): string {
  const at = call.argv.indexOf('-T');
  return at < 0 ? call.argv.join(' ') : (call.argv[at + 1] ?? '');
}

function writerTests(flavour: Flavour): void {
  let pfctl: PfctlStandIn;
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
  });
  afterEach(() => pfctl.dispose());

  it('writes a single address at once, in one call, on standard input', async () => {
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    await writer.idle();
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.1']);
    const [call, ...others] = pfctl.calls().filter((each) => command(each) === 'add');
    assert.deepEqual(others, []);
    assert.deepEqual(call?.argv, ['-t', 'mx-white', '-T', 'add', '-f', '-']);
    assert.deepEqual(call?.stdin, ['192.0.2.1']);
  });

  it('passes nothing of our environment on but the time zone', async () => {
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    await writer.idle();
    assert.equal(pfctl.calls()[0]?.env, 1);
  });

  it('gathers what comes while a call runs: 5,000 addresses need two calls', async () => {
    const { writer, events } = new WriterBench(pfctl);
    writer.want(A);
    await pfctl.waitForCalls(0);
    await new Promise((resolve) => setImmediate(resolve));
    const many = addresses(5000);
    for (const one of many) writer.want(one);
    await writer.idle();
    const counts = events.flatMap((event) => (event.kind === 'written' ? [event.count] : []));
    assert.deepEqual(counts, [1, 5000]);
    assert.equal((await pfctl.addresses()).length, 5001);
  });

  it('cuts 25,000 addresses into calls of 10,000', async () => {
    const { writer, events } = new WriterBench(pfctl);
    for (const one of addresses(25_000)) writer.want(one);
    await writer.idle();
    const counts = events.flatMap((event) => (event.kind === 'written' ? [event.count] : []));
    assert.deepEqual(counts, [10_000, 10_000, 5000]);
  });

  it('takes the last word on an address, whatever came before it', async () => {
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    writer.want(B);
    await writer.idle();
    writer.unwant(A);
    writer.want(A);
    writer.unwant(B);
    writer.want(B);
    writer.unwant(B);
    await writer.idle();
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.1']);
  });

  it('takes an address out again that was given up while it was being added', async () => {
    pfctl.setFault({ mode: 'slow', ms: 200, only: 'add', times: 1 });
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    writer.unwant(A);
    await writer.idle();
    assert.deepEqual(await pfctl.addresses(), []);
    assert.deepEqual(pfctl.calls().map(command), ['add', 'delete']);
  });

  it('adds before it deletes, so that what takes the place of another one is never missing', async () => {
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    await writer.idle();
    writer.unwant(A);
    writer.want(B);
    await writer.idle();
    assert.deepEqual(pfctl.calls().map(command), ['add', 'add', 'delete']);
  });

  it('does not call pfctl for an address that was given up before it was written', async () => {
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    writer.unwant(A);
    await writer.idle();
    assert.deepEqual(pfctl.calls(), []);
  });

  for (const [name, fault] of [
    ['fails', { mode: 'fail', rc: 1, stderr: 'pfctl: /dev/pf: Permission denied', times: 4 }],
    ['does not read its input', { mode: 'partial-stdin', times: 3 }],
    ['is killed before it has done its work', { mode: 'kill', times: 3 }],
    ['is killed after it has done its work', { mode: 'kill', after: 'apply', times: 3 }],
  ] as const) {
    it(`tries again while pfctl ${name}, and loses and doubles nothing`, async () => {
      const bench = new WriterBench(pfctl);
      pfctl.setFault(fault);
      for (const one of addresses(100)) bench.writer.want(one);
      await bench.next(failed);
      for (const one of addresses(50)) bench.writer.unwant(one);
      bench.writer.want(B);
      await bench.next((event) => event.kind === 'recovered');
      await bench.writer.idle();
      const expected = [...addresses(50, 50), B].map(String).sort();
      assert.deepEqual((await pfctl.addresses()).sort(), expected);
      assert.equal(bench.count('failed'), fault.times);
      assert.equal(bench.writer.tableSize, 51);
    });
  }

  for (const when of ['before', 'after'] as const) {
    it(`kills a pfctl that hangs ${when} its work, looks what the table has, and goes on`, async () => {
      const clock = new HandClock();
      const bench = new WriterBench(pfctl, { clock });
      pfctl.setFault({ mode: 'hang', times: 1, ...(when === 'after' ? { after: 'apply' } : {}) });
      for (const one of addresses(10)) bench.writer.want(one);
      await pfctl.waitForCalls(1);
      const failure = bench.next(failed);
      clock.pass(2 * HANGS_MS);
      await failure;
      const [event] = bench.events.filter((each) => each.kind === 'failed');
      assert.equal(event?.kind === 'failed' && event.reply.failure, 'time-out');
      await bench.writer.idle();
      assert.equal((await pfctl.addresses()).length, 10);
      const commands = pfctl.calls().map(command);
      assert.deepEqual(commands.slice(0, 2), ['add', 'show']);
    });
  }

  it('waits for one that cannot be killed, and reads the table before it writes again', async (test) => {
    if (CANNOT_HOLD !== false) return test.skip(CANNOT_HOLD);
    if (flavour !== FLAVOURS[0]) return test.skip('nothing in it depends on words');
    const clock = new HandClock();
    const bench = new WriterBench(pfctl, { clock });
    for (const one of addresses(10)) bench.writer.want(one);
    await bench.writer.idle();
    pfctl.clearCalls();
    pfctl.setFault({ mode: 'stuck', after: 'apply', only: 'add', times: 1 });
    for (const one of addresses(5, 10)) bench.writer.want(one);
    await pfctl.waitForCalls(1);
    clock.pass(2 * HANGS_MS);
    clock.pass(KILLED_MS);
    await bench.next(failed);
    bench.writer.unwant(prefix('10.0.0.11'));
    for (const one of addresses(5, 20)) bench.writer.want(one);
    bench.writer.compare();
    for (let tries = 0; tries < 3; tries++) await bench.next(failed);
    assert.deepEqual(pfctl.calls().map(command), ['add'], 'no other one was started');
    assert.equal(bench.writer.pending, 10);
    pfctl.release();
    await bench.next((event) => event.kind === 'recovered');
    await bench.writer.idle();
    assert.deepEqual(pfctl.calls().map(command).slice(0, 2), ['add', 'show']);
    const left = [...addresses(15), ...addresses(5, 20)].filter((one) => one !== '10.0.0.11');
    assert.deepEqual(await pfctl.addresses(), left);
  });

  it('never runs two pfctl at once', async () => {
    const { writer } = new WriterBench(pfctl);
    const running: number[] = [];
    for (let round = 0; round < 20; round++) {
      writer.want(prefix(`192.0.2.${round}`));
      writer.compare();
      await new Promise((resolve) => setImmediate(resolve));
      running.push(writer.pending);
    }
    await writer.idle();
    // each call is logged with its start; one that began before the last had ended would show the lock's queue
    const calls = pfctl.calls();
    const starts = calls.map((call) => call.at);
    assert.deepEqual(
      starts,
      [...starts].sort((a, b) => a - b),
    );
    assert.equal((await pfctl.addresses()).length, 20);
  });

  it('puts back what a flush has taken, and says so', async () => {
    const bench = new WriterBench(pfctl);
    for (const one of addresses(20)) bench.writer.want(one);
    await bench.writer.idle();
    pfctl.emptyTable();
    bench.writer.compare();
    await bench.writer.idle();
    assert.equal((await pfctl.addresses()).length, 20);
    assert.deepEqual(
      bench.events.filter((event) => event.kind === 'table-lost-entries'),
      [{ kind: 'table-lost-entries', count: 20 }],
    );
  });

  it('makes a table again that has gone while the daemon ran, with all its entries', async () => {
    const bench = new WriterBench(pfctl);
    for (const one of addresses(20)) bench.writer.want(one);
    await bench.writer.idle();
    pfctl.destroyTable();
    bench.writer.want(A);
    await bench.next((event) => event.kind === 'table-made');
    await bench.next((event) => event.kind === 'compared');
    await bench.writer.idle();
    assert.equal((await pfctl.addresses()).length, 21);
  });

  it('does not take a missing table for a failure when there is something to delete', async () => {
    const bench = new WriterBench(pfctl);
    bench.writer.want(A);
    bench.writer.want(B);
    await bench.writer.idle();
    pfctl.destroyTable();
    bench.writer.unwant(A);
    await bench.next((event) => event.kind === 'table-made');
    await bench.writer.idle();
    assert.deepEqual(await pfctl.addresses(), [String(B)]);
    assert.equal(bench.count('failed'), 0);
  });

  it('does not make a table that is missing at the start', async () => {
    pfctl.destroyTable();
    const { writer } = new WriterBench(pfctl);
    writer.want(A);
    const reply = await writer.start();
    assert.equal(!reply.ok && reply.failure, 'missing-table');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(pfctl.calls().map(command), ['show']);
    assert.equal(pfctl.cleared(), undefined);
  });

  it('goes on without having read the table when it is told to, but reads it before it writes', async () => {
    pfctl.putEntries(['192.0.2.7'], 1_795_000_000);
    pfctl.setFault({ mode: 'kill', only: 'show' });
    const bench = new WriterBench(pfctl, { judge: () => 'delete' });
    bench.writer.want(A);
    const reply = await bench.writer.start();
    assert.ok(!reply.ok);
    bench.writer.startUnread(reply);
    bench.writer.want(B);
    for (let tries = 0; tries < 2; tries++) await bench.next(failed);
    assert.deepEqual(new Set(pfctl.calls().map(command)), new Set(['show']));
    pfctl.setFault(null);
    await bench.next((event) => event.kind === 'recovered');
    await bench.writer.idle();
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.1', '2001:db8::/64']);
    assert.equal(bench.seen.length, 1);
  });

  it('hands entries that it does not know to the judge, with the time they were put in', async () => {
    pfctl.putEntries(['192.0.2.7', '198.51.100.0/24', '192.0.2.8'], 1_795_000_000);
    const bench = new WriterBench(pfctl, {
      judge: (entry, writer) => {
        if (entry.prefix.length < 32) return 'leave';
        if (entry.clearedAtMs === undefined || entry.prefix.address !== -1073741305) return 'delete';
        writer.want(prefix('192.0.2.7'));
        return 'adopt';
      },
    });
    const reply = await bench.writer.start();
    assert.equal(reply.ok, true);
    await bench.writer.idle();
    assert.deepEqual(
      bench.seen.map((entry) => entry.clearedAtMs),
      [1_795_000_000_000, 1_795_000_000_000, 1_795_000_000_000],
    );
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.7', '198.51.100.0/24']);
    assert.equal(bench.writer.tableSize, 2);
  });

  it('takes out what was given up after the list had it, though it was not known to be there', async () => {
    pfctl.putEntries(['192.0.2.1'], 1_795_000_000);
    const { writer, table } = new WriterBench(pfctl);
    writer.want(A);
    const show = table.show.bind(table);
    table.show = (entry) =>
      show((shown) => {
        entry(shown);
        writer.unwant(A);
      });
    await writer.start();
    await writer.idle();
    assert.deepEqual(await pfctl.addresses(), []);
    assert.equal(writer.tableSize, 0);
  });

  it('leaves an exception (!address) in the table alone', async () => {
    await pfctl.run(['-q', '-t', 'mx-white', '-T', 'add', '!192.0.2.9']);
    const bench = new WriterBench(pfctl, { judge: () => 'delete' });
    await bench.writer.start();
    await bench.writer.idle();
    assert.deepEqual(await pfctl.addresses(), ['!192.0.2.9']);
  });

  it('stays below the limit on table entries, however much is wanted', async () => {
    pfctl.update((state) => {
      state.limit = 20_000;
      state.enforceLimit = true;
    });
    const bench = new WriterBench(pfctl);
    await bench.writer.start();
    assert.equal(bench.writer.room.ceiling, 16_000, 'nine tenths of the limit, less one batch of a tenth');
    for (const one of addresses(17_000)) bench.writer.want(one);
    await bench.next((event) => event.kind === 'no-room');
    assert.equal((await pfctl.addresses()).length, 16_000);
    await bench.next((event) => event.kind === 'no-room');
    await bench.next((event) => event.kind === 'no-room');
    assert.equal(bench.count('recovered'), 0, 'a table that can only be read has not recovered');
    const retries = bench.events.flatMap((event) => (event.kind === 'failed' ? [event.retryInMs] : []));
    assert.deepEqual(retries.slice(0, 2), [100, 200]);
    for (const one of addresses(2000)) bench.writer.unwant(one);
    await bench.next((event) => event.kind === 'recovered');
    await bench.writer.idle();
    assert.equal((await pfctl.addresses()).length, 15_000);
    assert.equal(
      bench.events.some(
        (event) => event.kind === 'failed' && event.reply.message.includes('Cannot allocate'),
      ),
      false,
    );
  });

  it('takes entries out before it goes beyond what it may have, and is done when all has changed', async () => {
    const { writer, events } = new WriterBench(pfctl, { most: 300 });
    const sizes: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (const one of addresses(200, round * 200)) writer.want(one);
      for (const one of addresses(200, (round - 1) * 200)) writer.unwant(one);
      sizes.push(writer.tableSize);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writer.idle();
    assert.ok(Math.max(...sizes) <= 300);
    assert.deepEqual(await pfctl.addresses(), addresses(200, 800));
    assert.equal(events.filter(failed).length, 0);
    let held = 0;
    for (const event of events) {
      if (event.kind === 'written') held += event.verb === 'add' ? event.count : -event.count;
      assert.ok(held <= 300, `${held} in the table`);
    }
  });

  // no pfctl has a part in it
  const once = { skip: flavour !== FLAVOURS[0] };
  describe('where each call takes two seconds', once, () => {
    /** A table on a clock of the test's: calls take two seconds, whatever they do. */
    class SlowTable extends MemoryTable {
      readonly calls: string[] = [];

      constructor(private readonly clock: HandClock) {
        super(clock.wallMs);
      }

      override async add(prefixes: readonly PrefixText[]): Promise<TableReply> {
        await this.note('add', prefixes.length);
        return super.add(prefixes);
      }

      override async delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
        await this.note('delete', prefixes.length);
        return super.delete(prefixes);
      }

      private note(verb: string, count: number): Promise<void> {
        this.calls.push(`${verb} ${count}`);
        return new Promise((resolve) => this.clock.after(2000, resolve));
      }
    }

    const make = () => {
      const clock = new HandClock();
      const table = new SlowTable(clock);
      const writer = new TableWriter({
        table,
        judge: () => 'leave',
        report: () => undefined,
        nowMs: clock.monotonicMs,
        after: clock.after,
        soon: (callback) => void setImmediate(callback),
      });
      /** The next call begins and ends. */
      const call = async (): Promise<string> => {
        const before = table.calls.length;
        while (table.calls.length === before && writer.pending > 0)
          await new Promise((resolve) => setImmediate(resolve));
        clock.pass(2000);
        await new Promise((resolve) => setImmediate(resolve));
        return table.calls.slice(before).join();
      };
      return { table, writer, call };
    };

    it('takes 50,000 out in few calls when nothing else waits', async () => {
      const { table, writer, call } = make();
      for (const one of addresses(50_000)) writer.want(one);
      while (writer.pending > 0) await call();
      const before = table.calls.length;
      for (const one of addresses(50_000)) writer.unwant(one);
      while (writer.pending > 0) await call();
      assert.equal(table.size, 0);
      const deletions = table.calls.slice(before);
      assert.ok(deletions.length <= 10, deletions.join());
    });

    it('lets an addition go first, as soon as the call that runs has ended', async () => {
      const { table, writer, call } = make();
      for (const one of addresses(30_000)) writer.want(one);
      while (writer.pending > 0) await call();
      for (const one of addresses(20_000)) writer.unwant(one);
      const first = await call();
      assert.match(first, /^delete /);
      for (let round = 0; round < 3; round++) {
        writer.want(prefix(`192.0.2.${round}`));
        assert.equal(await call(), 'add 1');
        assert.ok(table.has(prefix(`192.0.2.${round}`)));
        if (writer.pending > 0) assert.match(await call(), /^delete \d{4,}$/);
      }
    });
  });

  it('writes out what is pending before it closes', async () => {
    const { writer } = new WriterBench(pfctl);
    for (const one of addresses(3000)) writer.want(one);
    assert.equal(await writer.close(100_000), 0);
    assert.equal((await pfctl.addresses()).length, 3000);
  });

  it('gives up at the deadline when pfctl hangs, and tells how much was not written', async () => {
    const { writer } = new WriterBench(pfctl);
    pfctl.setFault({ mode: 'hang' });
    for (const one of addresses(7)) writer.want(one);
    await pfctl.waitForCalls(1);
    assert.equal(await writer.close(1000), 7);
  });

  it('ends up with what is wanted after any order of requests and faults', async () => {
    let state = 20261123;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const bench = new WriterBench(pfctl, { judge: () => 'delete' });
    const pool = addresses(40);
    const wanted = new Set<string>();
    for (let round = 0; round < 25; round++) {
      const faults = [
        null,
        { mode: 'fail', times: 1 },
        { mode: 'kill', times: 1 },
        { mode: 'kill', after: 'apply', times: 1 },
        { mode: 'partial-stdin', times: 1 },
      ] as const;
      pfctl.setFault(faults[random(faults.length)] ?? null);
      if (random(6) === 0 && pfctl.cleared() !== undefined) pfctl.emptyTable();
      if (random(9) === 0 && pfctl.cleared() !== undefined) pfctl.destroyTable();
      for (let change = random(12); change >= 0; change--) {
        const one = pool[random(pool.length)] ?? A;
        if (random(2) === 0) {
          wanted.add(one);
          bench.writer.want(one);
        } else {
          wanted.delete(one);
          bench.writer.unwant(one);
        }
      }
      // the next changes come now, or when something has been done
      if (random(3) > 0) await Promise.race([bench.next(() => true), bench.writer.idle()]);
    }
    pfctl.setFault(null);
    if (pfctl.cleared() === undefined) pfctl.createTable();
    bench.writer.compare();
    await bench.writer.idle();
    assert.deepEqual((await pfctl.addresses()).sort(), [...wanted].sort());
  });
}

for (const flavour of FLAVOURS) {
  describe(`the table writer, with the pfctl of ${flavour}`, () => writerTests(flavour));
}

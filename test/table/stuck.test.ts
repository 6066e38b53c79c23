import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { KILLED_MS } from '../../src/table/child.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import type { StuckReport } from '../../src/table/stuck.js';
import { until } from '../support/daemon.js';
import { HandClock } from '../support/hand-clock.js';
import { CANNOT_HOLD } from '../support/held.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { addresses } from '../support/writing.js';

const TIMEOUT_MS = 10_000;

describe('a pfctl that cannot be killed', { skip: CANNOT_HOLD }, () => {
  let pfctl: PfctlStandIn;
  let clock: HandClock;
  let reports: StuckReport[];
  let table: PfctlTable;
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create();
    clock = new HandClock();
    const told: StuckReport[] = [];
    reports = told;
    table = new PfctlTable({
      path: pfctl.path,
      table: 'mx-white',
      anchor: '',
      timeoutMs: TIMEOUT_MS,
      clock,
      report: (report) => told.push(report),
    });
  });
  afterEach(() => pfctl.dispose());

  /** Begins an addition that is stuck. @returns its reply, once the time for it is over */
  const stuckAdd = async () => {
    pfctl.setFault({ mode: 'stuck', only: 'add', times: 1 });
    const reply = table.add(addresses(1000));
    const [call] = await pfctl.waitForCalls(1);
    // a thousand addresses have a second more
    clock.pass(TIMEOUT_MS + 1000);
    clock.pass(KILLED_MS);
    return { reply: await reply, pid: call?.pid };
  };

  it('is told, with its number and its age, and nobody waits for it', async () => {
    const { reply, pid } = await stuckAdd();
    const words = `pfctl ${pid} has not ended for 14 s, though it was killed (asleep in the kernel? docs/pf.md, limits)`;
    assert.deepEqual(reply, { ok: false, failure: 'stuck', message: words });
    assert.deepEqual(reports, [
      {
        kind: 'stuck',
        pid,
        afterMs: 14_000,
        message: `${words}; until it has, no other one is started, and nobody new is let in`,
      },
    ]);
  });

  it('keeps every other one from being started, of whatever kind; each is told at once', async () => {
    const { pid } = await stuckAdd();
    clock.pass(16_000);
    const words = `pfctl ${pid} has not ended for 30 s, though it was killed (asleep in the kernel? docs/pf.md, limits)`;
    const stuck = { ok: false, failure: 'stuck', message: words };
    assert.deepEqual(await table.show(() => undefined), stuck);
    assert.deepEqual(await table.add(addresses(3)), stuck);
    assert.deepEqual(await table.delete(addresses(3)), stuck);
    assert.equal(await table.limits(), undefined);
    assert.deepEqual(await table.inspect(), {
      info: undefined,
      rules: undefined,
      entries: undefined,
      unanswered: words,
    });
    assert.equal(table.calls, 1);
  });

  it('is told again every ten minutes, and when it has ended; then others are started', async () => {
    const { pid } = await stuckAdd();
    clock.pass(10 * 60_000 - 1);
    assert.equal(reports.length, 1);
    clock.pass(1);
    assert.match(reports[1]?.message ?? '', /^pfctl \d+ has not ended for 10 min, /);
    pfctl.release();
    await until('its end is told', () => reports.length > 2);
    assert.deepEqual(reports.slice(2), [
      {
        kind: 'ended',
        pid,
        afterMs: 614_000,
        message: `pfctl ${pid} has ended after 10 min: the table is read, then written again`,
      },
    ]);
    clock.pass(60 * 60_000);
    assert.equal(reports.length, 3);
    assert.equal((await table.add(addresses(3))).ok, true);
  });

  it('is known as such a moment after it was to be ended, too', async () => {
    pfctl.setFault({ mode: 'stuck', only: 'show', times: 1 });
    const reply = table.show(() => undefined);
    await pfctl.waitForCalls(1);
    table.abort();
    clock.pass(KILLED_MS);
    assert.equal((await reply).ok, false);
    assert.match(reports[0]?.message ?? '', /^pfctl \d+ has not ended for 3 s, though it was killed/);
  });

  it('tells nothing any more to those who have gone on without it', async () => {
    pfctl.putEntries(['192.0.2.1'], 1_700_000_000);
    pfctl.setFault({ mode: 'stuck', after: 'apply', only: 'show', times: 1 });
    const shown: string[] = [];
    const reply = table.show(({ text }) => shown.push(text));
    await pfctl.waitForCalls(1);
    table.abort();
    clock.pass(KILLED_MS);
    await reply;
    pfctl.release();
    await until('it has gone', () => reports.length > 1);
    assert.deepEqual(shown, []);
  });
});

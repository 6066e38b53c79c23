import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Config, type Given, resolveConfig } from '../../src/config/config.js';
import type { Log } from '../../src/log/log.js';
import type { GuardedTable } from '../../src/monitor/guard.js';
import { Monitor } from '../../src/monitor/monitor.js';
import { type Clock, systemClock } from '../../src/clock.js';
import type { StartError } from '../../src/sysexits.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import type { FirewallTexts, TableReply } from '../../src/table/table.js';
import { until } from '../support/daemon.js';
import { HandClock } from '../support/hand-clock.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { HANGS_MS } from '../support/writing.js';

/** A table that does nothing but count what it is told. */
class CountingTable implements GuardedTable {
  calls = 0;
  private readonly done = (): Promise<TableReply> => {
    this.calls++;
    return Promise.resolve({ ok: true, changed: 0, created: false });
  };
  readonly add = this.done;
  readonly delete = this.done;
  readonly flush = this.done;
  readonly showText = this.done;
  readonly abort = (): void => undefined;
  readonly count = (): Promise<undefined> => this.done().then(() => undefined);
  readonly limits = (): Promise<undefined> => this.done().then(() => undefined);
  readonly inspect = (): Promise<FirewallTexts> =>
    this.done().then(() => ({
      info: undefined,
      rules: undefined,
      entries: undefined,
      unanswered: undefined,
    }));
}

const FORGER = fileURLToPath(new URL('../support/forger.js', import.meta.url));

function config(): Config {
  const given: Given[] = [
    { key: 'fakeMailserver', text: '192.0.2.3', where: '', origin: 'command line' },
    { key: 'realMailserver', text: '192.0.2.4', where: '', origin: 'command line' },
  ];
  const result = resolveConfig(given, [], 'openbsd');
  if (!result.ok) throw new Error('configuration');
  return result.config;
}

describe('the monitor', () => {
  let pfctl: PfctlStandIn;
  let lines: string[];
  let monitor: Monitor | undefined;

  const log: Log = {
    write: (level, message) => void lines.push(`${level}: ${message}`),
    isEnabled: () => true,
    setLevel: () => undefined,
    description: 'this list',
    lost: 0,
    close: () => Promise.resolve(),
  };

  beforeEach(async () => {
    pfctl = await PfctlStandIn.create();
    lines = [];
  });
  afterEach(async () => {
    await monitor?.stop('test');
    await pfctl.dispose();
  });

  const make = (engine: [string, ...string[]], clock: Clock = systemClock): Monitor => {
    monitor = new Monitor({
      config: config(),
      remarks: [],
      plan: { kind: 'as-is' },
      log,
      clock,
      table: new PfctlTable({
        path: pfctl.path,
        table: 'mx-white',
        anchor: '',
        timeoutMs: HANGS_MS,
        clock: systemClock,
      }),
      engine,
      readAgain: () => ({ ok: false, problems: [] }),
    });
    return monitor;
  };
  const forge = (...messages: string[]): Promise<void> =>
    make([process.execPath, FORGER, ...messages]).start();
  const said = (pattern: RegExp): Promise<void> =>
    until(`the monitor says ${pattern.source}; it said ${lines.join(' | ')}`, () =>
      lines.some((line) => pattern.test(line)),
    );

  const FORGED: [string, string, RegExp][] = [
    ['everybody', '{"id":1,"request":"add","prefixes":["0/0"]}', /"0\/0" is no prefix/],
    ['an interface', '{"id":1,"request":"add","prefixes":["em0"]}', /"em0" is no prefix/],
    [
      'half the Internet',
      '{"id":1,"request":"add","prefixes":["0.0.0.0/1"]}',
      /add 0\.0\.0\.0\/1: wider than/,
    ],
    ['another type', '{"id":1,"request":"add","prefixes":"192.0.2.9"}', /add without a list of prefixes/],
    ['no object', '[]', /a request without a number/],
    ['null', 'null', /a message that is no object/],
    ['another command', '{"id":1,"request":"-F all"}', /an unknown request "-F all"/],
    [
      'what cannot be made text',
      '{"id":1,"request":{"toString":1,"valueOf":1}}',
      /a request that is no text/,
    ],
    ['a deep tower', 'TOWER', /a request that is no text/],
  ];
  for (const [what, message, why] of FORGED) {
    it(`refuses a request for ${what}, says so, and runs no pfctl for it`, async () => {
      await forge(message, '{"id":7,"request":"add","prefixes":["192.0.2.77"]}');
      await said(/^error: the engine has asked for what it must not, and was refused: /);
      await said(why);
      await until('the proper request is carried out', async () => (await pfctl.addresses()).length === 1);
      assert.deepEqual(await pfctl.addresses(), ['192.0.2.77']);
      const adds = await pfctl.waitForCalls(1, ({ argv }) => argv.includes('add'));
      assert.deepEqual(
        adds.map(({ stdin }) => stdin),
        [['192.0.2.77']],
      );
    });
  }

  const GARBAGE: [string, string, RegExp][] = [
    ['is no JSON', '{"id":1,', /something that is not JSON/],
    [
      'is JSON and more',
      '{"id":1,"request":"show","path":"/bin/sh","prefixes":["-f","/etc/passwd"],"__proto__":{"x":1}} nonsense',
      /something that is not JSON/,
    ],
    ['does not end', '10MB', /more than \d+ characters/],
    ['does not end, in small pieces', 'CRUMBS', /more than \d+ characters/],
  ];
  for (const [what, message, why] of GARBAGE) {
    it(`ends an engine that sends what ${what}, hears nothing more of it, and starts the next one`, async () => {
      const clock = new HandClock();
      const proper = '{"id":7,"request":"add","prefixes":["192.0.2.77"]}';
      // crumbs are never followed by anything
      const more = message === 'CRUMBS' ? [] : [proper];
      await make([process.execPath, FORGER, message, ...more], clock).start();
      await said(
        /^error: the engine has sent .*, as none of ours does, and was killed; nobody new is let in/,
      );
      await said(why);
      assert.deepEqual(pfctl.calls(), []);
      clock.pass(1000);
      await said(/^warn: the engine works again/);
    });
  }

  it('says so when the first engine is not one of ours', async () => {
    await assert.rejects(
      make([process.execPath, '-e', 'require("net").Socket({ fd: 3 }).write("hello\\n")']).start(),
      (error: StartError) =>
        error.exitStatus === 70 &&
        error.message ===
          'the engine has sent something that is not JSON, as none of ours does, and was killed',
    );
  });

  it('goes on when the engine says nonsense about a failure', async () => {
    await forge(
      '{"event":"failed","message":{"toString":1},"exitStatus":{"valueOf":1}}',
      '{"event":"ready"}',
    );
    await monitor?.stop('test');
    assert.deepEqual(lines, []);
  });

  it('takes an engine that ends at the start for a failure, whatever status it gives', async () => {
    const failing = make([process.execPath, FORGER, 'FAIL']).start();
    await assert.rejects(
      failing,
      (error: StartError) => error.exitStatus === 70 && error.message === 'because',
    );
    await assert.rejects(
      make(['/bin/sh', '-c', 'exit 0']).start(),
      (error: StartError) => error.exitStatus === 70,
    );
  });

  it('does not hear an engine that does not read', async () => {
    await forge('DEAF', 'FLOOD');
    const before = process.memoryUsage().rss;
    await said(/more requests of the engine were refused/);
    assert.ok(process.memoryUsage().rss - before < 100 << 20);
  });

  it('reads the configuration for an engine once a second at the most', async () => {
    let reads = 0;
    monitor = new Monitor({
      config: config(),
      remarks: [],
      plan: { kind: 'as-is' },
      log,
      clock: new HandClock(),
      table: new PfctlTable({
        path: pfctl.path,
        table: 'mx-white',
        anchor: '',
        timeoutMs: HANGS_MS,
        clock: systemClock,
      }),
      engine: [
        process.execPath,
        FORGER,
        ...Array.from({ length: 300 }, (_, id) => `{"id":${id},"request":"reload"}`),
        '{"id":300,"request":"the last one"}',
      ],
      readAgain: () => {
        reads++;
        return { ok: false, problems: [] };
      },
    });
    await monitor.start();
    await said(/unknown request "the last one"/);
    assert.equal(reads, 1);
  });

  it('runs pfctl for an engine at a rate, however fast that asks', async () => {
    const clock = new HandClock();
    const table = new CountingTable();
    monitor = new Monitor({
      config: config(),
      remarks: [],
      plan: { kind: 'as-is' },
      log,
      clock,
      table,
      engine: [process.execPath, FORGER, 'GREEDY'],
      readAgain: () => ({ ok: false, problems: [] }),
    });
    await monitor.start();
    // the list and the limits, which the monitor wants to know by itself, and fifty requests
    await until('its share is used up', () => clock.timersMs.includes(40));
    assert.equal(table.calls, 52);
    for (let turns = 0; turns < 25; turns++) {
      const before = table.calls;
      clock.pass(40);
      await until('the next one has come', () => table.calls > before && clock.timersMs.includes(40));
    }
    assert.equal(table.calls, 52 + 25);
  });

  it('hears a signal in a flood of requests', async () => {
    const clock = new HandClock();
    await make([process.execPath, FORGER, 'ENDLESS'], clock).start();
    // it is not read any more until time goes by
    await until('it rests', () => clock.timersMs.some((ms) => ms < 1000));
    await monitor?.stop('SIGTERM');
    monitor = undefined;
    await until('what was kept back is counted', () =>
      lines.some((line) => /^error: \d+ more requests/.test(line)),
    );
    const refused = lines.filter((line) => line.includes('was refused'));
    const more = lines.flatMap((line) => /^error: (\d+) more requests/.exec(line)?.[1] ?? []);
    // of 400 messages the first one has said that it is ready
    assert.equal(refused.length + Number(more[0]), 399);
  });

  it('is not drowned in forged requests: a few lines a second', async () => {
    const bad = Array.from(
      { length: 300 },
      (_, id) => `{"id":${id + 10},"request":"add","prefixes":["0/0"]}`,
    );
    const clock = new HandClock();
    const good = '{"id":400,"request":"add","prefixes":["192.0.2.77"]}';
    await make([process.execPath, FORGER, ...bad, good], clock).start();
    await until('all have been read', async () => (await pfctl.addresses()).length === 1);
    assert.equal(lines.length, 5);
    clock.pass(1000);
    assert.deepEqual(lines.slice(5), ['error: 295 more requests of the engine were refused within a second']);
  });

  it('says why an engine cannot be started', async () => {
    await assert.rejects(make(['/nonexistent/node']).start(), /the engine cannot be started: .*ENOENT/);
  });

  it('says how an engine ended that never got ready', async () => {
    await assert.rejects(make(['/bin/sh', '-c', 'exit 3']).start(), /the engine ended with status 3/);
  });

  it('starts an engine again that has died, later and later, and says so', async () => {
    const clock = new HandClock();
    const dies = join(pfctl.directory, 'dies');
    const script = `'${process.execPath}' '${FORGER}' & while [ ! -e '${dies}' ]; do sleep 0.02; done`;
    const nextAfter = async (ms: number): Promise<void> => {
      await until('the next one is to be started', () => clock.timersMs.includes(ms));
      clock.pass(ms);
    };
    await make(['/bin/sh', '-c', `${script}; kill -9 $!; kill -9 $$`], clock).start();
    writeFileSync(dies, '');
    await said(/^error: the engine was killed by SIGKILL; nobody new is let in meanwhile; .* again in 1 s/);
    await nextAfter(1000);
    await said(/again in 2 s/);
    rmSync(dies);
    await nextAfter(2000);
    await said(/^warn: the engine works again, as process /);
    // the shell around it does not hear that it is to end
    writeFileSync(dies, '');
  });

  describe('kills an engine that hangs', () => {
    const MINUTE = 60_000;
    const isKilled = (): boolean => lines.some((line) => line.includes('hangs'));

    it('when it has not asked for anything in ten minutes and another one, and starts the next one', async () => {
      const clock = new HandClock();
      await make([process.execPath, FORGER], clock).start();
      clock.pass(10 * MINUTE);
      clock.pass(MINUTE - 1);
      assert.equal(isKilled(), false);
      clock.pass(1);
      await said(/^error: the engine hangs and is killed: it has asked for nothing in 11 minutes$/);
      await said(/^error: the engine was killed by SIGKILL; .* again in 1 s/);
      await until('the next one is to be started', () => clock.timersMs.includes(1000));
      clock.pass(1000);
      await said(/^warn: the engine works again/);
    });

    it('but not one that has asked meanwhile', async () => {
      const clock = new HandClock();
      await make([process.execPath, FORGER], clock).start();
      clock.pass(5 * MINUTE);
      monitor?.logStatistics();
      await said(/unknown request "nonsense"/);
      for (const minutes of [5, 1, 3]) clock.pass(minutes * MINUTE);
      assert.equal(isKilled(), false);
      clock.pass(2 * MINUTE);
      clock.pass(MINUTE);
      await said(/asked for nothing in 12 minutes/);
    });

    it('but not after all has stood still', async () => {
      const clock = new HandClock();
      await make([process.execPath, FORGER], clock).start();
      clock.pass(60 * MINUTE);
      monitor?.logStatistics();
      await said(/unknown request "nonsense"/);
      clock.pass(MINUTE);
      assert.equal(isKilled(), false);
    });

    it('but not one that waits for pfctl', async () => {
      const clock = new HandClock();
      pfctl.setFault({ mode: 'hang', only: 'show' });
      await make([process.execPath, FORGER, '{"id":1,"request":"show"}'], clock).start();
      await pfctl.waitForCalls(1);
      for (let minutes = 0; minutes < 30; minutes++) clock.pass(MINUTE);
      assert.equal(isKilled(), false);
    });
  });
});

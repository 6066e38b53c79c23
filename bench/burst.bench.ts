// 20,000 attempts within a second, through the monitor's guard: when are all in the table, and with how many calls?
// pfctl is the tests' stand-in, which starts Node for each call and keeps the table in a file: the real one is faster.
import { PfctlStandIn } from '../test/support/pfctl-harness.js';
import { type Config, resolveConfig } from '../src/config/config.js';
import { TableGuard } from '../src/monitor/guard.js';
import type { EngineRequest, MonitorMessage } from '../src/monitor/messages.js';
import { RemoteTable } from '../src/monitor/remote-table.js';
import { PfctlTable } from '../src/table/pfctl.js';
import { TableWriter } from '../src/table/writer.js';
import { systemClock } from '../src/clock.js';
import { Judge } from '../src/engine/judge.js';
import { randomHashKey } from '../src/process/hash-key.js';
import { formatPrefix } from '../src/packet/address.js';
import { frames, machine, TRACKER_CONFIG, verdict } from './support.js';

const ATTEMPTS = 20_000;
const ROUNDS = 3;
const SLICE = 200;
const TARGETS = { ms: 1000, calls: 30 };

function config(): Config {
  const given = [
    { key: 'fakeMailserver', text: '192.168.1.3', where: '', origin: 'command line' },
    { key: 'realMailserver', text: '192.168.1.4', where: '', origin: 'command line' },
  ] as const;
  const result = resolveConfig(given, [], 'openbsd');
  if (!result.ok) throw new Error('configuration');
  return result.config;
}

console.log(machine());
for (let round = 1; round <= ROUNDS; round++) {
  const pfctl = await PfctlStandIn.create();
  const table = new PfctlTable({
    path: pfctl.path,
    table: 'mx-white',
    anchor: '',
    timeoutMs: 10_000,
    clock: systemClock,
  });
  const guard = new TableGuard(
    table,
    (message) => remote.handle(message as Extract<MonitorMessage, { id: number }>),
    (why) => console.log(`refused: ${why}`),
    systemClock,
  );
  guard.configure(config());
  const remote = new RemoteTable('', (message) => void guard.handle(message as EngineRequest));
  const writer = new TableWriter({
    table: remote,
    judge: () => 'leave',
    report: () => undefined,
    nowMs: systemClock.monotonicMs,
    after: systemClock.after,
    soon: systemClock.soon,
  });
  const judge = new Judge(
    TRACKER_CONFIG,
    {
      added: (entry) => writer.want(formatPrefix(entry.prefix)),
      removed: (entry) => writer.unwant(formatPrefix(entry.prefix)),
    },
    randomHashKey(),
  );
  const attempts = frames(4, ATTEMPTS, 'fake');
  const start = performance.now();
  for (let first = 0; first < ATTEMPTS; first += SLICE) {
    for (const frame of attempts.slice(first, first + SLICE)) judge.judge(frame, performance.now());
    const wait = start + ((first + SLICE) / ATTEMPTS) * 1000 - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)));
  }
  const last = performance.now();
  await writer.idle();
  const tookMs = performance.now() - last;
  const inTable = (await pfctl.addresses()).length;
  console.log(
    `round ${round}: ${inTable} of ${ATTEMPTS} in the table ${tookMs.toFixed(0)} ms after the last (target ${TARGETS.ms}), ` +
      `${table.calls} calls (target ${TARGETS.calls}): ` +
      verdict(inTable === ATTEMPTS && tookMs <= TARGETS.ms && table.calls <= TARGETS.calls),
  );
  await pfctl.dispose();
}

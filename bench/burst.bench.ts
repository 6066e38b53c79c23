// 20,000 attempts within a second: when are all in the table, and with how many calls? pfctl is the tests' stand-in,
// which starts Node for each call and keeps the table in a file: the real one is faster.
import { PfctlStandIn } from '../test/support/pfctl-harness.js';
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
  const writer = new TableWriter({
    table,
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

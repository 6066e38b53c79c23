// From the frame of an attempt to pfctl's start, at 100 attempts a second. pfctl is true(1): what is measured is ours.
import { setFlagsFromString } from 'node:v8';
import { accessSync } from 'node:fs';
import type { FrameSink, FrameSource } from '../src/capture/source.js';
import { resolveConfig } from '../src/config/config.js';
import { systemClock } from '../src/service/clock.js';
import { Engine } from '../src/service/engine.js';
import { randomHashKey } from '../src/service/hash-key.js';
import { PfFirewall } from '../src/service/pf-firewall.js';
import { PfctlTable } from '../src/table/pfctl.js';
import { frames, machine, quantile, quietLog, verdict } from './support.js';

// as the daemon runs
setFlagsFromString('--optimize-for-size');
const ATTEMPTS = 1000;
const PER_SECOND = 100;
const TARGET_MS = 5;

const TRUE = ['/usr/bin/true', '/bin/true'].find((path) => {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
});
if (TRUE === undefined) throw new Error('there is no true(1)');

/** A source that delivers when it is told to, at once. */
class DirectSource implements FrameSource {
  readonly description = 'direct';
  sink: FrameSink | undefined;
  open(sink: FrameSink): Promise<void> {
    this.sink = sink;
    return Promise.resolve();
  }
  statistics = () => ({ received: 0, dropped: 0 });
  close = () => Promise.resolve();
}

const arrivedMs = new Map<string, number>();
const delaysMs: number[] = [];
const table = new PfctlTable({ path: TRUE, table: 'mx-white', anchor: '', timeoutMs: 10_000 });
const add = table.add.bind(table);
// the child has been executed when spawn returns, and that is before add returns its promise
table.add = (prefixes) => {
  const reply = add(prefixes);
  const nowMs = performance.now();
  for (const prefix of prefixes) delaysMs.push(nowMs - (arrivedMs.get(prefix) ?? nowMs));
  return reply;
};

const resolved = resolveConfig(
  [
    { key: 'fakeMailserver', text: '192.168.1.3', where: '', origin: 'command line' },
    { key: 'realMailserver', text: '192.168.1.4', where: '', origin: 'command line' },
    { key: 'noRdnsWhitelist', text: undefined, where: '', origin: 'command line' },
    { key: 'noPool', text: undefined, where: '', origin: 'command line' },
  ],
  [],
  'openbsd',
);
if (!resolved.ok) throw new Error('configuration');
const source = new DirectSource();
const engine = new Engine({
  config: resolved.config,
  log: quietLog,
  clock: systemClock,
  hashKey: randomHashKey(),
  makeFirewall: (core) => new PfFirewall(core, { table, makeSource: () => Promise.resolve(source) }),
});
await engine.start();
const attempts = frames(4, ATTEMPTS, 'fake');
const start = performance.now();
for (const [index, frame] of attempts.entries()) {
  const wait = start + (index * 1000) / PER_SECOND - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  const source4 = frame.data.subarray(frame.offset + 76, frame.offset + 80).join('.');
  arrivedMs.set(source4, performance.now());
  source.sink?.frame(frame);
}
await engine.stop(5000);

const sorted = delaysMs.sort((a, b) => a - b);
const p99 = quantile(sorted, 0.99);
console.log(machine());
console.log(
  `${sorted.length} attempts at ${PER_SECOND}/s: frame to pfctl's start: median ${quantile(sorted, 0.5).toFixed(2)} ms, ` +
    `p99 ${p99.toFixed(2)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(2)} ms; target p99 ${TARGET_MS} ms: ` +
    verdict(sorted.length === ATTEMPTS && p99 <= TARGET_MS),
);

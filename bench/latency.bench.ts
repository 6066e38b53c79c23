// From the frame of an attempt to pfctl's start, at 100 attempts a second. pfctl is true(1): what is measured is ours.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setFlagsFromString } from 'node:v8';
import { accessSync } from 'node:fs';
import type { FrameSink, FrameSource } from '../src/capture/source.js';
import { type Given, resolveConfig } from '../src/config/config.js';
import type { OptionKey } from '../src/config/options.js';
import type { Frame } from '../src/packet/frame.js';
import { systemClock } from '../src/clock.js';
import { Engine } from '../src/engine/engine.js';
import { randomHashKey } from '../src/process/hash-key.js';
import { PfFirewall } from '../src/firewall/pf.js';
import { PfctlTable } from '../src/table/pfctl.js';
import { frames, machine, quantile, quietLog, spread, verdict } from './support.js';

// as the daemon runs
setFlagsFromString('--optimize-for-size');
const ATTEMPTS = 1000;
const PER_SECOND = 100;
const TARGET_MS = 5;
const ROUNDS = 5;
const DEAD_GROWTH = 1.1;

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

/** Delays in milliseconds, of so many attempts, with and without names. */
async function measure(names: 'off' | 'dead', attempts: readonly Frame[]): Promise<number[]> {
  const arrivedMs = new Map<string, number>();
  const delaysMs: number[] = [];
  const table = new PfctlTable({
    path: String(TRUE),
    table: 'mx-white',
    anchor: '',
    timeoutMs: 10_000,
    clock: systemClock,
  });
  const add = table.add.bind(table);
  // the child has been executed when spawn returns, and that is before add returns its promise
  table.add = (prefixes) => {
    const reply = add(prefixes);
    const nowMs = performance.now();
    for (const prefix of prefixes) delaysMs.push(nowMs - (arrivedMs.get(prefix) ?? nowMs));
    return reply;
  };
  const silent = createSocket('udp4');
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  const server = `127.0.0.1:${silent.address().port}`;
  const given = (key: OptionKey, text?: string): Given => ({ key, text, where: '', origin: 'command line' });
  const resolved = resolveConfig(
    [
      given('fakeMailserver', '192.168.1.3'),
      given('realMailserver', '192.168.1.4'),
      given('dnsServer', server),
      ...(names === 'off' ? [given('noRdnsWhitelist'), given('noPool')] : []),
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
  await engine.prepare();
  await engine.start();
  const start = performance.now();
  for (const [index, frame] of attempts.entries()) {
    const wait = start + (index * 1000) / PER_SECOND - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const source4 = frame.data.subarray(frame.offset + 76, frame.offset + 80).join('.');
    arrivedMs.set(source4, performance.now());
    source.sink?.frame(frame);
  }
  await engine.stop(5000);
  silent.close();
  return delaysMs.sort((a, b) => a - b);
}

/** What this machine takes to start a program, milliseconds: nothing of it is ours. */
async function bareSpawn(): Promise<number> {
  const tookMs: number[] = [];
  for (let round = 0; round < 200; round++) {
    const start = performance.now();
    const child = spawn(String(TRUE), [], { stdio: 'pipe', env: { TZ: 'UTC' }, cwd: '/' });
    tookMs.push(performance.now() - start);
    await new Promise((resolve) => child.once('close', resolve));
  }
  return spread(tookMs).median;
}

console.log(machine());
console.log(`starting true(1) and nothing else: median ${(await bareSpawn()).toFixed(2)} ms`);
// 11.0.0.0 and on: of private addresses DNS is not asked
const all = frames(4, ATTEMPTS, 'fake', 1 << 24);
await measure('off', all.slice(0, 100));
const ratios: number[] = [];
const delays: Record<'off' | 'dead', number[]> = { off: [], dead: [] };
const each = ATTEMPTS / ROUNDS;
for (let round = 0; round < ROUNDS; round++) {
  const attempts = all.slice(round * each, (round + 1) * each);
  const off = await measure('off', attempts);
  const dead = await measure('dead', attempts);
  delays.off.push(...off);
  delays.dead.push(...dead);
  ratios.push(quantile(dead, 0.5) / quantile(off, 0.5));
}
for (const [names, title] of [
  ['off', 'names off'],
  ['dead', 'names on, and a DNS server that never answers'],
] as const) {
  const sorted = delays[names].sort((a, b) => a - b);
  const p99 = quantile(sorted, 0.99);
  console.log(
    `${title}: ${sorted.length} attempts at ${PER_SECOND}/s, frame to pfctl's start: ` +
      `median ${quantile(sorted, 0.5).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ` +
      `longest ${(sorted.at(-1) ?? 0).toFixed(2)} ms; target p99 ${TARGET_MS} ms: ` +
      verdict(sorted.length === ATTEMPTS && p99 <= TARGET_MS),
  );
}
const growth = spread(ratios);
console.log(
  `median with a dead DNS server : without names: ${growth.median.toFixed(2)} ` +
    `(${growth.min.toFixed(2)} to ${growth.max.toFixed(2)}), target ${DEAD_GROWTH}: ${verdict(growth.median <= DEAD_GROWTH)}`,
);

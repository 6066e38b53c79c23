// Frames a second from decode to decision, with no entries and with 100,000, in turn in one run.
import { setFlagsFromString } from 'node:v8';
import type { Frame } from '../src/packet/frame.js';
import { randomHashKey } from '../src/process/hash-key.js';
import { Judge } from '../src/engine/judge.js';
import { frames, machine, spread, TRACKER_CONFIG, verdict } from './support.js';

const SENDERS = 100_000;
// as the daemon runs
setFlagsFromString('--optimize-for-size');
const ROUNDS = 15;
const TARGETS = { 4: 2_000_000, 6: 1_000_000 } as const;
const GROWTH = 1.5;

console.log(machine());
for (const family of [4, 6] as const) {
  const requests = frames(family, SENDERS, 'real');
  const empty = new Judge(
    TRACKER_CONFIG,
    { added: () => undefined, removed: () => undefined },
    randomHashKey(),
  );
  const full = new Judge(
    TRACKER_CONFIG,
    { added: () => undefined, removed: () => undefined },
    randomHashKey(),
  );
  for (const attempt of frames(family, SENDERS, 'fake')) full.judge(attempt, 0);
  if (full.tracker.size !== SENDERS) throw new Error(`${full.tracker.size} entries`);

  const rates: Record<'empty' | 'full', number[]> = { empty: [], full: [] };
  const ratios: number[] = [];
  for (let round = -3; round < ROUNDS; round++) {
    const none = rate(empty, requests);
    const many = rate(full, requests);
    if (round < 0) continue;
    rates.empty.push(none);
    rates.full.push(many);
    ratios.push(none / many);
  }
  const none = spread(rates.empty);
  const many = spread(rates.full);
  const growth = spread(ratios);
  const target = TARGETS[family];
  console.log(
    `IPv${family}, no entries:      ${show(none)} frames/s, target ${millions(target)}: ${verdict(none.median >= target)}`,
  );
  console.log(`IPv${family}, ${SENDERS} entries: ${show(many)} frames/s (every frame finds one)`);
  console.log(
    `IPv${family}, slower by:       ${growth.median.toFixed(2)} (${growth.min.toFixed(2)} to ${growth.max.toFixed(2)}), ` +
      `target ${GROWTH}: ${verdict(growth.median <= GROWTH)}`,
  );
}

function rate(judge: Judge, requests: readonly Frame[]): number {
  const start = process.hrtime.bigint();
  for (const frame of requests) judge.judge(frame, 1);
  return (requests.length * 1e9) / Number(process.hrtime.bigint() - start);
}

function show(values: { median: number; min: number; max: number }): string {
  return `${millions(values.median)} (${millions(values.min)} to ${millions(values.max)})`;
}

function millions(value: number): string {
  return `${(value / 1e6).toFixed(2)} M`;
}

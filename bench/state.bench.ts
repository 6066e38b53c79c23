// The state file: how long a start takes to read it, a snapshot and the journal to write it, and what the event loop
// feels of it. Beside each the least that could be done: reading or writing the same bytes, nothing checked.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { addressOfWords, formatPrefix } from '../src/packet/address.js';
import { systemClock } from '../src/clock.js';
import { loadState } from '../src/state/load.js';
import { StateWriter } from '../src/state/writer.js';
import { Entries, entry } from '../test/support/state.js';
import { machine, spread, verdict } from './support.js';

const ENTRIES = 100_000;
const ROUNDS = 7;
const TARGETS = { loadMs: 250, blockedMs: 10 };
// as the daemon runs
setFlagsFromString('--optimize-for-size');

const folder = mkdtempSync(join(tmpdir(), 'mxallowd-bench-'));
const path = join(folder, 'state');

function prefix(family: 4 | 6, number: number): string {
  const address =
    family === 4
      ? addressOfWords(4, 0x0a000000 + number, 0, 0, 0)
      : addressOfWords(6, 0x20010db8, number, 0, 0);
  return formatPrefix({ address, length: family === 4 ? 32 : 64 });
}

/** Every other one has a name. */
function fill(source: Entries, family: 4 | 6, attempts: number): void {
  const addedMs = systemClock.monotonicMs();
  for (let n = 0; n < ENTRIES; n++) {
    const name = n % 2 === 0 ? `mail-${n}.example.org` : undefined;
    source.set(entry(prefix(family, n), { addedMs, deadlineMs: addedMs + 3_600_000, attempts, name }));
  }
}

async function timed(work: () => unknown): Promise<number> {
  globalThis.gc?.();
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function figure(values: readonly number[], digits = 0): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

/** The same bytes to a file, with fsync. */
async function plainWrite(): Promise<void> {
  const bytes = readFileSync(path);
  const handle = await open(join(folder, 'plain'), 'w');
  await handle.writeFile(bytes);
  await handle.sync();
  await handle.close();
}

/** The same lines into a Map, as they come. */
function plainRead(): void {
  const lines = new Map<string, string[]>();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const words = line.split(' ');
    lines.set(words[2] ?? '', words);
  }
}

async function measure(family: 4 | 6): Promise<void> {
  const source = new Entries();
  fill(source, family, 1);
  const writer = new StateWriter(path, source, systemClock);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const figures = { snapshot: [], plain: [], blocked: [], journal: [], load: [], read: [] } as Record<
    'snapshot' | 'plain' | 'blocked' | 'journal' | 'load' | 'read',
    number[]
  >;
  for (let round = 0; round < ROUNDS; round++) {
    delay.reset();
    delay.enable();
    figures.snapshot.push(await timed(() => writer.snapshot(() => false)));
    delay.disable();
    figures.blocked.push(delay.max / 1e6);
    figures.plain.push(await timed(plainWrite));
    figures.load.push(
      await timed(() => Array.from(loadState(path, Date.now(), ENTRIES).entries, ({ prefix }) => prefix)),
    );
    figures.read.push(await timed(plainRead));
    fill(source, family, round);
    figures.journal.push(await timed(() => writer.append(false)));
  }
  const one: number[] = [];
  for (let n = 0; n < 200; n++) {
    source.set(entry(prefix(family, n), { attempts: n }));
    one.push(await timed(() => writer.append(false)));
  }
  await writer.close();
  report(family, figures, one);
}

function report(
  family: 4 | 6,
  figures: Record<'snapshot' | 'plain' | 'blocked' | 'journal' | 'load' | 'read', number[]>,
  one: readonly number[],
): void {
  const { snapshot, plain, blocked, journal, load, read } = figures;
  const ratio = (a: readonly number[], b: readonly number[]): string =>
    figure(
      a.map((value, round) => value / (b[round] ?? NaN)),
      2,
    );
  const { median } = spread(load);
  const longest = spread(blocked).median;
  const size = (statSync(path).size / 2 ** 20).toFixed(1);
  console.log(`IPv${family}, ${ENTRIES} entries, half of them with names; the last file has ${size} MB`);
  console.log(
    `  load: ${figure(load)} ms, target ${TARGETS.loadMs} ms: ${verdict(median <= TARGETS.loadMs)}`,
  );
  console.log(`    to reading and splitting its lines: ${ratio(load, read)}`);
  console.log(`  snapshot: ${figure(snapshot)} ms; to writing its bytes: ${ratio(snapshot, plain)}`);
  console.log(
    `    longest delay of the event loop meanwhile: ${figure(blocked, 1)} ms, target ${TARGETS.blockedMs} ms: ` +
      verdict(longest <= TARGETS.blockedMs),
  );
  const rates = journal.map((ms) => ENTRIES / ms);
  console.log(`  journal: ${figure(rates)} thousand changes/s; one change: ${figure(one, 2)} ms`);
}

console.log(machine());
for (const family of [4, 6] as const) await measure(family);
// what a start meets: nothing has been compiled yet
const cold = `
  import(process.argv[1]).then(({ loadState }) => {
    const start = performance.now();
    for (const entry of loadState(process.argv[2], Date.now(), ${ENTRIES}).entries) if (entry.prefix === '') process.exit(1);
    console.log(performance.now() - start);
  });`;
const { execFileSync } = await import('node:child_process');
const source = new Entries();
for (const family of [4, 6] as const) {
  source.current.clear();
  fill(source, family, 1);
  const writer = new StateWriter(path, source, systemClock);
  await writer.snapshot(() => false);
  await writer.close();
  const module = new URL('../src/state/load.js', import.meta.url).href;
  const times = Array.from({ length: ROUNDS }, () =>
    Number(execFileSync(process.execPath, ['-e', cold, module, path], { encoding: 'utf8' })),
  );
  const { median } = spread(times);
  console.log(
    `IPv${family}, load in a process that has just started: ${figure(times)} ms, ` +
      `target ${TARGETS.loadMs} ms: ${verdict(median <= TARGETS.loadMs)}`,
  );
}
writeFileSync(path, '');
rmSync(folder, { recursive: true });

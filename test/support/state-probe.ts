/**
 * Run as a process of its own by the tests of the state file, with what to do and a path: `write` changes entries and
 * writes them until it is killed; `fill` writes until the disk is full, makes room, and writes again.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { StateFile } from '../../src/state/state-file.js';
import { Entries, entry, loadAll } from './state.js';

/** Entries of the process that is killed. */
export const KILL_ENTRIES = 600;
/** How many of them change at a time. */
const CHANGED_AT_A_TIME = 250;

/** Whether an entry changes in a generation; generations count from 1. */
export function changes(index: number, generation: number): boolean {
  return (index + generation * 137) % KILL_ENTRIES < CHANGED_AT_A_TIME;
}

/** Whether an entry that changes in a generation goes. */
export function goes(index: number, generation: number): boolean {
  return (index + generation) % 3 === 0;
}

export function prefixOf(index: number): string {
  return index % 2 === 0 ? `10.0.${index >> 8}.${index & 255}` : `2001:db8:0:${index.toString(16)}::/64`;
}

/** What the process says when a generation is on the disk. */
export function flushedLine(generation: number): string {
  return `flushed ${generation}\n`;
}

/** What the process says at the end of `fill`. */
export interface FillResult {
  readonly events: readonly string[];
  /** prefixes that were written before the disk was full */
  readonly writtenBefore: readonly string[];
  /** prefixes that were in the file then */
  readonly meanwhile: readonly string[];
  /** prefixes that should be in the file */
  readonly prefixes: readonly string[];
}

function open(path: string, source: Entries, events: string[]): StateFile {
  const report = ({ kind, message }: { kind: string; message: string }): void =>
    void events.push(`${kind}: ${message}`);
  return new StateFile({ path, source, clock: systemClock, report });
}

async function write(path: string): Promise<void> {
  const source = new Entries();
  const store = open(path, source, []);
  await store.start();
  for (let generation = 1; ; generation++) {
    for (let index = 0; index < KILL_ENTRIES; index++) {
      if (!changes(index, generation)) continue;
      if (goes(index, generation)) source.remove(prefixOf(index));
      // the generation is in the attempts
      else source.set(entry(prefixOf(index), { deadlineMs: 5_000_000, attempts: generation }));
      store.changed();
    }
    await store.flush();
    process.stdout.write(flushedLine(generation));
  }
}

/** Bytes that are free when the state file is begun. */
const ROOM = 40_000;

async function fill(path: string, diskSize: number): Promise<void> {
  const filler = join(dirname(path), 'filler');
  writeFileSync(filler, Buffer.alloc(diskSize - ROOM));
  const source = new Entries();
  const events: string[] = [];
  const store = open(path, source, events);
  await store.start();
  let writtenBefore: string[] = [];
  for (let n = 0; events.length === 0; n++) {
    writtenBefore = [...source.current.keys()];
    source.set(entry(prefixOf(n), { deadlineMs: 5_000_000 }));
    await store.flush();
  }
  const meanwhile = loadAll(path, Date.now()).entries.map(({ prefix }) => prefix);
  source.set(entry('192.0.2.1', { deadlineMs: 5_000_000 }));
  await store.flush();
  rmSync(filler);
  source.set(entry('192.0.2.2', { deadlineMs: 5_000_000 }));
  source.remove(prefixOf(0));
  await store.flush();
  // as if it was killed now: no close, nothing more written
  const result: FillResult = { events, writtenBefore, meanwhile, prefixes: [...source.current.keys()] };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

const [, script = '', what, path = '', size] = process.argv;
if (script.endsWith('state-probe.js')) {
  if (what === 'write') await write(path);
  else await fill(path, Number(size));
}

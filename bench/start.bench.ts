// Start of the real daemon (processes of its own), with a stand-in pfctl and pflog.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Workplace } from '../test/support/daemon.js';
import { DAEMON_USER, engineOf, machine, residentMb, spread, verdict } from './support.js';

const ENTRIES = 100_000;
const ROUNDS = 7;
const TARGET_MS = 1000;

/** What `pfctl -T show -v` says of so many addresses, and nothing to any other question. */
function pfctlWith(folder: string, entries: number): string {
  const lines = Array.from({ length: entries }, (_, index) => {
    const cleared = new Date(Date.now() - 60_000 - (index % 1000)).toUTCString();
    const [, day, month, year, time] = /, (\d+) (\w+) (\d+) ([\d:]+)/.exec(cleared) ?? [];
    const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
    return `   ${address}\n\tCleared:     Mon ${month} ${day?.padStart(2)} ${time} ${year}\n`;
  });
  const output = join(folder, 'show');
  writeFileSync(output, lines.join(''));
  const path = join(folder, 'quick-pfctl');
  writeFileSync(path, `#!/bin/sh\ncase "$*" in *show*) exec cat '${output}' ;; esac\n`, { mode: 0o755 });
  return path;
}

/** Starts it, ends it, and says how long the start took, milliseconds. */
async function startOnce(place: Workplace): Promise<{ ms: number; engineMb: number }> {
  place.closePflog();
  place.openPflog();
  const start = performance.now();
  const daemon = await place.ready();
  const ms = performance.now() - start;
  const engineMb = residentMb(await engineOf(place));
  daemon.kill('SIGTERM');
  await daemon.ended;
  return { ms, engineMb };
}

async function makePlace(entries: number): Promise<Workplace> {
  const place = await Workplace.create(DAEMON_USER);
  place.writeConfig([`pfctl ${pfctlWith(place.folder, entries)}`]);
  // the state file is there afterwards
  await startOnce(place);
  return place;
}

console.log(machine());
const empty = await makePlace(0);
const full = await makePlace(ENTRIES);
const times = { empty: [] as number[], adopted: [] as number[], full: [] as number[] };
let engineMb = 0;
for (let round = 0; round < ROUNDS; round++) {
  times.empty.push((await startOnce(empty)).ms);
  rmSync(full.stateFile, { force: true });
  times.adopted.push((await startOnce(full)).ms);
  const started = await startOnce(full);
  times.full.push(started.ms);
  ({ engineMb } = started);
}
await empty.dispose();
await full.dispose();

const words = ({ median, min, max }: ReturnType<typeof spread>): string =>
  `${median.toFixed(0)} ms (${min.toFixed(0)} to ${max.toFixed(0)})`;
const [adopted, target] = [spread(times.adopted), spread(times.full)];
console.log(`with an empty table: ${words(spread(times.empty))}`);
console.log(
  `with ${ENTRIES} entries in the table alone (adopted): ${words(adopted)}, target ${TARGET_MS} ms: ` +
    verdict(adopted.median <= TARGET_MS),
);
console.log(
  `with ${ENTRIES} entries in the state file and in the table (its list by cat(1)): ${words(target)}, ` +
    `target ${TARGET_MS} ms: ${verdict(target.median <= TARGET_MS)}`,
);
console.log(`engine after that start: ${engineMb.toFixed(0)} MB`);

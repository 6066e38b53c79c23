// Memory and start of the real daemon (a process of its own), with a stand-in pfctl and pflog.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Daemon, until, Workplace } from '../test/support/daemon.js';
import { frames, machine, verdict } from './support.js';

const ENTRIES = 100_000;
const FLOOD = 1_000_000;
const FLOODS = 4;
const SLICE = 10_000;
const TARGETS = { idle: 90, full: 160, startMs: 1000 };

function rss(daemon: Daemon): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(daemon.pid)], { encoding: 'utf8' })) / 1024;
}

function flood(place: Workplace, count: number, first: number): void {
  for (let done = 0; done < count; done += SLICE) place.log(frames(4, SLICE, 'fake', first + done));
}

async function startTime(place: Workplace): Promise<{ daemon: Daemon; ms: number }> {
  const start = performance.now();
  const daemon = await place.ready();
  return { daemon, ms: performance.now() - start };
}

console.log(machine());

const place = await Workplace.create();
const { daemon } = await startTime(place);
const idle = rss(daemon);
console.log(`idle: ${idle.toFixed(0)} MB (target ${TARGETS.idle}): ${verdict(idle <= TARGETS.idle)}`);

flood(place, ENTRIES, 0);
await until('all are in the table', async () => (await place.pfctl.addresses()).length === ENTRIES);
const full = rss(daemon);
console.log(
  `${ENTRIES} entries: ${full.toFixed(0)} MB (target ${TARGETS.full}): ${verdict(full <= TARGETS.full)}`,
);

const sizes: number[] = [];
for (let round = 0; round < FLOODS; round++) {
  flood(place, FLOOD, ENTRIES + round * FLOOD);
  const last = `10.${((ENTRIES + (round + 1) * FLOOD - 1) >> 16) & 255}.`;
  const isIn = async (): Promise<boolean> =>
    (await place.pfctl.addresses()).at(-1)?.startsWith(last) ?? false;
  await until('the last ones are in the table', isIn);
  sizes.push(rss(daemon));
}
const growth = (sizes.at(-1) ?? 0) / (sizes[0] ?? 0);
console.log(
  `flood of new sources, ${FLOOD} at a time: ${sizes.map((size) => size.toFixed(0)).join(', ')} MB; ` +
    `last to first ${growth.toFixed(2)} (flat: 1.2 at most): ${verdict(growth <= 1.2)}`,
);
await place.dispose();

const empty = await Workplace.create();
const without = await startTime(empty);
await empty.dispose();
const adopting = await Workplace.create();
const output = join(adopting.folder, 'show');
const lines = Array.from({ length: ENTRIES }, (_, index) => {
  const cleared = new Date(Date.now() - 60_000 - (index % 1000)).toUTCString();
  const [, day, month, year, time] = /, (\d+) (\w+) (\d+) ([\d:]+)/.exec(cleared) ?? [];
  const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  return `   ${address}\n\tCleared:     Mon ${month} ${day?.padStart(2)} ${time} ${year}\n`;
});
writeFileSync(output, lines.join(''));
const quickPfctl = join(adopting.folder, 'pfctl');
writeFileSync(quickPfctl, `#!/bin/sh\ncase "$*" in *show*) exec cat '${output}' ;; esac\n`, { mode: 0o755 });
adopting.writeConfig([`pfctl ${quickPfctl}`]);
const within = await startTime(adopting);
const memory = rss(within.daemon);
await adopting.dispose();
console.log(
  `start: ${without.ms.toFixed(0)} ms with an empty table, ${within.ms.toFixed(0)} ms with ${ENTRIES} entries to adopt ` +
    `(their list by cat(1)), target ${TARGETS.startMs} ms: ${verdict(within.ms <= TARGETS.startMs)}; ${memory.toFixed(0)} MB`,
);

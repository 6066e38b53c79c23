// Memory and start of the real daemon (a process of its own), with a stand-in pfctl and pflog.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../test/support/control.js';
import { until, Workplace } from '../test/support/daemon.js';
import { frames, machine, quantile, spread, verdict } from './support.js';

const ENTRIES = 100_000;
const FLOOD = 1_000_000;
const FLOODS = 4;
const SLICE = 10_000;
const TARGETS = { monitor: 50, idle: 90, full: 160, startMs: 1000, answerMs: 100 };
/** Root has a monitor and an engine, others one process. */
const USER = process.getuid?.() === 0 ? 'nobody' : 'root';

function rss(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
}

/** The process that judges. */
async function engineOf(place: Workplace): Promise<number> {
  const { enginePid, pid } = (await ask(place.controlSocket, { command: 'status' })).result;
  return enginePid ?? pid;
}

function flood(place: Workplace, count: number, first: number): void {
  for (let done = 0; done < count; done += SLICE) place.log(frames(4, SLICE, 'fake', first + done));
}

/** Milliseconds until it is ready. */
async function startTime(place: Workplace): Promise<number> {
  const start = performance.now();
  await place.ready();
  return performance.now() - start;
}

console.log(machine());

const place = await Workplace.create(USER);
const starter = place.start(['--pid-file', place.pidFile]);
if ((await starter.ended) !== 0) throw new Error(starter.stderr);
const monitor = Number(readFileSync(place.pidFile, 'utf8'));
const engine = await engineOf(place);
if (engine !== monitor) {
  const size = rss(monitor);
  console.log(
    `monitor: ${size.toFixed(0)} MB (target ${TARGETS.monitor}): ${verdict(size <= TARGETS.monitor)}`,
  );
}
const idle = rss(engine);
console.log(`idle: ${idle.toFixed(0)} MB (target ${TARGETS.idle}): ${verdict(idle <= TARGETS.idle)}`);

flood(place, ENTRIES, 0);
await until('all are in the table', async () => (await place.pfctl.addresses()).length === ENTRIES);
const full = rss(engine);
console.log(
  `${ENTRIES} entries: ${full.toFixed(0)} MB (target ${TARGETS.full}): ${verdict(full <= TARGETS.full)}`,
);

const sizes: number[] = [];
/** how long the control socket took for an answer in the flood, milliseconds */
const answers: number[] = [];
const asker = startAsker(place.controlSocket);
for (let round = 0; round < FLOODS; round++) {
  flood(place, FLOOD, ENTRIES + round * FLOOD);
  const last = `10.${((ENTRIES + (round + 1) * FLOOD - 1) >> 16) & 255}.`;
  const isIn = async (): Promise<boolean> =>
    (await place.pfctl.addresses()).at(-1)?.startsWith(last) ?? false;
  await until('the last ones are in the table', isIn);
  sizes.push(rss(engine));
}
answers.push(...(await asker.stop()));
answers.sort((a, b) => a - b);
const p99 = quantile(answers, 0.99);
console.log(
  `control socket in the flood: ${answers.length} questions, median ${quantile(answers, 0.5).toFixed(0)} ms, ` +
    `p99 ${p99.toFixed(0)} ms (target ${TARGETS.answerMs}): ${verdict(p99 <= TARGETS.answerMs)}`,
);
if (engine !== monitor) console.log(`monitor then: ${rss(monitor).toFixed(0)} MB`);
const growth = (sizes.at(-1) ?? 0) / (sizes[0] ?? 0);
console.log(
  `flood of new sources, ${FLOOD} at a time: ${sizes.map((size) => size.toFixed(0)).join(', ')} MB; ` +
    `last to first ${growth.toFixed(2)} (flat: 1.2 at most): ${verdict(growth <= 1.2)}`,
);
process.kill(monitor, 'SIGTERM');
await until('it has ended', () => !isAlive(monitor));
await place.dispose();

const empty = await Workplace.create(USER);
const without = await startTime(empty);
await empty.dispose();

/** The table has them all, by cat(1); the state file has them, or not. */
const adopting = await Workplace.create(USER);
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
const first = await adopting.ready();
first.kill('SIGTERM');
await first.ended;
const rounds: number[] = [];
for (let round = 0; round < 3; round++) {
  adopting.closePflog();
  adopting.openPflog();
  const start = performance.now();
  const daemon = await adopting.ready();
  rounds.push(performance.now() - start);
  if (round === 2) console.log(`after that start: ${rss(await engineOf(adopting)).toFixed(0)} MB`);
  daemon.kill('SIGTERM');
  await daemon.ended;
}
const { median, min, max } = spread(rounds);
await adopting.dispose();
console.log(
  `start: ${without.toFixed(0)} ms with an empty table; with ${ENTRIES} entries in the state file and in the table ` +
    `(its list by cat(1)) ${median.toFixed(0)} ms (${min.toFixed(0)} to ${max.toFixed(0)}), ` +
    `target ${TARGETS.startMs} ms: ${verdict(median <= TARGETS.startMs)}`,
);

/** Asks all the time, as a process of its own, while this one is busy with senders. */
function startAsker(path: string): { stop: () => Promise<number[]> } {
  const program = `
    import { connect } from 'node:net';
    const ask = () => new Promise((resolve, reject) => {
      const start = performance.now();
      const socket = connect(${JSON.stringify(path)});
      socket.on('error', reject).on('data', () => undefined).on('close', () => resolve(performance.now() - start));
      socket.end('{"command":"why","address":"192.0.2.1"}\\n');
    });
    process.once('SIGTERM', () => process.exit(0));
    for (;;) {
      process.stdout.write((await ask()).toFixed(2) + '\\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    stop: async () => {
      child.kill();
      await ended;
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map(Number);
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

// Memory of the real daemon (a process of its own), with a stand-in pfctl and pflog, and its answers in a flood.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ask } from '../test/support/control.js';
import { recordsOf, until, Workplace } from '../test/support/daemon.js';
import { DAEMON_USER, engineOf, frames, machine, quantile, residentMb, verdict } from './support.js';

const ENTRIES = 100_000;
const FLOOD = 1_000_000;
const FLOODS = 4;
const SLICE = 10_000;
const TARGETS = { monitor: 50, idle: 90, full: 160, answerMs: 100 };
/** So many new senders; made beforehand, for a sender is not on the machine that he floods. */
function newSenders(count: number, first: number): Buffer[] {
  return Array.from({ length: count / SLICE }, (_, slice) =>
    recordsOf(frames(4, SLICE, 'fake', first + slice * SLICE)),
  );
}

console.log(machine());

const place = await Workplace.create(DAEMON_USER);
const starter = place.start(['--pid-file', place.pidFile]);
if ((await starter.ended) !== 0) throw new Error(starter.stderr);
const monitor = Number(readFileSync(place.pidFile, 'utf8'));
const engine = await engineOf(place);
if (engine !== monitor) {
  const size = residentMb(monitor);
  console.log(
    `monitor: ${size.toFixed(0)} MB (target ${TARGETS.monitor}): ${verdict(size <= TARGETS.monitor)}`,
  );
}
const idle = residentMb(engine);
console.log(`idle: ${idle.toFixed(0)} MB (target ${TARGETS.idle}): ${verdict(idle <= TARGETS.idle)}`);

for (const slice of newSenders(ENTRIES, 0)) place.logRecords(slice);
await until('all are in the table', async () => (await place.pfctl.addresses()).length === ENTRIES);
const full = residentMb(engine);
console.log(
  `${ENTRIES} entries: ${full.toFixed(0)} MB (target ${TARGETS.full}): ${verdict(full <= TARGETS.full)}`,
);

const sizes: number[] = [];
/** how long the control socket took for an answer in the flood, milliseconds */
const answers: number[] = [];
const floods = Array.from({ length: FLOODS }, (_, round) => newSenders(FLOOD, ENTRIES + round * FLOOD));
const asker = startAsker(place.controlSocket);
for (const [round, slices] of floods.entries()) {
  for (const slice of slices) place.logRecords(slice);
  // asked of the daemon: to read the stand-in's table takes this machine as much time as the flood
  const all = ENTRIES + (round + 1) * FLOOD;
  const isJudged = async (): Promise<boolean> =>
    (await ask(place.controlSocket, { command: 'stats' })).result.counters.attempts === all;
  await until('all are judged', isJudged);
  sizes.push(residentMb(engine));
}
answers.push(...(await asker.stop()));
answers.sort((a, b) => a - b);
const p99 = quantile(answers, 0.99);
console.log(
  `control socket in the flood: ${answers.length} questions, median ${quantile(answers, 0.5).toFixed(0)} ms, ` +
    `p99 ${p99.toFixed(0)} ms (target ${TARGETS.answerMs}): ${verdict(p99 <= TARGETS.answerMs)}`,
);
if (engine !== monitor) console.log(`monitor then: ${residentMb(monitor).toFixed(0)} MB`);
const growth = (sizes.at(-1) ?? 0) / (sizes[0] ?? 0);
console.log(
  `flood of new sources, ${FLOOD} at a time: ${sizes.map((size) => size.toFixed(0)).join(', ')} MB; ` +
    `last to first ${growth.toFixed(2)} (flat: 1.2 at most): ${verdict(growth <= 1.2)}`,
);
const before = residentMb(engine);
const strangers = Array.from({ length: FLOOD / SLICE }, (_, slice) =>
  recordsOf(frames(4, SLICE, 'real', 100 * FLOOD + slice * SLICE)),
);
for (const slice of strangers) place.logRecords(slice);
await until('all are refused', async () => {
  const { counters } = (await ask(place.controlSocket, { command: 'stats' })).result;
  return counters.refusals === FLOOD;
});
const after = residentMb(engine);
console.log(
  `${FLOOD} strangers are refused: ${before.toFixed(0)} to ${after.toFixed(0)} MB ` +
    `(flat: 1.2 at most): ${verdict(after / before <= 1.2)}`,
);
process.kill(monitor, 'SIGTERM');
await until('it has ended', () => !isAlive(monitor));
await place.dispose();

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

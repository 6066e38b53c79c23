import { spawn, spawnSync } from 'node:child_process';
import { constants, openSync, readSync } from 'node:fs';
import { resolveConfig, type Given } from '../../src/config/config.js';
import { systemClock } from '../../src/clock.js';
import { Monitor } from '../../src/monitor/monitor.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import { until } from './daemon.js';

/**
 * `leftovers-probe.js USER WHAT...`: a monitor whose first engine leaves things behind and is killed; in namespaces of
 * its own. Says as JSON what the monitor has logged, and which of these things are there when the next engine runs.
 */
const [user = '', ...what] = process.argv.slice(2);
const ID = 64_987;

/** What an engine starts, by a shell; each is found by its argument. */
const THINGS: Readonly<Record<string, string>> = {
  escape: 'setsid sh -c "exec sleep 601" &',
  // another process each time, which no list shows
  fork: 'setsid sh -c "f() { sleep 0.01; f & }; f" 9>/run/held &',
  group: 'sh -c "exec sleep 603" &',
};
/** Where to find them in the list of processes. */
const MARKS: Readonly<Record<string, RegExp>> = {
  escape: /sleep 601/,
  group: /sleep 603/,
  other: /sleep 604/,
};
const things = what.flatMap((name) => THINGS[name] ?? []).join('\n');
const asUser = `setpriv --reuid=${ID} --regid=${ID} --clear-groups`;
const READY = `echo '{"event":"ready"}' >&3`;
/** The first one does what it is told, the next one nothing. */
const ENGINE = `
  if mkdir /run/leftovers-probe 2>/dev/null; then
    ${asUser} sh -c '${things} wait' &
    ${READY}
    sleep 0.5
    kill -KILL $$
  fi
  ${READY}
  exec cat <&3 >/dev/null`;

const lines: string[] = [];
const given = (['fakeMailserver', 'realMailserver'] as const).map((key, i): Given => {
  return { key, text: `192.0.2.${3 + i}`, where: '', origin: 'command line' };
});
const configuration = resolveConfig(given, [], 'openbsd');
if (!configuration.ok) throw new Error('configuration');

spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
spawnSync('mkfifo', ['-m', '666', '/run/held']);
const fifo = openSync('/run/held', constants.O_RDONLY | constants.O_NONBLOCK);
/** Whether somebody has it open for writing: otherwise reading it finds its end. */
function isHeld(): boolean {
  try {
    return readSync(fifo, Buffer.alloc(1)) > 0;
  } catch {
    return true;
  }
}

if (what.includes('other')) spawn('/bin/sh', ['-c', `${asUser} sleep 604 & wait`], { stdio: 'ignore' });
const monitor = new Monitor({
  config: configuration.config,
  remarks: [],
  plan: { kind: 'become', user: { name: user, uid: ID, gid: ID } },
  log: {
    write: (level, message) => void lines.push(`${level}: ${message}`),
    isEnabled: () => true,
    setLevel: () => undefined,
    description: 'this list',
    lost: 0,
    close: () => Promise.resolve(),
  },
  clock: systemClock,
  table: new PfctlTable({
    path: '/bin/false',
    table: 'mx-white',
    anchor: '',
    timeoutMs: 1000,
    clock: systemClock,
    report: () => undefined,
  }),
  engine: ['/bin/sh', '-c', ENGINE],
  readAgain: () => ({ ok: false, problems: [] }),
});
await monitor.start();
await until('the next engine works', () => lines.some((line) => line.includes('the engine works again')));
const list = spawnSync('ps', ['-A', '-o', 'uid=', '-o', 'stat=', '-o', 'args='], { encoding: 'utf8' }).stdout;
const running = list.split('\n').filter((line) => new RegExp(`^\\s*${ID}\\s+[^Z]`).test(line));
const isThere = (name: string): boolean =>
  name === 'fork' ? isHeld() : running.some((line) => MARKS[name]?.test(line));
const left = what.filter(isThere);
process.stdout.write(JSON.stringify({ log: lines, left: left.sort() }), () => process.exit());

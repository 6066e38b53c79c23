import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import type { Frame } from '../../src/packet/frame.js';
import { ask } from '../support/control.js';
import { until, Workplace } from '../support/daemon.js';

const isRoot = process.getuid?.() === 0;
/** Seconds after which a client sends its SYN, the first time at once. */
const SENT = [0, 1, 3, 7, 15, 31, 63];

/** A client's SYNs to the real MX, as they are captured in the course of a minute. */
function client(sender: number): Frame[] {
  return frames(4, 1, 'real', sender).flatMap((frame) =>
    SENT.map((seconds) => ({ ...frame, timeMs: frame.timeMs + seconds * 1000 })),
  );
}

/** How often a pattern occurs. */
const times = (pattern: RegExp, text: string): number => [...text.matchAll(pattern)].length;

describe('the log of a daemon', () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await Workplace.create(isRoot ? 'nobody' : 'root');
  });
  afterEach(() => place.dispose());

  it('has two lines about a sender that is refused seven times', async () => {
    const daemon = await place.ready(['--log-format', 'json']);
    place.log(client(9));
    place.log(frames(4, 1, 'real', 8));
    await daemon.line(/10\.0\.0\.8/);
    // nobody waits a minute for the second line
    daemon.kill('SIGTERM');
    assert.equal(await daemon.ended, 0);
    const lines = daemon.stdout.split('\n').filter((line) => line.includes('10.0.0.9'));
    const told = lines.map((line) => JSON.parse(line) as { message: string; event: string; count: number });
    assert.deepEqual(
      told.map(({ event, count }) => [event, count]),
      [
        ['refusal', 1],
        ['refusal', 6],
      ],
    );
    assert.equal(told[0]?.message, 'Dropping connection attempt from 10.0.0.9 to a real mailserver');
    assert.match(told[1]?.message ?? '', /to a real mailserver, 6 more times in \d+ s$/);
  });

  it('leaves to why each refusal of them, as before', async () => {
    const daemon = await place.ready();
    place.log(client(9));
    await daemon.line(/10\.0\.0\.9/);
    const why = async () => (await ask(place.controlSocket, { command: 'why', address: '10.0.0.9' })).result;
    await until('all are judged', async () => (await why()).refusals?.count === 7);
    assert.equal((await why()).events.length, 7);
  });

  it('tells a start error once where standard output and error are one, and at both where they are not', async () => {
    place.pfctl.destroyTable();
    const error = /pf table <mx-white> does not exist/g;
    const apart = place.start(['-F', '-s']);
    assert.equal(await apart.ended, 69);
    assert.deepEqual([times(error, apart.stdout), times(error, apart.stderr)], [1, 1]);
    for (const option of [['-F'], ['--pid-file', place.pidFile]]) {
      place.closePflog();
      place.openPflog();
      const shell = ['/bin/sh', '-c', 'exec "$0" "$@" 2>&1', process.execPath] as const;
      const together = place.startBy([...shell], ['-s', ...option]);
      assert.equal(await together.ended, 69);
      assert.equal(times(error, together.stdout + together.stderr), 1, together.stdout);
    }
  });

  it('is winston in the engine, and not in the monitor', { skip: !isRoot && 'needs root' }, async () => {
    const folder = join(place.folder, 'loaded');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const preload = join(place.folder, 'preload.mjs');
    writeFileSync(
      preload,
      [
        "import { writeFileSync } from 'node:fs';",
        "import { createRequire } from 'node:module';",
        'const { cache } = createRequire(import.meta.url);',
        `process.on('exit', () => writeFileSync('${folder}/' + process.pid, Object.keys(cache).join('\\n')));`,
      ].join('\n'),
    );
    const starter = place.startBy([process.execPath, '--import', preload], ['--pid-file', place.pidFile]);
    assert.equal(await starter.ended, 0, starter.stderr);
    const { pid, enginePid = 0 } = (await ask(place.controlSocket, { command: 'status' })).result;
    process.kill(pid, 'SIGTERM');
    const [monitor, engine] = [join(folder, String(pid)), join(folder, String(enginePid))];
    await until('both have ended', () => existsSync(monitor) && existsSync(engine));
    await until('its PID file is gone', () => !existsSync(place.pidFile));
    assert.match(readFileSync(engine, 'utf8'), /\/winston\//);
    assert.doesNotMatch(readFileSync(monitor, 'utf8'), /winston|logform|triple-beam/);
  });
});

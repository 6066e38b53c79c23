import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { isAlive } from '../support/processes.js';

/** In all; `MXALLOWD_DOUBLE_STARTS=500` for more. */
const STARTS = Number(process.env['MXALLOWD_DOUBLE_STARTS'] ?? 20);
/** The second one comes so much later at the most. */
const LATER_MS = 60;

const USERS = process.getuid?.() === 0 ? ['root', 'nobody'] : ['root'];

/** `ready`, or how it has ended. */
async function outcomeOf(daemon: Daemon): Promise<string> {
  let outcome = '';
  void daemon.ended.then((how) => (outcome = String(how)));
  const isReady = (): boolean => daemon.stdout.includes('mxallowd is ready');
  await until('it is ready or has ended', () => outcome !== '' || isReady());
  return isReady() ? 'ready' : outcome;
}

describe(`two daemons that are started at the same moment, ${STARTS} times`, { timeout: 3_600_000 }, () => {
  let place: Workplace;
  const started: Daemon[] = [];
  afterEach(async () => {
    for (const daemon of started.splice(0)) daemon.kill('SIGKILL');
    await place.dispose();
  });

  /** Starts two, where the ones before have left all that they had; kills whoever got ready. */
  const round = async (args: readonly string[], laterMs: number): Promise<void> => {
    const first = place.start(args);
    await sleep(laterMs);
    const both = [first, place.start(args)];
    started.push(...both);
    const outcomes = await Promise.all(both.map(outcomeOf));
    const said = both.map(({ stderr }) => stderr).join('');
    assert.deepEqual([...outcomes].sort(), ['69', 'ready'], said);
    assert.match(said, /mxallowd is running already/);
    const winner = both[outcomes.indexOf('ready')] ?? assert.fail();
    const { result } = await ask(place.controlSocket, { command: 'status' });
    assert.equal(result.pid, winner.pid);
    if (args.includes('--pid-file')) assert.equal(readFileSync(place.pidFile, 'latin1'), `${winner.pid}\n`);
    winner.kill('SIGKILL');
    await winner.ended;
    const { enginePid } = result;
    await until('its engine has gone', () => enginePid === undefined || !isAlive(enginePid));
  };

  for (const user of USERS)
    it(`with "user ${user}": one is ready, never two, never none`, async () => {
      place = await Workplace.create(user);
      place.captureAgainAndAgain();
      for (let i = 0; i < STARTS / USERS.length; i++) {
        const args = ['-F', '-s', ...(i % 2 === 0 ? [] : ['--pid-file', place.pidFile])];
        await round(args, (i * 7) % LATER_MS);
      }
    });
});

it('a FIFO in place of the PID file or the lock ends the start with a sentence', async () => {
  const place = await Workplace.create(USERS.at(-1));
  for (const [path, option] of [
    [place.pidFile, 'pid-file'],
    [`${place.controlSocket}.lock`, 'control-socket'],
  ] as const) {
    execFileSync('mkfifo', [path]);
    const daemon = place.start(['-F', '-s', '--pid-file', place.pidFile]);
    assert.equal(await daemon.ended, 73);
    assert.match(daemon.stderr, new RegExp(`${path} \\(${option}\\) cannot be written: there is something`));
    execFileSync('rm', [path]);
  }
  await place.dispose();
});

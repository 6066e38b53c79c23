import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { ask } from '../support/control.js';
import { Family, isAlive } from '../support/processes.js';
import { type Daemon, SERVERS, until, Workplace } from '../support/daemon.js';
import { age } from '../support/state.js';
import type { ListedEntry, StatusReport } from '../../src/control/protocol.js';

const syn = (target: 'fake' | 'real', sender: number) => frames(4, 1, target, sender);

/** What /proc says of a process. */
function status(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
}

const reason =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'needs Linux and root' : (false as const);

describe('the daemon in two processes', { skip: reason }, () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await Workplace.create('nobody');
  });
  afterEach(() => place.dispose());

  const report = async (): Promise<StatusReport> =>
    (await ask(place.controlSocket, { command: 'status' })).result;
  const enginePid = async (): Promise<number> => (await report()).enginePid ?? 0;

  it('judges without any privilege, in all threads; only the monitor is root', async () => {
    const daemon = await place.ready();
    const engine = await enginePid();
    const { uid, gid } = nobody();
    for (const thread of spawnSync('ls', [`/proc/${engine}/task`], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')) {
      const found = status(Number(thread));
      assert.deepEqual(found['Uid']?.split('\t'), [uid, uid, uid, uid]);
      assert.deepEqual(found['Gid']?.split('\t'), [gid, gid, gid, gid]);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
        assert.equal(found[set], '0000000000000000', set);
      }
      assert.equal(found['NoNewPrivs'], '1');
      assert.ok(!(found['Groups'] ?? '').split(' ').includes('0'), 'group 0');
    }
    const monitor = status(daemon.pid);
    assert.equal(monitor['Uid']?.split('\t')[0], '0');
    assert.equal(status(engine)['PPid'], String(daemon.pid));
    // its arguments are its own: rc.d finds the monitor by its own
    assert.match(readFileSync(`/proc/${engine}/cmdline`, 'latin1'), /\0[^\0]*\/engine-main\.js\0$/);
  });

  it('keeps its state for its user alone, and its socket for root and the group', async () => {
    await place.ready();
    const folder = statSync(dirname(place.stateFile));
    assert.deepEqual([String(folder.uid), folder.mode & 0o777], [nobody().uid, 0o700]);
    await until('the file is there', () => existsSync(place.stateFile));
    const file = statSync(place.stateFile);
    assert.deepEqual([String(file.uid), file.mode & 0o777], [nobody().uid, 0o600]);
    const socket = statSync(place.controlSocket);
    assert.deepEqual([socket.uid, socket.gid, socket.mode & 0o777], [0, 0, 0o660]);
  });

  it('gives the socket to the control group', async () => {
    place.writeConfig(['control-group daemon']);
    await place.ready();
    const line = spawnSync('getent', ['group', 'daemon'], { encoding: 'utf8' }).stdout;
    assert.equal(String(statSync(place.controlSocket).gid), line.split(':')[2]);
  });

  it('does not start with a control group that does not exist', async () => {
    place.writeConfig(['control-group nosuchgroup']);
    const daemon = place.start(['-F', '-s']);
    assert.equal(await daemon.ended, 78);
    assert.match(daemon.stderr, /control-group: there is no group "nosuchgroup"/);
  });

  it('goes on with what it knew when the engine is killed', async () => {
    const daemon = await place.ready();
    place.log([...syn('fake', 1), ...syn('fake', 2)]);
    await until('both are in the table', async () => (await place.pfctl.addresses()).length === 2);
    await until('both are kept', () => keptEntries(place) === 2);
    const first = await enginePid();
    process.kill(first, 'SIGKILL');
    await daemon.line(/the engine was killed by SIGKILL; nobody new is let in meanwhile; .* again in 1 s/);
    place.closePflog();
    place.openPflog();
    await daemon.line(/the engine works again, as process \d+/);
    assert.match(daemon.stdout, /2 entries taken over from/);
    const now = await report();
    assert.notEqual(now.enginePid, first);
    assert.deepEqual([now.restarts, now.entries.byOrigin], [1, { attempt: 2 }]);
    place.log(syn('fake', 3));
    await until('the third is in the table', async () => (await place.pfctl.addresses()).length === 3);
  });

  it('starts the next engine beside a pfctl that cannot be killed, and goes on judging', async () => {
    const daemon = await place.ready();
    place.log(syn('fake', 1));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    await until('it is kept', () => keptEntries(place) === 1);
    const first = await enginePid();
    place.pfctl.setFault({ mode: 'stuck', only: 'add', times: 1 });
    place.pfctl.clearCalls();
    place.log(syn('fake', 2));
    const [call] = await place.pfctl.waitForCalls(1);
    await until('the second is kept', () => keptEntries(place) === 2);
    process.kill(first, 'SIGKILL');
    place.closePflog();
    place.openPflog();
    await daemon.line(/the engine works again, as process \d+/);
    assert.match(
      daemon.stdout,
      new RegExp(
        `pfctl ${call?.pid} has not ended for \\d+ s, though it was killed .* no other one is started`,
      ),
    );
    place.log([...syn('fake', 3), ...syn('real', 9)]);
    await daemon.line(/10\.0\.0\.3 to a fake mailserver, adding to whitelist/);
    await daemon.line(/Dropping connection attempt from 10\.0\.0\.9 to a real mailserver/);
    const { findings, entries } = await report();
    const finding = findings.find(({ id }) => id === 'table-failing');
    assert.match(finding?.message ?? '', new RegExp(`pfctl ${call?.pid} has not ended for \\d+ s`));
    assert.equal(entries.total, 3);
    assert.equal(place.pfctl.calls().length, 1, 'no other pfctl was started');
    // put in by somebody meanwhile: the first look at the table finds it
    place.pfctl.putEntries(['203.0.113.9'], Math.floor(Date.now() / 1000));
    place.pfctl.release();
    await daemon.line(new RegExp(`pfctl ${call?.pid} has ended after`));
    await until('all are in the table', async () => (await place.pfctl.addresses()).length === 4);
    const commands = place.pfctl.calls().map(({ argv }) => argv.find((word) => /^(add|show)$/.test(word)));
    assert.deepEqual(commands.slice(0, 2), ['add', 'show'], 'it is read before it is written');
    await daemon.line(/can be written again/);
    const { byOrigin } = (await report()).entries;
    assert.deepEqual(byOrigin, { attempt: 3, adopted: 1 });
  });

  it('ends the engine, and what it has started, when the monitor is killed', async () => {
    const daemon = await place.ready();
    const engine = await enginePid();
    daemon.kill('SIGKILL');
    await until('the engine has gone', () => !isAlive(engine));
    await daemon.line(/the monitor has gone/);
  });

  it('leaves no capture behind, though it has the rights of root, when both are killed at once', async () => {
    const daemon = await place.ready();
    const engine = await enginePid();
    const captures = (): number[] => new Family(engine, ([program]) => program === 'cat').look();
    const [capture = 0] = captures();
    assert.equal(status(capture)['Uid']?.split('\t')[0], '0');
    daemon.kill('SIGKILL');
    process.kill(engine, 'SIGKILL');
    await until('the capture has gone', () => !isAlive(capture));
  });

  it('has its table and its whitelist equal after both were killed', async () => {
    const daemon = await place.ready();
    place.log(frames(4, 20, 'fake', 1));
    await until('all are kept', () => keptEntries(place) === 20);
    await until('all are in the table', async () => (await place.pfctl.addresses()).length === 20);
    const engine = await enginePid();
    daemon.kill('SIGKILL');
    process.kill(engine, 'SIGKILL');
    await daemon.ended;
    // as a reboot leaves it, but for one that somebody has put in by hand
    place.pfctl.emptyTable();
    place.pfctl.putEntries(['203.0.113.9'], Math.floor(Date.now() / 1000));
    place.closePflog();
    place.openPflog();
    await place.ready();
    await until('the table is full again', async () => (await place.pfctl.addresses()).length === 21);
    const listed = (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
    assert.deepEqual(listed.map(({ prefix }) => prefix).sort(), (await place.pfctl.addresses()).sort());
    assert.deepEqual(
      listed.filter(({ origin }) => origin !== 'attempt').map(({ prefix }) => prefix),
      ['203.0.113.9'],
    );
  });

  it('takes entries out of the table whose time ran out while it was down', async () => {
    const daemon = await place.ready();
    place.log(syn('fake', 1));
    await until('it is kept', () => keptEntries(place) === 1);
    await stop(daemon);
    assert.deepEqual(await place.pfctl.addresses(), ['10.0.0.1']);
    await age(place.stateFile, 7_200_000);
    // pf says that it has just come: we know better
    place.pfctl.setCleared('10.0.0.1', Math.floor(Date.now() / 1000));
    place.closePflog();
    place.openPflog();
    await place.ready();
    await until('it is out of the table', async () => (await place.pfctl.addresses()).length === 0);
  });

  it('reads a configuration that only root may read, at the start and on SIGHUP', async () => {
    chmodSync(place.config, 0o600);
    const daemon = await place.ready();
    place.writeConfig(['allow 203.0.113.0/24']);
    chmodSync(place.config, 0o600);
    daemon.kill('SIGHUP');
    await daemon.line(/configuration read again: 2 fake and 2 real addresses, 1 allowed/);
    await until(
      'it is in the table',
      async () => (await place.pfctl.addresses()).join() === '203.0.113.0/24',
    );
    place.writeConfig([]);
    const answer = await ask(place.controlSocket, { command: 'reload' });
    assert.deepEqual(answer.result, {
      messages: ['configuration read again: 2 fake and 2 real addresses, 0 allowed at all times'],
    });
    await until('it is out again', async () => (await place.pfctl.addresses()).length === 0);
  });

  it('reads it again for whoever asks twice within a second, too', async () => {
    await place.ready();
    const both = await Promise.all([1, 2].map(() => ask(place.controlSocket, { command: 'reload' })));
    const message = 'configuration read again: 2 fake and 2 real addresses, 0 allowed at all times';
    assert.deepEqual(
      both.map(({ result }) => result),
      [{ messages: [message] }, { messages: [message] }],
    );
  });

  it('says what is wrong with the configuration to whoever has it read again', async () => {
    await place.ready();
    place.writeConfig(['whitelist-time soon'], SERVERS);
    await assert.rejects(ask(place.controlSocket, { command: 'reload' }), (error: Error) => {
      const [problem = '', ...rest] = error.message.split('\n');
      assert.match(problem, /mxallowd\.conf:\d+: whitelist-time: "soon" is not a time/);
      assert.deepEqual(rest, ['the configuration was not taken over; the old one stays']);
      return true;
    });
    assert.deepEqual(
      (await report()).findings.map(({ id }) => id).filter((id) => id.startsWith('config')),
      ['config-refused'],
    );
    const { result } = await ask(place.controlSocket, { command: 'reload' }).catch(() => ({
      result: undefined,
    }));
    assert.equal(result, undefined);
  });

  it('does not run twice', async () => {
    await place.ready();
    const second = place.start(['-F', '-s']);
    assert.equal(await second.ended, 69);
    assert.match(
      second.stderr,
      /mxallowd: mxallowd is running already, as process \d+ \(.*mxallowd\.sock\.lock\)/,
    );
    assert.equal((await report()).entries.total, 0);
  });

  it('is ended whole by SIGTERM; nothing stays but the table and the state', async () => {
    const daemon = await place.ready();
    place.log(syn('fake', 1));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    const engine = await enginePid();
    await stop(daemon);
    assert.ok(!isAlive(engine));
    assert.equal(existsSync(place.controlSocket), false);
    assert.equal(keptEntries(place), 1);
    const left = spawnSync('pgrep', ['-f', place.folder], { encoding: 'utf8' }).stdout;
    assert.equal(left, '');
  });

  it('lets an operator in who is let in by hand, and out again', async () => {
    const daemon = await place.ready();
    const allowed = await ask(place.controlSocket, {
      command: 'allow',
      address: '198.51.100.7',
      forSeconds: 86_400,
    });
    assert.deepEqual(allowed.result, { prefix: '198.51.100.7', expiresInMs: 86_400_000, wasThere: false });
    await until('it is in the table', async () => (await place.pfctl.addresses()).join() === '198.51.100.7');
    await ask(place.controlSocket, { command: 'forget', address: '198.51.100.7' });
    await daemon.line(/Cleaning 198\.51\.100\.7 \(RDNS: none\) from whitelist \(taken out by hand\)/);
    await until('it is out', async () => (await place.pfctl.addresses()).length === 0);
  });
});

async function stop(daemon: Daemon): Promise<void> {
  daemon.kill('SIGTERM');
  assert.equal(await daemon.ended, 0);
}

function nobody(): { uid: string; gid: string } {
  const id = (what: string): string => spawnSync('id', [what, 'nobody'], { encoding: 'utf8' }).stdout.trim();
  return { uid: id('-u'), gid: id('-g') };
}

/** Entries in the state file, by its lines. */
function keptEntries(place: Workplace): number {
  const kept = new Set<string>();
  if (!existsSync(place.stateFile)) return 0;
  for (const line of readFileSync(place.stateFile, 'latin1').split('\n')) {
    const [, kind, prefix = ''] = line.split(' ');
    if (kind === '+') kept.add(prefix);
    if (kind === '-') kept.delete(prefix);
  }
  return kept.size;
}

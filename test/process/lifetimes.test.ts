import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import type { ListedEntry } from '../../src/control/protocol.js';
import { type Frame } from '../../src/packet/frame.js';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { frame4, ipv4 } from '../support/frames.js';

const DAY_MS = 86_400_000;
const TOLD = /who has reached the real MX is let in for another 8d from then/;
/** The commit that was version 2.0.0. */
const VERSION_2_0_0 = 'ce276dc';

const attempt = (sender: number): Frame[] => frames(4, 1, 'fake', sender);

/** A SYN to the real MX that pf has passed. */
function admission(sender: number): Frame[] {
  return frames(4, 1, 'real', sender).map((frame) => {
    // struct pfloghdr: action (PF_PASS 0) is the third byte
    frame.data[frame.offset + 2] = 0;
    return frame;
  });
}

/** pf has passed a SYN of the real MX to a mail server elsewhere. */
function outbound(): Frame {
  const packet = ipv4({ source: '192.168.1.4', destination: '203.0.113.25' });
  return frame4(packet, { action: 0, direction: 2 });
}

async function listed(place: Workplace): Promise<ListedEntry[]> {
  return (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
}

/** Waits until the state file has a line that matches. */
function kept(place: Workplace, pattern: RegExp): Promise<void> {
  const has = (): boolean =>
    existsSync(place.stateFile) && pattern.test(readFileSync(place.stateFile, 'latin1'));
  return until(`the state file has ${pattern.source}`, has);
}

async function end(daemon: Daemon, place: Workplace): Promise<void> {
  daemon.kill('SIGTERM');
  assert.equal(await daemon.ended, 0);
  place.closePflog();
  place.openPflog();
}

const reason = process.getuid?.() !== 0 ? 'needs root' : (false as const);

describe('who has reached the real MX', { skip: reason }, () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await Workplace.create();
  });
  afterEach(() => place.dispose());

  it('stays for eight days, over a kill, too', async () => {
    const daemon = await place.ready();
    place.log([...attempt(1), ...attempt(2)]);
    await until('both are in the table', async () => (await place.pfctl.addresses()).length === 2);
    place.log(admission(1));
    await kept(place, /K 10\.0\.0\.1 \d+ \d+\n/);
    daemon.kill('SIGKILL');
    await daemon.ended;
    place.closePflog();
    place.openPflog();
    const next = await place.ready();
    const entries = await listed(place);
    const [known] = entries.filter(({ prefix }) => prefix === '10.0.0.1');
    const [other] = entries.filter(({ prefix }) => prefix === '10.0.0.2');
    assert.ok(known !== undefined && other !== undefined);
    assert.ok(known.expiresInMs > 7.9 * DAY_MS && known.expiresInMs <= 8 * DAY_MS, `${known.expiresInMs}`);
    assert.ok(other.expiresInMs <= 3_600_000);
    assert.ok(known.lastAdmissionAgoMs !== undefined && other.lastAdmissionAgoMs === undefined);
    const { entries: counts } = (await ask(place.controlSocket, { command: 'status' })).result;
    assert.deepEqual([counts.known, counts.regulars], [1, 0]);
    await end(next, place);
  });

  it('is told of once, where only whitelist-time is configured', async () => {
    place.writeConfig(['whitelist-time 3600']);
    const first = await place.ready();
    assert.match(first.stdout, TOLD);
    await kept(place, /S known-time\n/);
    await end(first, place);
    const second = await place.ready();
    assert.doesNotMatch(second.stdout, TOLD);
    await end(second, place);
  });

  it('is not told of where known-time is configured, or neither is', async () => {
    for (const lines of [['whitelist-time 3600', 'known-time 8d'], ['known-time 0'], []]) {
      place.writeConfig([...lines, 'state-file none']);
      const daemon = await place.ready();
      assert.doesNotMatch(daemon.stdout, TOLD);
      await end(daemon, place);
    }
  });

  it('has no time of its own with known-time 0', async () => {
    place.writeConfig(['known-time 0']);
    const daemon = await place.ready();
    place.log(attempt(1));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    place.log(admission(1));
    await until('it is used', async () => (await listed(place))[0]?.admissions === 1);
    assert.ok(((await listed(place))[0]?.expiresInMs ?? Infinity) <= 3_600_000);
    await end(daemon, place);
  });
});

/** Version 2.0.0, compiled from the history of this repository; undefined: the history does not have it. */
function version200(scratch: Scratch): string | undefined {
  const root = packageFolder();
  if (spawnSync('git', ['cat-file', '-e', `${VERSION_2_0_0}^{commit}`], { cwd: root }).status !== 0) {
    return undefined;
  }
  const folder = scratch.path('2.0.0');
  mkdirSync(folder);
  const archive = execFileSync('git', ['archive', VERSION_2_0_0, 'src', 'tsconfig.json', 'package.json'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  // what it imports may have changed since: only what comes out matters
  spawnSync(process.execPath, [tsc, '-p', folder, '--noCheck']);
  return join(folder, 'dist', 'cli.js');
}

describe('version 2.0.0', { skip: reason }, () => {
  const scratch = new Scratch();
  let place: Workplace;
  let old: string | undefined;
  beforeEach(async () => {
    old ??= version200(scratch);
    place = await Workplace.create();
  });
  afterEach(() => place.dispose());
  after(() => scratch.remove());

  it('starts from our state file, and we from its', async (t) => {
    if (old === undefined) return t.skip('the history of this repository is not here');
    place.writeConfig(['whitelist-time 3600', 'outbound']);
    const daemon = await place.ready();
    place.log(attempt(1));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
    place.log(admission(1));
    place.log([...frames(4, 1, 'real', 2), outbound()]);
    await kept(place, /K 10\.0\.0\.1 \d+ \d+\n/);
    await kept(place, /O 203\.0\.113\.25 outbound\n/);
    await end(daemon, place);
    assert.match(readFileSync(place.stateFile, 'latin1'), / R 10\.0\.0\.2 /);
    // it knows no such option
    place.writeConfig(['whitelist-time 3600']);

    const before = place.startBy([process.execPath], ['-F', '-s'], old);
    await before.line(/mxallowd is ready/);
    assert.match(before.stdout, /2 (?:entry|entries) taken over from/);
    assert.doesNotMatch(before.stdout, /damaged/);
    await end(before, place);
    assert.doesNotMatch(readFileSync(place.stateFile, 'latin1'), / [KSORDX] /);

    const again = await place.ready();
    assert.match(again.stdout, TOLD);
    const [entry] = (await listed(place)).filter(({ origin }) => origin === 'attempt');
    assert.deepEqual([entry?.prefix, entry?.admissions], ['10.0.0.1', 1]);
    assert.ok((entry?.expiresInMs ?? 0) > 7.9 * DAY_MS, 'it is known by its uses');
    await end(again, place);
  });
});

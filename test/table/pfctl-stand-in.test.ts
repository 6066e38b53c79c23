/** The stand-in for pfctl as tests use it: faults, locks, the harness. What it answers is in pfctl-tongues.test.ts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { nowSeconds } from '../support/pfctl-state.js';

const ALTQ = 'No ALTQ support in kernel\nALTQ related functions disabled\n';

/** 50,000 lines: more than a pipe holds. */
const FIFTY_THOUSAND_TEXT = '10.32.0.1\n'.repeat(50_000);

/** A time in the local zone, in seconds since the epoch. */
function localTime(clock: string): number {
  return new Date(`2026-11-23T${clock}`).getTime() / 1000;
}

test('with enforceLimit a batch that could exceed the limit changes nothing', async (t) => {
  const standIn = await PfctlStandIn.create({ limit: 3, enforceLimit: true });
  t.after(() => standIn.dispose());
  assert.equal((await standIn.run(['-qt', 'mx-white', '-T', 'add', '192.0.2.1', '192.0.2.2'])).status, 0);
  const over = await standIn.run(['-qt', 'mx-white', '-T', 'add', '-f', '-'], '192.0.2.3\n192.0.2.1\n');
  assert.deepEqual(over, { stdout: '', stderr: 'pfctl: Cannot allocate memory.\n', status: 255 });
  const replace = await standIn.run(['-qt', 'mx-white', '-T', 'replace', '192.0.2.8', '192.0.2.9']);
  assert.equal(replace.status, 255);
  assert.deepEqual(await standIn.addresses(), ['192.0.2.1', '192.0.2.2']);
});

test('on OpenBSD an add beyond the limit never ends, nor does a later call; replace fails', async (t) => {
  const standIn = await PfctlStandIn.create({ limit: 3, enforceLimit: true, flavour: 'openbsd' });
  t.after(() => standIn.dispose());
  const table = ['-t', 'mx-white', '-T'];
  await standIn.run([...table, 'add', '192.0.2.1', '192.0.2.2', '192.0.2.3']);
  const replaced = await standIn.run([...table, 'replace', '192.0.2.8']);
  assert.deepEqual(replaced, { stdout: '', stderr: 'pfctl: Cannot allocate memory\n', status: 255 });
  standIn.clearCalls();
  const hanging = [standIn.run([...table, 'add', '192.0.2.4'])];
  await standIn.waitForCalls(1);
  hanging.push(standIn.run(['-s', 'info']));
  const calls = await standIn.waitForCalls(2);
  assert.deepEqual(
    calls.map(({ rc }) => rc),
    [null, null],
  );
  await standIn.dispose();
  for (const { status } of await Promise.all(hanging)) assert.equal(status, null);
});

test('on FreeBSD 15 a batch goes in by pieces of 256, and those before the limit stay', async (t) => {
  const standIn = await PfctlStandIn.create({ limit: 700, enforceLimit: true, flavour: 'freebsd15' });
  t.after(() => standIn.dispose());
  const batch = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}\n`).join('');
  const over = await standIn.run(['-t', 'mx-white', '-T', 'add', '-f', '-'], batch);
  assert.deepEqual(over, { stdout: '', stderr: 'pfctl: Cannot allocate memory.\n', status: 255 });
  assert.equal((await standIn.addresses()).length, 512);
});

test('the OpenBSD flavour has no ALTQ lines, no final dot, and can restore limits in vain', async (t) => {
  const standIn = await PfctlStandIn.create({ flavour: 'openbsd' });
  t.after(() => standIn.dispose());
  standIn.update((state) => {
    state.restoresLimits = true;
  });
  const added = await standIn.run(['-t', 'mx-white', '-T', 'add', '192.0.2.1']);
  assert.deepEqual(added, { stdout: '', stderr: '1/1 addresses added.\n', status: 0 });
  const absent = await standIn.run(['-t', 'absent', '-T', 'delete', '192.0.2.1']);
  assert.deepEqual(absent, { stdout: '', stderr: 'pfctl: Table does not exist\n', status: 255 });
  const miss = await standIn.run(['-qt', 'mx-white', '-T', 'test', '192.0.2.2']);
  assert.equal(miss.status, 2);
  assert.equal(miss.stderr.split('\n').length, 8);
  assert.match(miss.stderr, /^pfctl: DIOCSETLIMIT \(states\): Permission denied\n/);
});

test('what it does not know it refuses', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  const refusals = {
    '-s Sources': ['-q', '-s', 'Sources'],
    'option -k': ['-k', '192.0.2.1'],
    '-T load': ['-qt', 'mx-white', '-T', 'load'],
    'the address em0:network': ['-qt', 'mx-white', '-T', 'add', 'em0:network'],
    '-T test of 192.0.2.0/24': ['-qt', 'mx-white', '-T', 'test', '192.0.2.0/24'],
  };
  for (const [what, args] of Object.entries(refusals)) {
    const stderr = `stand-in pfctl: not implemented: ${what}\n`;
    assert.deepEqual(await standIn.run(args), { stdout: '', stderr, status: 1 });
  }
});

test('a fault with a number of times ends by itself and keeps to its command', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  standIn.setFault({
    mode: 'fail',
    rc: 1,
    stderr: 'pfctl: /dev/pf: Permission denied',
    times: 1,
    only: 'add',
  });
  assert.equal((await standIn.run(['-t', 'mx-white', '-T', 'show'])).status, 0);
  const failed = await standIn.run(['-t', 'mx-white', '-T', 'add', '-f', '-'], '192.0.2.1\n');
  assert.deepEqual(failed, { stdout: '', stderr: 'pfctl: /dev/pf: Permission denied\n', status: 1 });
  assert.deepEqual(await standIn.addresses(), []);
  const added = await standIn.run(['-t', 'mx-white', '-T', 'add', '-f', '-'], '192.0.2.1\n');
  assert.deepEqual(added, { stdout: '', stderr: `${ALTQ}1/1 addresses added.\n`, status: 0 });
  const calls = standIn.calls().map(({ rc, stdinLines, stdin }) => ({ rc, stdinLines, stdin }));
  assert.deepEqual(calls, [
    { rc: 0, stdinLines: 0, stdin: [] },
    { rc: 1, stdinLines: 1, stdin: ['192.0.2.1'] },
    { rc: 0, stdinLines: 1, stdin: ['192.0.2.1'] },
  ]);
});

test('a hanging call has done its work if asked to, ignores SIGTERM, and holds up nobody', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  standIn.setFault({ mode: 'hang', after: 'apply', times: 1 });
  const hanging = standIn.run(['-t', 'mx-white', '-T', 'add', '192.0.2.1']);
  const [call] = await standIn.waitForCalls(1);
  assert.ok(call !== undefined && call.rc === null);
  process.kill(call.pid, 'SIGTERM');
  assert.equal((await standIn.run(['-t', 'mx-white', '-T', 'add', '192.0.2.2'])).status, 0);
  assert.deepEqual(await standIn.addresses(), ['192.0.2.1', '192.0.2.2']);
  await standIn.dispose();
  assert.deepEqual(await hanging, { stdout: '', stderr: '', status: null });
});

test('a call that kills itself leaves the table as it was, or changed, as asked', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  standIn.setFault({ mode: 'kill' });
  assert.equal((await standIn.run(['-t', 'mx-white', '-T', 'add', '192.0.2.1'])).status, null);
  assert.deepEqual(await standIn.addresses(), []);
  standIn.setFault({ mode: 'kill', after: 'apply' });
  assert.equal((await standIn.run(['-t', 'mx-white', '-T', 'add', '192.0.2.1'])).status, null);
  assert.deepEqual(await standIn.addresses(), ['192.0.2.1']);
});

test('partial-stdin ends without reading, slow works later', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  standIn.setFault({ mode: 'partial-stdin', times: 1 });
  const addAll = ['-t', 'mx-white', '-T', 'add', '-f', '-'];
  assert.equal((await standIn.run(addAll, FIFTY_THOUSAND_TEXT)).status, 1);
  standIn.setFault({ mode: 'slow', ms: 20 });
  assert.equal((await standIn.run(addAll, '192.0.2.1\n')).status, 0);
  assert.deepEqual(await standIn.addresses(), ['192.0.2.1']);
});

test('the lock of a call that was killed is taken over, by one of many only', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  standIn.setFault({ mode: 'kill', times: 1 });
  await standIn.run(['-t', 'mx-white', '-T', 'show']);
  const [dead] = standIn.calls();
  symlinkSync(String(dead?.pid), join(standIn.directory, 'lock'));
  const addresses = Array.from({ length: 10 }, (_, i) => `192.0.2.${i}`);
  await Promise.all(addresses.map((address) => standIn.run(['-t', 'mx-white', '-T', 'add', address])));
  assert.deepEqual(await standIn.addresses(), addresses);
});

test('the harness puts entries, changes their time, empties and removes a table', async (t) => {
  const standIn = await PfctlStandIn.create({ tables: ['mx-white', 'other'] });
  t.after(() => standIn.dispose());
  const now = localTime('18:00:00');
  standIn.setClock(now);
  standIn.putEntries(['2001:DB8::1', '192.0.2.1', '198.51.100.7/24'], now - 10);
  standIn.setCleared('192.0.2.1', now - 100);
  const shown = await standIn.run(['-qvT', 'show', '-t', 'mx-white']);
  assert.match(
    shown.stdout,
    /^ {3}192\.0\.2\.1\n\tCleared: {5}Mon Nov 23 17:58:20 2026\n {3}198\.51\.100\.0\/24\n/,
  );
  assert.equal(
    (await standIn.run(['-t', 'mx-white', '-T', 'expire', '99'])).stderr,
    `${ALTQ}1/1 addresses expired.\n`,
  );
  assert.deepEqual(await standIn.addresses(), ['198.51.100.0/24', '2001:db8::1']);
  standIn.emptyTable();
  assert.deepEqual(await standIn.addresses(), []);
  standIn.destroyTable();
  assert.equal((await standIn.run(['-t', 'mx-white', '-T', 'show'])).status, 255);
  assert.equal((await standIn.run(['-q', '-s', 'Tables'])).stdout, 'other\n');
  standIn.update((state) => {
    assert.equal(nowSeconds(state), now);
  });
});

test('it runs with an empty environment and says so', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  const before = Date.now();
  await new Promise((resolve, reject) => {
    const child = spawn(standIn.path, ['-t', 'mx-white', '-T', 'add', '192.0.2.1'], {
      env: {},
      stdio: 'ignore',
    });
    child.on('error', reject).on('close', resolve);
  });
  const [call] = standIn.calls();
  assert.deepEqual([call?.rc, call?.env], [0, 0]);
  // clocks of two processes: the wall clock is read to the millisecond
  assert.ok(call !== undefined && call.at > before - 2 && call.at < Date.now() + 2);
});

test('-s rules shows what is in named anchors only with -a *', async (t) => {
  const standIn = await PfctlStandIn.create({ flavour: 'openbsd' });
  t.after(() => standIn.dispose());
  standIn.update((state) => {
    state.rules = [
      'anchor "mx" all {',
      'anchor all {',
      'pass all',
      '}',
      '}',
      'anchor all {',
      'block drop all',
      '}',
    ];
  });
  const short = await standIn.run(['-sr']);
  assert.deepEqual(short, {
    stdout: 'anchor "mx" all\nanchor all {\n  block drop all\n}\n',
    stderr: '',
    status: 0,
  });
  const whole = await standIn.run(['-a', '*', '-s', 'rules']);
  assert.equal(
    whole.stdout,
    'anchor "mx" all {\n  anchor all {\n    pass all\n  }\n}\nanchor all {\n  block drop all\n}\n',
  );
  assert.match((await standIn.run(['-si'])).stdout, /^Status: Enabled for 0 days 00:00:00 +Debug: err\n/);
});

/**
 * Replays what FreeBSD 10.2's pfctl was seen to answer, in the order of recording and with one state, and compares
 * stdout, stderr and exit status byte for byte.
 *
 * `fixtures/pfctl/NNN-name.{cmd,in,out,err,rc}` are the recordings; the `*.conf` there are written to say what
 * the recorded rulesets say, as far as the recordings show it.
 *
 * Not replayed, because the stand-in knows tables and no rules, states or timeouts:
 *
 * | recordings                                | why                                             |
 * | ----------------------------------------- | ----------------------------------------------- |
 * | 142, 182, 195, 196 (-s rules)             | what -f loads is not made into rules            |
 * | 189 (-s nat), 191 (-s Anchors)            | the same                                        |
 * | 184 (-s timeouts), 186 (-s labels)        | no timeouts, no labels                          |
 * | 185, 198 (-s states), 211 (-k host)       | no states                                       |
 * | 187 (-s Interfaces), 190 (-s osfp)        | neither interfaces of a kernel nor fingerprints |
 * | 188 (-s all), 197 (-s info -v)            | contain the above; host id and checksum         |
 * | 203, 205, 210 (broken rules)              | no parser of rules                              |
 * | 204, 207 (-nvf)                           | print the rules                                 |
 *
 * Compared less strictly: the count of references by rules (194), the order of bytes on stderr of ten calls at
 * once (213), and the blanks with which BSD's wc(1) and `grep -c` begin a line.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PfctlStandIn, type PfctlResult } from '../support/pfctl-harness.js';
import { nowSeconds } from '../support/pfctl-state.js';

// The compiled test runs from build/, the recordings stay where they are.
const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/pfctl/', import.meta.url));
const ALTQ = 'No ALTQ support in kernel\nALTQ related functions disabled\n';

/** Command lines whose words the recording does not show. */
const ARGUMENTS: Record<string, readonly string[]> = {
  '017-add-negated-shellsafe-range': ['-t', 'mx-white', '-T', 'add', '192.0.2.20 - 192.0.2.23'],
  '049-add-empty-arg': ['-t', 'mx-white', '-T', 'add', ''],
  '122-table-name-empty': ['-t', '', '-T', 'show'],
};

/** 50,000 addresses, the first of them twice: 49,999 were new. */
const FIFTY_THOUSAND = Array.from(
  { length: 49_999 },
  (_, i) => `10.${32 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
);
const FIFTY_THOUSAND_TEXT = `${[...FIFTY_THOUSAND, FIFTY_THOUSAND[0]].join('\n')}\n`;

/** Input that was too long to be kept. */
const LONG_INPUT: Record<string, string> = {
  '170-add-50000': FIFTY_THOUSAND_TEXT,
  '171-add-50000-again': FIFTY_THOUSAND_TEXT,
  '173-replace-50000-same': FIFTY_THOUSAND_TEXT,
  '175-delete-50000': FIFTY_THOUSAND_TEXT,
  '177-add-20000-v6': Array.from({ length: 20_000 }, (_, i) => `2001:db8:0:1::${i.toString(16)}\n`).join(''),
};

/** A time of the recordings, which ctime(3) showed in the local zone, in seconds since the epoch. */
function recordedTime(clock: string): number {
  return new Date(`2026-11-23T${clock}`).getTime() / 1000;
}

const IDLE = { seconds: 0, states: 0, searches: 0, inserts: 0, removals: 0, matches: 0 };

/** What happened on the recorded system just before a recording without being recorded itself. */
const MEANWHILE: Record<string, (standIn: PfctlStandIn) => void | Promise<unknown>> = {
  '001-add-two': (standIn) => {
    standIn.setClock(recordedTime('18:01:41'));
    standIn.update((state) => {
      state.references = { '': { 'mx-white': 2 }, mx: { 'mx-white': 1 } };
    });
  },
  '033-add-stdin-blanklines': (standIn) => {
    standIn.setClock(recordedTime('18:01:42'));
  },
  // The look-ups in DNS took 73 s; then two connections were tried from addresses that were added for them.
  '086-show-vv-after-traffic': async (standIn) => {
    standIn.setClock(recordedTime('18:02:56'));
    await standIn.run(['-t', 'mx-white', '-T', 'add', '203.0.113.8', '2001:db8::8']);
  },
  '091-expire-1': (standIn) => {
    standIn.setClock(recordedTime('18:02:58'));
  },
  '118-table-name-too-long': (standIn) => standIn.run(['-t', 'nosuchtable', '-T', 'kill']),
  '120-no-table': (standIn) => standIn.run(['-t', 'a'.repeat(31), '-T', 'kill']),
  '127-user-add': (standIn) => {
    setDevice(standIn, 'none');
  },
  '131-user-add-devpf-666': (standIn) => {
    setDevice(standIn, 'read-write');
  },
  '134-user-show-devpf-640': (standIn) => {
    setDevice(standIn, 'read-only');
  },
  '136-disable': (standIn) => {
    setDevice(standIn, 'read-write');
  },
  '141-disabled-info': (standIn) => {
    standIn.update((state) => {
      state.statistics = { ...IDLE, states: 2, searches: 16_844, inserts: 2, matches: 16_842 };
    });
  },
  '150-reload2': (standIn) => {
    standIn.setClock(recordedTime('18:02:59'));
  },
  '167-limit-info-after': (standIn) => {
    standIn.update((state) => {
      state.statistics = { ...IDLE, searches: 38, matches: 38 };
    });
  },
  '181-s-info': (standIn) => {
    standIn.update((state) => {
      state.statistics = { ...IDLE, seconds: 8, searches: 38, matches: 38 };
    });
  },
  '209-nf-user': (standIn) => {
    setDevice(standIn, 'none');
  },
  '212-nf-no-pf.os': (standIn) => {
    setDevice(standIn, 'read-write');
  },
  '228-counters-add': (standIn) => {
    standIn.setClock(recordedTime('18:03:09'));
    standIn.emptyTable();
  },
  '229-counters-show-vv': (standIn) => {
    standIn.update((state) => {
      const counters = { inBlock: [0, 0], inPass: [1, 60], outBlock: [0, 0], outPass: [1, 40] } as const;
      state.tables.get('/mx-white')?.traffic.set('203.0.113.8', counters);
    });
  },
};

function setDevice(standIn: PfctlStandIn, device: 'read-write' | 'read-only' | 'none'): void {
  standIn.update((state) => {
    state.device = device;
  });
}

/** What two results must have in common. */
const COMPARABLE: Record<string, (result: PfctlResult) => PfctlResult> = {
  '194-s-Tables-vv': (result) => ({ ...result, stdout: result.stdout.replace(/(Rules: )\d+ +/, '$1N ') }),
  '213-parallel-adds': (result) => ({ ...result, stderr: [...result.stderr].sort().join('') }),
};

function comparable(name: string, command: string, result: PfctlResult): PfctlResult {
  const same = COMPARABLE[name]?.(result) ?? result;
  return command.startsWith('sh -c ') ? { ...same, stdout: same.stdout.replace(/^ +/gm, '') } : same;
}

function recorded(name: string, kind: string): string {
  return readFileSync(join(FIXTURES, `${name}.${kind}`), 'utf8');
}

/** Runs a shell command that calls `pfctl`. */
function runShell(standIn: PfctlStandIn, command: string): Promise<PfctlResult> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, PATH: `${standIn.directory}:${process.env['PATH'] ?? ''}` };
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: FIXTURES,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({ stdout, stderr, status });
    });
  });
}

function replay(standIn: PfctlStandIn, name: string, command: string): Promise<PfctlResult> {
  if (command.startsWith('sh -c ')) return runShell(standIn, command.slice('sh -c '.length));
  const words = command.replace(/ \(as user nobody\)$/, '').split(' ');
  const input = join(FIXTURES, `${name}.in`);
  const stdin = LONG_INPUT[name] ?? (existsSync(input) ? readFileSync(input) : '');
  return standIn.run(ARGUMENTS[name] ?? words.slice(1), stdin, { cwd: FIXTURES });
}

test('the stand-in answers as the recorded pfctl', async (t) => {
  const standIn = await PfctlStandIn.create();
  t.after(() => standIn.dispose());
  const names = readdirSync(FIXTURES)
    .filter((file) => file.endsWith('.cmd'))
    .map((file) => file.slice(0, -'.cmd'.length))
    .sort();
  for (const name of names) {
    await t.test(name, async () => {
      const [command = ''] = recorded(name, 'cmd').split('\n');
      await MEANWHILE[name]?.(standIn);
      const result = await replay(standIn, name, command);
      const expected: PfctlResult = {
        stdout: recorded(name, 'out'),
        stderr: recorded(name, 'err'),
        status: Number(recorded(name, 'rc')),
      };
      assert.deepEqual(comparable(name, command, result), comparable(name, command, expected));
    });
  }
  t.diagnostic(`${names.length} recordings replayed`);
  assert.equal(names.length, 209);
});

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

test('the OpenBSD flavour has no ALTQ lines, no final dot, and restores limits in vain', async (t) => {
  const standIn = await PfctlStandIn.create({ flavour: 'openbsd' });
  t.after(() => standIn.dispose());
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
    '-s nat': ['-q', '-s', 'nat'],
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
  const now = recordedTime('18:00:00');
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

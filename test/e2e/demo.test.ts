import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { missingTools } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { CLI, linesOf, runCli, Scratch } from '../support/cli.js';
import { Daemon, until } from '../support/daemon.js';
import { stageUnavailable } from '../support/stage.js';

/** Its senders wait for real time-outs; longer it takes only when it hangs. */
const TIMEOUT_MS = 300_000;

const scratch = new Scratch();
after(() => scratch.remove());

/** A folder of stand-ins for programs: shell scripts, and links to the real ones. */
function programs(
  name: string,
  scripts: Readonly<Record<string, string>>,
  links: readonly string[] = [],
): string {
  const folder = scratch.path(name);
  mkdirSync(folder);
  for (const [program, text] of Object.entries(scripts)) {
    writeFileSync(join(folder, program), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  for (const program of links) {
    const real = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
    symlinkSync(real, join(folder, program));
  }
  return folder;
}

let demo: Daemon | undefined;

/** Starts `mxallowd demo`. */
function start(path = process.env['PATH']): Daemon {
  const env = { ...process.env, PATH: path };
  demo = new Daemon(spawn(process.execPath, [CLI, 'demo'], { stdio: 'pipe', env }));
  return demo;
}

/** A process, told apart from a later one that has the same number. */
interface Process {
  readonly pid: number;
  readonly startTime: string;
  readonly command: string;
}

/** State and start time of a process (proc(5)); undefined when there is none of this number. */
function statusOf(pid: number): { state: string; startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // the second field, the name, stands in brackets and may contain anything
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** All that a process has started, and what those have started, in namespaces or not. */
function descendants(pid: number): Process[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`)
      .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' '))
      .filter(Boolean)
      .map(Number);
    return children.flatMap((child) => {
      const command = readFileSync(`/proc/${child}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const startTime = statusOf(child)?.startTime ?? '';
      return [{ pid: child, startTime, command }, ...descendants(child)];
    });
  } catch {
    // nft runs for a few milliseconds
    return [];
  }
}

/** Those that run; one that has ended and that nobody has asked for yet does not. */
function running(processes: readonly Process[]): Process[] {
  return processes.filter(({ pid, startTime }) => {
    const status = statusOf(pid);
    return status?.startTime === startTime && !'ZX'.includes(status.state);
  });
}

/** Starts it, and waits until all that belongs to it runs and has work to do. */
async function inTheMiddle(): Promise<{ show: Daemon; processes: Process[] }> {
  const show = start();
  await show.line(/^faster than mxallowd$/m);
  const parts = [
    /^cat$/,
    /^\S+ \S+ \S+cli\.js .*--user/,
    /engine-main\.js$/,
    /^\S*\/nft monitor destroy$/,
    /^\S+ \S+ \S+sink\.js$/,
    /^\S+ \S+ \S+sender\.js$/,
  ];
  let processes: Process[] = [];
  // nft runs for a moment now and then, and whoever starts it is there twice before
  await until('all run', () => {
    processes = descendants(show.pid).filter(({ command }) => !/(?:^|\/)nft (?:-[a-z]|list)/.test(command));
    const isThere = (part: RegExp): boolean =>
      processes.filter(({ command }) => part.test(command)).length === 1;
    return parts.every(isThere) && running(processes).length === processes.length;
  });
  return { show, processes };
}

async function untilGone(processes: readonly Process[]): Promise<void> {
  await until('they are gone', () => running(processes).length === 0).catch(() => {
    const left = running(processes).map(({ command }) => command);
    assert.deepEqual(left, []);
  });
}

describe('mxallowd demo', { skip: stageUnavailable() }, () => {
  afterEach(() => demo?.kill('SIGKILL'));

  it('shows what it should, within 80 columns, and leaves nothing', { timeout: TIMEOUT_MS }, async () => {
    const { show, processes } = await inTheMiddle();
    assert.equal(await show.ended, 0);
    assert.equal(show.stderr, '');
    const end = `
                                  expected              seen
a proper sender                   refused, delivered    refused, delivered    ok
a proper sender, IPv6             refused, delivered    refused, delivered    ok
spam to the fake MX only          fake refused          fake refused          ok
faster than mxallowd              refused, delivered    refused, delivered    ok
spam straight to the real MX      real no answer        real no answer        ok
the same by IPv6                  real no answer        real no answer        ok
100 bots, straight to the real MX 100 no answer         100 no answer         ok
a new sender, mxallowd is killed  refused, delivered    refused, delivered    ok
spam, mxallowd is killed          real no answer        real no answer        ok

All as expected.
The namespaces and all that was in them are gone.
`;
    assert.equal(show.stdout.slice(-end.length), end);
    // each is told once
    assert.match(show.stdout, /100 senders > real MX {2}the kernel drops 100 of them, lets in 0$/m);
    for (const line of linesOf(show.stdout)) assert.ok(line.length <= 80, `more than 80 columns: ${line}`);
    await untilGone(processes);
  });

  it('says so when it does not show what it should, status 1', { timeout: TIMEOUT_MS }, async () => {
    // rules that are never loaded let everybody in
    const noRules = programs('no-rules', { nft: 'exit 0', iptables: 'exit 0', ip6tables: 'exit 0' });
    const show = start(`${noRules}:${process.env['PATH']}`);
    assert.equal(await show.ended, 1);
    assert.match(show.stdout, /^spam straight to the real MX +real no answer +real delivered.* WRONG$/m);
    assert.match(show.stdout, /^the same by IPv6 +real no answer +real delivered.* WRONG$/m);
    assert.match(show.stdout, /^100 bots, straight to the real MX 100 no answer +100 delivered.* WRONG$/m);
    assert.match(show.stdout, /^3 of 7 are not as expected\.$/m);
    assert.doesNotMatch(show.stdout, /All as expected/);
  });

  it('says so when it cannot load rules, status 69', { timeout: TIMEOUT_MS }, async () => {
    const broken = 'echo "no tables here" >&2; exit 3';
    const folder = programs('broken-rules', { nft: broken, iptables: broken, ip6tables: broken });
    const show = start(`${folder}:${process.env['PATH']}`);
    assert.equal(await show.ended, 69);
    assert.match(show.stderr, /^mxallowd: the demonstration failed: .*no tables here$/m);
    assert.match(show.stdout, /^The namespaces and all that was in them are gone\.$/m);
  });

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    it(`ends with ${status} on ${signal}, says so, and leaves nothing`, { timeout: TIMEOUT_MS }, async () => {
      const { show, processes } = await inTheMiddle();
      show.kill(signal);
      assert.equal(await show.ended, status);
      assert.equal(show.stderr, '');
      // what mxallowd has logged in that moment may still come, but nothing else: the show does not go on
      const rest = show.stdout.slice(show.stdout.indexOf(`\n${signal}: interrupted\n`));
      const [said, ...after] = linesOf(rest.slice(1));
      assert.equal(said, `${signal}: interrupted`);
      assert.deepEqual(
        after.filter((line) => !/ MX {2}the kernel (refuses|drops|lets)/.test(line)),
        ['The namespaces and all that was in them are gone.'],
      );
      await untilGone(processes);
    });
  }

  it('leaves nothing when it is killed', { timeout: TIMEOUT_MS }, async () => {
    const { show, processes } = await inTheMiddle();
    show.kill('SIGKILL');
    assert.equal(await show.ended, 'SIGKILL');
    await untilGone(processes);
  });
});

describe('mxallowd demo without namespaces', { skip: missingTools(['ip', 'nsenter'])[0] }, () => {
  async function assertJudgesRecordings(show: Daemon, why: string): Promise<void> {
    assert.equal(await show.ended, 0);
    assert.equal(show.stderr, '');
    const folder = join(packageFolder(), 'examples', 'recordings');
    const files = readdirSync(folder).filter((name) => name.endsWith('.pcap'));
    const config = join(folder, 'mxallowd.conf');
    const replay = await runCli(['replay', '-c', config, ...files.map((name) => join(folder, name))]);
    assert.equal(replay.status, 0);
    const begin = `No live demonstration here: ${why}.\nInstead, recordings of a real pf are judged:\n\n$ mxallowd replay -c `;
    assert.equal(show.stdout.slice(0, begin.length), begin);
    const [, , , , ...rest] = show.stdout.split('\n');
    assert.equal(rest.join('\n'), `\n${replay.stdout}`);
    assert.match(replay.stdout, /^admissions +22 to a real MX$/m);
  }

  it('because a program is missing: says which, and judges recordings', async () => {
    const folder = programs('no-unshare', {}, ['sh', 'nsenter', 'ip']);
    await assertJudgesRecordings(start(folder), 'unshare not found (packages util-linux and iproute2)');
  });

  it('because they are not allowed: says why, and judges recordings', async () => {
    const unshare = 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1';
    const folder = programs('no-namespaces', { unshare }, ['sh', 'nsenter', 'ip']);
    const why = 'no private namespaces: unshare: unshare failed: Operation not permitted';
    await assertJudgesRecordings(start(folder), why);
  });
});

it('mxallowd demo takes no arguments', async () => {
  const { status, stdout, stderr } = await runCli(['demo', 'now', '--port=26']);
  assert.deepEqual([status, stdout], [64, '']);
  assert.match(stderr, /^mxallowd: demo takes no arguments, not "now port"$/m);
});

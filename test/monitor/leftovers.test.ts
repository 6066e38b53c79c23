import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findLeftovers, type ListedProcess, parseProcesses } from '../../src/monitor/leftovers.js';

const USER = { name: '_mxallowd', uid: 700, gid: 700 };
const ENGINE = 50;

/** pid, parent, group, uid */
const process_ = ([pid, parent, group, uid]: readonly [number, number, number, number]): ListedProcess => ({
  pid,
  parent,
  group,
  uid,
  jail: 0,
});

describe('what an engine has left', () => {
  it('is read from what ps prints, on each system; zombies are none', () => {
    const linux =
      '      1       0       1     0 Ss\n  48211   48002   48002 65534 Sl\n  48212 48002 48002 0 Z\n';
    assert.deepEqual(
      parseProcesses(linux),
      [[1, 0, 1, 0] as const, [48_211, 48_002, 48_002, 65_534] as const].map(process_),
    );
    const bsd = '    1     0     1     0 ILs\n93716 72421 93716   700 S+p\n';
    assert.deepEqual(
      parseProcesses(bsd),
      [[1, 0, 1, 0] as const, [93_716, 72_421, 93_716, 700] as const].map(process_),
    );
    assert.deepEqual(parseProcesses('ps: illegal option\n'), []);
  });

  const LEFT: readonly (readonly [
    string,
    readonly (readonly [number, number, number, number])[],
    number[],
    number[],
  ])[] = [
    ['nothing, when nothing is left', [[9, 1, 9, 0]], [], []],
    ['what is in its process group', [[60, 1, ENGINE, 700]], [60], [60]],
    ['not what root has in it: that ends by itself', [[60, 1, ENGINE, 0]], [], []],
    [
      'what has made a session of its own, if the user is ours alone',
      [
        [60, 1, 60, 700],
        [61, 60, 60, 700],
      ],
      [60, 61],
      [],
    ],
    ['not what other users run', [[60, 1, 60, 701]], [], []],
    [
      "not what another monitor's engine runs",
      [
        [20, 1, 20, 0],
        [30, 20, 30, 700],
        [31, 30, 31, 700],
        [60, 1, 60, 700],
      ],
      [60],
      [],
    ],
    ['what has lost its parent while we looked', [[60, 59, 60, 700]], [60], []],
    [
      'what goes round in a circle',
      [
        [60, 61, 60, 700],
        [61, 60, 60, 700],
      ],
      [60, 61],
      [],
    ],
  ];
  for (const [what, rows, own, shared] of LEFT)
    it(`is ${what}`, () => {
      const all = [[1, 0, 1, 0] as const, [10, 1, 10, 0] as const, ...rows].map(process_);
      assert.deepEqual(findLeftovers(all, ENGINE, USER, true).pids, own);
      assert.deepEqual(findLeftovers(all, ENGINE, USER, false).pids, shared);
    });

  it('tells whether somebody else runs as the same user: then not all of it may be killed', () => {
    const alone = [[1, 0, 1, 0] as const, [60, 1, 60, 700] as const].map(process_);
    assert.equal(findLeftovers(alone, ENGINE, USER, true).isShared, false);
    const both = [...alone, ...[[20, 1, 20, 0] as const, [30, 20, 30, 700] as const].map(process_)];
    assert.equal(findLeftovers(both, ENGINE, USER, true).isShared, true);
  });
});

const PROBE = fileURLToPath(new URL('../support/leftovers-probe.js', import.meta.url));
/** Numbers of processes of their own: whatever is killed there, it is nobody else's. */
const APART = ['--pid', '--mount', '--fork', '--mount-proc', '--kill-child'];
const reason =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs Linux and root'
    : spawnSync('unshare', [...APART, 'true']).status !== 0 && 'no namespaces here';

describe('an engine that somebody has taken over', { skip: reason }, () => {
  /** What a monitor has said, and whose processes are left when the next engine begins. */
  const play = async (...args: readonly string[]): Promise<{ log: string[]; left: string[] }> => {
    const child = spawn('unshare', [...APART, process.execPath, PROBE, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) text += String(chunk);
    return JSON.parse(text) as { log: string[]; left: string[] };
  };

  it('leaves nothing behind, in no session, and the next one begins', async () => {
    const { log, left } = await play('_mxallowd', 'escape');
    assert.deepEqual(left, []);
    assert.match(log.join('\n'), /^error: the engine has left processes behind, which are killed: \d+/m);
    assert.match(log.join('\n'), /^warn: the engine works again/m);
  });

  it('leaves nothing behind, however quickly it forks', async () => {
    assert.deepEqual((await play('_mxallowd', 'fork')).left, []);
    assert.deepEqual((await play('_mxallowd', 'fork', 'escape')).left, []);
  });

  it("leaves nothing behind, and another monitor's engine lives", async () => {
    const { left } = await play('_mxallowd', 'escape', 'other');
    assert.deepEqual(left, ['other']);
  });

  it('has what is in its process group killed where the user is not ours alone, and nothing else', async () => {
    const { left } = await play('nobody', 'escape', 'fork', 'group', 'other');
    assert.deepEqual(left, ['escape', 'fork', 'other']);
  });

  it('that has left nothing is not waited for', async () => {
    const { log, left } = await play('_mxallowd');
    assert.deepEqual([left, log.filter((line) => line.includes('left'))], [[], []]);
  });
});

it('what runs in another jail is somebody else, whatever its number', () => {
  const freebsd = [
    '    1     0     1     0 ILs   0',
    '   40     1    40     0 Ss    0',
    '   60     1    50   700 S     0',
    '  900     1   900   700 SsJ   3',
  ].join('\n');
  const all = parseProcesses(freebsd);
  assert.equal(all.at(-1)?.jail, 3);
  // so nothing is killed by user, and what the engine left by its group is
  assert.deepEqual(findLeftovers(all, ENGINE, USER, true), { pids: [60], isShared: true });
  // we in the jail
  assert.deepEqual(findLeftovers(all, ENGINE, USER, true, 3).pids, [900]);
});

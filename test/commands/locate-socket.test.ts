import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { locateSocket } from '../../src/commands/locate-socket.js';
import type { Given } from '../../src/config/config.js';
import { formatProblem } from '../../src/config/problem.js';
import { Scratch } from '../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

function given(key: 'config' | 'controlSocket', text: string): Given {
  const where = key === 'config' ? '--config' : '--control-socket';
  return { key, text, where, origin: 'command line' };
}

/** A path, or exit status and messages. */
function located(options: readonly Given[], platform: NodeJS.Platform = 'freebsd'): unknown {
  const found = locateSocket(options, [], platform);
  return found.ok ? found.path : [found.exitStatus, ...found.problems.map(formatProblem)];
}

const FILE = scratch.file(
  'good.conf',
  'control-socket /run/a.sock\ncontrol-socket /run/b.sock\nnonsense 7\n',
);

describe('the control socket', () => {
  it('is the one that the command line names', () => {
    assert.equal(
      located([given('config', FILE), given('controlSocket', '/x'), given('controlSocket', '/y')]),
      '/y',
    );
  });

  it('is the last one that the file names, whatever else is wrong with the file', () => {
    assert.equal(located([given('config', FILE)]), '/run/b.sock');
  });

  it("is the system's default when the file names none", () => {
    const file = given('config', scratch.file('other.conf', 'fake-mailserver 192.0.2.3\n'));
    assert.equal(located([file], 'freebsd'), '/var/run/mxallowd.sock');
    assert.equal(located([file], 'openbsd'), '/var/run/mxallowd.sock');
    assert.equal(located([file], 'linux'), '/run/mxallowd/mxallowd.sock');
  });

  it('is not guessed when the file that is named cannot be read', () => {
    const missing = scratch.path('missing.conf');
    assert.deepEqual(located([given('config', missing)]), [78, `${missing}: there is no such file`]);
  });

  it('may be none', () => {
    const file = scratch.file('none.conf', '# nobody\ncontrol-socket none\n');
    assert.deepEqual(located([given('config', file)]), [
      69,
      `${file}:2: control-socket: none, so the daemon cannot be asked`,
    ]);
    assert.deepEqual(located([given('controlSocket', 'none')]), [
      69,
      '--control-socket: none, so the daemon cannot be asked',
    ]);
  });

  it('must be an absolute path', () => {
    assert.deepEqual(located([given('controlSocket', 'mx.sock')]), [
      64,
      '--control-socket: "mx.sock" is not an absolute path, or none',
    ]);
    const file = scratch.file('bad.conf', 'control-socket run/\x1b\n');
    assert.deepEqual(located([given('config', file)]), [
      78,
      `${file}:1: control-socket: "run/\\x1b" is not an absolute path, or none`,
    ]);
  });

  it('is not looked for when the command line is wrong', () => {
    const problem = { where: '--x', kind: 'usage', message: 'unknown option' } as const;
    const found = locateSocket([given('controlSocket', '/x')], [problem], 'linux');
    assert.deepEqual(found, { ok: false, problems: [problem], exitStatus: 64 });
  });
});

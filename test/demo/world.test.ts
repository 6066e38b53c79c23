import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { missingTools, World } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { runProgram } from '../support/cli.js';

const mode = World.mode();

/** Adopts what its child leaves behind, and never asks how that ended: what is left stays there as a zombie. */
const NEGLIGENT = `
import ctypes, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
sys.exit(subprocess.run(sys.argv[1:]).returncode)`;

const CLOSING = `
import { World } from '${join(packageFolder(), 'build', 'src', 'demo', 'world.js')}';
const world = await World.create(World.mode());
const say = (argv) => {
  const child = world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve) => child.stdout.once('data', () => resolve(child)));
};
const running = await say(['sh', '-c', 'echo; while :; do sleep 1; done']);
const stopped = await say(['sh', '-c', 'echo; while :; do sleep 1; done']);
const left = [running, stopped].map((child) => world.pidOf(child));
world.signal(stopped, 'SIGSTOP');
await world.close();
for (const pid of left) {
  try {
    process.kill(pid, 0);
    console.log('still there');
  } catch {
    console.log('gone');
  }
}`;

describe('a world that is closed', () => {
  const missing = missingTools(['python3']).length === 0 ? false : 'python3 is not installed';
  const skip = typeof mode === 'string' ? missing : mode.unavailable;

  it(
    'ends what runs and what was stopped in it, without a process that cleans up behind it',
    { skip },
    async () => {
      const node = [process.execPath, '--input-type=module', '-e', CLOSING];
      const { status, stdout, stderr } = await runProgram('python3', ['-c', NEGLIGENT, ...node]);
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'gone\ngone\n', stderr: '' });
    },
  );
});

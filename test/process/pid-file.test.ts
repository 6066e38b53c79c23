import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type PidFile, takePidFile } from '../../src/process/pid-file.js';
import { Scratch } from '../support/cli.js';

const MODULE = fileURLToPath(new URL('../../src/process/pid-file.js', import.meta.url));
/** Takes a file as soon as it is told to, says what came of it, and holds it until its input ends. */
const TAKER = `
  const { takePidFile } = await import(process.argv[1]);
  process.stdin.once('data', () => {
    const result = takePidFile(process.argv[2], process.pid);
    process.stdout.write(result.ok ? 'taken' : result.reason);
  });
  process.stdin.on('end', () => process.exit());
  process.stdout.write('ready\\n');`;

describe('a PID file', () => {
  let scratch: Scratch;
  let path: string;
  beforeEach(() => {
    scratch = new Scratch();
    path = scratch.path('mxallowd.pid');
  });
  afterEach(() => scratch.remove());

  const take = (): PidFile => {
    const result = takePidFile(path, 4711);
    return result.ok ? result.file : assert.fail(result.why);
  };
  const refusal = (): string => {
    const result = takePidFile(path, 4712);
    return result.ok ? assert.fail('taken') : `${result.reason}: ${result.why}`;
  };
  const taker = () => {
    const args = ['--input-type=module', '-e', TAKER, MODULE, path];
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  };

  it('has a process ID and nothing else, can be read by everybody, and is taken away at the end', () => {
    const file = take();
    assert.equal(readFileSync(path, 'latin1'), '4711\n');
    assert.equal(lstatSync(path).mode & 0o777, 0o644);
    file.remove();
    assert.equal(existsSync(path), false);
  });

  it('is not taken twice', () => {
    const file = take();
    assert.equal(refusal(), `running: mxallowd is running already, as process 4711 (${path})`);
    assert.equal(readFileSync(path, 'latin1'), '4711\n');
    file.remove();
    take().remove();
  });

  it('that a process has left which was killed is taken over', async () => {
    const child = taker();
    await once(child.stdout, 'data');
    child.stdin.write('go');
    assert.equal(String((await once(child.stdout, 'data'))[0]), 'taken');
    assert.match(refusal(), /^running: .*, as process \d+ /);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(readFileSync(path, 'latin1'), `${child.pid}\n`);
    take();
    assert.equal(readFileSync(path, 'latin1'), '4711\n');
  });

  it("is taken over, too, when another program has got that process's number by now", () => {
    writeFileSync(path, `${process.pid}\n`);
    take().remove();
  });

  it('is taken by one of eight processes that try at the same moment', async () => {
    for (let round = 0; round < 2; round++) {
      writeFileSync(path, '999999999\n');
      const children = Array.from({ length: 8 }, taker);
      await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
      for (const { stdin } of children) stdin.write('go');
      const said = await Promise.all(
        children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0])),
      );
      assert.deepEqual(said.sort(), [...Array<string>(7).fill('running'), 'taken']);
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.map((child) => once(child, 'exit')));
    }
  });

  it('of somebody else stays, when ours has been moved away', () => {
    const file = take();
    execFileSync('mv', [path, `${path}.old`]);
    writeFileSync(path, '1\n');
    file.remove();
    assert.equal(readFileSync(path, 'latin1'), '1\n');
  });

  const NO_PID_FILE = 'not-writable: there is a file that is no PID file';
  const NO_FILE = 'not-writable: there is something that is not a regular file';
  const OTHERS: readonly (readonly [string, (path: string) => void, string])[] = [
    ['a FIFO', (at) => execFileSync('mkfifo', [at]), NO_FILE],
    ['a folder', (at) => execFileSync('mkdir', [at]), NO_FILE],
    ['a device', (at) => execFileSync('cp', ['-a', '/dev/zero', at]), NO_FILE],
    ['a symbolic link', (at) => symlinkSync('/etc/passwd', at), NO_FILE],
    ['a symbolic link to nowhere', (at) => symlinkSync(join(at, 'nowhere'), at), NO_FILE],
    ['a text', (at) => writeFileSync(at, 'precious\n'), NO_PID_FILE],
    ['a file of a terabyte', (at) => (writeFileSync(at, ''), truncateSync(at, 2 ** 40)), NO_PID_FILE],
  ];
  const isRoot = process.getuid?.() === 0;
  for (const [what, make, why] of OTHERS) {
    it(`is not made in place of ${what}, which stays`, { skip: what === 'a device' && !isRoot }, () => {
      make(path);
      const before = lstatSync(path);
      assert.equal(refusal(), why);
      const now = lstatSync(path);
      assert.deepEqual([now.ino, now.size, now.mtimeMs], [before.ino, before.size, before.mtimeMs]);
    });
  }

  it('that a crash has left empty or full of zeros is taken over', () => {
    for (const content of ['', '\0'.repeat(6), ' 12 \n']) {
      writeFileSync(path, content);
      take().remove();
    }
  });

  it('that cannot be written says why', () => {
    path = join(scratch.folder, 'a', 'b.pid');
    assert.equal(refusal(), 'not-writable: its folder does not exist (ENOENT)');
  });
});

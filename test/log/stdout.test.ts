import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import type { LossReport } from '../../src/log/losses.js';
import { FileLines, StreamLines } from '../../src/log/stdout.js';
import { packageFolder } from '../../src/version.js';

const LINE = 'x'.repeat(999);

/** A reader that takes nothing until it is told to. */
class Stalled extends Writable {
  taken = '';
  private go: (() => void) | undefined;
  private flowing = false;

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.taken += chunk.toString();
    if (this.flowing) done();
    else this.go = done;
  }

  flow(): void {
    this.flowing = true;
    this.go?.();
  }
}

function report(): LossReport & { readonly troubles: string[] } {
  const troubles: string[] = [];
  return {
    troubles,
    trouble: (message) => void troubles.push(message),
    line: (count, why) => `${count} lost: ${why}`,
  };
}

describe('lines for a reader', () => {
  it('are bounded when nobody reads, and it is said how many were lost', async () => {
    const stream = new Stalled();
    const told = report();
    const lines = new StreamLines(stream as unknown as NodeJS.WriteStream, 'a pipe', told);
    for (let i = 0; i < 5000; i++) lines.write('info', LINE);
    assert.ok(stream.writableLength <= (1 << 20) + 1000, `${stream.writableLength} bytes wait`);
    assert.ok(lines.lost > 3000);
    stream.flow();
    lines.write('info', 'the last one');
    await lines.close();
    const taken = stream.taken.split('\n').slice(0, -1);
    assert.equal(taken.filter((line) => line === LINE || line === 'the last one').length + lines.lost, 5001);
    assert.ok(taken.includes(`${lines.lost} lost: nobody reads them`));
    assert.deepEqual(told.troubles, [
      'log lines are lost: nobody reads them',
      `log lines can be written again: ${lines.lost} log lines were lost`,
    ]);
  });

  it('that he does not read to the end are counted at the end', async () => {
    const stream = new Stalled();
    const lines = new StreamLines(stream as unknown as NodeJS.WriteStream, 'a pipe', report());
    for (let i = 0; i < 7; i++) lines.write('info', LINE);
    await lines.close();
    assert.equal(lines.lost, 7);
  });
});

/** A program that writes lines to its standard output by the log that a daemon has. */
function program(...statements: readonly string[]): string[] {
  const log = join(packageFolder(), 'build', 'src', 'log', 'winston.js');
  const source = [
    `import { openLog } from '${log}';`,
    "const settings = { destination: 'stdout', format: 'text', level: 'info' };",
    'const log = openLog({ ...settings, trouble: (m) => process.stderr.write(`${m}\\n`) });',
    "const write = (message) => log.write('info', message, { event: 'x' });",
    ...statements,
    'await log.close();',
    'process.exit(0);',
  ];
  return ['--input-type=module', '-e', source.join('\n')];
}

describe('the log to standard output', () => {
  it('counts what a full disk does not take', { skip: !existsSync('/dev/full') }, () => {
    const full = openSync('/dev/full', 'w');
    const args = program('for (let i = 0; i < 12; i++) write(`line ${i}`);');
    const { stderr, status } = spawnSync(process.execPath, args, {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    assert.equal(
      stderr,
      'log lines are lost: ENOSPC: no space left on device, write\n12 log lines were lost since the start\n',
    );
    assert.equal(status, 0);
  });

  const canMount = process.platform === 'linux' && process.getuid?.() === 0;

  it(
    'says how many lines a disk has lost that was full, once it has room',
    { skip: !canMount && 'needs Linux and root' },
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'mxallowd-disk-'));
      try {
        const args = program(
          "import { rmSync, writeFileSync } from 'node:fs';",
          `const ballast = '${folder}/ballast';`,
          "write('before');",
          'try { writeFileSync(ballast, Buffer.alloc(1 << 20)); } catch {}',
          "for (let i = 0; i < 300; i++) write(`line ${i} ${'x'.repeat(60)}`);",
          'rmSync(ballast);',
          "write('after');",
        );
        // a file system of 64 kB that ends with its namespace; what was written to it comes by the pipe
        const script = `mount -t tmpfs -o size=64k none '${folder}' && "$@" > '${folder}/log'; cat '${folder}/log'`;
        const { stdout, stderr } = spawnSync(
          'unshare',
          ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', process.execPath, ...args],
          { encoding: 'utf8' },
        );
        const lines = stdout.split('\n').slice(0, -1);
        const whole = lines.filter((line) => / info: (before|after|line \d+ x{60})$/.test(line));
        const [, lost = ''] = / warn: (\d+) log lines were lost: ENOSPC/.exec(stdout) ?? [];
        assert.equal(whole.length + Number(lost), 302, stderr);
        assert.ok(Number(lost) > 200, lost);
        assert.match(lines.at(-2) ?? '', / info: after$/);
        assert.match(lines.at(-1) ?? '', / log lines were lost/);
        assert.match(stderr, new RegExp(`log lines can be written again: ${lost} log lines were lost`));
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it('counts what is written after its reader has gone', async () => {
    const args = program(
      "write('read');",
      "await new Promise((resolve) => process.stdin.once('data', resolve));",
      "for (let i = 0; i < 5; i++) write('unread');",
    );
    const child = spawn(process.execPath, args, { stdio: 'pipe' });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdout.destroy();
    child.stdin.end('go');
    await new Promise((resolve) => child.once('close', resolve));
    assert.match(said, /^log lines are lost: write EPIPE\n/);
    assert.match(said, /5 log lines were lost since the start\n$/);
  });

  it('has each line when it is closed at once', () => {
    const { stdout } = spawnSync(
      process.execPath,
      program('for (let i = 0; i < 3; i++) write(`line ${i}`);'),
      {
        encoding: 'utf8',
      },
    );
    assert.match(stdout, /^\S+Z info: line 0\n\S+Z info: line 1\n\S+Z info: line 2\n$/);
  });
});

describe('lines for a file', () => {
  it('go there one by one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mxallowd-file-'));
    const path = join(folder, 'log');
    const fd = openSync(path, 'w');
    const lines = new FileLines(fd, 'a file', report());
    lines.write('info', 'one');
    lines.write('info', 'two');
    closeSync(fd);
    assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
    assert.equal(lines.lost, 0);
    rmSync(folder, { recursive: true });
  });
});

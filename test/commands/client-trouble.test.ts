import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ListedEntry } from '../../src/control/protocol.js';
import { CLI, linesOf, runCli, runProgram, Scratch } from '../support/cli.js';
import { answer, ENTRIES, listAnswer } from '../support/control-reports.js';
import { ControlServer, replyLine } from '../support/control-server.js';

const scratch = new Scratch();
after(() => scratch.remove());

describe('a daemon that does not answer as it should', () => {
  it('does not run: status 69', async () => {
    const path = scratch.path('missing.sock');
    for (const command of [
      ['status'],
      ['list'],
      ['stats'],
      ['allow', '192.0.2.1'],
      ['watch'],
      ['watch', '--json'],
    ]) {
      assert.deepEqual(await runCli([...command, '--control-socket', path]), {
        status: 69,
        stdout: '',
        stderr: `mxallowd: mxallowd does not run, or has another control-socket (${path}: there is no such file)\n`,
      });
    }
  });

  it('does not run: why says so and goes on, or not', async () => {
    const path = scratch.path('missing.sock');
    const args = ['-c', scratch.file('empty.conf', ''), '-f', '192.0.2.3', '-r', '192.0.2.4', '192.0.2.4'];
    const going = await runCli(['why', '--control-socket', path, ...args]);
    assert.match(
      going.stdout,
      /^address: {18}192\.0\.2\.4\ndaemon: {19}mxallowd does not run, or has another control-socket\n/,
    );
    assert.match(going.stdout, /\nis: {23}our real MX\n$/);
    assert.deepEqual([going.status, going.stderr], [0, '']);
    assert.equal((await runCli(['why', '--no-dns', '--control-socket', path, ...args])).status, 69);
    const json = await runCli(['why', '--json', '--control-socket', path, ...args]);
    assert.deepEqual(JSON.parse(json.stdout), {
      address: '192.0.2.4',
      daemonProblem: `mxallowd does not run, or has another control-socket (${path}: there is no such file)`,
      dns: [{ step: 'role', role: 'our real MX' }],
    });
  });

  it('must not be asked by everybody: status 77', { skip: notRoot() }, async (t) => {
    const path = scratch.path('root.sock');
    const server = await ControlServer.start(path, { reload: answer({ messages: [] }) });
    t.after(() => server.stop());
    chmodSync(scratch.folder, 0o755);
    chmodSync(path, 0o660);
    const command = [CLI, 'reload', '--control-socket', path];
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, ...command];
    const refused = await runProgram('setpriv', asNobody);
    assert.deepEqual(refused, {
      status: 77,
      stdout: '',
      stderr: `mxallowd: only root and members of the control-group may ask mxallowd (${path}: permission denied)\n`,
    });
    // a member of the group may
    chownSync(path, 0, 65_534);
    const member = await runProgram('setpriv', asNobody);
    assert.deepEqual(member, { status: 0, stdout: '', stderr: '' });
  });

  it('ends in mid answer: what has come is printed, status 69', async (t) => {
    const path = scratch.path('dies.sock');
    const list = (connection: Socket): void => {
      const text = listAnswer(ENTRIES).map(replyLine).join('');
      connection.end(text.slice(0, text.length - 60));
    };
    const server = await ControlServer.start(path, { list });
    t.after(() => server.stop());
    const json = await runCli(['list', '--json', '--control-socket', path]);
    assert.deepEqual([json.status, linesOf(json.stdout).length], [69, 5]);
    assert.equal(json.stderr, 'mxallowd: mxallowd has closed the connection in mid answer: did it end?\n');
    // half a table is none
    const table = await runCli(['list', '--control-socket', path]);
    assert.deepEqual([table.status, table.stdout], [69, '']);
  });

  it('refuses: its words and its status', async (t) => {
    const path = scratch.path('refuses.sock');
    const refusal = {
      ok: false,
      exitStatus: 78,
      message: 'the configuration was not taken over:\nx:1: nonsense',
    } as const;
    const server = await ControlServer.start(path, { reload: [refusal] });
    t.after(() => server.stop());
    assert.deepEqual(await runCli(['reload', '--control-socket', path]), {
      status: 78,
      stdout: '',
      stderr: 'mxallowd: the configuration was not taken over:\nmxallowd: x:1: nonsense\n',
    });
  });
});

/** @returns why nobody else can be tried here, if so */
function notRoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  return process.platform === 'linux' ? undefined : 'setpriv is for Linux';
}

describe('a long list', { concurrency: false }, () => {
  const COUNT = 100_000;
  let server: ControlServer;
  const path = scratch.path('long.sock');
  before(async () => {
    const item = (id: number): ListedEntry => ({
      ...(ENTRIES[1] as ListedEntry),
      prefix: `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}`,
    });
    const items = Array.from({ length: COUNT }, (_, index) => item(COUNT - 1 - index));
    server = await ControlServer.start(path, { list: listAnswer(items) });
  });
  after(() => server.stop());

  it('is printed whole, in order', async () => {
    const { status, stdout } = await runCli(['list', '--control-socket', path]);
    const lines = linesOf(stdout);
    assert.deepEqual([status, lines.length, lines.at(-1)], [0, COUNT + 2, '100,000 entries']);
    assert.match(lines[1] ?? '', /^10\.0\.0\.0 /);
    assert.match(lines[COUNT] ?? '', /^10\.1\.134\.159 /);
  });

  it('streams as JSON', async () => {
    const { status, stdout } = await runCli(['list', '--json', '--control-socket', path]);
    assert.deepEqual([status, linesOf(stdout).length], [0, COUNT]);
  });

  it('ends well when its reader has seen enough', async () => {
    const child = spawn(process.execPath, [CLI, 'list', '--json', '--control-socket', path], {
      stdio: 'pipe',
    });
    child.stdout.once('data', () => child.stdout.destroy());
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [status] = (await once(child, 'close')) as [number | null];
    assert.deepEqual([status, stderr], [0, '']);
  });
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openLog } from '../../src/log/log.js';
import { until } from '../support/daemon.js';

describe('the log to syslog', () => {
  let folder: string;
  let received: string;
  let logger: string;
  const troubles: string[] = [];
  const open = (level: 'error' | 'info' | 'debug' = 'info', format: 'text' | 'json' = 'text') =>
    openLog({
      destination: 'syslog',
      format,
      level,
      loggerPath: logger,
      trouble: (message) => void troubles.push(message),
    });
  const said = (): string[] =>
    existsSync(received) ? readFileSync(received, 'utf8').split('\n').slice(0, -1) : [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mxallowd-log-'));
    received = join(folder, 'received');
    logger = join(folder, 'logger');
    troubles.length = 0;
    // as logger(1): a line of standard input is a message; this one notes its arguments before each
    writeFileSync(logger, `#!/bin/sh\nwhile read -r line; do echo "$* | $line" >> '${received}'; done\n`);
    chmodSync(logger, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('goes to logger, facility daemon, with the severity of each level', async () => {
    const log = open('debug');
    for (const level of ['error', 'warn', 'info', 'debug'] as const)
      log.write(level, `a ${level}`, { event: 'x' });
    await log.close();
    assert.deepEqual(said().sort(), [
      '-t mxallowd -p daemon.debug | a debug',
      '-t mxallowd -p daemon.err | a error',
      '-t mxallowd -p daemon.info | a info',
      '-t mxallowd -p daemon.warning | a warn',
    ]);
  });

  it('leaves out what is below its level, also after the level has changed', async () => {
    const log = open('error');
    log.write('info', 'no', { event: 'x' });
    assert.equal(log.isEnabled('info'), false);
    log.setLevel('info');
    assert.equal(log.isEnabled('info'), true);
    log.write('info', 'yes', { event: 'x' });
    await log.close();
    assert.deepEqual(said(), ['-t mxallowd -p daemon.info | yes']);
  });

  it('writes fields as JSON when asked to', async () => {
    const log = open('info', 'json');
    log.write('info', 'hello', { event: 'attempt', source: '192.0.2.1' });
    await log.close();
    const [line = ''] = said();
    assert.deepEqual(JSON.parse(line.slice(line.indexOf('{'))), {
      level: 'info',
      message: 'hello',
      event: 'attempt',
      source: '192.0.2.1',
    });
  });

  it('starts a logger again that has died, and goes on', async () => {
    writeFileSync(
      logger,
      `#!/bin/sh\nread -r line; echo "$line" >> '${received}'; echo broken >&2; exit 3\n`,
    );
    const log = open();
    log.write('info', 'first', { event: 'x' });
    await until('it has died', () => troubles.length > 0);
    assert.match(troubles[0] ?? '', /logger ended \(status 3\): broken; starting it again in 200 ms/);
    log.write('info', 'second', { event: 'x' });
    await until('the second one is there', () => said().length === 2);
    assert.deepEqual(said(), ['first', 'second']);
    await log.close();
  });

  it('says so when there is no logger, and does not stop the program', async () => {
    logger = join(folder, 'nothing');
    const log = open();
    log.write('info', 'lost', { event: 'x' });
    await until('it is told', () => troubles.length > 0);
    assert.match(troubles[0] ?? '', /nothing cannot be started/);
    await log.close();
  });

  it('drops the newest lines and counts them when logger does not read', async () => {
    const go = join(folder, 'go');
    const loop = `while read -r line; do echo "$line" >> '${received}'; done`;
    writeFileSync(logger, `#!/bin/sh\nwhile [ ! -e '${go}' ]; do sleep 0.02; done\n${loop}\n`);
    const log = open();
    const long = 'x'.repeat(200);
    // a pipe takes 64 KiB, the queue 1,000 lines
    for (let line = 0; line < 3000; line++) log.write('info', `${line} ${long}`, { event: 'x' });
    writeFileSync(go, '');
    await until('the count is there', () => said().some((line) => line.includes('log lines were dropped')));
    const lines = said();
    const dropped = Number(
      /^(\d+) log lines/.exec(lines.find((line) => line.includes('dropped')) ?? '')?.[1],
    );
    assert.ok(dropped > 1000 && dropped < 2000, String(dropped));
    assert.match(lines[999] ?? '', /^999 /);
    await log.close();
  });

  it('arrives at a real syslog socket through the real logger', async (context) => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0 || existsSync('/dev/log')) {
      context.skip('needs Linux, root, and no syslogd on /dev/log');
      return;
    }
    const receiver = listen('/dev/log', received);
    try {
      await until('the socket is there', () => existsSync('/dev/log'));
      const log = openLog({
        destination: 'syslog',
        format: 'text',
        level: 'info',
        trouble: (m) => troubles.push(m),
      });
      log.write('info', 'Statistics: 1', { event: 'x' });
      log.write('error', 'an error', { event: 'x' });
      await log.close();
      await until('both are there', () => said().length === 2);
      const lines = said().sort();
      // facility daemon is 3: 3 * 8 + 3 (err) and + 6 (info)
      assert.match(lines[0] ?? '', /^<27>.* mxallowd: an error$/);
      assert.match(lines[1] ?? '', /^<30>.* mxallowd: Statistics: 1$/);
      assert.deepEqual(troubles, []);
    } finally {
      receiver.kill('SIGKILL');
      rmSync('/dev/log', { force: true });
    }
  });
});

/** Node has no datagram sockets of this kind: Python receives, and writes each message as a line. */
function listen(path: string, file: string): ChildProcess {
  const program = [
    'import socket, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
    's.bind(sys.argv[1])',
    'while True:',
    '    m = s.recv(65536).rstrip(b"\\0\\n")',
    '    open(sys.argv[2], "ab").write(m + b"\\n")',
  ].join('\n');
  return spawn('python3', ['-c', program, path, file], { stdio: 'ignore' });
}

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Log } from '../../src/log/log.js';
import { LoggerChild } from '../../src/log/logger-child.js';
import { openPlainLog } from '../../src/log/plain.js';
import { openLog } from '../../src/log/winston.js';
import { until } from '../support/daemon.js';

/** The monitor's log has the same lines, and the same writer. */
const LOGS = { 'with winston': openLog, 'without winston': openPlainLog };

for (const [name, openIt] of Object.entries(LOGS))
  describe(`the log to syslog, ${name}`, () => {
    let folder: string;
    let received: string;
    let logger: string;
    const troubles: string[] = [];
    const open = (level: 'error' | 'info' | 'debug' = 'info', format: 'text' | 'json' = 'text'): Log =>
      openIt({
        destination: 'syslog',
        format,
        level,
        loggerPath: logger,
        trouble: (message) => void troubles.push(message),
      });
    const said = (): string[] =>
      existsSync(received) ? readFileSync(received, 'utf8').split('\n').slice(0, -1) : [];
    /** What logger is: a shell script. */
    const isLogger = (...lines: readonly string[]): void => {
      writeFileSync(logger, ['#!/bin/sh', ...lines, ''].join('\n'));
      chmodSync(logger, 0o755);
    };
    const LINE = 'read -r line && echo "$line"';

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'mxallowd-log-'));
      received = join(folder, 'received');
      logger = join(folder, 'logger');
      troubles.length = 0;
      // as logger(1): a line of standard input is a message; this one notes its arguments before each
      isLogger(`while read -r line; do echo "$* | $line" >> '${received}'; done`);
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
      assert.equal(log.lost, 0);
      assert.deepEqual(troubles, []);
    });

    it('leaves out what is below its level, also after the level has changed', async () => {
      const log = open('error');
      log.write('info', 'no', { event: 'x' });
      assert.equal(log.isEnabled('info'), false);
      log.setLevel('info');
      assert.equal(log.isEnabled('info'), true);
      assert.equal(log.isEnabled('debug'), false);
      log.write('info', 'yes', { event: 'x' });
      await log.close();
      assert.deepEqual(said(), ['-t mxallowd -p daemon.info | yes']);
    });

    it('writes fields as JSON when asked to', async () => {
      const log = open('info', 'json');
      log.write('info', 'hello', { event: 'attempt', source: '192.0.2.1' });
      await log.close();
      const [line = ''] = said();
      assert.equal(
        line.slice(line.indexOf('{')),
        '{"level":"info","message":"hello","event":"attempt","source":"192.0.2.1"}',
      );
    });

    it('starts a logger again that has died, and goes on', async () => {
      isLogger(`${LINE} >> '${received}'; echo broken >&2; exit 3`);
      const log = open();
      log.write('info', 'first', { event: 'x' });
      await until('it has died', () => troubles.length > 0);
      assert.match(troubles[0] ?? '', /logger ended \(status 3\): broken; starting it again in 200 ms/);
      log.write('info', 'second', { event: 'x' });
      await until('the second one is there', () => said().length === 2);
      assert.deepEqual(said(), ['first', 'second']);
      await log.close();
    });

    it('says so when there is no logger, counts what is lost, and does not stop the program', async () => {
      logger = join(folder, 'nothing');
      const log = open();
      log.write('info', 'lost', { event: 'x' });
      await until('it is told', () => troubles.length > 0);
      assert.match(troubles[0] ?? '', /nothing cannot be started: .*not found/);
      await log.close();
      assert.equal(log.lost, 1);
      assert.equal(troubles.at(-1), '1 log line was lost since the start');
    });

    it('gives the next logger what one that died after ten lines had not read', async () => {
      isLogger(`for n in 1 2 3 4 5 6 7 8 9 10; do ${LINE} >> '${received}' || exit 0; done; kill -9 $$`);
      const log = open();
      const lines = Array.from({ length: 25 }, (_, index) => `line ${index}`);
      for (const line of lines) log.write('info', line, { event: 'x' });
      await until('all are there', () => said().length >= 25);
      await log.close();
      assert.deepEqual(said(), lines);
      assert.match(
        troubles[0] ?? '',
        /ended \(SIGKILL\).*; 15 lines that it had not read are written again; starting it again in 200 ms/,
      );
      assert.equal(log.lost, 0);
    });

    it('counts each line that a logger which dies after ten lines has not written', async () => {
      isLogger(`for n in 1 2 3 4 5 6 7 8 9 10; do ${LINE} >> '${received}' || exit 0; done; exit 1`);
      const log = open();
      const long = 'x'.repeat(100);
      for (let line = 0; line < 1200; line++) log.write('info', `line ${line} ${long}`, { event: 'x' });
      await until('it has died twice', () => troubles.filter((text) => text.includes('ended')).length >= 2);
      await log.close();
      const written = said().filter((line) => line.startsWith('line '));
      // the last logger is ended with a line in its hand, perhaps: that nobody can know
      assert.ok([1199, 1200].includes(written.length + log.lost), `${written.length} and ${log.lost}`);
      assert.equal(new Set(written).size, written.length);
      assert.ok(troubles.includes(`${log.lost} log lines were lost since the start`), troubles.join('\n'));
    });

    it('says in the log itself what was lost, once logger reads again', async () => {
      const go = join(folder, 'go');
      isLogger(
        `while [ ! -e '${go}' ]; do sleep 0.02; done`,
        `while read -r line; do echo "$4 $line" >> '${received}'; done`,
      );
      const log = open('info', 'json');
      const long = 'x'.repeat(200);
      // a pipe takes some, the queue 1,000 lines
      for (let line = 0; line < 3000; line++) log.write('info', `${line} ${long}`, { event: 'x' });
      assert.ok(log.lost > 1000 && log.lost < 2000, String(log.lost));
      writeFileSync(go, '');
      await until('the count is there', () => said().some((line) => line.includes('lines-lost')));
      await log.close();
      const written = said().filter((line) => line.startsWith('daemon.info '));
      assert.equal(written.length + log.lost, 3000);
      assert.match(written.at(-1) ?? '', new RegExp(`"${written.length - 1} x`));
      const told = said().filter((line) => line.startsWith('daemon.warning '));
      const message = `${log.lost} log lines were lost: syslog did not take them`;
      assert.deepEqual(told, [
        `daemon.warning {"level":"warn","message":"${message}","event":"lines-lost","count":${log.lost}}`,
      ]);
      assert.deepEqual(troubles, [
        'log lines are lost: syslog did not take them',
        `log lines can be written again: ${log.lost} log lines were lost`,
        `${log.lost} log lines were lost since the start`,
      ]);
    });

    it('knows what became of a line whose logger is ended while it starts', async () => {
      const life = LoggerChild.start(logger, ['-t', 'mxallowd', '-p', 'daemon.info'], () => undefined);
      assert.ok(typeof life !== 'string');
      const item = { text: 'a line\n', lost: () => undefined };
      life.finish([item]);
      life.kill();
      const { unread, isUnknown } = await life.ended;
      // whoever was quicker; one that has read it and is killed before it writes leaves no trace
      assert.ok(unread.length + said().length <= 1);
      assert.equal(isUnknown, false);
    });

    it('ends a logger at the end that does not read, and counts what it has not read', async () => {
      const pid = join(folder, 'pid');
      isLogger(`echo $$ > '${pid}'; ${LINE} >> '${received}'; exec sleep 1000`);
      const log = open();
      for (let line = 0; line < 20; line++) log.write('info', `line ${line}`, { event: 'x' });
      await until('the first one is there', () => said().length === 1);
      await log.close();
      assert.equal(said()[0], 'line 0');
      assert.equal(log.lost, 19);
      assert.throws(() => process.kill(Number(readFileSync(pid, 'utf8')), 0), { code: 'ESRCH' });
    });
  });

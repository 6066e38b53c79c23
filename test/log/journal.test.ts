import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { packageFolder } from '../../src/version.js';

const JOURNALD = '/usr/lib/systemd/systemd-journald';
const canRun = process.platform === 'linux' && process.getuid?.() === 0 && existsSync(JOURNALD);
const DEADLINE_MS = 120_000;

/**
 * A journal of its own, in namespaces that end with the script. systemd-cat connects standard output and error to it, as
 * systemd does; what systemd says in JOURNAL_STREAM not every systemd-cat does, so a shell does it. /dev/log is the
 * journal's, too.
 */
const STAGE = `
mount -t tmpfs none /run
mkdir -p /run/systemd/journald.conf.d
printf '[Journal]\\nReadKMsg=no\\nAudit=no\\nRateLimitBurst=0\\n' > /run/systemd/journald.conf.d/test.conf
${JOURNALD} 2>/dev/null &
until [ -S /run/systemd/journal/stdout ]; do sleep 0.05; done
mkdir /run/dev && mount -t tmpfs none /run/dev
for device in null random urandom; do
  touch /run/dev/$device && mount --bind /dev/$device /run/dev/$device
done
ln -s /run/systemd/journal/dev-log /run/dev/log
mount --rbind /run/dev /dev
systemd-cat -t told sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"' sh "$@"
journalctl --sync 2>/dev/null
journalctl -q -D /run/log/journal -t told -t mxallowd -o json
`;
/** Of everything that the program could take from the machine: a queue, for instance. */
const NAMESPACES = ['mount', 'net', 'pid'].map((name) => `--${name}`);

interface Told {
  readonly PRIORITY: string;
  readonly MESSAGE: string;
  readonly SYSLOG_FACILITY?: string;
  readonly SYSLOG_IDENTIFIER: string;
}

describe('the log under systemd', { skip: !canRun && 'needs root and systemd-journald' }, () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'mxallowd-journal-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs a program whose output goes to a journal, and returns what is in that. */
  const told = (...command: readonly string[]): Told[] => {
    const how = [...NAMESPACES, '--propagation', 'private', '--fork', '--kill-child', '--mount-proc'];
    const output = execFileSync('unshare', [...how, 'sh', '-c', STAGE, 'sh', ...command], {
      encoding: 'utf8',
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    });
    const lines = output.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Told);
  };
  const journal = (...command: readonly string[]): [priority: string, message: string][] =>
    told(...command).map(({ PRIORITY, MESSAGE }) => [PRIORITY, MESSAGE]);
  const program = (format: 'text' | 'json'): string[] => {
    const log = join(packageFolder(), 'build', 'src', 'log');
    const source = `
      const { openLog } = await import('${log}/winston.js');
      const { logSettings } = await import('${log}/settings.js');
      const log = openLog(logSettings({ stdout: true, quiet: false, logLevel: 'debug', logFormat: '${format}' }));
      for (const level of ['error', 'warn', 'info', 'debug']) log.write(level, 'it is ' + level, { event: 'x' });
      await log.close();
      process.exit(0);`;
    return [process.execPath, '--input-type=module', '-e', source];
  };

  it('carries its severity and no time of its own', () => {
    assert.deepEqual(journal(...program('text')), [
      ['3', 'it is error'],
      ['4', 'it is warn'],
      ['6', 'it is info'],
      ['7', 'it is debug'],
    ]);
    const [first] = journal(...program('json'));
    assert.deepEqual(first, ['3', '{"level":"error","message":"it is error","event":"x"}']);
  });

  it('is as it is on any pipe when the journal is not what reads it', () => {
    const lines = journal('sh', '-c', '"$@" | sed s/^/piped:/', 'sh', ...program('text'));
    assert.deepEqual(
      lines.map(([priority]) => priority),
      ['6', '6', '6', '6'],
    );
    assert.match(lines[0]?.[1] ?? '', /^piped:\d{4}-\d\d-\d\dT\S+Z error: it is error$/);
  });

  for (const [file, open] of [
    ['winston', 'openLog'],
    ['plain', 'openPlainLog'],
  ]) {
    it(`comes by the real logger to the real /dev/log (${file})`, () => {
      const source = `
        const { ${open} } = await import('${join(packageFolder(), 'build', 'src', 'log')}/${file}.js');
        const settings = { destination: 'syslog', format: 'text', level: 'info' };
        const log = ${open}({ ...settings, trouble: (message) => console.error(message) });
        log.write('info', 'Statistics: 1', { event: 'x' });
        log.write('error', 'an error', { event: 'x' });
        await log.close();
        process.exit(0);`;
      const lines = told(process.execPath, '--input-type=module', '-e', source);
      const words = lines.map(({ PRIORITY, MESSAGE, SYSLOG_FACILITY, SYSLOG_IDENTIFIER }) =>
        [PRIORITY, SYSLOG_FACILITY, SYSLOG_IDENTIFIER, MESSAGE].join(' '),
      );
      // facility 3 is daemon
      assert.deepEqual(words.sort(), ['3 3 mxallowd an error', '6 3 mxallowd Statistics: 1']);
    });
  }

  it('has each start error once, and as an error', () => {
    const cli = join(packageFolder(), 'build', 'src', 'cli.js');
    const config = join(folder, 'mxallowd.conf');
    const daemon = [process.execPath, cli, '-F', '-s', '-c', config];
    const lines = [
      'fake-mailserver 192.0.2.3',
      'real-mailserver 192.0.2.4',
      'user root',
      'state-file none',
      'control-socket none',
      `pid-file ${folder}/nowhere/pid`,
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const errors = journal(...daemon).filter(([priority]) => Number(priority) <= 3);
    assert.equal(errors.length, 1, JSON.stringify(errors));
    assert.match(errors[0]?.[1] ?? '', /nowhere\/pid/);

    writeFileSync(config, 'fake-mailservr 192.0.2.3\n');
    const [wrong] = journal(...daemon);
    assert.deepEqual(wrong?.[0], '3');
    assert.match(wrong?.[1] ?? '', /^mxallowd: .*:1: Unknown configfile option: fake-mailservr/);
  });
});

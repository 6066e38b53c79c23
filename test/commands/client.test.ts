import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ListedEntry } from '../../src/control/protocol.js';
import { CLI, type CliResult, linesOf, runCli, runProgram, Scratch } from '../support/cli.js';
import {
  answer,
  ENTRIES,
  FINDINGS,
  listAnswer,
  NEXT_TICK,
  REFUSED,
  REFUSED_RESULT,
  STATISTICS,
  STATUS,
  TICK,
  WHY,
} from '../support/control-reports.js';
import { ControlServer, replyLine } from '../support/control-server.js';
import { TerminalWindow, tmuxUnavailable } from '../support/tmux.js';

// for the programs that are started here
process.env['TZ'] = 'UTC';
delete process.env['COLUMNS'];

const scratch = new Scratch();
after(() => scratch.remove());

// with a file named, no test depends on an /etc/mxallowd.conf
const SOCKET = scratch.path('control.sock');
const CONFIG = scratch.file('mxallowd.conf', `control-socket ${SOCKET}\n`);
const AT = ['-c', CONFIG];

function run(...args: readonly string[]): Promise<CliResult> {
  const [command = '', ...rest] = args;
  return runCli([command, ...AT, ...rest]);
}

describe('a command that asks the daemon', () => {
  let server: ControlServer;
  /** what the daemon says to the next ones that forget */
  const forgetAnswers: { prefix?: string; count: number; still?: string }[] = [];
  before(async () => {
    server = await ControlServer.start(SOCKET, {
      status: answer(STATUS),
      list: listAnswer(ENTRIES),
      stats: answer(STATISTICS),
      allow: answer({ prefix: '198.51.100.7', expiresInMs: 86_400_000, wasThere: false }),
      forget: (connection) => {
        const said = forgetAnswers.shift() ?? { prefix: '198.51.100.7', count: 1 };
        connection.write(replyLine({ ok: true, result: said }));
      },
      reload: answer({ messages: ['the configuration was read again', 'the table is compared'] }),
      why: answer(WHY),
      refused: [...REFUSED.map((item) => ({ item })), { ok: true, result: REFUSED_RESULT }],
      watch: [{ item: TICK }, { item: NEXT_TICK }, { ok: true, result: {} }],
    });
  });
  after(() => server.stop());
  const asked = (): unknown => server.questions.at(-1);

  it('prints for people: status', async () => {
    const { status, stdout, stderr } = await run('status');
    assert.deepEqual([status, stderr, linesOf(stdout).length], [0, '', 13]);
    assert.match(stdout, /^health: {7}ok\nversion: {6}mxallowd 2\.0\.0, /);
  });

  it('prints for people: list, sorted and selected', async () => {
    const { status, stdout } = await run(
      'list',
      '--origin',
      'attempt,pool',
      '--sort=used',
      '--used',
      '0.0.0.0/0',
    );
    assert.deepEqual(linesOf(stdout), [
      'PREFIX          ORIGIN     AGE    LEFT  TRIES  USED   LAST  NAME',
      '198.51.100.25   attempt    18m     42m      2     3  1m30s  out1.example.com',
      '198.51.100.130  pool     3m20s  56m40s      0     1  1m30s  mail-ed1-f130.poo...',
      '2 of 6 entries',
    ]);
    assert.equal(status, 0);
  });

  it('says when nothing is what was asked for', async () => {
    assert.deepEqual(await run('list', '--name', 'nobody'), {
      status: 0,
      stdout: 'no entry matches (of 6)\n',
      stderr: '',
    });
    assert.deepEqual(await run('list', '--name', 'nobody', '--json'), { status: 0, stdout: '', stderr: '' });
  });

  it('takes the width that COLUMNS says', async () => {
    const { stdout } = await runProgram('env', ['COLUMNS=120', process.execPath, CLI, 'list', ...AT]);
    assert.match(stdout, /mail-ed1-f130\.pool\.example\.net\n/);
  });

  it('prints for people, and for programs an object a line: refused', async () => {
    const { status, stdout } = await run('refused', '--since', '1d');
    assert.deepEqual(asked(), { command: 'refused', sinceSeconds: 86_400 });
    assert.deepEqual(linesOf(stdout).slice(0, 4), [
      'ADDRESS       TIMES  FIRST  LAST  IN   SPF   NAME',
      '203.0.113.9     412  2d03h    3s  no   pass  mx.lost-example.org',
      '198.51.100.7      2     1h   59m  yes',
      '2 senders, 1 of them not in since',
    ]);
    assert.equal(status, 0);
    const json = await run('refused', '--json', '--lost');
    assert.deepEqual(asked(), { command: 'refused' });
    assert.deepEqual(
      linesOf(json.stdout).map((line) => JSON.parse(line) as unknown),
      [REFUSED[0], REFUSED_RESULT.domains[0]].map((one) => JSON.parse(JSON.stringify(one)) as unknown),
    );
    const suggested = await run('refused', '--suggest');
    assert.match(suggested.stdout, /^#allow 203\.0\.113\.9$/m);
    const wrong = await run('refused', '--suggest', '--json');
    assert.match(wrong.stderr, /^mxallowd: --suggest: prints lines for a configuration file, not JSON$/m);
    assert.equal(wrong.status, 64);
    assert.equal((await run('refused', '--since', 'yesterday')).status, 64);
  });

  it('prints for people: stats', async () => {
    const { status, stdout } = await run('stats');
    assert.match(stdout, /^ {2}refusals at a real MX {13}41,003$/m);
    assert.equal(status, 0);
  });

  it('prints for people, and carries what it was given: allow', async () => {
    const result = await run('allow', '198.51.100.7', '--for', '1d');
    assert.deepEqual(result, { status: 0, stdout: '198.51.100.7 is whitelisted for 1d\n', stderr: '' });
    assert.deepEqual(asked(), { command: 'allow', address: '198.51.100.7', forSeconds: 86_400 });
    await run('allow', '2001:DB8:0:0::/64');
    assert.deepEqual(asked(), { command: 'allow', address: '2001:db8::/64' });
    await run('allow', '--for=90', '198.51.100.7/32');
    assert.deepEqual(asked(), { command: 'allow', address: '198.51.100.7', forSeconds: 90 });
  });

  it('prints for people, and carries what it was given: forget', async () => {
    const { status, stdout } = await run('forget', '198.51.100.7');
    assert.equal(stdout, '198.51.100.7 is not whitelisted any more; its next attempt makes a new entry\n');
    assert.equal(status, 0);
    assert.deepEqual(asked(), { command: 'forget', address: '198.51.100.7' });
    const still = 'it is let in at all times, by the configuration (allow)';
    for (const [said, ...expected] of [
      [{ prefix: '198.51.100.0/24', count: 1234 }, '1,234 entries of 198.51.100.0/24 forgotten'],
      [{ prefix: '2001:db8::1', count: 2, still }, '2 entries of 2001:db8::1 forgotten', `but ${still}`],
      [{ prefix: '198.51.100.7', count: 1, still }, `198.51.100.7 is forgotten, but ${still}`],
    ] as const) {
      forgetAnswers.push(said);
      assert.deepEqual(linesOf((await run('forget', '198.51.100.0/24')).stdout), expected);
    }
  });

  it('forgets everybody only when it is told twice', async () => {
    const before = server.questions.length;
    assert.deepEqual(await run('forget', '--all'), {
      status: 64,
      stdout: '',
      stderr: 'mxallowd: nothing has been changed: without a terminal to ask on this needs --yes\n',
    });
    for (const args of [
      ['--all', '--yes', '198.51.100.7'],
      ['--yes', '198.51.100.7'],
      ['--all', '192.0.2.0/24'],
    ]) {
      assert.equal((await run('forget', ...args)).status, 64, args.join(' '));
    }
    assert.equal(server.questions.length, before, 'the daemon was asked');
    forgetAnswers.push({ count: 17 }, { count: 0 });
    assert.equal((await run('forget', '--all', '--yes')).stdout, 'all forgotten: 17 entries\n');
    assert.deepEqual(asked(), { command: 'forget', all: true });
    assert.equal((await run('forget', '--all', '--yes')).stdout, 'nobody was whitelisted\n');
  });

  it('asks whoever sits at a terminal before it forgets everybody', { skip: tmuxUnavailable() }, async () => {
    const window = await TerminalWindow.open(80, 24);
    try {
      const before = server.questions.length;
      window.enter(`${process.execPath} ${CLI} forget -c ${CONFIG} --all`);
      await window.shows('Forget everybody who is whitelisted? [y/N]');
      window.enter('n');
      await window.shows('mxallowd: nothing has been changed');
      assert.equal(server.questions.length, before, 'the daemon was asked');
      forgetAnswers.push({ count: 17 });
      window.enter(`clear; ${process.execPath} ${CLI} forget -c ${CONFIG} --all`);
      await window.shows('Forget everybody who is whitelisted? [y/N]');
      window.enter('y');
      await window.shows('all forgotten: 17 entries');
    } finally {
      window.close();
    }
  });

  it('prints for people: reload', async () => {
    const expected = 'the configuration was read again\nthe table is compared\n';
    assert.deepEqual(await run('reload'), { status: 0, stdout: expected, stderr: '' });
  });

  it('prints for people: why, without DNS', async () => {
    const { status, stdout, stderr } = await run('why', '198.51.100.130', '--no-dns');
    assert.deepEqual(linesOf(stdout), [
      'address:                  198.51.100.130',
      'now:                      whitelisted: reaches the real MX for another 56m40s',
      'entry:                    198.51.100.130, by pool: 3m20s old, 56m40s left',
      '                          never tried the fake MX',
      '                          reached the real MX 1 time, the last 1m30s ago',
      'its name:                 mail-ed1-f130.pool.example.net',
      'came in with:             198.51.100.25',
      'refused:                  2 times, the first 3m20s ago, the last 3m19s ago',
      'pool:                     belongs to example.net, which has tried the fake MX',
      'events:                   2026-11-26 14:02:23 refusal: has not tried the fake MX',
      '                          2026-11-26 14:02:23 pooled: belongs to example.net,',
      '                          which has tried the fake MX',
      '                          2026-11-26 14:02:24 admission: reached the real MX',
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(asked(), { command: 'why', address: '198.51.100.130' });
  });

  it('goes on with what the configuration says: why', async () => {
    const args = ['-f', '192.0.2.3', '-r', '192.0.2.4', '-b', '--no-pool', '198.51.100.130'];
    const { status, stdout, stderr } = await run('why', ...args);
    assert.deepEqual(linesOf(stdout).slice(-4), [
      '',
      'if it tries the fake MX:  198.51.100.130 is let in for 1h, then for 8d from each',
      '                          time it reaches the real MX',
      'names:                    are not looked up (no-rdns-whitelist, no-pool)',
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    const json = await run('why', ...args, '--json');
    assert.deepEqual(JSON.parse(json.stdout), {
      address: '198.51.100.130',
      daemon: JSON.parse(JSON.stringify(WHY)) as unknown,
      dns: [
        { step: 'attempt', prefix: '198.51.100.130', seconds: 3600, knownSeconds: 691_200 },
        { step: 'no-look-up', reason: 'no-rdns-whitelist, no-pool' },
      ],
    });
  });

  it('does without a configuration when the daemon has answered: why', async () => {
    const { status, stdout, stderr } = await run('why', '198.51.100.130');
    assert.equal(linesOf(stdout).length, 13);
    assert.equal(linesOf(stderr).at(-1), 'mxallowd: so DNS is not asked');
    assert.equal(status, 0);
  });

  it('prints for programs: one object', async () => {
    for (const [args, expected] of [
      [['status'], STATUS],
      [['stats'], STATISTICS],
      [['allow', '198.51.100.7'], { prefix: '198.51.100.7', expiresInMs: 86_400_000, wasThere: false }],
      [['forget', '198.51.100.7'], { prefix: '198.51.100.7', count: 1 }],
      [['reload'], { messages: ['the configuration was read again', 'the table is compared'] }],
    ] as const) {
      const { status, stdout } = await run(...args, '--json');
      assert.equal(linesOf(stdout).length, 1);
      assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(expected)));
      assert.equal(status, 0);
    }
  });

  it('prints for programs: an object for each entry, as they come or sorted', async () => {
    const prefixes = (stdout: string): string[] =>
      linesOf(stdout).map((line) => (JSON.parse(line) as ListedEntry).prefix);
    const given = ENTRIES.map(({ prefix }) => prefix);
    assert.deepEqual(prefixes((await run('list', '--json')).stdout), given);
    const sorted = await run('list', '--json', '--sort=age', '--unused');
    assert.deepEqual(prefixes(sorted.stdout), ['203.0.113.77', '2001:db8:1400:4864:20:fe00:42d:1b']);
  });

  it('prints a line for each tick where there is no terminal, and says that the daemon has ended', async () => {
    const result = await run('watch');
    assert.deepEqual(result, {
      status: 69,
      stdout: [
        '    TIME ATTEMPTS/s REFUSALS/s ADMISSIONS/s  OTHERS/s   ENTRIES   PENDING HEALTH\n',
        '14:03:27          -          -            -         -       139         0 ok\n',
        '14:03:28        2.0        5.0          1.0       4.0       140         0 ok\n',
      ].join(''),
      stderr: 'mxallowd: mxallowd has ended\n',
    });
  });

  it('prints ticks for programs', async () => {
    const { status, stdout } = await run('watch', '--json');
    const ticks = linesOf(stdout).map((line) => JSON.parse(line) as unknown);
    assert.deepEqual(ticks, JSON.parse(JSON.stringify([TICK, NEXT_TICK])));
    assert.equal(status, 69);
  });
});

describe('the exit status of mxallowd status', () => {
  const cases: readonly (readonly [string, readonly string[], number])[] = [
    ['is 0 when all is well', [], 0],
    ['is 0 with notes', ['note'], 0],
    ['is 1 with a warning', ['note', 'warning'], 1],
    ['is 2 with an error', ['warning', 'error', 'note'], 2],
  ];
  for (const [what, severities, expected] of cases) {
    it(what, async (t) => {
      const findings = FINDINGS.filter(({ severity }) => severities.includes(severity));
      const path = scratch.path(`status-${expected}-${severities.length}.sock`);
      const server = await ControlServer.start(path, { status: answer({ ...STATUS, findings }) });
      t.after(() => server.stop());
      for (const more of [[], ['--json']]) {
        assert.equal((await runCli(['status', '--control-socket', path, ...more])).status, expected);
      }
    });
  }
});

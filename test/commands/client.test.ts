import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ListedEntry } from '../../src/control/protocol.js';
import { CLI, type CliResult, linesOf, runCli, runProgram, Scratch } from '../support/cli.js';
import {
  answer,
  ENTRIES,
  FINDINGS,
  listAnswer,
  NEXT_TICK,
  STATISTICS,
  STATUS,
  TICK,
  WHY,
} from '../support/control-reports.js';
import { ControlServer, replyLine } from '../support/control-server.js';

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
  before(async () => {
    server = await ControlServer.start(SOCKET, {
      status: answer(STATUS),
      list: listAnswer(ENTRIES),
      stats: answer(STATISTICS),
      allow: answer({ prefix: '198.51.100.7', expiresInMs: 86_400_000, wasThere: false }),
      forget: answer({ prefix: '198.51.100.7' }),
      reload: answer({ messages: ['the configuration was read again', 'the table is compared'] }),
      why: answer(WHY),
      watch: [{ item: TICK }, { item: NEXT_TICK }, { ok: true, result: {} }],
    });
  });
  after(() => server.stop());
  const asked = (): unknown => server.questions.at(-1);

  it('prints for people: status', async () => {
    const { status, stdout, stderr } = await run('status');
    assert.deepEqual([status, stderr, linesOf(stdout).length], [0, '', 11]);
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
      'PREFIX          ORIGIN     AGE    LEFT  TRIES  USED  NAME',
      '198.51.100.25   attempt    18m     42m      2     3  out1.example.com',
      '198.51.100.130  pool     3m20s  56m40s      0     1  mail-ed1-f130.pool.examp...',
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
      '                          never tried the fake MX; used 1 time',
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
    assert.deepEqual(linesOf(stdout).slice(-3), [
      '',
      'if it tries the fake MX:  198.51.100.130 is admitted for 3600 s',
      'names:                    are not looked up (no-rdns-whitelist, no-pool)',
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    const json = await run('why', ...args, '--json');
    assert.deepEqual(JSON.parse(json.stdout), {
      address: '198.51.100.130',
      daemon: JSON.parse(JSON.stringify(WHY)) as unknown,
      dns: [
        { step: 'attempt', prefix: '198.51.100.130', seconds: 3600 },
        { step: 'no-look-up', reason: 'no-rdns-whitelist, no-pool' },
      ],
    });
  });

  it('does without a configuration when the daemon has answered: why', async () => {
    const { status, stdout, stderr } = await run('why', '198.51.100.130');
    assert.equal(linesOf(stdout).length, 12);
    assert.equal(linesOf(stderr).at(-1), 'mxallowd: so DNS is not asked');
    assert.equal(status, 0);
  });

  it('prints for programs: one object', async () => {
    for (const [args, expected] of [
      [['status'], STATUS],
      [['stats'], STATISTICS],
      [['allow', '198.51.100.7'], { prefix: '198.51.100.7', expiresInMs: 86_400_000, wasThere: false }],
      [['forget', '198.51.100.7'], { prefix: '198.51.100.7' }],
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

describe('a wrong command line for the daemon', { concurrency: true }, () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['no address to allow', ['allow'], ['allow needs one address, not ""']],
    [
      'two addresses to forget',
      ['forget', '192.0.2.1', '192.0.2.2'],
      ['forget needs one address, not "192.0.2.1 192.0.2.2"'],
    ],
    [
      'a name',
      ['allow', 'mx.example.org'],
      ['"mx.example.org" is not an address, nor a network such as 192.0.2.0/24'],
    ],
    ['host bits', ['list', '192.0.2.1/24'], ['"192.0.2.1/24" has bits behind its prefix length']],
    ['a bad length', ['list', '192.0.2.0/33', '::/0'], ['"192.0.2.0/33" has a bad prefix length']],
    [
      'a bad time',
      ['allow', '192.0.2.1', '--for=soon'],
      ['--for: "soon" is not seconds from 1 to 31622400, or 30m, 2h, 7d'],
    ],
    [
      'an empty time',
      ['allow', '192.0.2.1', '--for='],
      ['--for: "" is not seconds from 1 to 31622400, or 30m, 2h, 7d'],
    ],
    [
      'an unknown origin',
      ['list', '--origin=attempt,mars'],
      ['--origin: "attempt,mars" is not a list such as attempt,pool of attempt, name, pool, adopted, manual'],
    ],
    ['an unknown order', ['list', '--sort=size'], ['--sort: "size" is not one of address, left, age, used']],
    ['an empty part of a name', ['list', '--name='], ['--name: "" is not part of a name']],
    ['used and unused', ['list', '--used', '--unused'], ['--unused: nothing is both used and unused']],
    ['a word that nobody needs', ['status', 'now'], ['status takes options only, not "now"']],
    [
      'an option of the daemon',
      ['stats', '--table=x'],
      ['--table: an option of the daemon, not of this command'],
    ],
    ['an unknown option', ['watch', '--jso'], ['--jso: unknown option (did you mean "json"?)']],
    [
      'several errors at once',
      ['list', 'x', '--sort=y'],
      [
        '"x" is not an address, nor a network such as 192.0.2.0/24',
        '--sort: "y" is not one of address, left, age, used',
      ],
    ],
  ];
  for (const [what, [command = '', ...args], messages] of cases) {
    it(`is told: ${what}: status 64`, async () => {
      const result = await runCli([command, ...AT, ...args]);
      assert.deepEqual(result, {
        status: 64,
        stdout: '',
        stderr: messages.map((line) => `mxallowd: ${line}\n`).join(''),
      });
    });
  }

  it('is explained by --help, within 80 columns', async () => {
    const commands = ['status', 'list', 'stats', 'watch', 'allow', 'forget', 'reload', 'why'];
    const { stdout: all } = await runCli(['--help']);
    for (const command of commands) {
      assert.match(all, new RegExp(`^ {2}mxallowd ${command} {2,}\\S`, 'm'));
      const { status, stdout } = await runCli([command, '--help']);
      for (const line of linesOf(stdout)) assert.ok(line.length <= 80, line);
      assert.match(stdout, /--json/);
      assert.match(stdout, /--control-socket/);
      assert.equal(status, 0);
    }
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { COMMAND_NAMES } from '../../src/commands/commands.js';
import { OPTION_LIST, OPTIONS, worksOn } from '../../src/config/options.js';
import { packageFolder } from '../../src/version.js';
import { CLI, linesOf, runCli, Scratch } from '../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

// with a file named, no test depends on an /etc/mxallowd.conf
const EMPTY = scratch.file('empty.conf', '# nothing\n');
const GOOD = scratch.file('good.conf', 'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.4\n');
const SERVERS = ['-c', EMPTY, '-f', '192.0.2.3', '-r', '192.0.2.4'];
/** It depends on the machine whether it has the default user. */
const USER_ROW =
  spawnSync('id', ['_mxallowd']).status === 0
    ? 'user:                 _mxallowd'
    : 'user:                 root, for there is no user _mxallowd';
const SERVICE_ROWS = [
  "names:                a sender's other addresses and pool; asks the system's DNS",
  'pool window:          1h after an attempt',
  'DNS:                  2s for an answer, then it is asked once more',
  USER_ROW,
  `state file:           ${process.platform === 'linux' ? '/var/lib' : '/var/db'}/mxallowd/state`,
  `control socket:       ${process.platform === 'linux' ? '/run/mxallowd' : '/var/run'}/mxallowd.sock, for root`,
];
/** On Linux pf decides only when its pfctl is named. */
const PF = ['--pfctl', '/sbin/pfctl'];
/** Good options for a daemon that could not start: no test may leave one behind. */
const DAEMON = [...SERVERS, '--pfctl', '/nonexistent/pfctl', '-F'];
/** A file that can be read; what is in it does not count here. */
const RECORDING = scratch.file('x.pcap', '');
const NO_SERVERS = ['fake', 'real'].map(
  (kind) =>
    `mxallowd: no ${kind}-mailserver is given: at least one fake and one real mail server address is needed`,
);
/** Any user that is not root. */
const NOBODY = 65_534;
const TRY_HELP = 'mxallowd: try "mxallowd --help"';

function assertNarrow(text: string): void {
  for (const line of text.split('\n')) assert.ok(line.length <= 80, `more than 80 columns: ${line}`);
}

/** The row of a help text that explains an option, up to the next option. */
function assertExplained(help: string, name: string, letters: readonly string[] = []): void {
  const start = new RegExp(`^ +${letters.map((letter) => `-${letter}, `).join('')}--${name}\\b`, 'm');
  assert.match(help, start);
}

describe('mxallowd --help', { concurrency: true }, () => {
  it('explains every option for this system, within 80 columns, and ends well', async () => {
    const { status, stdout, stderr } = await runCli(['--help']);
    assert.equal(status, 0);
    assert.equal(stderr, '');
    assertNarrow(stdout);
    for (const [, spec] of OPTION_LIST) {
      if (!worksOn(spec, process.platform)) assert.doesNotMatch(stdout, new RegExp(`--${spec.name}\\b`));
      else assertExplained(stdout, spec.name, spec.letters);
    }
    for (const command of COMMAND_NAMES) assert.match(stdout, new RegExp(`mxallowd ${command} `));
  });

  it('is what -h says, too', async () => {
    const [long, short] = await Promise.all([runCli(['--help']), runCli(['-h'])]);
    assert.deepEqual(short, long);
  });

  it('of every command fits 80 columns, shows its options, and names no foreign firewall', async () => {
    for (const name of COMMAND_NAMES) {
      const { status, stdout, stderr } = await runCli([name, '--help']);
      assert.deepEqual([status, stderr], [0, ''], name);
      assertNarrow(stdout);
      assert.match(stdout, new RegExp(`\\n\\nUsage: mxallowd ${name}\\b.*\\n\\nOptions:\\n`));
      assert.doesNotMatch(stdout, /\[(string|boolean)\]/);
      if (process.platform === 'linux')
        assert.doesNotMatch(stdout, /--(pfctl|pflog-interface|table|capture)\b/);
    }
  });

  it('speaks English, whatever the environment says', () => {
    const [plain, german] = [{}, { LANGUAGE: 'de', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8' }].map((more) =>
      spawnSync(process.execPath, [CLI, 'list', '--sort'], {
        encoding: 'utf8',
        env: { ...process.env, ...more },
      }),
    );
    assert.equal(german?.stderr, plain?.stderr);
  });
});

describe('mxallowd --version', () => {
  it('is the version in package.json', async () => {
    const manifest = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as {
      version: string;
    };
    for (const option of ['--version', '-V']) {
      const { status, stdout, stderr } = await runCli([option]);
      assert.deepEqual([status, stdout, stderr], [0, `${manifest.version}\n`, '']);
    }
  });
});

describe('a wrong command line', { concurrency: true }, () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      'an unknown option, with the one that may be meant',
      [...DAEMON, '--whitelist-tme=60'],
      ['mxallowd: --whitelist-tme: unknown option (did you mean "whitelist-time"?)'],
    ],
    ['an unknown letter', [...DAEMON, '-z'], ['mxallowd: -z: unknown option']],
    [
      'several errors at once, in one go',
      [
        'check-config',
        '-c',
        EMPTY,
        '--nonsense',
        '-f',
        '192.0.2.999',
        '-t',
        '0',
        '--port=smtp',
        '--allow',
        '0.0.0.0/0',
      ],
      [
        'mxallowd: --nonsense: unknown option',
        'mxallowd: --port: "smtp" is not a whole number from 1 to 65535',
        'mxallowd: --fake-mailserver: "192.0.2.999" is not an IPv4 or IPv6 address',
        'mxallowd: --allow: "0.0.0.0/0" is not a network of at least /8 (0.0.0.0 is IPv4)',
        'mxallowd: --whitelist-time: "0" is not a time from 1s to 366d, in seconds or with units as 1h30m',
        NO_SERVERS[1] ?? '',
      ],
    ],
    [
      'an unknown command, with the one that may be meant',
      ['reply', 'x.pcap'],
      ['mxallowd: unknown command "reply" (did you mean "replay"?)', TRY_HELP],
    ],
    [
      'an unknown command beside good options: the daemon is not started',
      [...DAEMON, 'chek-config'],
      ['mxallowd: unknown command "chek-config" (did you mean "check-config"?)', TRY_HELP],
    ],
    [
      'letters of a command in another order: the daemon is not started',
      [...DAEMON, 'stauts'],
      ['mxallowd: unknown command "stauts" (did you mean "status"?)', TRY_HELP],
    ],
    ['a letter without its value', [...DAEMON, '-t'], ['mxallowd: -t needs a value', TRY_HELP]],
    [
      'a long option without its value',
      ['check-config', ...SERVERS, '--table'],
      ['mxallowd: --table needs a value', 'mxallowd: try "mxallowd check-config --help"'],
    ],
    [
      'an option of a command without its value',
      ['list', '--sort'],
      ['mxallowd: --sort needs a value', 'mxallowd: try "mxallowd list --help"'],
    ],
    [
      'an empty value',
      ['check-config', ...SERVERS, '--port='],
      ['mxallowd: --port: "" is not a whole number from 1 to 65535'],
    ],
    [
      'a negative number',
      ['check-config', ...SERVERS, '-t', '-5'],
      ['mxallowd: --whitelist-time: "-5" is not a time from 1s to 366d, in seconds or with units as 1h30m'],
    ],
    [
      'an option that comes off the screen',
      ['check-config', ...SERVERS, '--\x1b[2J'],
      ['mxallowd: --\\x1b[2J: unknown option'],
    ],
    [
      'a file for check-config without --config',
      ['check-config', ...SERVERS, 'mxallowd.conf'],
      ['mxallowd: "mxallowd.conf" is not an option: the file is named with --config'],
    ],
    [
      'replay without a file',
      ['replay', ...SERVERS],
      ['mxallowd: replay needs a FILE, or - for standard input'],
    ],
    [
      'an option of the daemon for replay',
      ['replay', ...SERVERS, '--table=x', 'x.pcap'],
      ['mxallowd: --table: an option of the daemon, not of this command'],
    ],
    [
      'an abbreviation that may be one of two',
      ['check-config', ...SERVERS, '--qu'],
      ['mxallowd: --qu: unknown option'],
    ],
  ];
  for (const [what, args, expected] of cases) {
    it(`${what}: status 64`, async () => {
      const { status, stdout, stderr } = await runCli(args);
      assert.deepEqual(linesOf(stderr), expected);
      assert.equal(status, 64);
      assert.equal(stdout, '');
    });
  }
});

describe('a command', () => {
  it('may stand behind options, whether they have a value or not', async () => {
    const plain = await runCli(['check-config', '-c', GOOD, '-F', '-s', '-t', '60']);
    assert.equal(plain.status, 0);
    for (const args of [
      ['-F', 'check-config', '-c', GOOD, '-s', '-t', '60'],
      ['-Fs', 'check-config', '-c', GOOD, '-t60'],
      ['-c', GOOD, '-t', '60', '--foreground', '--stdout', 'check-config'],
    ])
      assert.deepEqual(await runCli(args), plain);
  });

  it('is not what an option has for its value', async () => {
    const { status, stdout } = await runCli(['--table', 'list', 'check-config', '-c', GOOD, ...PF]);
    assert.equal(status, 0);
    assert.match(stdout, /^table: +<list>/m);
  });
});

describe('a mistake on the command line, without any file', () => {
  const { config } = OPTIONS;
  const skip = existsSync(config.defaultText ?? '') ? 'this machine has a configuration' : false;

  it('does not drown in what is missing', { skip }, async () => {
    const { status, stderr } = await runCli(['check-config', '--tabel', 'x']);
    assert.deepEqual([status, stderr], [64, 'mxallowd: --tabel: unknown option (did you mean "table"?)\n']);
    const replay = await runCli(['replay']);
    assert.equal(replay.stderr, 'mxallowd: replay needs a FILE, or - for standard input\n');
  });
});

describe('without a configuration file', { concurrency: true }, () => {
  const path = OPTIONS.config.defaultText ?? '';
  const skip = existsSync(path) ? 'this machine has a configuration' : false;
  const servers = ['-f', '192.0.2.3', '-r', '192.0.2.4'];
  const nothing = [
    `mxallowd: ${path}: there is no such file, and no addresses on the command line`,
    `mxallowd: begin with ${join(packageFolder(), 'examples', 'mxallowd.conf')}, or give both: -f FAKE-IP -r REAL-IP`,
  ];

  it('and without addresses it says what to begin with: status 78', { skip }, async () => {
    for (const args of [
      [],
      ['check-config'],
      ['check'],
      ['replay', RECORDING],
      ['pf-conf', '--os', 'openbsd'],
    ]) {
      const { status, stdout, stderr } = await runCli(args);
      assert.deepEqual([linesOf(stderr), stdout, status], [nothing, '', 78], args.join(' '));
    }
  });

  it('a file that is there and names no address is wrong itself: status 78', async () => {
    const { status, stderr } = await runCli(['-c', EMPTY]);
    assert.deepEqual([status, stderr], [78, NO_SERVERS.map((line) => `${line}\n`).join('')]);
  });

  it('and with one address only it says which one is missing: status 64', { skip }, async () => {
    const { status, stderr } = await runCli(['check-config', '-f', '192.0.2.3']);
    assert.deepEqual([linesOf(stderr), status], [[NO_SERVERS[1]], 64]);
  });

  it('and with both addresses on the command line it works', { skip }, async () => {
    const { status, stdout, stderr } = await runCli(['check-config', ...servers]);
    assert.deepEqual([linesOf(stdout).at(-1), stderr, status], ['the command line: ok', '', 0]);
  });

  it('replay names the recording that is not there, not the configuration: status 66', async () => {
    const [gone, folder] = [scratch.path('gone.pcap'), scratch.folder];
    for (const args of [[], servers]) {
      const { status, stdout, stderr } = await runCli(['replay', ...args, gone]);
      assert.deepEqual([stderr, stdout, status], [`mxallowd: ${gone}: there is no such file\n`, '', 66]);
    }
    const { status, stderr } = await runCli(['replay', ...servers, folder]);
    assert.deepEqual([stderr, status], [`mxallowd: ${folder}: it is a folder, not a file\n`, 66]);
  });
});

describe(
  'a user without rights',
  { skip: process.getuid?.() !== 0 && 'needs root, to be another user' },
  () => {
    const asNobody = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8', uid: NOBODY, gid: NOBODY });

    it('hears that a configuration is not for him: status 77', () => {
      const secret = scratch.file('secret.conf', '');
      chmodSync(scratch.folder, 0o755);
      chmodSync(secret, 0o600);
      for (const args of [['check-config'], ['check'], ['status'], ['-F']]) {
        const { status, stdout, stderr } = asNobody(...args, '-c', secret);
        const expected = `mxallowd: ${secret}: permission denied: root may read it\n`;
        assert.deepEqual([stderr, stdout, status], [expected, '', 77], args.join(' '));
      }
    });

    it('hears from check, in words, what it could not look at', () => {
      const folder = join(scratch.folder, 'state');
      mkdirSync(folder, { mode: 0o700 });
      const servers = [
        '-f',
        '127.0.0.3',
        '-r',
        '127.0.0.4',
        '--port',
        '2',
        '--state-file',
        join(folder, 'state'),
      ];
      const { status, stdout, stderr } = asNobody('check', '-c', EMPTY, ...servers, '--user', 'root');
      assert.equal(stderr, '');
      assertNarrow(stdout);
      assert.doesNotMatch(stdout, /\b(E[A-Z]{3,}|lstat|spawn)\b/);
      const text = stdout.replace(/\s+/g, ' ');
      assert.match(text, /note privileges: not root, so .* -> run it as root to check everything/);
      assert.match(text, /note state file: .*state cannot be looked into by this user: permission denied/);
      assert.match(text, /warning (queue|pf): .*-> (run it|run this) as root|error pf/);
      assert.ok(status === 1 || status === 2);
    });
  },
);

describe('a wrong configuration file', { concurrency: true }, () => {
  it('is told with file and line, everything at once: status 78', async () => {
    const bad = scratch.file(
      'bad.conf',
      '# mine\nfake-mailsever 192.0.2.3\nwhitelist-time 1e3\nreal-mailserver 192.0.2.4\n',
    );
    for (const command of [[], ['check-config'], ['replay', RECORDING]]) {
      const { status, stdout, stderr } = await runCli([...command, '-c', bad]);
      assert.deepEqual(linesOf(stderr), [
        `mxallowd: ${bad}:2: Unknown configfile option: fake-mailsever (did you mean "fake-mailserver"?)`,
        `mxallowd: ${bad}:3: whitelist-time: "1e3" is not a time from 1s to 366d, in seconds or with units as 1h30m`,
        NO_SERVERS[0],
      ]);
      assert.equal(status, 78);
      assert.equal(stdout, '');
    }
  });

  it('that is named and missing is told: status 78, also when the command line would do', async () => {
    const missing = scratch.path('missing.conf');
    for (const rest of [[], ['-f', '192.0.2.3', '-r', '192.0.2.4']]) {
      const { status, stderr } = await runCli(['check-config', '-c', missing, ...rest]);
      assert.equal(linesOf(stderr)[0], `mxallowd: ${missing}: there is no such file`);
      assert.equal(status, 78);
    }
  });

  it('that is a folder is told: status 78', async () => {
    const { status, stderr } = await runCli(['check-config', '-c', scratch.folder]);
    assert.equal(stderr, `mxallowd: ${scratch.folder}: it is a folder, not a file\n`);
    assert.equal(status, 78);
  });

  it('that is too large to be one is told: status 78', async () => {
    const large = scratch.file('large.conf', Buffer.alloc((1 << 20) + 1, '#'));
    const { status, stderr } = await runCli(['check-config', '-c', large]);
    assert.equal(linesOf(stderr)[0], `mxallowd: ${large}: too large for a configuration file`);
    assert.equal(status, 78);
  });

  it('and a wrong command line: both are told, status 64', async () => {
    const bad = scratch.file('worse.conf', 'bogus\n');
    const { status, stderr } = await runCli(['check-config', '-c', bad, '-t', '0']);
    assert.match(stderr, /:1: Unknown configfile option: bogus\n/);
    assert.match(stderr, /--whitelist-time: "0" is not/);
    assert.equal(status, 64);
  });

  it('with an address that is fake and real is told: status 78', async () => {
    const both = scratch.file('both.conf', 'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.3\n');
    const { status, stderr } = await runCli(['check-config', '-c', both]);
    assert.equal(stderr, 'mxallowd: 192.0.2.3 is given as fake and as real mail server\n');
    assert.equal(status, 78);
  });
});

describe('mxallowd check-config', { concurrency: true }, () => {
  it('says what the configuration means: status 0', async () => {
    const { status, stdout, stderr } = await runCli(['check-config', '-c', GOOD, ...PF]);
    assert.deepEqual(linesOf(stdout), [
      'fake MX:              192.0.2.3',
      'real MX:              192.0.2.4',
      'allowed at all times: nobody',
      'port:                 25',
      'strangers:            get no answer at the real MX',
      'whitelist time:       1h after the last attempt',
      'known time:           8d after the real MX was reached last',
      'entries:              at most 100000; IPv4 /32, IPv6 /64',
      'capture:              auto on pflog0, filter "port 25"',
      'table:                <mx-white>, by /sbin/pfctl',
      ...SERVICE_ROWS,
      'log:                  syslog, info',
      `${GOOD}: ok`,
    ]);
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('says which DNS allow list is asked', async () => {
    const more = ['--no-rdns-whitelist', '--no-pool', '--dnswl', 'list.example.org', '--dnswl-trust', '2'];
    const { status, stdout } = await runCli(['check-config', '-c', GOOD, ...more]);
    assert.match(
      stdout,
      /^names: +are not looked up\nDNS allow list: +list\.example\.org, with trust 2 or more\nDNS: +2s for an answer, /m,
    );
    assert.equal(status, 0);
  });

  it('says that it would only look, and what is asked of DNS', async () => {
    const more = ['--dry-run', '--no-rdns-whitelist', '--no-pool'];
    const { status, stdout } = await runCli(['check-config', '-c', GOOD, '-n', '7', ...more]);
    assert.match(
      stdout,
      /^names: +DNS is not asked\ndry-run: +everything is accepted, and nothing is dropped$/m,
    );
    const servers = await runCli(['check-config', '-c', GOOD, '--dns-server', '192.0.2.53']);
    assert.match(servers.stdout, /^names: +a sender's other addresses and pool; asks dns-server$/m);
    for (const line of linesOf(stdout + servers.stdout)) assert.ok(line.length <= 80, line);
    assert.equal(status, 0);
  });

  it('says what the queues do, on Linux', { skip: process.platform !== 'linux' }, async () => {
    const more = [
      '-n',
      '7-9',
      '--fail-open',
      '--queue-exit=accept',
      '-u',
      'nobody',
      '--queue-length',
      '1024',
    ];
    const { status, stdout } = await runCli(['check-config', '-c', GOOD, ...more]);
    assert.deepEqual(linesOf(stdout).slice(8, 15), [
      'NFQUEUE:              7 to 9',
      'queue length:         1024; what finds it full is accepted',
      'at the end:           what is left in the queue: accept',
      "names:                a sender's other addresses and pool; asks the system's DNS",
      ...SERVICE_ROWS.slice(1, 3),
      'user:                 nobody',
    ]);
    const wrong = await runCli([
      'check-config',
      '-c',
      GOOD,
      '-u',
      'no-such-user',
      '--control-group',
      'none-such',
    ]);
    assert.match(wrong.stderr, /^mxallowd: user: there is no user "no-such-user" \(.*\)$/m);
    assert.match(wrong.stderr, /^mxallowd: control-group: there is no group "none-such"$/m);
    assert.deepEqual([wrong.status, wrong.stdout], [78, '']);
    assert.equal(status, 0);
  });

  it('says what the command line changes', async () => {
    const more = [
      '-f2001:DB8::3',
      '-t2h',
      '--allow',
      '198.51.100.0/24',
      '--port',
      '2525',
      '--anchor',
      'mx',
      '-sq',
    ];
    const { status, stdout } = await runCli(['check-config', '-c', GOOD, ...PF, ...more]);
    assert.deepEqual(linesOf(stdout), [
      'fake MX:              192.0.2.3 2001:db8::3',
      'real MX:              192.0.2.4',
      'allowed at all times: 198.51.100.0/24',
      'port:                 2525',
      'strangers:            get no answer at the real MX',
      'whitelist time:       2h after the last attempt',
      'known time:           8d after the real MX was reached last',
      'entries:              at most 100000; IPv4 /32, IPv6 /64',
      'capture:              auto on pflog0, filter "port 2525"',
      'table:                <mx-white> of anchor "mx", by /sbin/pfctl',
      SERVICE_ROWS[0],
      'pool window:          2h after an attempt',
      ...SERVICE_ROWS.slice(2),
      'log:                  standard output, error',
      `${GOOD}: ok`,
    ]);
    assert.equal(status, 0);
  });

  it('warns of what it ignores, and goes on', async () => {
    const file = scratch.file('remark.conf', `${readFileSync(GOOD, 'utf8')}whitelist-time 60 seconds\n`);
    const { status, stdout, stderr } = await runCli(['check-config', '-c', file]);
    assert.equal(
      stderr,
      `mxallowd: warning: ${file}:3: what follows the value of whitelist-time is ignored: "seconds"\n`,
    );
    assert.match(stdout, /^whitelist time: {7}1m after /m);
    assert.equal(status, 0);
  });

  it('finds the example files right', async () => {
    for (const name of ['mxallowd.conf', 'recordings/mxallowd.conf']) {
      const path = join(packageFolder(), 'examples', name);
      const { status, stdout, stderr } = await runCli(['check-config', '-c', path]);
      assert.deepEqual([status, stderr], [0, '']);
      assert.equal(linesOf(stdout).at(-1), `${path}: ok`);
    }
  });
});

describe('what was installed for 1.9', { concurrency: true }, () => {
  const OLD_FILE = scratch.file(
    'old.conf',
    [
      '# mxallowd configuration file',
      'fake-mailserver\t192.168.1.3',
      'Real-MailServer \t 192.168.1.4\r',
      '',
      '#whitelist-time 3600',
      'whitelist-time 1800 ',
      'pflog-interface pflog0',
      'pcap-filter port 25',
      'queue-num 23',
      'no-rdns-whitelist',
      'stdout',
      '',
    ].join('\n'),
  );
  const OLD_LINE = '-f 192.168.1.5 -r 192.168.1.6 -t 60 -b -d -F -s -q -p pflog1 -l'.split(' ');
  const firewall = (queue: number): string[] =>
    process.platform === 'linux'
      ? [
          `NFQUEUE:              ${queue}`,
          'queue length:         8192; what finds it full is dropped',
          'at the end:           what is left in the queue: drop',
        ]
      : [
          'capture:              auto on pflog1, filter "port 25"',
          'table:                <mx-white>, by /sbin/pfctl',
        ];
  /** Nothing is wrong, but some options are for the other kind of firewall. */
  const assertRemarksOnly = (stderr: string): void => {
    for (const line of linesOf(stderr)) assert.match(line, /^mxallowd: warning: .* is for (pf|Linux); here /);
  };
  const expected = (queue: number): string[] => [
    'fake MX:              192.168.1.3 192.168.1.5',
    'real MX:              192.168.1.4 192.168.1.6',
    'allowed at all times: nobody',
    'port:                 25',
    'strangers:            get no answer at the real MX',
    'whitelist time:       1m after the last attempt',
    'known time:           8d after the real MX was reached last',
    'entries:              at most 100000; IPv4 /32, IPv6 /64',
    ...firewall(queue),
    // 1.9 without names has no other addresses; pools it did not know
    "names:                a sender's pool; asks the system's DNS",
    'pool window:          1m after an attempt',
    ...SERVICE_ROWS.slice(2),
    'log:                  standard output, error',
    `${OLD_FILE}: ok`,
  ];

  it('works unchanged, file and command line', async () => {
    const { status, stdout, stderr } = await runCli(['check-config', '-c', OLD_FILE, ...OLD_LINE, 'port 25']);
    assert.deepEqual(linesOf(stdout), expected(23));
    assertRemarksOnly(stderr);
    assert.equal(status, 0);
  });

  it('works with everything written together, as getopt takes it', async () => {
    const line = [`-c${OLD_FILE}`, '-f192.168.1.5', '-r192.168.1.6', '-bdFsqt60', '-ppflog1', '-lport 25'];
    const { status, stdout, stderr } = await runCli(['check-config', ...line]);
    assert.deepEqual(linesOf(stdout), expected(23));
    assertRemarksOnly(stderr);
    assert.equal(status, 0);
  });

  it('works with the long names, whole and cut short', async () => {
    const whole =
      '--fake-mailserver 192.168.1.5 --real-mailserver=192.168.1.6 --whitelist-time 60 --quiet'.split(' ');
    const short = '--no-rdns --fore --stdout --queue 7 --pflog=pflog1 --pcap'.split(' ');
    const { status, stdout, stderr } = await runCli([
      'check-config',
      '--conf',
      OLD_FILE,
      ...whole,
      ...short,
      'port 25',
    ]);
    assert.deepEqual(linesOf(stdout), expected(7));
    assertRemarksOnly(stderr);
    assert.equal(status, 0);
  });
});

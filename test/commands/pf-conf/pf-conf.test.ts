import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { CLI, type CliResult, runCli, Scratch } from '../../support/cli.js';
import { PfctlStandIn } from '../../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../../support/pfctl-state.js';
import { readRules } from '../../support/pf-rules.js';

const scratch = new Scratch();
after(() => scratch.remove());

const CONFIG = scratch.file(
  'mxallowd.conf',
  [
    'fake-mailserver 192.0.2.3',
    'fake-mailserver 2001:db8::3',
    'real-mailserver 192.0.2.4',
    'real-mailserver 2001:db8::4',
    '',
  ].join('\n'),
);
const OPENBSD_CONF =
  'set skip on lo\n\nblock return # stateless\npass\n\n# ssh\npass in quick proto tcp to port 22\n';
const FREEBSD_CONF =
  'set skip on lo0\nscrub in all\n\nnat on em0 from 10.0.0.0/8 to any -> (em0)\n\nblock in\npass out\n';
const OUR_RULES = /^(pass|block) .*(192\.0\.2\.|2001:db8::)/;

/** A folder with a pf.conf, and the pfctl that belongs to it. */
class Firewall {
  private constructor(
    readonly folder: string,
    readonly pfctl: PfctlStandIn,
    private readonly flavour: Flavour,
    readonly original: string,
  ) {}

  static async create(t: TestContext, flavour: Flavour, text?: string): Promise<Firewall> {
    const folder = scratch.path(`fw${count++}`);
    mkdirSync(folder);
    const pfctl = await PfctlStandIn.create({ flavour });
    t.after(() => pfctl.dispose());
    pfctl.update((state) => void (state.enabled = true));
    const original = text ?? (flavour === 'openbsd' ? OPENBSD_CONF : FREEBSD_CONF);
    const firewall = new Firewall(folder, pfctl, flavour, original);
    writeFileSync(firewall.main, original, { encoding: 'latin1', mode: 0o600 });
    return firewall;
  }

  get main(): string {
    return join(this.folder, 'pf.conf');
  }

  get rules(): string {
    return join(this.folder, 'pf.mxallowd.conf');
  }

  args(...more: string[]): string[] {
    const os = this.flavour === 'openbsd' ? 'openbsd' : 'freebsd';
    const where = ['--os', os, '--pf-conf', this.main, '--rules', this.rules];
    const interfaces = os === 'freebsd' ? ['--interface', 'em0'] : [];
    return ['pf-conf', '-c', CONFIG, '--pfctl', this.pfctl.path, ...where, ...interfaces, ...more];
  }

  run(...more: string[]): Promise<CliResult> {
    return runCli(this.args(...more));
  }

  text(name = 'pf.conf'): string {
    return readFileSync(join(this.folder, name), 'latin1');
  }

  /** Nothing is left or lost, and nothing was loaded. */
  assertUntouched(names = ['pf.conf']): void {
    assert.deepEqual(this.names(), names);
    assert.equal(this.text(), this.original);
    assert.equal(this.pfctl.loaded(), undefined);
  }

  names(): string[] {
    return readdirSync(this.folder).sort();
  }

  /** The calls of pfctl, without file names. */
  calls(): string[] {
    return this.pfctl
      .calls()
      .map(({ argv, rc }) => `${argv.filter((word) => !word.startsWith('/')).join(' ')} = ${rc}`);
  }
}

let count = 0;

function assertOk({ status, stderr }: CliResult, warnings: RegExp = /^$/): void {
  assert.match(stderr, warnings);
  assert.equal(status, 0);
}

const EMPTY_TABLE = /^mxallowd: warning: <mx-white> is empty: .*\n.*--learn, and docs\/pf\.md\n$/;

describe('mxallowd pf-conf', { concurrency: 2 }, () => {
  it('prints rules that do what examples/pf.conf does', async () => {
    const expected = {
      fake: ['192.0.2.3', '2001:db8::3'],
      real: ['192.0.2.4', '2001:db8::4'],
      table: 'mx-white',
      ports: ['25'],
      stranger: 'block drop' as const,
    };
    for (const [system, interfaceName] of [
      ['OpenBSD', 'egress'],
      ['FreeBSD', 'em0'],
    ] as const) {
      const named = system === 'FreeBSD' ? ['--interface', 'em0'] : [];
      const { status, stdout, stderr } = await runCli([
        'pf-conf',
        '--os',
        system.toLowerCase(),
        '-c',
        CONFIG,
        ...named,
      ]);
      assert.deepEqual([status, stderr], [0, '']);
      const { faults } = readRules(stdout, system, { ...expected, interfaceName });
      // the line with the command has this machine's paths
      assert.deepEqual(
        faults.filter((fault) => fault !== '3: wider than 80 columns'),
        [],
      );
      assert.ok(
        stdout.includes(
          `#   mxallowd pf-conf --install --os ${system.toLowerCase()} ${named.join(' ')}`.trim(),
        ),
      );
    }
  });

  const wrong: [string, string[], number, RegExp][] = [
    [
      'an unknown system',
      ['--os', 'netbsd'],
      64,
      /^mxallowd: --os: "netbsd" is neither openbsd nor freebsd\n$/,
    ],
    [
      'FreeBSD without an interface',
      ['--os', 'freebsd'],
      64,
      /FreeBSD has no "egress": name where mail comes in, --interface IF\n$/,
    ],
    [
      'an interface that is none',
      ['--os', 'freebsd', '--interface', 'em0 quick'],
      64,
      /--interface: "em0 quick" is not the name/,
    ],
    [
      'a path with a quote',
      ['--os', 'openbsd', '--rules', '/etc/x"'],
      64,
      /--rules: "\/etc\/x"" is not an absolute path/,
    ],
    [
      'a relative path',
      ['--os', 'openbsd', '--pf-conf', 'pf.conf'],
      64,
      /--pf-conf: "pf\.conf" is not an absolute path/,
    ],
    ['both ways at once', ['--os', 'openbsd', '--install', '--uninstall'], 64, /exclude each other\n$/],
    ['a word', ['--os', 'openbsd', 'install'], 64, /^mxallowd: "install" is not an option\n$/],
    [
      'an unknown option',
      ['--os', 'openbsd', '--instal'],
      64,
      /--instal: unknown option \(did you mean "install"\?\)\n$/,
    ],
    [
      'a log interface that is none',
      ['--os', 'openbsd', '-p', 'em0'],
      78,
      /pflog-interface "em0": pf logs to interfaces named pflog0/,
    ],
    [
      'an installation into an anchor',
      ['--os', 'openbsd', '--pf-conf', '/x', '--anchor', 'mx', '--install'],
      78,
      /the rules belong into the anchor "mx"/,
    ],
  ];
  for (const [name, args, status, message] of wrong) {
    it(`refuses ${name}`, async () => {
      const result = await runCli(['pf-conf', '-c', CONFIG, ...args]);
      assert.match(result.stderr, message);
      assert.deepEqual([result.status, result.stdout], [status, '']);
    });
  }

  it(
    'needs a system, and for an installation this one, where there is no pf',
    { skip: process.platform !== 'linux' },
    async () => {
      const none = await runCli(['pf-conf', '-c', CONFIG]);
      assert.deepEqual(
        [none.status, none.stderr],
        [64, 'mxallowd: there is no pf on linux: say whom the rules are for, --os openbsd or --os freebsd\n'],
      );
      const other = await runCli(['pf-conf', '-c', CONFIG, '--os', 'openbsd', '--install']);
      assert.match(other.stderr, /^mxallowd: --install is for the machine with pf /);
      assert.equal(other.status, 64);
    },
  );

  it('warns where the families differ, and of a log interface of its own', async () => {
    const { stderr, status } = await runCli([
      'pf-conf',
      '-c',
      CONFIG,
      '--os',
      'openbsd',
      '-r',
      '192.0.2.5',
      '-p',
      'pflog1',
    ]);
    assert.equal(status, 0);
    assert.match(stderr, /what pf logs to pflog1 is lost unless it exists/);
    const single = await runCli([
      'pf-conf',
      '-c',
      '/dev/null',
      '--os',
      'openbsd',
      '-f',
      '2001:db8::3',
      '-r',
      '192.0.2.5',
    ]);
    assert.match(single.stderr, /not the same address families/);
  });
});

describe('mxallowd pf-conf --install', { concurrency: 2 }, () => {
  for (const flavour of FLAVOURS) {
    it(`includes the rules and loads them, once, and --uninstall leaves no trace (${flavour})`, async (t) => {
      const firewall = await Firewall.create(t, flavour);
      assertOk(await firewall.run('--install', '--yes'), EMPTY_TABLE);
      assert.deepEqual(firewall.names(), ['pf.conf', 'pf.conf.before-mxallowd', 'pf.mxallowd.conf']);
      assert.equal(firewall.text('pf.conf.before-mxallowd'), firewall.original);
      const loaded = firewall.pfctl.loaded() ?? [];
      assert.deepEqual(
        loaded.filter((line) => OUR_RULES.test(line)).map((line) => line.split(' in log quick')[0]),
        ['pass', 'block return', 'block drop'],
      );
      assert.deepEqual(
        loaded.filter((line) => line.startsWith('table')),
        ['table <mx-white> persist'],
      );
      assert.equal(loaded.filter((line) => /^(set reassemble|scrub in on em0)/.test(line)).length, 1);
      const [text, rules] = [firewall.text(), firewall.text('pf.mxallowd.conf')];

      const again = await firewall.run('--install', '--yes');
      assertOk(again);
      assert.match(again.stdout, /are as they should be\n.* is loaded\n$/);
      assert.deepEqual([firewall.text(), firewall.text('pf.mxallowd.conf')], [text, rules]);

      assertOk(await firewall.run('--uninstall', '--yes'));
      assert.deepEqual(firewall.names(), ['pf.conf', 'pf.conf.before-mxallowd']);
      assert.equal(firewall.text(), firewall.original);
      assert.deepEqual(
        firewall.pfctl.loaded()?.filter((line) => OUR_RULES.test(line)),
        [],
      );
      const gone = await firewall.run('--uninstall', '--yes');
      assertOk(gone);
      assert.match(gone.stdout, /nothing to do\n$/);
    });
  }

  it('shows the difference, and changes nothing without a yes', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    const { status, stdout, stderr } = await firewall.run('--install', '--learn');
    assert.equal(status, 64);
    assert.match(
      stderr,
      /^mxallowd: nothing has been changed: without a terminal to ask on this needs --yes\n$/,
    );
    const head = stdout.split('\n').slice(0, 13).join('\n').replaceAll(firewall.folder, '/etc');
    assert.equal(
      head,
      [
        '--- /etc/pf.conf',
        '+++ /etc/pf.conf',
        '@@ -2,6 +2,7 @@',
        ' ',
        ' block return # stateless',
        ' pass',
        '+include "/etc/pf.mxallowd.conf" # mxallowd pf-conf',
        ' ',
        ' # ssh',
        ' pass in quick proto tcp to port 22',
        '--- /dev/null',
        '+++ /etc/pf.mxallowd.conf',
        '@@ -0,0 +1,18 @@',
      ].join('\n'),
    );
    firewall.assertUntouched();
    assert.deepEqual(firewall.calls(), ['-s info = 0']);
  });

  it('shows what diff -u prints of the files before and after', async (t) => {
    const firewall = await Firewall.create(t, 'freebsd', `${FREEBSD_CONF}# the end, without a newline`);
    const old = scratch.file('old-pf.conf', firewall.original);
    const { stdout } = await firewall.run('--install', '--yes', '--learn');
    assert.match(stdout, /^\\ No newline at end of file$/m);
    for (const [before, after] of [
      [old, firewall.main],
      ['/dev/null', firewall.rules],
    ] as const) {
      const diff = spawnSync('diff', ['-u', before, after], { encoding: 'utf8' });
      if (diff.error !== undefined) return t.skip('there is no diff');
      const head = `--- ${before === old ? firewall.main : before}\n+++ ${after}\n`;
      const hunks = diff.stdout.split('\n').slice(2).join('\n');
      assert.ok(stdout.includes(head + hunks), `${head + hunks} in ${stdout}`);
    }
  });

  it(
    'asks on a terminal',
    { skip: spawnSync('script', ['--version']).status !== 0 && 'script(1) of util-linux is missing' },
    async (t) => {
      for (const [answer, status] of [
        ['n', 'untouched'],
        ['', 'untouched'],
        ['\x03', 'untouched'],
        ['\x04', 'untouched'],
        ['yes', 'installed'],
      ] as const) {
        const firewall = await Firewall.create(t, 'openbsd');
        const words = [process.execPath, CLI, ...firewall.args('--install', '--learn')].map(
          (word) => `'${word}'`,
        );
        const { stdout, status: rc } = await onTerminal(words.join(' '), answer);
        assert.match(stdout, /Write and load this\? \[y\/N\]/);
        assert.equal(rc, 0, stdout);
        if (status === 'untouched') firewall.assertUntouched();
        else assert.ok(existsSync(firewall.rules));
      }
    },
  );

  it('shows nothing that a terminal obeys', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd', '# \x1b[2J\xe4\tx \\ y\npass\n');
    const { stdout } = await firewall.run('--install');
    assert.match(stdout, /^ # \\x1b\[2J\\xe4\tx \\ y$/m);
  });

  it('keeps mode and owner of pf.conf, and gives them to the rules', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    chmodSync(firewall.main, 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(firewall.main, 0, 1);
    const { uid, gid } = statSync(firewall.main);
    assertOk(await firewall.run('--install', '--yes', '--learn'));
    for (const name of firewall.names()) {
      const status = statSync(join(firewall.folder, name));
      assert.deepEqual([status.mode & 0o7777, status.uid, status.gid], [0o640, uid, gid], name);
    }
  });

  it('changes what a symbolic link leads to', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    const real = join(firewall.folder, 'real');
    mkdirSync(real);
    writeFileSync(join(real, 'main.conf'), firewall.original, { mode: 0o600 });
    writeFileSync(firewall.main, '');
    const link = join(firewall.folder, 'link.conf');
    symlinkSync('real/main.conf', link);
    assertOk(await firewall.run('--install', '--yes', '--learn', '--pf-conf', link));
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.match(readFileSync(join(real, 'main.conf'), 'utf8'), /^include /m);
    assert.deepEqual(readdirSync(real).sort(), ['main.conf', 'main.conf.before-mxallowd']);
  });

  it('takes over a changed configuration, and only the rules change', async (t) => {
    const firewall = await Firewall.create(t, 'freebsd');
    assertOk(await firewall.run('--install', '--yes', '--learn'));
    const text = firewall.text();
    const { stdout, ...result } = await firewall.run('--install', '--yes', '-f', '192.0.2.9');
    assertOk({ stdout, ...result }, EMPTY_TABLE);
    assert.equal(firewall.text(), text);
    assert.match(stdout, /^-pass in log quick on em0 proto tcp to \{ 192\.0\.2\.4/m);
    assert.match(stdout, /^\+block drop in log quick on em0 proto tcp to \{ 192\.0\.2\.4/m);
    assert.deepEqual(firewall.pfctl.loaded()?.filter((line) => line.includes('192.0.2.9')).length, 1);
    assert.deepEqual(firewall.names(), ['pf.conf', 'pf.conf.before-mxallowd', 'pf.mxallowd.conf']);
  });

  for (const flavour of FLAVOURS) {
    it(`says nothing of an empty table when it is not (${flavour})`, async (t) => {
      const firewall = await Firewall.create(t, flavour);
      firewall.pfctl.putEntries(['192.0.2.77'], 1_700_000_000);
      assertOk(await firewall.run('--install', '--yes'));
      assert.deepEqual(await firewall.pfctl.addresses(), ['192.0.2.77']);
    });
  }

  it('defines no table and sets no option that pf.conf has', async (t) => {
    const own = 'set reassemble yes no-df\ntable <mx-white> persist counters\npass\n';
    const firewall = await Firewall.create(t, 'openbsd', own);
    assertOk(await firewall.run('--install', '--yes', '--learn'));
    const lines = firewall.pfctl.loaded() ?? [];
    assert.deepEqual(
      lines.filter((line) => /^(set|table)/.test(line)),
      own.split('\n').slice(0, 2),
    );
  });

  it('keeps the backup of an earlier pf.conf', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    writeFileSync(`${firewall.main}.before-mxallowd`, 'of old\n');
    const { stdout } = await firewall.run('--install', '--yes', '--learn');
    assert.match(stdout, /as it was before: .*\/pf\.conf\.before-mxallowd\.1\n/);
    assert.equal(firewall.text('pf.conf.before-mxallowd'), 'of old\n');
    assert.equal(firewall.text('pf.conf.before-mxallowd.1'), firewall.original);
  });

  it('says that pf is disabled, and how to enable it', async (t) => {
    const firewall = await Firewall.create(t, 'freebsd');
    firewall.pfctl.update((state) => void (state.enabled = false));
    assertOk(
      await firewall.run('--install', '--yes', '--learn'),
      /pf is disabled: .*\n.*sysrc pf_enable=YES pflog_enable=YES/,
    );
  });
});

describe('mxallowd pf-conf --install leaves everything as it is', { concurrency: 2 }, () => {
  it('when pfctl rejects the result, and tells its words', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    firewall.pfctl.setFault({ mode: 'fail', only: 'check', times: 1, stderr: 'pf.conf:3: syntax error' });
    const { status, stderr } = await firewall.run('--install', '--yes', '--learn');
    assert.equal(status, 65);
    assert.match(
      stderr,
      /^mxallowd: pfctl rejects the result: nothing has been changed\nmxallowd: .*pf\.conf:3: syntax error\n$/,
    );
    firewall.assertUntouched();
  });

  it('when pf.conf is wrong without us, and names its line', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd', 'pass\nscrub in all\n');
    const { status, stderr } = await firewall.run('--install', '--yes', '--learn');
    assert.equal(status, 65);
    assert.ok(
      stderr.startsWith(
        `mxallowd: pfctl rejects ${firewall.main} as it is, without our lines: nothing has been changed\n`,
      ),
      stderr,
    );
    assert.ok(stderr.includes(`${firewall.main}:2: syntax error`), stderr);
    firewall.assertUntouched();
  });

  it('when the rules are there already', async (t) => {
    const firewall = await Firewall.create(
      t,
      'openbsd',
      'pass in log quick on fxp0 proto tcp from <mx-white> to 192.0.2.4 port smtp\n',
    );
    const { status, stderr } = await firewall.run('--install', '--yes');
    assert.equal(status, 65);
    assert.match(
      stderr,
      /pf\.conf:1: a rule for <mx-white> is there already: take the old rules out first\nmxallowd: nothing has been changed\n$/,
    );
    firewall.assertUntouched();
  });

  it("when the file for the rules is somebody else's, which --uninstall leaves, too", async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    writeFileSync(firewall.rules, 'pass\n');
    const { status, stderr } = await firewall.run('--install', '--yes');
    assert.equal(status, 65);
    assert.match(stderr, /has not been written by this command/);
    const uninstalled = await firewall.run('--uninstall', '--yes');
    assert.equal(uninstalled.status, 65);
    assert.equal(firewall.text('pf.mxallowd.conf'), 'pass\n');
    firewall.assertUntouched(['pf.conf', 'pf.mxallowd.conf']);
  });

  it('when there is no pf.conf', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    const { status, stderr } = await firewall.run('--install', '--yes', '--pf-conf', '/nonexistent/pf.conf');
    assert.deepEqual([status, stderr], [66, 'mxallowd: /nonexistent/pf.conf: there is no such file\n']);
  });

  it('when there is no pfctl, or no permission for /dev/pf', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    const none = await firewall.run('--install', '--yes', '--pfctl', '/nonexistent/pfctl');
    assert.equal(none.status, 69);
    assert.match(none.stderr, /pf does not answer: \/nonexistent\/pfctl does not exist/);
    firewall.pfctl.update((state) => void (state.device = 'none'));
    const denied = await firewall.run('--install', '--yes');
    assert.equal(denied.status, 77);
    assert.match(denied.stderr, /\/dev\/pf: Permission denied/);
    firewall.assertUntouched();
  });

  it(
    'when the user may not write there',
    { skip: process.getuid?.() !== 0 && 'needs root, to become somebody else' },
    async (t) => {
      const firewall = await Firewall.create(t, 'openbsd');
      chmodSync(firewall.main, 0o644);
      chmodSync(scratch.folder, 0o755);
      chmodSync(firewall.pfctl.directory, 0o777);
      for (const name of readdirSync(firewall.pfctl.directory))
        chmodSync(join(firewall.pfctl.directory, name), 0o777);
      const { status, stderr } = spawnSync(
        process.execPath,
        [CLI, ...firewall.args('--install', '--yes', '--learn')],
        { uid: 65_534, gid: 65_534, encoding: 'utf8' },
      );
      assert.match(stderr, /permission denied.*\(this is for root\)\n$/);
      assert.equal(status, 77);
      chmodSync(firewall.main, 0o600);
      firewall.assertUntouched();
    },
  );

  it('when another process is at it', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    writeFileSync(`${firewall.main}.mxallowd-lock`, `${process.pid}\n`);
    const { status, stderr } = await firewall.run('--install', '--yes', '--learn');
    assert.equal(status, 69);
    assert.ok(stderr.includes(`process ${process.pid} is changing the rules`), stderr);
    firewall.assertUntouched(['pf.conf', 'pf.conf.mxallowd-lock']);
  });

  for (const flavour of FLAVOURS) {
    it(`when the rules cannot be loaded: the old files come back, and are loaded (${flavour})`, async (t) => {
      for (const command of ['--install', '--uninstall'] as const) {
        const firewall = await Firewall.create(t, flavour);
        if (command === '--uninstall') assertOk(await firewall.run('--install', '--yes', '--learn'));
        const names = firewall.names();
        const texts = names.map((name) => firewall.text(name));
        firewall.pfctl.clearCalls();
        firewall.pfctl.setFault({
          mode: 'fail',
          only: 'load',
          times: 1,
          stderr: 'pfctl: DIOCADDRULE: Operation not permitted',
        });
        const { status, stderr } = await firewall.run(command, '--yes', '--learn');
        assert.equal(status, 77);
        assert.match(
          stderr,
          /^mxallowd: .*pf\.conf could not be loaded:\n.*DIOCADDRULE: Operation not permitted\n.*securelevel.*\nmxallowd: the old files are back, they are loaded\n$/,
        );
        const backup = command === '--install' ? ['pf.conf.before-mxallowd'] : [];
        assert.deepEqual(firewall.names(), [...names, ...backup]);
        assert.deepEqual(
          names.map((name) => firewall.text(name)),
          texts,
        );
        assert.deepEqual(firewall.calls(), ['-s info = 0', '-n -f = 0', '-f = 1', '-f = 0']);
      }
    });
  }
});

describe('mxallowd pf-conf that is killed', { concurrency: 2 }, () => {
  for (const [at, isTouched] of [
    ['check', false],
    ['load', true],
  ] as const) {
    it(`while pfctl is at work (${at}) leaves a pf.conf that pf takes, and the next run ends the work`, async (t) => {
      const firewall = await Firewall.create(t, 'openbsd');
      firewall.pfctl.setFault({ mode: 'hang', only: at, times: 1 });
      const child = spawn(process.execPath, [CLI, ...firewall.args('--install', '--yes', '--learn')], {
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await firewall.pfctl.waitForCalls(1, ({ rc }) => rc === null);
      child.kill('SIGKILL');
      await ended;
      assert.equal(firewall.text() !== firewall.original, isTouched);
      assert.equal((await firewall.pfctl.run(['-nf', firewall.main])).stderr, '');
      assertOk(await firewall.run('--install', '--yes', '--learn'));
      assert.deepEqual(firewall.names(), ['pf.conf', 'pf.conf.before-mxallowd', 'pf.mxallowd.conf']);
      assert.equal(firewall.text('pf.conf.before-mxallowd'), firewall.original);
      assert.equal(firewall.pfctl.loaded()?.filter((line) => OUR_RULES.test(line)).length, 3);
    });
  }

  it('by a signal that it can hear ends its work first', async (t) => {
    const firewall = await Firewall.create(t, 'openbsd');
    firewall.pfctl.setFault({ mode: 'slow', ms: 300, only: 'load', times: 1 });
    const child = spawn(process.execPath, [CLI, ...firewall.args('--install', '--yes', '--learn')], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await firewall.pfctl.waitForCalls(1, ({ argv }) => argv.includes('-n'));
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    assert.deepEqual(firewall.names(), ['pf.conf', 'pf.conf.before-mxallowd', 'pf.mxallowd.conf']);
  });
});

/** Runs a command line on a terminal of its own, and answers its question. */
function onTerminal(commandLine: string, answer: string): Promise<{ stdout: string; status: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['-qec', commandLine, '/dev/null'], { stdio: 'pipe' });
    let stdout = '';
    let hasAnswered = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (!hasAnswered && stdout.includes('[y/N]')) {
        hasAnswered = true;
        child.stdin.write(`${answer}\r`);
      }
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ stdout, status }));
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import yargs from 'yargs';
import { addOptions, collectOptions, type TakenOptions } from '../../src/commands/arguments.js';
import { COMMANDS } from '../../src/commands/commands.js';
import { OPTION_LIST, type OptionSpec } from '../../src/config/options.js';
import { formatProblem } from '../../src/config/problem.js';

describe('what was found on the command line', () => {
  it('becomes options: a list for repeated ones, nothing for switches that are off', () => {
    const { given, problems } = collectOptions(
      {
        _: [],
        $0: 'mxallowd',
        'fake-mailserver': ['192.0.2.3', '192.0.2.5'],
        quiet: true,
        stdout: false,
        t: '60',
        'whitelist-time': '60',
      },
      'all',
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      given.map(({ key, text, where, origin }) => [key, text, where, origin]),
      [
        ['fakeMailserver', '192.0.2.3', '--fake-mailserver', 'command line'],
        ['fakeMailserver', '192.0.2.5', '--fake-mailserver', 'command line'],
        ['whitelistTime', '60', '--whitelist-time', 'command line'],
        ['quiet', undefined, '--quiet', 'command line'],
      ],
    );
  });

  it('and is not known is a problem of usage, escaped, with the name that may be meant', () => {
    const { problems } = collectOptions({ _: [], $0: '', tabel: 'x', z: true, '\x1b[2J': true }, 'all');
    assert.deepEqual(problems.map(formatProblem), [
      '--tabel: unknown option (did you mean "table"?)',
      '-z: unknown option',
      '--\\x1b[2J: unknown option',
    ]);
    assert.ok(problems.every(({ kind }) => kind === 'usage'));
  });

  it('belongs to the daemon only is not known to replay, and its own switches are', () => {
    const argv = { _: ['replay', 'x'], $0: '', table: 'mx-white', json: true, v: true, verbose: true };
    const extra = [
      { name: 'json', help: '' },
      { name: 'verbose', letters: ['v'], help: '' },
    ];
    const { given, problems } = collectOptions(argv, 'replay', extra);
    assert.deepEqual(given, []);
    assert.deepEqual(problems.map(formatProblem), ['--table: an option of the daemon, not of this command']);
  });
});

/** What a help text says, without its line breaks. */
async function helpOf(taken: TakenOptions, platform: NodeJS.Platform): Promise<string> {
  const help = await addOptions(yargs([]).locale('en').wrap(80), taken, platform).getHelp();
  for (const line of help.split('\n')) assert.ok(line.length <= 80, `more than 80 columns: ${line}`);
  return help.replace(/\s+/g, ' ');
}

const SYSTEMS = ['linux', 'openbsd', 'freebsd'] as const;
const PF: readonly OptionSpec['group'][] = ['Capture', 'Table'];
const LINUX: readonly OptionSpec['group'][] = ['nftables', 'NFQUEUE'];

describe('the help of the daemon', () => {
  for (const platform of SYSTEMS) {
    it(`shows every option that has an effect on ${platform}, and its default there`, async () => {
      const help = await helpOf({ optionSet: 'all', options: [] }, platform);
      for (const [, { name, group, alsoFor, help: text }] of OPTION_LIST) {
        const isShown =
          platform === 'linux' ? !PF.includes(group) || alsoFor === 'nft' : !LINUX.includes(group);
        assert.equal(help.includes(`--${name} ${text}`), isShown, name);
      }
      const state = platform === 'linux' ? '/var/lib/mxallowd/state' : '/var/db/mxallowd/state';
      assert.ok(help.includes(`(default: ${state})`));
      assert.match(help, platform === 'linux' ? /Options for pf .* are in/ : /Options for Linux .* are in/);
    });
  }
});

describe('the help of a command', () => {
  for (const { name, load } of COMMANDS) {
    it(`shows the options of ${name}, few of the daemon's, and tells where the others are`, async () => {
      const command = await load();
      for (const platform of SYSTEMS) {
        const help = await helpOf(command, platform);
        const [own = '', rest = ''] = help.split(/(?=It takes all|Of the daemon's)/);
        for (const option of command.options) assert.ok(own.includes(`--${option.name} ${option.help}`));
        const ofDaemon = OPTION_LIST.filter(([, spec]) => new RegExp(`--${spec.name} `).test(own));
        assert.ok(ofDaemon.length <= 7, own);
        const strange = platform === 'linux' ? PF : LINUX;
        assert.deepEqual(
          ofDaemon.filter(([, { group }]) => strange.includes(group)),
          [],
        );
        assert.equal(rest !== '', command.shown !== undefined, rest);
      }
    });
  }
});

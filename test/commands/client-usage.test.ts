import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { linesOf, runCli, Scratch } from '../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

// with a file named, no test depends on an /etc/mxallowd.conf
const AT = ['-c', scratch.file('mxallowd.conf', `control-socket ${scratch.path('none.sock')}\n`)];

describe('a wrong command line for the daemon', { concurrency: true }, () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['no address to allow', ['allow'], ['allow needs an address: mxallowd allow ADDRESS']],
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
      ['--for: "soon" is not a time from 1s to 366d, in seconds or with units as 1h30m'],
    ],
    [
      'an empty time',
      ['allow', '192.0.2.1', '--for='],
      ['--for: "" is not a time from 1s to 366d, in seconds or with units as 1h30m'],
    ],
    [
      'an unknown origin',
      ['list', '--origin=attempt,mars'],
      [
        '--origin: "attempt,mars" is not a list such as attempt,pool of attempt, name, pool, dnswl, adopted, manual, outbound, domain',
      ],
    ],
    [
      'an unknown order',
      ['list', '--sort=size'],
      ['--sort: "size" is not one of address, left, age, last, used'],
    ],
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
        '--sort: "y" is not one of address, left, age, last, used',
      ],
    ],
  ];
  for (const [what, [command = '', ...args], messages] of cases) {
    it(`${what}: status 64`, async () => {
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
    const explain = async (command: string): Promise<void> => {
      assert.match(all, new RegExp(`^ {2}mxallowd ${command} {2,}\\S`, 'm'));
      const { status, stdout } = await runCli([command, '--help']);
      for (const line of linesOf(stdout)) assert.ok(line.length <= 80, line);
      assert.match(stdout, /--json/);
      assert.match(stdout, /--control-socket/);
      assert.equal(status, 0);
    };
    await Promise.all(commands.map(explain));
  });
});

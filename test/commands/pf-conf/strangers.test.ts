import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { packageFolder } from '../../../src/version.js';
import { type CliResult, runCli, Scratch } from '../../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

const ADDRESSES = ['fake-mailserver 192.0.2.3', 'fake-mailserver 2001:db8::3'].concat([
  'real-mailserver 192.0.2.4',
  'real-mailserver 2001:db8::4',
]);

/** Runs `pf-conf` with a configuration that has these lines, too. */
function pfConf(lines: readonly string[], ...args: string[]): Promise<CliResult> {
  const config = scratch.file('mxallowd.conf', [...ADDRESSES, ...lines, ''].join('\n'));
  return runCli(['pf-conf', '-c', config, ...args]);
}

/** Without the lines at the top, which have the command line. */
function body(text: string): string {
  return text.slice(text.indexOf('\n\n'));
}

const FREEBSD = ['--os', 'freebsd', '--interface', 'em0'];
const FREEBSD14 = ['--os', 'freebsd14', '--interface', 'em0'];
const REDIRECT = ['strangers redirect 10025'];
const SPAMD = ['strangers redirect 8025', 'pflog-interface pflog1'];

describe('mxallowd pf-conf, for strangers who are redirected', () => {
  const examples = [
    { file: 'spamd.pf.conf', lines: SPAMD, args: ['--os', 'openbsd', '--spamd'] },
    { file: 'strangers.pf.conf', lines: REDIRECT, args: FREEBSD },
  ];
  for (const { file, lines, args } of examples) {
    it(`prints examples/${file}`, async () => {
      const { status, stdout } = await pfConf(lines, ...args);
      assert.equal(status, 0);
      assert.equal(body(stdout), body(readFileSync(join(packageFolder(), 'examples', file), 'utf8')));
    });
  }

  it('prints two files for FreeBSD before 15, and how to write the first anew: not by --install', async () => {
    const { status, stdout, stderr } = await pfConf(REDIRECT, ...FREEBSD14);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^# {3}mxallowd pf-conf --os freebsd14 --interface em0 /m);
    assert.match(
      stdout,
      /^pass in log quick on em0 proto tcp to \{ 192\.0\.2\.4 2001:db8::4 \} port 10025$/m,
    );
    const { stdout: rdr } = await pfConf(REDIRECT, ...FREEBSD14, '--rdr');
    assert.match(
      rdr,
      /^rdr on em0 inet proto tcp from ! <mx-white> to 192\.0\.2\.4 port 25 \\\n {4}-> .* port 10025$/m,
    );
    assert.doesNotMatch(rdr, /^pass|^block/m);
  });

  const wrong: readonly (readonly [string, readonly string[], readonly string[], number, RegExp])[] = [
    ['spamd elsewhere', SPAMD, [...FREEBSD, '--spamd'], 64, /--spamd is for OpenBSD/],
    [
      'spamd without its port',
      ['pflog-interface pflog1'],
      ['--os', 'openbsd', '--spamd'],
      78,
      /"strangers redirect 8025" is needed/,
    ],
    [
      'spamd, whose spamlogd would hear of strangers',
      ['strangers redirect 8025'],
      ['--os', 'openbsd', '--spamd'],
      78,
      /spamlogd takes whom pf passes and logs to pflog0/,
    ],
    [
      'rdr lines where they are not needed',
      REDIRECT,
      [...FREEBSD, '--rdr'],
      64,
      /--rdr is for FreeBSD before 15/,
    ],
    ['rdr lines for nobody', [], [...FREEBSD14, '--rdr'], 64, /--rdr is for FreeBSD before 15/],
    [
      'the port of the real MX itself',
      ['strangers redirect 25'],
      FREEBSD,
      78,
      /that is the port of the real MX itself/,
    ],
    [
      'marks, which pf has not',
      ['strangers mark 25'],
      FREEBSD,
      78,
      /mxallowd\.conf:5: strangers: "mark 25" is for NFQUEUE \(Linux\)/,
    ],
    [
      'an installation before FreeBSD 15',
      REDIRECT,
      [...FREEBSD14, '--install', '--pf-conf', scratch.file('pf.conf', 'pass\n')],
      64,
      /needs rdr lines ahead of its filter rules, which only you can place/,
    ],
  ];
  for (const [what, lines, args, expected, message] of wrong) {
    it(`does not print rules for ${what}`, async () => {
      const { status, stdout, stderr } = await pfConf(lines, ...args);
      assert.match(stderr, message);
      assert.deepEqual([status, stdout], [expected, '']);
    });
  }

  it('says that spamlogd does not hear of connections that outbound logs for mxallowd', async () => {
    const { status, stderr } = await pfConf([...SPAMD, 'outbound'], '--os', 'openbsd', '--spamd');
    assert.equal(status, 0);
    assert.match(stderr, /spamlogd no longer hears of what the mail servers send: .* logs to pflog1$/m);
  });
});

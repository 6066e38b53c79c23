import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { flagsProblem, judgeFlags } from '../../src/check/rc-flags.js';
import { shells } from '../support/rc.js';

/** As they were recorded on OpenBSD 7.8, and more; whether rc.subr's `eval echo` gives them back as words. */
const FLAGS: readonly (readonly [string, boolean])[] = [
  ['-l "(tcp or udp) and port 25"', true],
  ["-l '(tcp or udp) and port 25'", true],
  ['-f 192.0.2.3 -r 192.0.2.4 -t 2h', true],
  ['-c /etc/mx.conf -l "port 25 and tcp[13] & 2 != 0"', true],
  [String.raw`-l port\ 25`, true],
  ['-l "host 1.2.3.4 | port 25 ^ $ { } ? + *"', true],
  [String.raw`-l \(tcp\)`, true],
  [`-l "it's"`, true],
  [String.raw`-l "\"("`, true],
  ['', true],
  ['-l (tcp or udp) and port 25', false],
  ['-l tcp[13] & 2 != 0', false],
  ['-l a | b', false],
  ['-l a; b', false],
  ['-l a > 1024', false],
  ['-l "port 25', false],
  ["-l 'port 25", false],
  [String.raw`-l 'a\' (b)'`, false],
];

describe('flagsProblem', () => {
  for (const [flags, isRight] of FLAGS) {
    it(`${isRight ? 'takes' : 'notices'} ${flags}`, () => {
      assert.equal(flagsProblem(flags) === undefined, isRight, flagsProblem(flags));
    });
  }

  for (const shell of shells('ksh', 'mksh', 'sh')) {
    it(`says what ${shell} says`, () => {
      for (const [flags, isRight] of FLAGS) {
        // what rc.subr does; a command that is joined to it would be run, so: only the words up to a mark
        const script = 'eval "set -- $FLAGS the-end" && for last do :; done && [ "$last" = the-end ]';
        const { status } = spawnSync(shell, ['-c', script], {
          env: { FLAGS: flags, PATH: '/nonexistent' },
          // nothing can be written there by mistake
          cwd: '/proc/self',
        });
        assert.equal(status === 0, isRight, flags);
      }
    });
  }
});

describe('judgeFlags', () => {
  it('finds them where they are, and says what to do', () => {
    const text = 'pkg_scripts=mxallowd\n# mxallowd_flags=(\nmxallowd_flags=-l (tcp or udp) and port 25\n';
    assert.deepEqual(judgeFlags(text, '/etc/rc.conf.local'), [
      {
        id: 'rc-flags',
        severity: 'error',
        message:
          '/etc/rc.conf.local:3: mxallowd_flags: "(" outside quotes means something to the shell: rc.d does not ' +
          'start mxallowd',
        advice: `quote it: -l '(tcp or udp) and port 25'`,
      },
    ]);
  });

  it('knows that quotes around the whole are taken off, and what is behind "#"', () => {
    const severities = (line: string): string[] => judgeFlags(line, 'x').map(({ severity }) => severity);
    assert.deepEqual(severities(`mxallowd_flags="-l '(tcp)'"`), ['ok']);
    assert.deepEqual(severities('mxallowd_flags="-l (tcp)"'), ['error']);
    assert.deepEqual(severities('mxallowd_flags=-q # (quiet)'), ['ok']);
    assert.deepEqual(severities('mxallowd_flags='), ['ok']);
    assert.deepEqual(severities('mxallowd_user=(x)\nother_flags=(x)\n'), []);
  });
});

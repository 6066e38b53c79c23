import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { packageFolder } from '../../../src/version.js';
import { CLI, Scratch } from '../../support/cli.js';
import { FINDINGS, NEXT_TICK, TICK } from '../../support/control-reports.js';
import { ControlServer, replyLine } from '../../support/control-server.js';
import { until } from '../../support/daemon.js';
import { TerminalWindow, tmuxUnavailable } from '../../support/tmux.js';

const scratch = new Scratch();
after(() => scratch.remove());
const SOCKET = scratch.path('control.sock');
const PID_FILE = scratch.path('pid');
const WATCH = `${process.execPath} ${CLI} watch --control-socket ${SOCKET}`;
/** Tells its process ID, and at the end its exit status. */
const LINE = `sh -c 'echo $$ > ${PID_FILE}; exec ${WATCH}'; echo "ended with $?"`;

const BODY = [
  'entries 140   pending 0   last frame now',
  '',
  '                 ATTEMPTS       REFUSALS     ADMISSIONS   OTHER FRAMES',
  'per second            2.0            5.0            1.0            4.0',
  'in all              8,414         41,008          7,999        102,446',
  '',
  'MOST REFUSED        REFUSALS  THE LAST',
  '203.0.113.9              412  3s ago',
  '203.0.113.201             96  31s ago',
  '2001:db8:bad:1::25        17  9m04s ago',
  '192.0.2.66                 3  2h ago',
  '',
  'TIME      EVENT      ADDRESS',
  '14:03:28  attempt    198.51.100.77    tried the fake MX: whitelisted for 1h',
  '14:03:24  refusal    203.0.113.9      has not tried the fake MX',
  '14:03:15  attempt    203.0.113.77     tried the fake MX: whitelisted for 1h',
  '14:03:07  expiry     192.0.2.14       its time is over, used 2 times',
  '14:02:56  no-pool    203.0.113.201    its name merely encodes its address, as...',
  '14:02:56  refusal    203.0.113.201    has not tried the fake MX',
  '14:02:24  admission  198.51.100.130   reached the real MX',
  '14:02:23  pooled     198.51.100.130   belongs to example.net, which has tried...',
  '14:02:23  refusal    198.51.100.130   has not tried the fake MX',
  '14:02:22  admission  198.51.100.25    reached the real MX',
];

describe('mxallowd watch in a terminal', { skip: tmuxUnavailable() }, () => {
  let server: ControlServer;
  let window: TerminalWindow;

  const serve = (): Promise<ControlServer> => {
    const bothTicks = [{ item: TICK }, { item: NEXT_TICK }].map(replyLine).join('');
    return ControlServer.start(SOCKET, { watch: (connection) => void connection.write(bothTicks) });
  };
  before(async () => {
    server = await serve();
  });
  after(() => server.stop());
  beforeEach(async () => {
    window = await TerminalWindow.open(80, 24);
  });
  afterEach(() => window.close());

  const pid = (): number => Number(readFileSync(PID_FILE, 'latin1'));
  /** Waits until all of the screen is there. */
  const shown = (): Promise<void> => window.shows(/^per second +2\.0 /);
  const isWhole = (): Promise<void> =>
    until('the screen is whole', () => window.screen().slice(1).join('\n') === BODY.join('\n'));
  /** Waits until the shell waits for the next command. */
  const isPrompted = (): Promise<void> => until('the shell waits', () => window.screen().at(-1) === 'ready$');
  const clear = async (): Promise<void> => {
    window.enter('clear');
    await until('the screen is clear', () => window.screen().join('|') === 'ready$');
  };
  /** The terminal is as it was before: our command line above what it said at the end. */
  const assertGivenBack = async (status: number, ...said: readonly string[]): Promise<void> => {
    await window.shows(`ended with ${status}`);
    await isPrompted();
    assert.equal(window.modes(), '0 1');
    const lines = window.screen();
    assert.deepEqual(lines[0], 'ready$ echo before');
    assert.deepEqual(lines.slice(-2 - said.length), [...said, `ended with ${status}`, 'ready$']);
    assert.ok(!lines.some((line) => line.includes('q quits')));
    window.enter(
      'stty -a | tr " ;" "\\n\\n" | grep -xE "[-]?(icanon|echo|isig|opost)" | sort | tr "\\n" " "',
    );
    await window.shows(/^echo icanon isig opost/);
  };
  const start = async (line = LINE): Promise<void> => {
    window.enter('echo before');
    await window.shows('before');
    window.enter(line);
    await shown();
  };

  it('fills the screen, and leaves nothing when q is pressed', async () => {
    await start();
    assert.match(window.screen()[0] ?? '', /^ mxallowd on .*, up 12d04h: ok .*14:03:28 {2}q quits$/);
    assert.deepEqual(window.screen().slice(1), BODY);
    assert.equal(window.modes(), '1 0');
    window.press('q');
    await assertGivenBack(0);
  });

  it('ends well with Q and with Ctrl-C, too, and not with Escape, arrows or other keys', async () => {
    await start();
    window.press('Escape', 'Up', 'F5', 'x', 'Enter', 'C-d', 'C-s', 'C-q');
    server.say({ item: { ...NEXT_TICK, entries: 77, events: [] } });
    await window.shows(/^entries 77 /);
    window.press('Q');
    await assertGivenBack(0);
    await clear();
    await start();
    window.press('C-c');
    await assertGivenBack(0);
  });

  it('draws what is new in the place of what was there', async () => {
    await start();
    server.say({ item: { ...NEXT_TICK, entries: 1, events: [], topRefused: [], findings: FINDINGS } });
    await window.shows(/^entries 1 /);
    const lines = window.screen();
    assert.deepEqual(lines.slice(1, 4), [
      'error: pf is disabled: everybody reaches the real MX (pfctl -e)',
      'warning: no rule of pf for the real MX has "log": refused senders are not see...',
      'entries 1   pending 0   last frame now',
    ]);
    assert.deepEqual([lines.length, lines[9]], [21, 'TIME      EVENT      ADDRESS']);
  });

  it('follows the size of the terminal', async () => {
    await start();
    window.resize(56, 9);
    await window.shows(/^ +ATTEMPTS +REFUSALS ADMISSIONS +OTHERS$/);
    assert.equal(window.screen().length, 9);
    window.resize(20, 3);
    const small = '|entries 140   pen...|             ATTE...';
    await until('the screen is small', () => window.screen().join('|').endsWith(small));
    window.resize(80, 24);
    await isWhole();
    window.press('q');
    await window.shows('ended with 0');
  });

  for (const [signal, status] of [
    ['SIGINT', 0],
    ['SIGHUP', 129],
    ['SIGTERM', 143],
  ] as const) {
    it(`gives the terminal back on ${signal}`, async () => {
      await start();
      process.kill(pid(), signal);
      await assertGivenBack(status);
    });
  }

  it('goes on when the daemon is there again, and says meanwhile that it is not', async () => {
    await start();
    await server.stop();
    await window.shows('error: mxallowd does not answer: it has ended, or is being started again');
    server = await serve();
    await isWhole();
    process.kill(pid(), 'SIGINT');
    await assertGivenBack(0);
  });

  it('gives the terminal back when the daemon ends in good order, and says so', async () => {
    await start();
    server.say({ ok: true, result: {} });
    await assertGivenBack(69, 'mxallowd: mxallowd has ended');
  });

  it('gives the terminal back when something unforeseen happens', async () => {
    const built = join(packageFolder(), 'build', 'src');
    const script = scratch.file(
      'throws.mjs',
      `import { WatchFeed } from '${join(built, 'commands', 'watch', 'feed.js')}';
       import { LiveScreen } from '${join(built, 'terminal', 'live-screen.js')}';
       import { Terminal } from '${join(built, 'terminal', 'terminal.js')}';
       const screen = new LiveScreen(new Terminal(process.stdin, process.stdout, true));
       void screen.run(new WatchFeed(screen, '${SOCKET}', 'mx'));
       process.on('SIGUSR2', () => { throw 'unforeseen'; });`,
    );
    await start(
      `sh -c 'echo $$ > ${PID_FILE}; exec ${process.execPath} ${script}' 2> /dev/null; echo "ended with $?"`,
    );
    process.kill(pid(), 'SIGUSR2');
    await assertGivenBack(1);
  });

  it('stops with Ctrl-Z, and is there again with fg', async () => {
    await start();
    window.press('C-z');
    await window.shows(/Stopped/);
    assert.equal(window.modes(), '0 1');
    // nobody is told what nobody sees
    await until('the connection is closed', () => server.connections.size === 0);
    window.enter('clear; fg');
    await isWhole();
    assert.equal(window.modes(), '1 0');
    window.press('q');
    await window.shows('ready$');
    assert.equal(window.modes(), '0 1');
  });

  it('stops by a signal, and is there again when it is continued', async () => {
    await start();
    for (const signal of ['SIGTSTP', 'SIGSTOP'] as const) {
      process.kill(pid(), signal);
      await window.shows(/Stopped/);
      window.enter('clear; fg');
      await isWhole();
    }
    window.press('q');
    await window.shows('ready$');
    assert.equal(window.modes(), '0 1');
  });

  it('has no styles with NO_COLOR, otherwise bold and reverse', async () => {
    await start();
    assert.match(window.styledScreen(), /^\x1b\[7m mxallowd on /);
    assert.match(window.styledScreen(), /\x1b\[1mMOST REFUSED/);
    window.press('q');
    await window.shows('ended with 0');
    await clear();
    await start(`NO_COLOR=1 ${LINE}`);
    assert.doesNotMatch(window.styledScreen(), /\x1b/);
    window.press('q');
    await window.shows('ended with 0');
  });

  it('prints lines on a terminal that can do no more', async () => {
    window.enter(`TERM=dumb ${LINE}`);
    await window.shows('14:03:28        2.0        5.0          1.0       4.0       140         0 ok');
    assert.equal(window.modes(), '0 1');
    window.press('C-c');
    await isPrompted();
  });

  it('lets no control character through', async () => {
    await start();
    const text = 'bell\x07 title\x1b]0;owned\x1b\\ home\x1b[H c1\x9b2J';
    server.say({
      item: { ...NEXT_TICK, events: [{ atMs: TICK.atMs, kind: 'refusal', address: '192.0.2.1', text }] },
    });
    await window.shows(
      '14:03:27  refusal    192.0.2.1        bell\\x07 title\\x1b]0;owned\\x1b\\ home\\x1...',
    );
  });
});

describe('mxallowd watch without a shell around it', { skip: tmuxUnavailable() }, () => {
  it('goes on when Ctrl-Z cannot stop it', async (t) => {
    const path = scratch.path('bare.sock');
    const server = await ControlServer.start(path, {
      watch: (connection) => void connection.write(replyLine({ item: TICK })),
    });
    t.after(() => server.stop());
    const window = TerminalWindow.bare([process.execPath, CLI, 'watch', '--control-socket', path], 80, 24);
    t.after(() => window.close());
    await window.shows(/^entries 139 /);
    window.press('C-z');
    await until('it has asked again', () => server.questions.length === 2);
    await window.shows(/^entries 139 /);
  });
});

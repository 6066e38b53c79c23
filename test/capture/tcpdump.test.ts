import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { CaptureError } from '../../src/capture/source.js';
import { findTcpdump, SNAP_LENGTH, TcpdumpSource, tcpdumpArguments } from '../../src/capture/tcpdump.js';
import { keep, KeepingSink } from '../support/frame-sink.js';
import { fixturePath, framesOf, readRecording } from '../support/recordings.js';

const directory = mkdtempSync(join(tmpdir(), 'tcpdump-test-'));
after(() => rmSync(directory, { recursive: true }));

const tcpdump = findTcpdump();
const needsTcpdump = { skip: tcpdump === undefined ? 'tcpdump is not installed' : false };
const RECORDING = 'pflog/10-nonsyn-blocked.pcap';

/** Quotes a word for sh. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

let scripts = 0;

/** A stand-in for tcpdump: a shell script that notes its process id and its arguments, then does `body`. */
class StandIn {
  readonly path = join(directory, `tcpdump-${++scripts}`);
  private readonly pidFile = `${this.path}.pid`;
  private readonly argumentsFile = `${this.path}.args`;

  constructor(body: string) {
    const note = `echo $$ > ${quoted(this.pidFile)}; printf '%s\\n' "$@" > ${quoted(this.argumentsFile)}`;
    writeFileSync(this.path, `#!/bin/sh\n${note}\n${body}\n`);
    chmodSync(this.path, 0o755);
    execFileSync('mkfifo', [`${this.path}.fifo`]);
  }

  source(args: readonly string[] = []): TcpdumpSource {
    return new TcpdumpSource(this.path, args, 'pflog0');
  }

  /** Lets the script go on behind {@link WAIT}. */
  goOn(): void {
    // for reading too, so that this does not wait for the script
    const fifo = openSync(`${this.path}.fifo`, 'r+');
    writeSync(fifo, 'go on\n');
    after(() => closeSync(fifo));
  }

  get arguments(): string[] {
    return readFileSync(this.argumentsFile, 'utf8').split('\n').slice(0, -1);
  }

  /** Whether the process (of which the script may have become another program by exec) is there. */
  get isRunning(): boolean {
    try {
      process.kill(Number(readFileSync(this.pidFile, 'utf8')), 0);
      return true;
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'ESRCH');
      return false;
    }
  }
}

/** What has not happened by then never happens. */
const HANGS_MS = 180_000;

/** Resolves when a stand-in has gone by itself, and its end has been told to who waits for it. */
async function gone(standIn: StandIn): Promise<void> {
  while (standIn.isRunning) await setImmediate();
  for (let i = 0; i < 50; i++) await setImmediate();
}

const cat = (name: string): string => `cat ${quoted(fixturePath(name))}`;
/** Runs until it is killed; exec, so that it has the script's process id. */
const STAY = 'exec sleep 600';
/** Waits for the test to say {@link StandIn.goOn}. */
const WAIT = 'read answer < "$0.fifo"';

async function refusal(opening: Promise<void>): Promise<CaptureError> {
  let refused: unknown;
  await opening.catch((error: unknown) => (refused = error));
  assert.ok(refused instanceof CaptureError);
  return refused;
}

function lastErrorOf(sink: KeepingSink): CaptureError {
  assert.equal(sink.endings.length, 1);
  const [error] = sink.endings;
  assert.ok(error instanceof CaptureError);
  return error;
}

/** What tcpdump wrote to stderr, by a recording of how it failed. */
function recordedWords(name: string): string[] {
  const lines = readFileSync(fixturePath(name), 'utf8').split('\n');
  return lines.slice(lines.indexOf('stderr:') + 1).filter((line) => line !== '');
}

describe('the arguments of tcpdump', () => {
  const common = (...flags: string[]): string[] => [
    '-n',
    '-p',
    ...flags,
    '-s',
    '256',
    '-i',
    'pflog0',
    '-w',
    '-',
    '--',
    'action block and port 25',
  ];
  for (const [platform, version, expected] of [
    ['openbsd', '7.8', common()],
    ['openbsd', '3.4', common()],
    ['freebsd', '10.4-RELEASE', common('-U')],
    ['freebsd', '9.3-RELEASE-p1', common('-U')],
    ['freebsd', '11.1-RELEASE', common('-U', '--immediate-mode')],
    ['freebsd', '14.1-RELEASE-p5', common('-U', '--immediate-mode')],
    ['freebsd', 'unknown', common('-U', '--immediate-mode')],
    ['netbsd', '10.0', common('-U')],
    ['darwin', '23.5.0', common('-U', '--immediate-mode')],
    ['linux', '6.1.0-13-amd64', common('-U', '--immediate-mode')],
    ['sunos', '5.11', common('-U')],
    ['aix', '7.2', common('-U')],
  ] as const) {
    it(`on ${platform} ${version} are ${expected.slice(2, -8).join(' ') || 'the plain ones'}`, () => {
      assert.deepEqual(tcpdumpArguments(platform, version, 'pflog0', 'action block and port 25'), expected);
    });
  }

  it('end at the device when there is no filter', () => {
    assert.deepEqual(tcpdumpArguments('openbsd', '7.8', 'pflog1', ''), [
      '-n',
      '-p',
      '-s',
      '256',
      '-i',
      'pflog1',
      '-w',
      '-',
    ]);
  });

  it('make no option of a filter that begins with a dash', () => {
    assert.deepEqual(tcpdumpArguments('linux', '6.1', 'pflog0', '-w /etc/passwd').slice(-2), [
      '--',
      '-w /etc/passwd',
    ]);
  });

  it('ask for enough of IPv6 behind the longest header', () => {
    assert.ok(SNAP_LENGTH >= 100 + 40 + 8 * 8 + 20);
  });
});

describe('a real tcpdump', needsTcpdump, () => {
  it('that reads a recording and stays gives the frames until it is closed, and is gone then', async () => {
    const standIn = new StandIn(`${tcpdump} -r - -U -w - < ${quoted(fixturePath(RECORDING))}\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    await sink.until(() => sink.frames.length === 18);
    assert.deepEqual(sink.frames, framesOf(RECORDING).map(keep));
    assert.equal(standIn.isRunning, true);
    assert.deepEqual(source.statistics(), { received: 18, dropped: undefined });
    await source.close();
    assert.equal(standIn.isRunning, false);
    assert.deepEqual(sink.endings, []);
    await source.close();
  });

  it('says what it reads from as a notice, without its own name twice', async () => {
    const standIn = new StandIn(`${tcpdump} -r - -U -w - < ${quoted(fixturePath(RECORDING))}\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    await sink.until(() => sink.notices.length > 0);
    assert.match(sink.notices[0]?.text ?? '', /^tcpdump: reading from file -, link-type PFLOG/);
    assert.equal(sink.notices[0]?.severity, 'info');
    await source.close();
  });

  it('that ends is an error, and its 20,000 frames came before', async () => {
    const zipped = quoted(fixturePath('pflog/30-burst-20000-rate4000.pcap.gz'));
    const standIn = new StandIn(`gzip -dc ${zipped} | ${tcpdump} -r - -U -w -`);
    const sink = new KeepingSink();
    await standIn.source().open(sink);
    await sink.ending();
    assert.match(
      lastErrorOf(sink).message,
      /^\S+ ended with status 0: .*reading from file -, link-type PFLOG/,
    );
    assert.equal(lastErrorOf(sink).kind, 'died');
    assert.equal(sink.frames.length, 20_000);
    assert.equal(standIn.isRunning, false);
  });

  it('leaves others their turn while it brings 20,000 frames', async () => {
    const unzipped = join(directory, 'burst.pcap');
    const zipped = fixturePath('pflog/30-burst-20000-rate4000.pcap.gz');
    writeFileSync(unzipped, gunzipSync(readFileSync(zipped)));
    const standIn = new StandIn(`exec cat ${quoted(unzipped)}`);
    let inThisTurn = 0;
    let most = 0;
    const sink = new KeepingSink(() => (most = Math.max(most, ++inThisTurn)));
    const ending = standIn
      .source()
      .open(sink)
      .then(() => sink.ending());
    let ended = false;
    void ending.then(() => (ended = true));
    while (!ended) {
      await setImmediate();
      inThisTurn = 0;
    }
    assert.equal(sink.frames.length, 20_000);
    // a pipe's 64 KB, and what is left of the piece before
    assert.ok(most < 1500, `${most} frames in one turn of the event loop`);
  });

  it('that is killed while it captures is an error', async () => {
    const standIn = new StandIn(`${cat(RECORDING)}\nkill -KILL $$`);
    const sink = new KeepingSink();
    await standIn.source().open(sink);
    await sink.ending();
    assert.equal(lastErrorOf(sink).message, `${standIn.path} was killed by SIGKILL`);
    assert.equal(lastErrorOf(sink).kind, 'died');
    assert.equal(sink.frames.length, 18);
  });

  it('with a filter that is none is refused with its words', async () => {
    const standIn = new StandIn(`exec ${tcpdump} -r - -U -w - -- "$1" < ${quoted(fixturePath(RECORDING))}`);
    const error = await refusal(standIn.source(['port smtp25 and']).open(new KeepingSink()));
    assert.match(error.message, /^\S+ ended with status 1: .*(syntax error|unknown port)/);
    assert.equal(error.kind, 'died');
  });

  const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;
  it(
    'on the loopback interface is refused by the name of its link type, and is gone after close',
    { skip: isRootOnLinux ? false : 'needs root on Linux' },
    async () => {
      const standIn = new StandIn(`exec ${tcpdump} "$@"`);
      const source = standIn.source(tcpdumpArguments(process.platform, release(), 'lo', 'udp port 9'));
      const sink = new KeepingSink();
      const error = await refusal(source.open(sink));
      assert.equal(
        error.message,
        `${standIn.path}: link type 1 ETHERNET, expected 117 PFLOG: not a recording of a pflog interface`,
      );
      assert.equal(error.kind, 'data');
      await source.close();
      assert.equal(standIn.isRunning, false);
      assert.deepEqual(sink.endings, []);
    },
  );
});

describe('a tcpdump', () => {
  it('gets its arguments as they are', async () => {
    const standIn = new StandIn(`${cat(RECORDING)}\n${STAY}`);
    const args = ['-n', 'a b', '$HOME', '"\'', '', '--', 'action block && port 25'];
    const source = standIn.source(args);
    await source.open(new KeepingSink());
    assert.deepEqual(standIn.arguments, args);
    assert.equal(source.description, `${standIn.path} on pflog0`);
    await source.close();
  });

  it('is open as soon as the header of the stream is there, before any frame', async () => {
    const standIn = new StandIn(`${cat('pflog/06-fragments.pcap')}\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    assert.equal(sink.frames.length, 0);
    assert.deepEqual(source.statistics(), { received: 0, dropped: undefined });
    await source.close();
    assert.equal(standIn.isRunning, false);
  });

  it('that says that there is no such device is refused with its words', async () => {
    const words = recordedWords('pflog/35-tcpdump-nosuchif.txt');
    assert.equal(words.length, 2);
    const standIn = new StandIn(`${words.map((line) => `echo ${quoted(line)} >&2`).join('\n')}\nexit 1`);
    const sink = new KeepingSink();
    const error = await refusal(standIn.source().open(sink));
    assert.equal(
      error.message,
      `${standIn.path} ended with status 1: tcpdump: pflog7: No such device exists; ` +
        '(BIOCSETIF failed: Device not configured)',
    );
    assert.equal(error.kind, 'died');
    assert.deepEqual(sink.notices, [
      { text: 'tcpdump: pflog7: No such device exists', severity: 'info' },
      { text: 'tcpdump: (BIOCSETIF failed: Device not configured)', severity: 'info' },
    ]);
    assert.deepEqual(sink.endings, []);
  });

  it('that may not capture is told from one that fails otherwise', async () => {
    const words = recordedWords('pflog/36-tcpdump-nonroot.txt');
    assert.equal(words.length, 2);
    for (const lines of [
      words,
      words.slice(0, 1),
      words.slice(1),
      ['tcpdump: lo: Operation not permitted'],
      ['tcpdump: /dev/bpf: Permission denied'],
    ]) {
      const standIn = new StandIn(`${lines.map((line) => `echo ${quoted(line)} >&2`).join('\n')}\nexit 1`);
      const error = await refusal(standIn.source().open(new KeepingSink()));
      assert.equal(error.kind, 'permission');
      assert.equal(error.message, `${standIn.path} ended with status 1: ${lines.join('; ')}`);
    }
  });

  it('that dies later is an error with its last words', async () => {
    const standIn = new StandIn(
      `${cat(RECORDING)}\n${WAIT}\nprintf 'tcpdump: pcap_loop: The interface went down\\n' >&2\nexit 1`,
    );
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    standIn.goOn();
    await sink.ending();
    assert.equal(
      lastErrorOf(sink).message,
      `${standIn.path} ended with status 1: tcpdump: pcap_loop: The interface went down`,
    );
    assert.equal(sink.frames.length, 18);
    await source.close();
    assert.equal(sink.endings.length, 1);
  });

  it('that says much is quoted with its last four lines, each cut', async () => {
    const lines = [1, 2, 3, 4, 5, 6].map((number) => `echo line ${number} >&2`);
    const long = 'x'.repeat(3000);
    const standIn = new StandIn(`${lines.join('\n')}\necho ${long} >&2\nprintf 'no newline' >&2\nexit 3`);
    const sink = new KeepingSink();
    const error = await refusal(standIn.source().open(sink));
    assert.equal(
      error.message,
      `${standIn.path} ended with status 3: line 5; line 6; ${'x'.repeat(500)}; no newline`,
    );
    assert.equal(sink.notices.length, 8);
    assert.equal(sink.notices[0]?.text, 'tcpdump: line 1');
  });

  it('that is not there is unavailable', async () => {
    const path = join(directory, 'no-such-tcpdump');
    const source = new TcpdumpSource(path, [], 'pflog0');
    const sink = new KeepingSink();
    const error = await refusal(source.open(sink));
    assert.equal(error.message, `${path}: there is no such program`);
    assert.equal(error.kind, 'unavailable');
    await source.close();
    assert.deepEqual(sink.endings, []);
  });

  it('that cannot be run is refused', async () => {
    const path = join(directory, 'not-executable');
    writeFileSync(path, 'not a program');
    const source = new TcpdumpSource(path, [], 'pflog0');
    const error = await refusal(source.open(new KeepingSink()));
    assert.equal(error.message, `${path}: it may not be run`);
    await source.close();
  });

  it('that writes something else than a savefile is refused and killed', { timeout: HANGS_MS }, async () => {
    const standIn = new StandIn(`echo 'listening on pflog0'\n${STAY}`);
    const source = standIn.source();
    const error = await refusal(source.open(new KeepingSink()));
    assert.equal(error.message, `${standIn.path}: begins with 6c697374, not a pcap or pcapng savefile`);
    assert.equal(error.kind, 'data');
    await gone(standIn);
    await source.close();
    assert.equal(standIn.isRunning, false);
  });

  it(
    'whose stream turns into garbage is one error after the good frames, and is killed',
    { timeout: HANGS_MS },
    async () => {
      const standIn = new StandIn(
        `${cat(RECORDING)}\n${WAIT}\nhead -c 4096 /dev/zero | tr '\\000' '\\377'\n${STAY}`,
      );
      const sink = new KeepingSink();
      const source = standIn.source();
      await source.open(sink);
      standIn.goOn();
      await sink.ending();
      assert.equal(
        lastErrorOf(sink).message,
        `${standIn.path}: damaged: a record of 4294967295 bytes, at most 1048576 expected`,
      );
      assert.equal(sink.frames.length, 18);
      await gone(standIn);
      assert.equal(sink.endings.length, 1);
      await source.close();
    },
  );

  it('whose stream is cut in the middle of a record is an error, and the cut record no frame', async () => {
    const length = readRecording(RECORDING).length - 10;
    const standIn = new StandIn(`head -c ${length} ${quoted(fixturePath(RECORDING))}`);
    const sink = new KeepingSink();
    await standIn.source().open(sink);
    await sink.ending();
    assert.equal(lastErrorOf(sink).message, `${standIn.path} ended with status 0`);
    assert.deepEqual(sink.frames, framesOf(RECORDING).slice(0, 17).map(keep));
  });

  it('that ends without a word is an error of that', async () => {
    const error = await refusal(new StandIn('exit 0').source().open(new KeepingSink()));
    assert.match(error.message, /tcpdump-\d+ ended with status 0$/);
    assert.equal(error.kind, 'died');
  });

  it('tells when it ends how much the kernel dropped, and gives no more frames then', async () => {
    const summary = [
      'tcpdump: listening on pflog0, link-type PFLOG (OpenBSD pflog file), capture size 256 bytes',
      '18 packets captured',
      '30 packets received by filter',
      '12 packets dropped by kernel',
    ];
    // a program with a signal handler, because a shell handles a signal only between two commands
    const program = `
      const recording = require('node:fs').readFileSync(process.argv[2]);
      const exit = () => process.exit(0);
      const summarise = () => process.stderr.write(process.argv[1], exit);
      process.on('SIGTERM', () => process.stdout.write(recording.subarray(24), summarise));
      process.stdout.write(recording);
      setInterval(() => undefined, 1000);`;
    const words = [process.execPath, '-e', program, summary.join('\n'), fixturePath(RECORDING)];
    const standIn = new StandIn(`exec ${words.map(quoted).join(' ')}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    await sink.until(() => sink.frames.length === 18);
    assert.equal(source.statistics().dropped, undefined);
    await source.close();
    assert.equal(sink.frames.length, 18);
    assert.deepEqual(source.statistics(), { received: 18, dropped: 12 });
    assert.deepEqual(
      sink.notices.map(({ text, severity }) => `${severity} ${text}`),
      [
        'info tcpdump: listening on pflog0, link-type PFLOG (OpenBSD pflog file), capture size 256 bytes',
        'info tcpdump: 18 packets captured',
        'info tcpdump: 30 packets received by filter',
        'warning tcpdump: 12 packets dropped by kernel',
      ],
    );
    assert.deepEqual(sink.endings, []);
  });

  for (const [line, dropped, severity] of [
    ['0 packets dropped by kernel', 0, 'info'],
    ['1 packet dropped by kernel', 1, 'warning'],
    ['10172 packets dropped by kernel', 10_172, 'warning'],
    ['2 packets dropped by interface', undefined, 'info'],
  ] as const) {
    it(`that says "${line}" has lost ${String(dropped)}`, async () => {
      const standIn = new StandIn(`${cat(RECORDING)}\necho ${quoted(line)} >&2`);
      const sink = new KeepingSink();
      const source = standIn.source();
      await source.open(sink);
      await sink.ending();
      assert.equal(source.statistics().dropped, dropped);
      assert.deepEqual(sink.notices, [{ text: `tcpdump: ${line}`, severity }]);
    });
  }

  it('that does not end when asked to is killed after a second', async (t) => {
    const standIn = new StandIn(`trap '' TERM\n${cat(RECORDING)}\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    await sink.until(() => sink.frames.length === 18);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const closed = source.close();
    t.mock.timers.tick(999);
    assert.equal(standIn.isRunning, true);
    t.mock.timers.tick(1);
    await closed;
    assert.equal(standIn.isRunning, false);
    assert.deepEqual(sink.endings, []);
  });

  it('that has nothing to say for long once it is open is left alone', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const standIn = new StandIn(`${cat('pflog/06-fragments.pcap')}\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    await source.open(sink);
    t.mock.timers.tick(3_600_000);
    assert.equal(standIn.isRunning, true);
    assert.deepEqual(sink.endings, []);
    await source.close();
    assert.equal(standIn.isRunning, false);
  });

  it('that says nothing for ten seconds is refused and killed', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const standIn = new StandIn(`echo awake >&2\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    const opening = refusal(source.open(sink));
    await sink.until(() => sink.notices.length === 1);
    t.mock.timers.tick(9_999);
    assert.equal(standIn.isRunning, true);
    t.mock.timers.tick(1);
    const error = await opening;
    assert.equal(error.message, `${standIn.path} said nothing for 10 s`);
    await source.close();
    assert.equal(standIn.isRunning, false);
  });

  it('that has not written a whole file header in ten seconds is refused', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const standIn = new StandIn(`head -c 23 ${quoted(fixturePath(RECORDING))}\necho written >&2\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    const opening = refusal(source.open(sink));
    await sink.until(() => sink.notices.length === 1);
    t.mock.timers.tick(10_000);
    assert.equal((await opening).message, `${standIn.path} said nothing for 10 s`);
    await source.close();
    assert.equal(standIn.isRunning, false);
  });

  it('that is closed before its stream has begun is refused, and gone', async () => {
    const standIn = new StandIn(`echo awake >&2\n${STAY}`);
    const sink = new KeepingSink();
    const source = standIn.source();
    const opening = refusal(source.open(sink));
    await sink.until(() => sink.notices.length === 1);
    await source.close();
    assert.equal((await opening).message, `${standIn.path} was killed by SIGTERM: awake`);
    assert.equal(standIn.isRunning, false);
    assert.deepEqual(sink.endings, []);
  });

  it('that was never opened may be closed', async () => {
    const standIn = new StandIn(STAY);
    await standIn.source().close();
    assert.equal(existsSync(`${standIn.path}.pid`), false);
  });
});

it('a tcpdump is found where systems keep it', needsTcpdump, () => {
  assert.match(tcpdump ?? '', /^\/(usr\/)?(local\/)?s?bin\/tcpdump$/);
});

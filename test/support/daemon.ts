import { type ChildProcess, execFileSync, spawn, type StdioOptions } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Frame } from '../../src/packet/frame.js';
import { packageFolder } from '../../src/version.js';
import { PfctlStandIn } from './pfctl-harness.js';
import type { Flavour } from './pfctl-state.js';

const CLI = join(packageFolder(), 'build', 'src', 'cli.js');
/** Nothing that a test waits for takes longer on any machine, unless it is broken. */
const DEADLINE_MS = 180_000;

/** File header of a savefile: little endian, microseconds, link type 117 (pflog) or another. */
export function fileHeader(linkType: number): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(256, 16);
  header.writeUInt32LE(linkType, 20);
  return header;
}

function record(frame: Frame): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Math.floor(frame.timeMs / 1000), 0);
  header.writeUInt32LE(frame.captureLength, 8);
  header.writeUInt32LE(frame.originalLength, 12);
  return Buffer.concat([header, frame.data.subarray(frame.offset, frame.offset + frame.captureLength)]);
}

/** Frames as they are in a savefile, one after the other. */
export function recordsOf(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.map(record));
}

/** What a daemon under test runs with: a stand-in pfctl, and a pflog that the test writes frames to. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'mxallowd-test-'));
  readonly tcpdump = join(this.folder, 'tcpdump');
  readonly config = join(this.folder, 'mxallowd.conf');
  readonly pidFile = join(this.folder, 'mxallowd.pid');
  readonly controlSocket = join(this.folder, 'mxallowd.sock');
  readonly stateFile = join(this.folder, 'state', 'state');
  private readonly fifo = join(this.folder, 'pflog');
  private pflog: number | undefined;
  private readonly daemons: Daemon[] = [];

  private constructor(readonly pfctl: PfctlStandIn) {
    // an engine that is not root any more must get to its state file
    chmodSync(this.folder, 0o755);
    this.makeFifo();
    writeFileSync(this.tcpdump, `#!/bin/sh\nexec cat '${this.fifo}'\n`, { mode: 0o755 });
    this.writeConfig([]);
    this.openPflog();
  }

  /**
   * @param user - see {@link Workplace.user}
   * @param flavour - whose pfctl
   */
  static async create(user = 'root', flavour: Flavour = 'freebsd'): Promise<Workplace> {
    const place = new Workplace(await PfctlStandIn.create({ flavour }));
    place.user = user;
    place.writeConfig([]);
    return place;
  }

  /**
   * Whom the daemon becomes when it is started as root: `root` for one process, anybody else for a monitor and an
   * engine.
   */
  user = 'root';

  /** Writes the configuration file: the recordings' addresses, our stand-ins, and more lines. */
  writeConfig(lines: readonly string[], servers: readonly string[] = SERVERS): void {
    // without DNS
    const common = [
      `pfctl ${this.pfctl.path}`,
      `tcpdump ${this.tcpdump}`,
      `control-socket ${this.controlSocket}`,
      `state-file ${this.stateFile}`,
      `user ${this.user}`,
      'no-rdns-whitelist',
      'no-pool',
    ];
    writeFileSync(this.config, [...servers, ...common, ...lines, ''].join('\n'));
  }

  /** Says the beginning of a capture; once for each tcpdump that is started. */
  openPflog(linkType = 117): void {
    // read and write: opening does not wait for a reader, and a reader sees no end while we hold it
    this.pflog ??= openSync(this.fifo, 'r+');
    writeSync(this.pflog, fileHeader(linkType));
  }

  /** pf logs these packets. */
  log(frames: readonly Frame[]): void {
    this.logRecords(recordsOf(frames));
  }

  /** The same for {@link recordsOf} frames. */
  logRecords(records: Buffer): void {
    if (this.pflog === undefined) throw new Error('pflog is closed');
    writeSync(this.pflog, records);
  }

  /**
   * tcpdump sees the end of its input and ends. The next one reads from another FIFO: one that outlives its daemon for
   * a moment does not take away what is written for the next one.
   */
  closePflog(): void {
    rmSync(this.fifo, { force: true });
    this.makeFifo();
    if (this.pflog !== undefined) closeSync(this.pflog);
    this.pflog = undefined;
  }

  /** Each tcpdump says the beginning of a capture by itself, then nothing: it may be started again and again. */
  captureAgainAndAgain(): void {
    const header = join(this.folder, 'header');
    writeFileSync(header, fileHeader(117));
    writeFileSync(this.tcpdump, `#!/bin/sh\ncat '${header}'\nexec sleep 3600\n`, { mode: 0o755 });
  }

  private makeFifo(): void {
    execFileSync('mkfifo', [this.fifo]);
  }

  /** Starts `mxallowd -c CONFIG ARGS...`. */
  start(args: readonly string[]): Daemon {
    return this.startBy([process.execPath], args);
  }

  /**
   * The same by another command than node alone: it gets what node is given.
   * @param cli - another version's
   */
  startBy([program, ...before]: readonly [string, ...string[]], args: readonly string[], cli = CLI): Daemon {
    const child = spawn(program, [...before, cli, '-c', this.config, ...args], { stdio: 'pipe' });
    const daemon = new Daemon(child);
    this.daemons.push(daemon);
    return daemon;
  }

  /** The same with its standard output in a file. */
  startInto(path: string, args: readonly string[]): Daemon {
    const file = openSync(path, 'w');
    const stdio: StdioOptions = ['ignore', file, 'pipe'];
    const daemon = new Daemon(spawn(process.execPath, [CLI, '-c', this.config, ...args], { stdio }));
    closeSync(file);
    this.daemons.push(daemon);
    return daemon;
  }

  /** Starts it in the foreground, logging to standard output, and waits until it is ready. */
  async ready(args: readonly string[] = []): Promise<Daemon> {
    const daemon = this.start(['-F', '-s', ...args]);
    await daemon.line(/mxallowd is ready/);
    return daemon;
  }

  async dispose(): Promise<void> {
    for (const daemon of this.daemons) daemon.kill('SIGKILL');
    this.closePflog();
    await this.pfctl.dispose();
    // an engine that outlives its monitor for a moment may still write its state
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }
}

/** The addresses of the recordings. */
export const SERVERS = [
  'fake-mailserver 192.168.1.3',
  'fake-mailserver 2001:dead:beef::2',
  'real-mailserver 192.168.1.4',
  'real-mailserver 2001:dead:beef::1',
];

/** A running mxallowd, with what it says. */
export class Daemon {
  stdout = '';
  stderr = '';
  readonly ended: Promise<number | string>;
  private readonly waiters = new Set<() => void>();

  constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.wake();
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve(code ?? signal ?? 'unknown');
        this.wake();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits until what it has said (since `from`) matches. */
  async line(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return waitFor(
      () => `${pattern.source}\n--- said:\n${this.stdout}${this.stderr}`,
      this.waiters,
      () => pattern.exec(this.stdout.slice(from)) ?? pattern.exec(this.stderr) ?? undefined,
    );
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter();
  }
}

/** Waits until `look` finds something; it looks again whenever one of `wakers` is called. */
function waitFor<T>(what: () => string, wakers: Set<() => void>, look: () => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      wakers.delete(check);
      reject(new Error(`waited in vain for ${what()}`));
    }, DEADLINE_MS);
    const check = (): void => {
      const found = look();
      if (found === undefined) return;
      clearTimeout(timer);
      wakers.delete(check);
      resolve(found);
    };
    wakers.add(check);
    check();
  });
}

/** Waits until a condition of the outside world holds that nobody tells about. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

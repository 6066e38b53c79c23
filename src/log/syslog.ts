// Lines to syslog by logger(1), bounded.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

/** Where systems keep logger(1). */
const PATHS = ['/usr/bin/logger', '/bin/logger', '/usr/local/bin/logger'];

/** The syslog severity for each level (facility daemon, as with 1.9). */
const PRIORITIES: Readonly<Record<string, string>> = {
  error: 'daemon.err',
  warn: 'daemon.warning',
  info: 'daemon.info',
  debug: 'daemon.debug',
};

/** Lines that wait while logger is being restarted or does not read; the newest are dropped beyond that. */
const MAX_WAITING = 1000;
const FIRST_RESTART_MS = 200;
const MAX_RESTART_MS = 30_000;
const DRAIN_MS = 1000;

/**
 * Writes to syslog through a `logger` child for each severity in use: every BSD and Linux has logger(1), and no
 * native code is needed. A child that dies is started again.
 */
export class Syslog {
  private readonly pipes = new Map<string, LoggerPipe>();
  private readonly path: string;

  constructor(
    private readonly trouble: (message: string) => void,
    path?: string,
  ) {
    this.path = path ?? PATHS.find(isExecutable) ?? '/usr/bin/logger';
  }

  /** Writes a line. */
  write(level: string, line: string): void {
    const priority = PRIORITIES[level] ?? 'daemon.info';
    let pipe = this.pipes.get(priority);
    if (pipe === undefined) {
      pipe = new LoggerPipe(this.path, priority, this.trouble);
      this.pipes.set(priority, pipe);
    }
    pipe.write(line);
  }

  /** Closes the children's input and waits for their end, a second at the most. */
  async drain(): Promise<void> {
    await Promise.all([...this.pipes.values()].map((pipe) => pipe.close()));
  }
}

type Logger = ChildProcessByStdio<Writable, null, Readable>;

class LoggerPipe {
  private child: Logger | undefined;
  private readonly waiting: string[] = [];
  private dropped = 0;
  private blocked = false;
  private restartMs = FIRST_RESTART_MS;
  private restart: NodeJS.Timeout | undefined;
  private closing = false;
  private exited: Promise<void> = Promise.resolve();

  constructor(
    private readonly path: string,
    private readonly priority: string,
    private readonly trouble: (message: string) => void,
  ) {}

  write(line: string): void {
    if (this.waiting.length >= MAX_WAITING) this.dropped++;
    else this.waiting.push(line);
    this.pump();
  }

  async close(): Promise<void> {
    clearTimeout(this.restart);
    this.restart = undefined;
    if (this.child === undefined && this.waiting.length > 0) this.pump();
    this.closing = true;
    const { child } = this;
    if (child === undefined) return;
    child.stdin.end(
      this.waiting
        .splice(0)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const kill = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS);
    await this.exited;
    clearTimeout(kill);
  }

  private pump(): void {
    if (this.closing || this.restart !== undefined) return;
    this.child ??= this.start();
    while (!this.blocked && this.child !== undefined && this.waiting.length > 0) {
      const line = this.waiting.shift() ?? '';
      this.blocked = !this.child.stdin.write(`${line}\n`);
    }
    if (this.dropped > 0 && this.waiting.length < MAX_WAITING) {
      this.waiting.push(`${this.dropped} log lines were dropped: syslog did not take them fast enough`);
      this.dropped = 0;
    }
  }

  /** @returns undefined when there was not even a descriptor for it; it is then tried again later */
  private start(): Logger | undefined {
    const startedMs = performance.now();
    const args = ['-t', 'mxallowd', '-p', this.priority];
    let child: Logger;
    try {
      child = spawn(this.path, args, {
        stdio: ['pipe', 'ignore', 'pipe'],
        env: {},
        cwd: '/',
        // it ends when it has read everything, also when somebody ends our whole process group
        detached: true,
      });
    } catch (error) {
      this.ended(`cannot be started: ${String(error)}`, startedMs);
      return undefined;
    }
    let said = '';
    this.exited = new Promise((done) => {
      let ended = false;
      const end = (what: string): void => {
        done();
        if (ended || this.closing) return;
        ended = true;
        this.ended(said === '' ? what : `${what}: ${said.trim()}`, startedMs);
      };
      child.once('error', (error) => end(`cannot be started: ${error.message}`));
      child.once('exit', (code, signal) => end(`ended (${signal ?? `status ${code}`})`));
    });
    // without descriptors there are no streams; the error comes a little later
    if ((child.stdin as Writable | undefined) === undefined) {
      this.restart = setTimeout(() => (this.restart = undefined), FIRST_RESTART_MS);
      return undefined;
    }
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(0, 500)));
    child.stdin.on('error', () => undefined);
    child.stdin.on('drain', () => {
      this.blocked = false;
      this.pump();
    });
    return child;
  }

  private ended(what: string, startedMs: number): void {
    this.child = undefined;
    this.blocked = false;
    // one that ran for long has earned a quick restart
    if (performance.now() - startedMs > MAX_RESTART_MS) this.restartMs = FIRST_RESTART_MS;
    this.trouble(`syslog: ${this.path} ${what}; starting it again in ${this.restartMs} ms`);
    clearTimeout(this.restart);
    this.restart = setTimeout(() => {
      this.restart = undefined;
      if (this.waiting.length > 0) this.pump();
    }, this.restartMs);
    this.restart.unref();
    this.restartMs = Math.min(this.restartMs * 2, MAX_RESTART_MS);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

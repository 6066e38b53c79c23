// Runs a program with a limit on its time and output.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../clock.js';

/** How a child process ended. */
export type ChildEnd =
  | { readonly kind: 'exit'; readonly status: number; readonly stderr: string }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals; readonly stderr: string }
  | { readonly kind: 'time-out'; readonly afterMs: number; readonly stderr: string }
  /** it has not: it was killed, and is there all the same, so long after its start */
  | { readonly kind: 'stuck'; readonly pid: number; readonly afterMs: number; readonly stderr: string }
  | { readonly kind: 'not-started'; readonly message: string };

/** What to run. */
export interface ChildRequest {
  /** absolute path */
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  /** gets standard output, in pieces of whole lines, each line with its newline */
  readonly stdout?: (lines: string) => void;
}

const MAX_STDERR = 4096;
/** How long output may still come after the child's end: a grandchild may hold the pipe open for ever. */
const DRAIN_MS = 2000;
/** Who was killed has so long to go: a process that sleeps in the kernel goes when it wakes, or never. */
export const KILLED_MS = 3000;

/** A running child. */
export interface RunningChild {
  readonly pid: number | undefined;
  /** how it ended; at the latest {@link KILLED_MS} after it was killed */
  readonly ended: Promise<ChildEnd>;
  /** resolves when it is really gone, and whoever else has its pipes */
  readonly gone: Promise<void>;
  /** Kills it (SIGKILL). */
  kill(): void;
}

/**
 * Runs a program without a shell, feeds its standard input, and tells how it ended. Never rejects. A child that is
 * not done after `timeoutMs` is killed.
 */
export function runChild(request: ChildRequest): RunningChild {
  let child: Spawned;
  try {
    child = spawn(request.path, request.args, {
      env: request.environment,
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: '/',
    });
  } catch (error) {
    return notStarted(Promise.resolve(error instanceof Error ? error.message : String(error)));
  }
  // no process at all (no such file, no descriptors left): then it may have no pipes either
  if (child.pid !== undefined) return new Child(child, child.pid, request);
  return notStarted(new Promise((resolve) => child.once('error', ({ message }) => resolve(message))));
}

type Spawned = ChildProcessByStdio<Writable, Readable, Readable>;

function notStarted(message: Promise<string>): RunningChild {
  const ended = message.then((words) => ({ kind: 'not-started', message: words }) as const);
  return { pid: undefined, ended, gone: ended.then(() => undefined), kill: () => undefined };
}

class Child implements RunningChild {
  readonly ended: Promise<ChildEnd>;
  readonly gone: Promise<void>;
  private readonly startedMs: number;
  private readonly lines: Lines;
  private stderr = '';
  private timedOut = false;
  private isKilled = false;
  private end: (end: ChildEnd) => void = () => undefined;
  private cancelDrain: (() => void) | undefined;
  private readonly cancelTimeout: () => void;
  private cancelKilled: (() => void) | undefined;

  constructor(
    private readonly child: Spawned,
    readonly pid: number,
    private readonly request: ChildRequest,
  ) {
    const { clock, timeoutMs } = request;
    this.startedMs = clock.monotonicMs();
    this.lines = new Lines(request.stdout);
    child.stdout.setEncoding('latin1').on('data', (text: string) => this.lines.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.stderr.length < MAX_STDERR) this.stderr = (this.stderr + text).slice(0, MAX_STDERR);
    });
    // a child that does not read its input ends with a status that says more than EPIPE
    child.stdin.on('error', () => undefined);
    child.stdin.end(request.stdin, 'latin1');
    // one that is not ours to kill
    child.on('error', () => undefined);
    this.ended = new Promise((resolve) => (this.end = resolve));
    this.cancelTimeout = clock.after(timeoutMs, () => {
      this.timedOut = true;
      this.kill();
    });
    child.once('exit', (code, signal) => {
      this.cancelTimeout();
      // who was killed may have been a wrapper: what it has started keeps the pipes
      if (!this.isKilled) this.cancelDrain = clock.after(DRAIN_MS, () => this.finish(code, signal));
    });
    this.gone = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.finish(code, signal);
        resolve();
      });
    });
  }

  kill(): void {
    const { clock } = this.request;
    this.child.kill('SIGKILL');
    if (this.isKilled) return;
    this.isKilled = true;
    this.cancelKilled = clock.after(KILLED_MS, () => {
      this.lines.stop();
      const afterMs = clock.monotonicMs() - this.startedMs;
      this.end({ kind: 'stuck', pid: this.pid, afterMs, stderr: this.stderr });
    });
  }

  private finish(code: number | null, signal: NodeJS.Signals | null): void {
    const { stderr } = this;
    for (const cancel of [this.cancelTimeout, this.cancelDrain, this.cancelKilled]) cancel?.();
    this.lines.finish();
    this.child.stdout.destroy();
    this.child.stderr.destroy();
    if (this.timedOut) this.end({ kind: 'time-out', afterMs: this.request.timeoutMs, stderr });
    else if (code !== null) this.end({ kind: 'exit', status: code, stderr });
    else this.end({ kind: 'signal', signal: signal ?? 'SIGKILL', stderr });
  }
}

/** Hands on whole lines, as they come. */
class Lines {
  private rest = '';

  constructor(private take: ((lines: string) => void) | undefined) {}

  push(text: string): void {
    if (this.take === undefined) return;
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) this.take(this.rest + text.slice(0, end));
    this.rest = end > 0 ? text.slice(end) : this.rest + text;
  }

  /** There are no more; the last one may have no newline. */
  finish(): void {
    if (this.rest !== '') this.take?.(`${this.rest}\n`);
    this.stop();
  }

  /** Nobody waits for what still comes. */
  stop(): void {
    this.take = undefined;
    this.rest = '';
  }
}

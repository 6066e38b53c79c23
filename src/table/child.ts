// Runs a program with a limit on its time and output.
import { spawn } from 'node:child_process';

/** How a child process ended. */
export type ChildEnd =
  | { readonly kind: 'exit'; readonly status: number; readonly stderr: string }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals; readonly stderr: string }
  | { readonly kind: 'time-out'; readonly afterMs: number; readonly stderr: string }
  | { readonly kind: 'not-started'; readonly message: string };

/** What to run. */
export interface ChildRequest {
  /** absolute path */
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** gets standard output, in pieces of whole lines, each line with its newline */
  readonly stdout?: (lines: string) => void;
}

const MAX_STDERR = 4096;
/** How long output may still come after the child's end: a grandchild may hold the pipe open for ever. */
const DRAIN_MS = 2000;

/** A running child. */
export interface RunningChild {
  readonly pid: number | undefined;
  readonly ended: Promise<ChildEnd>;
  /** Kills it (SIGKILL). */
  kill(): void;
}

/**
 * Runs a program without a shell, feeds its standard input, and tells how it ended. Never rejects. A child that is
 * not done after `timeoutMs` is killed; `ended` resolves only when it is really gone, so that two never run at once.
 */
export function runChild(request: ChildRequest): RunningChild {
  const { path, args, environment, timeoutMs } = request;
  let child: ReturnType<typeof start>;
  try {
    child = start(path, args, environment);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      pid: undefined,
      ended: Promise.resolve({ kind: 'not-started', message }),
      kill: () => undefined,
    };
  }
  // no process at all (no such file, no descriptors left): then it may have no pipes either
  if (child.pid === undefined) {
    const ended = new Promise<ChildEnd>((resolve) => {
      child.once('error', ({ message }) => resolve({ kind: 'not-started', message }));
    });
    return { pid: undefined, ended, kill: () => undefined };
  }
  let stderr = '';
  let timedOut = false;
  const lines = wholeLines(request.stdout);
  child.stdout.setEncoding('latin1').on('data', lines.push);
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < MAX_STDERR) stderr = (stderr + text).slice(0, MAX_STDERR);
  });
  // a child that does not read its input ends with a status that says more than EPIPE
  child.stdin.on('error', () => undefined);
  child.stdin.end(request.stdin, 'latin1');

  const ended = new Promise<ChildEnd>((resolve) => {
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    let drain: NodeJS.Timeout | undefined;
    let done = false;
    const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      clearTimeout(drain);
      lines.finish();
      child.stdout.destroy();
      child.stderr.destroy();
      if (timedOut) resolve({ kind: 'time-out', afterMs: timeoutMs, stderr });
      else if (code !== null) resolve({ kind: 'exit', status: code, stderr });
      else resolve({ kind: 'signal', signal: signal ?? 'SIGKILL', stderr });
    };
    child.on('error', (error) => {
      if (child.pid !== undefined || done) return;
      done = true;
      clearTimeout(timer);
      resolve({ kind: 'not-started', message: error.message });
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      drain = setTimeout(() => finish(code, signal), DRAIN_MS);
    });
    child.once('close', finish);
  });
  return { pid: child.pid, ended, kill: () => void child.kill('SIGKILL') };
}

function start(path: string, args: readonly string[], environment: Readonly<Record<string, string>>) {
  return spawn(path, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
}

function wholeLines(take: ((lines: string) => void) | undefined): {
  push: (text: string) => void;
  finish: () => void;
} {
  if (take === undefined) return { push: () => undefined, finish: () => undefined };
  let rest = '';
  return {
    push: (text) => {
      const end = text.lastIndexOf('\n') + 1;
      if (end > 0) take(rest + text.slice(0, end));
      rest = end > 0 ? text.slice(end) : rest + text;
    },
    finish: () => {
      if (rest !== '') take(`${rest}\n`);
      rest = '';
    },
  };
}

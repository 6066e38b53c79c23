// Starts the daemon in the background, and waits until it is ready.
import { spawn } from 'node:child_process';
import type { Given } from '../config/config.js';
import { isSameFile } from '../log/outputs.js';
import { nodeChild, nodeEnvironment } from './node-child.js';
import { Exit } from '../sysexits.js';

/** Tells a process that it is the daemon that another one started. Not an argument: rc.d finds us by our arguments. */
const MARK = 'MXALLOWD_DAEMON';

/** What the daemon tells the process that started it, over IPC. */
type Message = { readonly ready: true } | { readonly ready: false; readonly exitStatus: number };

/** What the process that started it tells the daemon: the options of the command line. */
interface Order {
  readonly given: readonly Given[];
}

/** How long the daemon may take to get ready. */
const READY_TIMEOUT_MS = 60_000;

/** Whether this process was started by {@link startInBackground}. */
export function isBackgroundChild(environment: NodeJS.ProcessEnv): boolean {
  return environment[MARK] !== undefined && process.send !== undefined;
}

/** Waits for the options of the command line. */
export async function receiveOptions(): Promise<readonly Given[]> {
  return new Promise((resolve) => {
    // whoever started us may go before it can tell, or later, which does not matter any more
    const gone = (): void => process.exit(Exit.UNAVAILABLE);
    process.once('disconnect', gone);
    process.once('message', (message) => {
      process.off('disconnect', gone);
      process.on('disconnect', () => undefined);
      resolve((message as Order).given);
    });
  });
}

/**
 * Starts the same command again in a session of its own and waits until that daemon is ready or has failed. What it
 * writes to standard error meanwhile is passed on.
 * @param given - what the command line says
 * @param keepStdout - the daemon goes on writing to our standard output
 * @returns exit status for this process
 */
export function startInBackground(given: readonly Given[], keepStdout: boolean): Promise<number> {
  // an error is told once where both come out at one place, which the daemon sees then
  const isOne = keepStdout && isSameFile(process.stdout.fd, process.stderr.fd);
  const [program, ...words] = nodeChild(process.argv.slice(1));
  const child = spawn(program, words, {
    detached: true,
    stdio: ['ignore', keepStdout ? 'inherit' : 'ignore', isOne ? 'inherit' : 'pipe', 'ipc'],
    env: { ...nodeEnvironment(), [MARK]: '1' },
  });
  child.stderr?.pipe(process.stderr, { end: false });
  // without a process there is nobody to tell; "error" says so
  if (child.pid !== undefined) child.send({ given } satisfies Order, () => undefined);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      process.stderr.write(`mxallowd: not ready within ${READY_TIMEOUT_MS / 1000} s, giving up\n`);
      child.kill('SIGKILL');
      resolve(Exit.UNAVAILABLE);
    }, READY_TIMEOUT_MS);
    const finish = (status: number): void => {
      clearTimeout(timer);
      resolve(status);
    };
    child.once('message', (message) => {
      const answer = message as Message;
      if (answer.ready) finish(Exit.OK);
      else child.once('close', () => finish(answer.exitStatus));
    });
    child.once('error', (error) => {
      process.stderr.write(`mxallowd: cannot start the daemon: ${error.message}\n`);
      finish(Exit.OSERR);
    });
    child.once('exit', (code, signal) => {
      if (signal !== null) process.stderr.write(`mxallowd: the daemon was killed by ${signal}\n`);
      child.once('close', () => finish(code ?? Exit.SOFTWARE));
    });
  });
}

/** Tells the process that started us how the start went, and lets go of it. */
export async function reportStart(exitStatus: number): Promise<void> {
  const message: Message = exitStatus === Exit.OK ? { ready: true } : { ready: false, exitStatus };
  await new Promise<void>((resolve) => {
    if (process.send?.(message, undefined, undefined, () => resolve()) === undefined) resolve();
  });
  process.removeAllListeners('disconnect');
  if (process.connected) process.disconnect();
}

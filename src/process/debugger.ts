// Keeps Node's debugger shut: whoever connects to it runs code as this process.
import { spawn } from 'node:child_process';
import * as inspector from 'node:inspector';

/** A signal of the time before its handler may take effect so much later, in milliseconds, and no more. */
const LAST_LOOK_MS = 16_384;

/**
 * An address that no machine has: a debugger that is to listen there does not begin to. For each Node that we start.
 * Not `--disable-sigusr1` (Node 22.14 and newer): it blocks the signal for good, and no handler of ours would hear it.
 */
export const NO_DEBUGGER = '--inspect-port=255.255.255.254:9229';

/** Whether an option of Node's opens a debugger, which is for this process and not for those that it starts. */
export function opensDebugger(option: string): boolean {
  return /^--inspect(?:-brk|-wait)?(?:=|$)/.test(option);
}

/**
 * Closes a debugger that SIGUSR1 has opened before its handler was there, now and for some seconds. One that was asked
 * for on Node's command line stays.
 */
export function keepDebuggerShut(): void {
  if (process.execArgv.some(opensDebugger)) return;
  const lookAfter = (ms: number): void => {
    shut();
    if (ms <= LAST_LOOK_MS) setTimeout(() => lookAfter(2 * ms), ms).unref();
  };
  lookAfter(1);
}

/** Closing waits for whoever is connected, and does what he says meanwhile: then we are killed. */
function shut(): void {
  if (inspector.url() === undefined) return;
  const killer = spawn('/bin/sh', ['-c', 'sleep 1; kill -KILL "$PPID"'], { stdio: 'ignore' });
  killer.on('error', () => undefined);
  killer.unref();
  inspector.close();
  killer.kill('SIGKILL');
  process.stderr.write("mxallowd: Node's debugger was open (an early SIGUSR1, or NODE_OPTIONS): closed\n");
}

// The daemon, as the command that was typed has started it.
import { runDaemon } from './daemon.js';
import { receiveOptions } from './background.js';
import type { EarlyHangup } from './hangup.js';
import { Exit } from '../sysexits.js';

/** The daemon that another process has started and waits for. */
export async function main(early: EarlyHangup): Promise<void> {
  // the terminal may go; the daemon goes on
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  process.exitCode = Exit.SOFTWARE;
  const status = await runDaemon(await receiveOptions(), true, early);
  process.stdout.write('', () => process.exit(status));
}

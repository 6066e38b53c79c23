// `mxallowd` without a command: the daemon.
import { resolve } from 'node:path';
import { startInBackground } from '../process/background.js';
import { collectOptions, type ParsedArguments } from './arguments.js';
import { runDaemon } from '../process/daemon.js';
import { closeInherited } from '../process/descriptors.js';
import { dieOfHangup, type EarlyHangup } from '../process/hangup.js';
import { loadConfig, printProblems } from '../process/load-config.js';

/** `mxallowd`: runs the daemon, in the background unless told otherwise. */
export async function run(argv: ParsedArguments, early: EarlyHangup): Promise<number> {
  const { given: words, problems } = collectOptions(argv, 'all');
  // a SIGHUP must find the same file from the root folder, too
  const given = words.map((item) =>
    item.key === 'config' ? { ...item, text: resolve(item.text ?? '') } : item,
  );
  const loaded = loadConfig(given, problems);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  const { foreground, stdout } = loaded.config;
  if (foreground) {
    closeInherited();
    return runDaemon(given, false, early);
  }
  dieOfHangup(early);
  return startInBackground(given, stdout);
}

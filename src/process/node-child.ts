// How a Node of our own is started: with no debugger, and no core files.
import { NO_DEBUGGER, opensDebugger } from './debugger.js';
import { nodePath } from './node-path.js';

/** What runs a program that leaves no core file: what it has in memory is nobody's business. */
const WITHOUT_CORES = ['-c', 'ulimit -c 0; exec "$0" "$@"'] as const;

/**
 * The command that runs a script of ours as we are run.
 * @param words - the script, and its arguments
 */
export function nodeChild(words: readonly string[]): [string, ...string[]] {
  const options = process.execArgv.filter((option) => !opensDebugger(option));
  return ['/bin/sh', ...WITHOUT_CORES, nodePath(), ...options, ...words];
}

/**
 * The environment that keeps the debugger of a Node shut, where its command line must be ours: rc.d finds a daemon by
 * its arguments.
 */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: options = '' } = process.env;
  return { ...process.env, NODE_OPTIONS: `${options} ${NO_DEBUGGER}`.trim() };
}

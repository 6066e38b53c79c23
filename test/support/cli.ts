import { spawn } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageFolder } from '../../src/version.js';

/** The compiled program. */
export const CLI = join(packageFolder(), 'build', 'src', 'cli.js');

/** A run that takes longer hangs, on any machine. */
const DEADLINE_MS = 180_000;

/** How a run of the program ended. */
export interface CliResult {
  /** null when it had to be killed */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the program to its end.
 * @param stdinFile - what its standard input reads from; nothing unless told
 */
export function runCli(args: readonly string[], stdinFile?: string): Promise<CliResult> {
  return runProgram(process.execPath, [CLI, ...args], stdinFile);
}

/** Runs any program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  stdinFile = '/dev/null',
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', timeout: DEADLINE_MS, killSignal: 'SIGKILL' });
    const parts: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => parts[name].push(text));
    }
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout: parts.stdout.join(''), stderr: parts.stderr.join('') });
    });
    // a program that does not read its input to the end is none of our concern
    child.stdin.on('error', () => undefined);
    createReadStream(stdinFile).pipe(child.stdin);
  });
}

/** A folder for the files of a test. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'mxallowd-test-'));

  /** Writes a file, and gives its path. */
  file(name: string, content: string | Uint8Array): string {
    const path = this.path(name);
    writeFileSync(path, content);
    return path;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The lines of a text that ends in a line feed. */
export function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

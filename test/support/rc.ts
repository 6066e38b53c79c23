import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { packageFolder } from '../../src/version.js';
import { CLI, type CliResult, runProgram } from './cli.js';
import { fileHeader, type Workplace } from './daemon.js';

/** What the scripts, their rc.subr and the stand-ins call; nothing else is in their PATH. */
const TOOLS = ['cat', 'env', 'grep', 'pgrep', 'pkill', 'ps', 'rm', 'sed', 'sleep', 'sh'];

/** Where a program is. */
function which(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** The shells at hand of those named. */
export function shells(...names: string[]): string[] {
  return names.flatMap((name) => which(name) ?? []);
}

/** The path of a script in the package. */
export function rcScript(system: 'openbsd' | 'freebsd'): string {
  return join(packageFolder(), 'rc.d', system, 'mxallowd');
}

/** @returns why these tests cannot run here, or undefined */
export function rcUnavailable(shell: string | undefined): string | undefined {
  if (shell === undefined) return 'no such shell is installed';
  const missing = ['pgrep', 'pkill', 'ps', 'mkfifo'].find((tool) => which(tool) === undefined);
  return missing === undefined ? undefined : `${missing} is not installed`;
}

/** What shellcheck has to say, but for what it cannot know of rc.subr: its path, its variables, our hooks. */
export function shellcheck(dialect: 'ksh' | 'dash', path: string): string | undefined {
  const args = ['--norc', '-s', dialect, '-e', 'SC1091,SC2034,SC2154', path];
  const { error, stdout } = spawnSync('shellcheck', args, { encoding: 'utf8' });
  return error === undefined ? stdout : undefined;
}

/**
 * A system as the rc.d script sees it: our rc.subr, programs that write down how they are called, a PATH with nothing
 * in it but these, and the daemon under test installed as npm does it.
 */
export class RcMachine {
  readonly folder: string;
  /** The command, as npm links it. */
  readonly installed: string;
  /** Whoever calls the script has SIGHUP ignored, as init has it for /etc/rc. */
  ignoresHangup = false;
  private readonly bin: string;
  private readonly script: string;
  private readonly calls: string;
  private readonly pflog: number;

  /**
   * @param replacements - what is elsewhere here: [what the script says, what it is here]
   */
  constructor(
    readonly place: Workplace,
    system: 'openbsd' | 'freebsd',
    private readonly shell: string,
    replacements: readonly (readonly [string, string])[],
  ) {
    this.folder = join(place.folder, 'rc');
    this.bin = join(this.folder, 'bin');
    this.installed = join(this.folder, 'local', 'mxallowd');
    this.script = join(this.folder, 'mxallowd');
    this.calls = join(this.folder, 'calls');
    for (const folder of [this.bin, dirname(this.installed)]) mkdirSync(folder, { recursive: true });
    chmodSync(CLI, 0o755);
    symlinkSync(CLI, this.installed);
    for (const name of TOOLS) symlinkSync(which(name) ?? '/nonexistent', join(this.bin, name));
    let text = readFileSync(rcScript(system), 'utf8');
    for (const [theirs, ours] of replacements) {
      if (!text.includes(theirs)) throw new Error(`the script does not say ${theirs}`);
      text = text.replace(theirs, ours);
    }
    writeFileSync(this.script, text, { mode: 0o755 });
    this.pflog = this.replaceTcpdump();
    this.say('ifconfig', '[ "$#" -gt 1 ] || exit 1');
    this.say('pfctl', 'echo "Status: Enabled for 0 days 00:12:34"');
    this.say('kldstat', 'exit 1');
    this.say('kldload', '');
    this.say('logger', `cat >>'${this.calls}'`);
  }

  /** A tcpdump that can be started again and again: it says the beginning of a capture itself, then nothing. */
  private replaceTcpdump(): number {
    const fifo = join(this.folder, 'pflog');
    execFileSync('mkfifo', [fifo]);
    const header = join(this.folder, 'header');
    writeFileSync(header, fileHeader(117));
    writeFileSync(this.place.tcpdump, `#!/bin/sh\ncat '${header}'\nexec cat '${fifo}'\n`, { mode: 0o755 });
    // read and write: cat sees no end while we hold it
    return openSync(fifo, 'r+');
  }

  /** Makes a stand-in for a program: it writes its call down, and goes on with some lines of shell. */
  say(name: string, body: string): void {
    const lines = ['#!/bin/sh', `echo "${name} $*" >>'${this.calls}'`, body, ''];
    writeFileSync(join(this.bin, name), lines.join('\n'), { mode: 0o755 });
  }

  /** What was called since the last time, and what logger was given. */
  called(): string[] {
    const text = existsSync(this.calls) ? readFileSync(this.calls, 'utf8') : '';
    writeFileSync(this.calls, '');
    return text.split('\n').slice(0, -1);
  }

  /** Runs the script. */
  rc(...args: string[]): Promise<CliResult> {
    const hangup = this.ignoresHangup ? "trap '' HUP; " : '';
    const variables = [`PATH=${this.bin}`, `RC_FOLDER=${this.folder}`, `KSH=${this.shell}`];
    return runProgram('/usr/bin/env', [
      ...['-i', ...variables, '/bin/sh', '-c', `${hangup}exec "$0" "$@"`, this.shell, this.script],
      ...args,
    ]);
  }

  /** The process id in the daemon's PID file. */
  get pid(): number | undefined {
    return existsSync(this.place.pidFile) ? Number(readFileSync(this.place.pidFile, 'utf8')) : undefined;
  }

  /** Ends what a test has left. */
  dispose(): void {
    closeSync(this.pflog);
    const { pid } = this;
    if (pid === undefined || !commandLine(pid).includes(this.place.config)) return;
    process.kill(pid, 'SIGKILL');
  }
}

/** The arguments of a process, as the kernel has them; none of one that has ended. */
export function argvOf(pid: number): string[] {
  return commandLine(pid).split('\0').slice(0, -1);
}

/** The processes whose parent is this one. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => parentOf(other) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/**
 * A stand-in for pfctl(8) that keeps tables in a file: `pfctl.js --state DIRECTORY ARGUMENTS...`. Texts, streams and
 * exit status are those of FreeBSD 10.2's pfctl, FreeBSD 15.1's or OpenBSD's, as test/table/pfctl-stand-in.test.ts and
 * test/table/pfctl-tongues.test.ts replay them; what it does not know it refuses with "stand-in pfctl: not implemented".
 * This is the program, with its faults and its log; what it does is in pfctl-perform.ts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Options, parseOptions } from './pfctl-options.js';
import { perform } from './pfctl-perform.js';
import { EXIT_USAGE, type FileText, Output, SLEEPS } from './pfctl-run.js';
import { errorCode, pause, readFlavour, withLock } from './pfctl-state.js';
import { tongueOf } from './pfctl-tongue.js';

function readInput(file: string | undefined): FileText {
  if (file === undefined) return undefined;
  try {
    return { ok: true, text: file === '-' ? readStdin() : readFileSync(file, 'latin1') };
  } catch (error) {
    return { ok: false, error: errorCode(error) === 'ENOENT' ? 'No such file or directory' : String(error) };
  }
}

function readStdin(): string {
  for (;;) {
    try {
      return readFileSync(0, 'latin1');
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      pause(1);
    }
  }
}

/** A fault that a test asked for, as `fault.json` holds it. */
interface StoredFault {
  readonly mode: string;
  readonly rc?: number;
  readonly stderr?: string;
  readonly ms?: number;
  readonly after?: string;
  readonly only?: string;
  readonly times?: number;
}

/** What a call without `-T` does: load rules, check them, or show something. */
function ruleCommand({ file, noAction, show }: Options): string | undefined {
  if (show !== undefined) return 'info';
  return file === undefined ? undefined : noAction ? 'check' : 'load';
}

/** Takes one use of the fault that concerns this call, if there is one. */
function takeFault(directory: string, command: string | undefined): StoredFault | undefined {
  const file = join(directory, 'fault.json');
  if (readFault(file) === undefined) return undefined;
  return withLock(directory, () => {
    const fault = readFault(file);
    if (fault === undefined || (fault.only !== undefined && fault.only !== command)) return undefined;
    if (fault.times === undefined) return fault;
    if (fault.times <= 1) unlinkSync(file);
    else writeFileSync(file, JSON.stringify({ ...fault, times: fault.times - 1 }));
    return fault.times < 1 ? undefined : fault;
  });
}

function readFault(file: string): StoredFault | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as StoredFault;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const LOGGED_LINES = 20;
const LOGGED_LINE_LENGTH = 400;
const SHELL_VARIABLES = new Set(['_', 'PWD', 'SHLVL', 'OLDPWD']);

/** Appends a call to `calls.ndjson`; a call that never returns has the status null. */
function logCall(
  directory: string,
  at: number,
  argv: readonly string[],
  input: FileText,
  rc: number | null,
): void {
  const text = input?.ok === true ? input.text : '';
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const call = {
    at,
    pid: process.pid,
    argv,
    stdinLines: lines.length,
    stdin: lines.slice(0, LOGGED_LINES).map((line) => line.slice(0, LOGGED_LINE_LENGTH)),
    rc,
    env: Object.keys(process.env).filter((name) => !SHELL_VARIABLES.has(name)).length,
  };
  appendFileSync(join(directory, 'calls.ndjson'), `${JSON.stringify(call)}\n`);
}

/** Writes all of a text, also to a pipe that is full for the moment. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      if (errorCode(error) === 'EPIPE') return;
      if (errorCode(error) !== 'EAGAIN') throw error;
      pause(1);
    }
  }
}

/** From now on SIGKILL does not help either, until the holder has ended. */
async function beHeld(directory: string): Promise<void> {
  const holder = spawn(
    process.execPath,
    [fileURLToPath(new URL('./holder.js', import.meta.url)), String(process.pid), directory],
    // it must not keep our pipes
    { stdio: ['ignore', 'pipe', 'ignore'], detached: true },
  );
  const [said] = (await once(holder.stdout, 'data')) as [Buffer];
  if (String(said) !== 'held\n') throw new Error(`the holder says ${String(said)}`);
  mkdirSync(join(directory, 'holders'), { recursive: true });
  writeFileSync(join(directory, 'holders', String(holder.pid)), '');
}

/** Who clears up finds the processes that do not end of themselves. */
function markWaiting(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
}

/** Never returns, and SIGTERM does not help. */
async function hang(): Promise<never> {
  for (;;) await delay(60_000);
}

/** The whole program; answers the exit status. */
async function main(directory: string, argv: readonly string[]): Promise<number> {
  const at = performance.timeOrigin + performance.now();
  const tongue = tongueOf(readFlavour(directory));
  const output = new Output(tongue.usage);
  const options = parseOptions(argv, output, tongue);
  let input: FileText = undefined;
  const finish = (status: number): number => {
    logCall(directory, at, argv, input, status);
    writeAll(1, output.stdout);
    writeAll(2, output.stderr);
    return status;
  };
  if (typeof options === 'number') return finish(options);
  const fault = takeFault(directory, options.command ?? ruleCommand(options));
  if (fault?.mode === 'partial-stdin') return finish(EXIT_USAGE);
  const hangs = fault?.mode === 'hang' || fault?.mode === 'stuck';
  if (hangs) process.on('SIGTERM', () => undefined);
  const waiting = join(directory, 'waiting', String(process.pid));
  if (hangs || fault?.mode === 'slow') markWaiting(waiting);
  input = readInput(options.file);
  if (fault?.mode === 'fail') {
    if (fault.stderr !== undefined) output.stderr += `${fault.stderr}\n`;
    return finish(fault.rc ?? EXIT_USAGE);
  }
  if (fault?.mode === 'slow') await delay(fault.ms ?? 0);
  if (fault?.mode === 'stuck') await beHeld(directory);
  const isCutShort = hangs || fault?.mode === 'kill';
  const status = isCutShort && fault.after !== 'apply' ? 0 : perform(directory, options, input, output);
  if (status === SLEEPS) {
    // the real one does not end by SIGKILL either; faults have one that does not
    process.on('SIGTERM', () => undefined);
    markWaiting(waiting);
  }
  if (isCutShort || status === SLEEPS) logCall(directory, at, argv, input, null);
  if (fault?.mode === 'kill') process.kill(process.pid, 'SIGKILL');
  if (isCutShort || status === SLEEPS) return hang();
  if (fault?.mode === 'slow') rmSync(waiting, { force: true });
  return finish(status);
}

const [flag, directory, ...argv] = process.argv.slice(2);
if (flag !== '--state' || directory === undefined)
  throw new Error('the first argument must be --state DIRECTORY');
process.exitCode = await main(directory, argv);

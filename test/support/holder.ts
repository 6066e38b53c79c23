import { existsSync, readFileSync } from 'node:fs';
import { loadLibc } from '../../src/native/libc.js';

/**
 * Holds a process as one that sleeps in the kernel is held: `holder.js PID DIRECTORY`. SIGKILL does not end it until
 * this program has ended. That ends of itself, and the process with it, when the directory has gone, or who has started
 * the process. Says `held` when it holds.
 */
/** linux/ptrace.h */
const PTRACE_SEIZE = 0x4206;
/** A process that was killed stops before it goes, and waits for its tracer. */
const PTRACE_O_TRACEEXIT = 0x40;
const LOOK_MS = 1000;

const pid = Number(process.argv[2]);
const directory = process.argv[3] ?? '';

function parentOf(): string | undefined {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

const result = await loadLibc();
if (!result.ok) throw new Error(result.message);
const parent = parentOf();
const ptrace = result.libc.find('long ptrace(long request, long pid, long address, long data)');
if (ptrace?.(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT) !== 0)
  throw new Error(`process ${pid} cannot be traced: errno ${result.libc.koffi.errno()}`);
process.stdout.write('held\n');
setInterval(() => {
  if (existsSync(directory) && parentOf() === parent) return;
  // it is ours: nobody else can have its number as long as it is held
  if (parentOf() !== undefined) process.kill(pid, 'SIGKILL');
  process.exit(0);
}, LOOK_MS);

import { existsSync } from 'node:fs';
import { loadLibc } from '../../src/native/libc.js';

/**
 * Holds a process as one that sleeps in the kernel is held: `holder.js PID DIRECTORY`. SIGKILL does not end it until
 * this program has ended, which it does of itself when the directory has gone. Says `held` when it holds.
 */
/** linux/ptrace.h */
const PTRACE_SEIZE = 0x4206;
/** A process that was killed stops before it goes, and waits for its tracer. */
const PTRACE_O_TRACEEXIT = 0x40;
const LOOK_MS = 1000;

const [pid, directory = ''] = process.argv.slice(2);
const result = await loadLibc();
if (!result.ok) throw new Error(result.message);
const ptrace = result.libc.find('long ptrace(long request, long pid, long address, long data)');
if (ptrace?.(PTRACE_SEIZE, Number(pid), 0, PTRACE_O_TRACEEXIT) !== 0)
  throw new Error(`process ${pid} cannot be traced: errno ${result.libc.koffi.errno()}`);
process.stdout.write('held\n');
setInterval(() => {
  if (!existsSync(directory)) process.exit(0);
}, LOOK_MS);

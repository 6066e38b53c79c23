/** The kernel's side of /dev/bpf for tests: bpf-kernel.c, compiled into a temporary folder. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Libc, type LibcResult, loadLibc } from '../../src/native/libc.js';

const SOURCE = fileURLToPath(new URL('../../../test/support/bpf-kernel.c', import.meta.url));

/** A /dev/bpf that is not there. */
export interface BpfKernel {
  /** finds the calls of the stand-in in place of the C library's */
  readonly libc: Libc;
  /** Starts as a system that is like new. */
  start(options?: KernelOptions): void;
  /** Lets a call fail: `open`, `read`, or the name of a request. */
  fail(call: string, errno: number, times?: number): void;
  /** What the next read returns. */
  capture(bytes: Uint8Array): void;
  /** Wakes the reader, with nothing to read. */
  wake(): void;
  /** The interface goes away, with this error for its reader. */
  destroy(errno: number): void;
  /** Sets what BIOCGSTATS says of dropped frames. */
  drop(count: number): void;
  /** Every call so far, a line each. */
  transcript(): string[];
  /** The filter that was set: struct bpf_insn, one after the other. */
  program(): Uint8Array;
  /** Whether the descriptor was non-blocking when it was locked. */
  wasNonblocking(): boolean;
}

/** How a system is. */
export interface KernelOptions {
  readonly platform?: 'openbsd' | 'freebsd';
  readonly device?: string;
  readonly linkType?: number;
  /** largest buffer */
  readonly maxSize?: number;
}

/**
 * Compiles and loads it.
 * @param folder - that of the library that was compiled, for a further process
 * @returns why not, in words, where something is missing
 */
export async function loadBpfKernel(folder?: string): Promise<BpfKernel | string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the stand-in is for Linux on x64';
  const loaded = await loadLibc();
  if (!loaded.ok) return loaded.message;
  const compiled = folder === undefined ? compile() : { path: join(folder, 'bpf.so') };
  if (typeof compiled === 'string') return compiled;
  const { koffi } = loaded.libc;
  const library = koffi.load(compiled.path);
  const call = (prototype: string): ((...values: unknown[]) => unknown) => library.func(prototype);
  const start = call('void bpf_start(int, const char *, unsigned int, unsigned int)');
  const fail = call('void bpf_fail(const char *, int, int)');
  const capture = call('void bpf_capture(const void *, long)');
  const wake = call('void bpf_wake()');
  const destroy = call('void bpf_destroy(int)');
  const drop = call('void bpf_drop(unsigned int)');
  const transcript = call('const char *bpf_transcript()');
  const program = call('unsigned int bpf_program(void *)');
  const nonblocking = call('int bpf_nonblocking_before_lock()');
  return {
    libc: { koffi, find: (prototype) => call(prototype.replace(/(\w+)\(/, 'bpf_$1(')) },
    start: ({ platform = 'freebsd', device = '/dev/bpf', linkType = 117, maxSize = 1 << 19 } = {}) => {
      start(platform === 'openbsd' ? 1 : 0, device, linkType, maxSize);
    },
    fail: (name, errno, times = 1) => void fail(name, errno, times),
    capture: (bytes) => void capture(bytes, bytes.length),
    wake: () => void wake(),
    destroy: (errno) => void destroy(errno),
    drop: (count) => void drop(count),
    transcript: () => String(transcript()).split('\n').slice(0, -1),
    program: () => {
      const bytes = new Uint8Array(4096);
      return bytes.subarray(0, (program(bytes) as number) * 8);
    },
    wasNonblocking: () => nonblocking() === 1,
  };
}

/** What loads the stand-in as the C library. */
export function loaderOf(kernel: BpfKernel): () => Promise<LibcResult> {
  return () => Promise.resolve({ ok: true, libc: kernel.libc });
}

let folder: string | undefined;

/** Where the library is that this process has compiled. */
export function bpfKernelFolder(): string {
  return folder ?? '';
}

function compile(): { readonly path: string } | string {
  const made = mkdtempSync(join(tmpdir(), 'bpf-kernel-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  const path = join(made, 'bpf.so');
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', path, SOURCE], {
      stdio: 'pipe',
      encoding: 'utf8',
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gcc is missing';
    throw error;
  }
  folder = made;
  return { path };
}

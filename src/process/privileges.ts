// Becomes another user, and gives up what root can do.
import { readdirSync, readFileSync } from 'node:fs';
import { loadLibc, type NativeFunction } from '../native/libc.js';
import { Exit, StartError } from '../sysexits.js';
import type { SystemUser } from '../monitor/user-plan.js';

/** Node's types leave it out. */
type Process = typeof process & { initgroups(user: string, extraGroup: number): void };

/** prctl(2): linux/prctl.h */
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** linux/capability.h; as many as its two words hold */
const CAP_VERSION_3 = 0x2008_0522;
const MOST_CAPABILITIES = 64;

/** seccomp(2): linux/seccomp.h, linux/filter.h; its number on the machines that Node runs on (asm/unistd.h) */
const SYS_SECCOMP: Readonly<Record<string, number>> = {
  x64: 317,
  ia32: 354,
  arm64: 277,
  arm: 383,
  riscv64: 277,
  loong64: 277,
  ppc64: 358,
  s390x: 348,
};
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;
/** BPF_RET | BPF_K, SECCOMP_RET_ALLOW */
const ALLOW_ALL = { code: 0x06, k: 0x7fff_0000 };

/**
 * Gives up root for good, with all supplementary groups but the user's own.
 * @param keep - capabilities that stay, on Linux (numbers of linux/capability.h)
 * @throws StartError when root could not be given up, or could be had again
 */
export async function becomeUser(user: SystemUser, keep: readonly number[]): Promise<void> {
  if (user.uid === 0) throw failure(`user "${user.name}" is root`);
  if (process.platform === 'linux') return becomeUserOnLinux(user, keep);
  changeIds(user);
  verifyIds(user);
}

function changeIds(user: SystemUser): void {
  become('initgroups', () => (process as Process).initgroups(user.name, user.gid));
  become('setgid', () => process.setgid?.(user.gid));
  become('setuid', () => process.setuid?.(user.uid));
}

/** setuid(2) and setgid(2) of a root process change real, effective and saved ID: none may come back. */
function verifyIds(user: SystemUser): void {
  const ids = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()];
  const isOurs = ids.every((id, i) => id === (i < 2 ? user.uid : user.gid));
  if (!isOurs) throw failure('the process has kept its user or group');
  if (process.getgroups?.().includes(0) === true) throw failure('the process has kept group 0');
  verifyGone();
}

function verifyGone(): void {
  const ways = [
    () => process.setuid?.(0),
    () => process.seteuid?.(0),
    () => process.setgid?.(0),
    () => process.setegid?.(0),
  ];
  for (const way of ways) {
    try {
      way();
    } catch {
      continue;
    }
    throw failure('it can be had again');
  }
}

/**
 * The same on Linux, in all threads. Some capabilities stay in this thread; a child process inherits none of them, and
 * no thread can gain anything by running a set-user-ID program.
 */
async function becomeUserOnLinux(user: SystemUser, keep: readonly number[]): Promise<void> {
  const system = await loadSystem();
  const kept = keep.filter(isPermitted);
  for (let capability = 0; capability < MOST_CAPABILITIES; capability++) {
    // fails from the last one that the kernel knows on, or without CAP_SETPCAP: then there is less to lose
    if (system.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) !== 0) break;
  }
  check('prctl(PR_SET_KEEPCAPS)', system.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  changeIds(user);
  limit(system, kept);
  verify(kept, user);
}

/**
 * For a process that is not root: gives up all capabilities but some, and keeps those from its children.
 * @throws StartError when that fails
 */
export async function keepOnly(capabilities: readonly number[]): Promise<void> {
  const kept = capabilities.filter(isPermitted);
  limit(await loadSystem(), kept);
  verify(kept);
}

function become(call: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw failure(`${call}: ${code} (in a container that allows no other user, "user root" stays as it is)`);
  }
}

interface System {
  readonly prctl: NativeFunction;
  readonly capset: NativeFunction;
  readonly syscall: NativeFunction;
  /** address of a typed array's memory */
  readonly address: (memory: ArrayBufferView) => bigint;
}

async function loadSystem(): Promise<System> {
  const loaded = await loadLibc();
  if (!loaded.ok) throw failure(loaded.message);
  const { find, koffi } = loaded.libc;
  const required = (prototype: string): NativeFunction => {
    const found = find(prototype);
    if (found === undefined) throw failure(`the C library has no "${prototype}"`);
    return found;
  };
  return {
    prctl: required('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
    capset: required('int capset(void *, const void *)'),
    syscall: required('long syscall(long, unsigned int, unsigned int, const void *)'),
    address: (memory) => koffi.address(memory),
  };
}

function limit(system: System, keep: readonly number[]): void {
  // struct __user_cap_header_struct: version, thread (0: this one); two times effective, permitted, inheritable
  const sets = new Uint32Array(6);
  for (const capability of keep) {
    const half = (capability >> 5) * 3;
    sets[half] = sets[half + 1] = (sets[half] ?? 0) | (1 << (capability & 31));
  }
  // without inheritable ones there are no ambient ones either (capabilities(7))
  check('capset', system.capset(new Uint32Array([CAP_VERSION_3, 0]), sets));
  check('prctl(PR_SET_NO_NEW_PRIVS)', system.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (!threads().every(({ noNewPrivileges }) => noNewPrivileges)) synchronize(system);
}

/** The one way to set no_new_privs in all threads: with a system call filter (which lets everything pass). */
function synchronize({ syscall, address }: System): void {
  const number = SYS_SECCOMP[process.arch];
  if (number === undefined) throw failure(`the number of seccomp(2) on ${process.arch} is not known`);
  // struct sock_filter: code (16), two jumps (8 each), k (32); struct sock_fprog: length (16), pad, pointer
  const filter = new Uint32Array(64);
  new Uint16Array(filter.buffer)[0] = ALLOW_ALL.code;
  filter[1] = ALLOW_ALL.k;
  const program = new BigUint64Array(64);
  new Uint16Array(program.buffer)[0] = 1;
  const is64 = !['ia32', 'arm'].includes(process.arch);
  if (is64) program[1] = address(filter);
  else new Uint32Array(program.buffer)[1] = Number(address(filter));
  check('seccomp', Number(syscall(number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program)));
}

interface Thread {
  /** real, effective, saved and file system user, then the same of the group */
  readonly ids: readonly number[];
  readonly permitted: bigint;
  readonly noNewPrivileges: boolean;
}

/** What /proc tells of the threads of this process. */
function threads(): Thread[] {
  return readdirSync('/proc/self/task').map((thread) => readThread(`self/task/${thread}`));
}

function readThread(path: string): Thread {
  const status = readFileSync(`/proc/${path}/status`, 'latin1');
  const ids = [...status.matchAll(/^(?:Uid|Gid):\s*(.*)$/gm)].flatMap((match) =>
    (match[1] ?? '').split('\t'),
  );
  return {
    ids: ids.map(Number),
    permitted: BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? 'f'}`),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
  };
}

/** Who does not have a capability cannot keep it, and will hear of that when it is needed. */
function isPermitted(capability: number): boolean {
  const { permitted } = readThread('self');
  return ((permitted >> BigInt(capability)) & 1n) === 1n;
}

/** Looks at all threads: none may be root, have more than it should, or be able to get more. */
function verify(keep: readonly number[], user?: SystemUser): void {
  const wanted = keep.reduce((mask, capability) => mask | (1n << BigInt(capability)), 0n);
  for (const { ids, permitted, noNewPrivileges } of threads()) {
    if ((permitted & ~wanted) !== 0n) throw failure('a thread has kept capabilities');
    if (!noNewPrivileges) throw failure('a thread can gain privileges');
    if (user === undefined) continue;
    const isOurs = ids.length === 8 && ids.every((id, i) => id === (i < 4 ? user.uid : user.gid));
    if (!isOurs) throw failure('a thread has kept its user');
  }
  if (user !== undefined) verifyGone();
}

function check(call: string, result: unknown): void {
  if (result !== 0) throw failure(`${call} failed`);
}

function failure(why: string): StartError {
  return new StartError(`root cannot be given up: ${why}`, Exit.OSERR);
}

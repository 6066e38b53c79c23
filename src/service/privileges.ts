import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { loadLibc, type NativeFunction } from '../native/libc.js';
import { StartError } from './firewall.js';
import { Exit } from './sysexits.js';

/** A user of this system. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Node's types leave it out. */
type Process = typeof process & { initgroups(user: string, extraGroup: number): void };

/** prctl(2): linux/prctl.h */
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** linux/capability.h */
const CAP_VERSION_3 = 0x2008_0522;
const MOST_CAPABILITIES = 64;

/** Looks a user up, wherever the system keeps its users. */
export function findUser(name: string): SystemUser | undefined {
  const ask = (what: '-u' | '-g'): number =>
    Number(
      execFileSync('id', [what, '--', name], { encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  try {
    return { name, uid: ask('-u'), gid: ask('-g') };
  } catch {
    return undefined;
  }
}

/**
 * Gives up root for good, on Linux, and keeps nothing but some capabilities (none of which a child process inherits).
 * @param keep - capability numbers (linux/capability.h)
 * @throws StartError when root could not be given up, or could be had again
 */
export async function becomeUser(user: SystemUser, keep: readonly number[]): Promise<void> {
  if (user.uid === 0) throw failure(`user "${user.name}" is root`);
  const system = await loadSystem();
  for (let capability = 0; capability < MOST_CAPABILITIES; capability++) {
    // fails from the last one that the kernel knows on
    if (system.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) !== 0) break;
  }
  check('prctl', system.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  try {
    (process as Process).initgroups(user.name, user.gid);
    process.setgid?.(user.gid);
    process.setuid?.(user.uid);
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error));
  }
  limit(system, keep);
  verify(user, keep);
}

/**
 * For a process that is not root: gives up all capabilities but some, and keeps those from its children.
 * @throws StartError when that fails
 */
export async function keepOnly(capabilities: readonly number[]): Promise<void> {
  limit(await loadSystem(), capabilities);
}

interface System {
  readonly prctl: NativeFunction;
  readonly capset: NativeFunction;
}

async function loadSystem(): Promise<System> {
  const loaded = await loadLibc();
  if (!loaded.ok) throw failure(loaded.message);
  const required = (prototype: string): NativeFunction => {
    const found = loaded.libc.find(prototype);
    if (found === undefined) throw failure(`the C library has no "${prototype}"`);
    return found;
  };
  return {
    prctl: required('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
    capset: required('int capset(void *, const void *)'),
  };
}

function limit({ prctl, capset }: System, keep: readonly number[]): void {
  // struct __user_cap_header_struct: version, thread (0: this one); two times effective, permitted, inheritable
  const sets = new Uint32Array(6);
  for (const capability of keep) {
    const half = (capability >> 5) * 3;
    sets[half] = sets[half + 1] = (sets[half] ?? 0) | (1 << (capability & 31));
  }
  // without inheritable ones there are no ambient ones either (capabilities(7))
  check('capset', capset(new Uint32Array([CAP_VERSION_3, 0]), sets));
  check('prctl', prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** Looks at all threads: none may be root, have more than it should, or be able to become root. */
function verify(user: SystemUser, keep: readonly number[]): void {
  const wanted = keep.reduce((mask, capability) => mask | (1n << BigInt(capability)), 0n);
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'latin1');
    const ids = [...status.matchAll(/^(?:Uid|Gid):\s*(.*)$/gm)].flatMap((match) =>
      (match[1] ?? '').split('\t'),
    );
    const isOurs = ids.length === 8 && ids.every((id, i) => Number(id) === (i < 4 ? user.uid : user.gid));
    const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? 'f'}`);
    if (!isOurs || (permitted & ~wanted) !== 0n) throw failure('a thread has kept something');
  }
  try {
    process.setuid?.(0);
  } catch {
    return;
  }
  throw failure('it can be had again');
}

function check(call: string, result: unknown): void {
  if (result !== 0) throw failure(`${call} failed`);
}

function failure(why: string): StartError {
  return new StartError(`root cannot be given up: ${why}`, Exit.OSERR);
}

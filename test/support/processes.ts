import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { argvOf, childrenOf } from './rc.js';

/** What a file of /proc says; empty for a process that has ended. */
function proc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Whether a process runs (a zombie does not). */
export function isAlive(pid: number): boolean {
  const state = /^State:\s+(\S)/m.exec(proc(pid, 'status'))?.[1];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Whether a process has a handler for a signal. */
export function handles(pid: number, signal: NodeJS.Signals): boolean {
  return has(pid, 'SigCgt', signal);
}

/**
 * Whether a Node has begun that SIGUSR1 would not end: it blocks it at first, and it alone. A child of Node's blocks
 * all signals until it becomes another program.
 */
export function takesUsr1(pid: number): boolean {
  const isBlocked = has(pid, 'SigBlk', 'SIGUSR1');
  return (isBlocked || handles(pid, 'SIGUSR1')) && !has(pid, 'SigBlk', 'SIGTERM');
}

function has(pid: number, mask: 'SigBlk' | 'SigCgt', signal: NodeJS.Signals): boolean {
  const bits = new RegExp(`^${mask}:\\s*([0-9a-f]+)$`, 'm').exec(proc(pid, 'status'))?.[1] ?? '0';
  return ((BigInt(`0x${bits}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

/** What the descriptors of a process lead to, by their numbers. */
export function descriptorsOf(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  let names: string[] = [];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    // it has ended
  }
  for (const name of names) {
    try {
      found.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // closed meanwhile
    }
  }
  return found;
}

/** The addresses and ports of TCP on which a process listens, in the kernel's words. */
export function listeningOf(pid: number): string[] {
  const sockets = new Set(
    [...descriptorsOf(pid).values()].map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]),
  );
  return ['tcp', 'tcp6'].flatMap((family) =>
    proc(pid, `net/${family}`)
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      // local address, remote address, state (0A: LISTEN); the inode is the tenth
      .filter((words) => words[3] === '0A' && sockets.has(words[9]))
      .map((words) => words[1] ?? ''),
  );
}

/** The processes of ours that a process has started, as long as they were seen: also those that live longer. */
export class Family {
  private readonly members = new Set<number>();

  /** @param isOurs - by its arguments */
  constructor(
    private readonly ancestor: number,
    private readonly isOurs: (argv: readonly string[]) => boolean,
  ) {}

  /** One that is of the family although its parent, which had started it, may have ended before anybody looked. */
  add(pid: number): void {
    this.members.add(pid);
  }

  /** Those of ours that run now. */
  look(): number[] {
    const walk = (pid: number): void => {
      this.members.add(pid);
      for (const child of childrenOf(pid)) if (!this.members.has(child)) walk(child);
    };
    for (const pid of [this.ancestor, ...this.members]) walk(pid);
    return [...this.members].filter((pid) => isAlive(pid) && this.isOurs(argvOf(pid)));
  }

  /** Kills them all, and what they have started. */
  end(): void {
    this.look();
    for (const pid of this.members) if (isAlive(pid)) spawnSync('kill', ['-KILL', String(pid)]);
  }
}

// What an engine leaves behind when it ends, and its end.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '../clock.js';
import type { Log } from '../log/log.js';
import { runChild } from '../table/child.js';
import type { SystemUser } from './user-plan.js';

/** A process that runs, as ps(1) lists it. */
export interface ListedProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** effective user */
  readonly uid: number;
  /** FreeBSD's number of its jail; 0 where there are none */
  readonly jail: number;
}

const PS = '/bin/ps';
/** What is asked of ps: POSIX, but for the state, which each system has, and FreeBSD's jails (ps(1) there). */
const COLUMNS = ['pid', 'ppid', 'pgid', 'uid', 'stat', ...(process.platform === 'freebsd' ? ['jid'] : [])];
const PS_TIMEOUT_MS = 5000;
/** Those that are about to end (a logger with the last lines) have so long to do it: some looks, so far apart. */
const PATIENCE_MS = [50, 150, 300, 500] as const;
/** Then they are killed, again and again: what forks quickly has another number each time. */
const KILLS_MS: readonly number[] = Array<number>(20).fill(50);
const INIT = 1;
/** Numbers in a line of the log. */
const MOST_NAMED = 10;

/** Reads what ps has printed; zombies are left out. */
export function parseProcesses(text: string): ListedProcess[] {
  const line = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?!Z)\S+(?:[ \t]+(\d+))?/gm;
  return [...text.matchAll(line)].map((match) => {
    const [pid = 0, parent = 0, group = 0, uid = 0, jail = 0] = match
      .slice(1)
      .map((word) => Number(word ?? 0));
    return { pid, parent, group, uid, jail };
  });
}

/** What an engine has left: its own, and whether somebody else's processes run as its user. */
export interface Leftovers {
  readonly pids: readonly number[];
  readonly isShared: boolean;
}

/**
 * Finds what an engine that has ended has left: what is still in its process group, and, where nothing but us runs as
 * its user, all that runs as this user. But for what a living process of somebody else has started: that may be the
 * engine of another monitor; and for what runs in another jail, where the number means somebody else.
 * @param engine - the number that it had
 * @param jail - ours
 */
export function findLeftovers(
  all: readonly ListedProcess[],
  engine: number,
  { uid }: SystemUser,
  isOwnUser: boolean,
  jail = 0,
): Leftovers {
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const isForeign = ({ parent, jail: where }: ListedProcess): boolean => {
    if (where !== jail) return true;
    let ancestor = byPid.get(parent);
    // as many steps as there are processes: a list that was not taken at one moment may go round in a circle
    for (let steps = all.length; ancestor?.uid === uid && steps > 0; steps--)
      ancestor = byPid.get(ancestor.parent);
    return ancestor !== undefined && ancestor.uid !== uid && ancestor.pid !== INIT;
  };
  const users = all.filter((process) => process.uid === uid);
  const foreign = users.filter(isForeign);
  const ours = users.filter(
    (process) =>
      process.jail === jail && (process.group === engine || (isOwnUser && !foreign.includes(process))),
  );
  return { pids: ours.map(({ pid }) => pid), isShared: foreign.length > 0 };
}

/** What ends an engine's leftovers works with. */
export interface ClearParts {
  readonly user: SystemUser;
  /** nothing but us runs as this user */
  readonly isOwnUser: boolean;
  readonly clock: Clock;
  readonly log: Pick<Log, 'write'>;
}

/**
 * Ends what an engine has left behind; resolves when nothing is left, or when it cannot be ended. Processes are killed
 * by their numbers, looked up a moment before, and, where all of the user are meant, by the kernel: as this user
 * everything is killed at once, so that nothing can be born in between.
 * @param engine - the number that it had
 */
export async function clearLeftovers(engine: number, parts: ClearParts): Promise<void> {
  const { user, isOwnUser, clock, log } = parts;
  const look = async (): Promise<Leftovers> => {
    const all = parseProcesses(await listProcesses(clock));
    const jail = all.find(({ pid }) => pid === process.pid)?.jail;
    return findLeftovers(all, engine, user, isOwnUser, jail);
  };
  const sweep = async ({ isShared }: Leftovers): Promise<void> => {
    if (isOwnUser && !isShared) await killAllOf(user);
  };
  let found = await look();
  for (const ms of PATIENCE_MS) {
    // what forks quickly is not in the list: each process that it finds has ended when it is looked at
    if (found.pids.length === 0) return sweep(found);
    await pause(clock, ms);
    found = await look();
  }
  if (found.pids.length === 0) return sweep(found);
  const message = `the engine has left processes behind, which are killed: ${some(found.pids)}`;
  log.write('error', message, { event: 'leftovers' });
  for (const ms of KILLS_MS) {
    found.pids.forEach(kill);
    await sweep(found);
    await pause(clock, ms);
    found = await look();
    if (found.pids.length === 0) return;
  }
  const stay = `processes of user ${user.name} cannot be ended: ${some(found.pids)}`;
  log.write('error', stay, { event: 'leftovers-stay' });
}

/** For people, however many there are. */
function some(pids: readonly number[]): string {
  return pids.length <= MOST_NAMED ? pids.join(', ') : `${pids.slice(0, MOST_NAMED).join(', ')}, ...`;
}

async function listProcesses(clock: Clock): Promise<string> {
  let text = '';
  const take = (lines: string): void => void (text += lines);
  const args = ['-A', ...COLUMNS.flatMap((name) => ['-o', `${name}=`])];
  const limits = { timeoutMs: PS_TIMEOUT_MS, clock };
  await runChild({ path: PS, args, environment: {}, stdin: '', stdout: take, ...limits }).ended;
  return text;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** kill(2): -1 means all that the sender may signal, but for the sender itself. */
function killAllOf({ uid, gid }: SystemUser): Promise<void> {
  if (uid === 0) return Promise.resolve();
  return new Promise((resolve) => {
    let sh: ChildProcess;
    try {
      sh = spawn('/bin/sh', ['-c', 'kill -KILL -1'], { uid, gid, env: {}, cwd: '/', stdio: 'ignore' });
    } catch {
      // no memory for it, for instance: then the numbers that were found are all there is
      resolve();
      return;
    }
    sh.once('error', () => resolve());
    sh.once('exit', () => resolve());
  });
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

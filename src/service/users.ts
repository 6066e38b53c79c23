import { spawnSync } from 'node:child_process';
import { StartError } from './firewall.js';
import { Exit } from '../sysexits.js';

/** A user of this system. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** How a user for a daemon is made. */
const ADVICE: Partial<Record<NodeJS.Platform, (name: string) => string>> = {
  openbsd: (name) => `useradd -d /var/empty -s /sbin/nologin -c mxallowd ${name}`,
  freebsd: (name) => `pw useradd ${name} -d /nonexistent -s /usr/sbin/nologin -c mxallowd`,
  linux: (name) => `useradd --system --no-create-home --shell /usr/sbin/nologin ${name}`,
};

/** The command that makes a user, for people; empty for a system that we do not know. */
export function userAdvice(platform: NodeJS.Platform, name: string): string {
  return ADVICE[platform]?.(name) ?? '';
}

/** A name service that does not answer must not hold us up. */
const LOOK_UP_MS = 5000;

/**
 * Looks a user up, wherever the system keeps its users.
 * @returns undefined when there is none of this name
 * @throws StartError when that cannot be found out
 */
export function findUser(name: string): SystemUser | undefined {
  const ask = (what: '-u' | '-g'): number | undefined => {
    const text = run('id', [what, '--', name]);
    return text === undefined ? undefined : Number(text);
  };
  const uid = ask('-u');
  const gid = ask('-g');
  return uid === undefined || gid === undefined ? undefined : { name, uid, gid };
}

/**
 * Looks a group up, wherever the system keeps its groups.
 * @returns its number, undefined when there is none of this name
 * @throws StartError when that cannot be found out
 */
export function findGroup(name: string): number | undefined {
  const line = run('getent', ['group', name]);
  const number = line?.split(':')[2] ?? '';
  return /^\d+$/.test(number) ? Number(number) : undefined;
}

function run(program: string, args: readonly string[]): string | undefined {
  const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' };
  const { status, stdout, error } = spawnSync(program, args, {
    encoding: 'latin1',
    timeout: LOOK_UP_MS,
    env,
  });
  if (error !== undefined) {
    throw new StartError(`${program}(1), which knows users and groups: ${error.message}`, Exit.OSERR);
  }
  return status === 0 ? stdout : undefined;
}

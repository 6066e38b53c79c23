// Users and groups of this system.
import { type Config, defaultValue } from '../config/config.js';
import type { SystemUser, UserPlan } from '../monitor/user-plan.js';
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { Exit, StartError } from '../sysexits.js';

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

/**
 * Decides whom to run as.
 * @param uid - of this process
 * @throws StartError when the configuration names a user that does not exist
 */
export function planUser(
  config: Pick<Config, 'user' | 'stateFile'>,
  uid: number | undefined,
  platform: NodeJS.Platform,
): UserPlan {
  if (uid !== 0) return { kind: 'as-is' };
  const name = config.user ?? defaultValue('user') ?? '';
  const user = findUser(name);
  if (user !== undefined)
    return user.uid === 0 ? { kind: 'root', warning: undefined } : { kind: 'become', user };
  const advice = userAdvice(platform, name);
  if (config.user !== undefined) throw new StartError(`there is no user "${name}" (${advice})`, Exit.CONFIG);
  // what this run writes is root's: the next one, as that user, could not use it
  const folder = config.stateFile === '' ? '' : `, then chown -R ${name} ${dirname(config.stateFile)}`;
  const warning = `runs as root, because there is no user "${name}": ${advice}${folder}, and start it again`;
  return { kind: 'root', warning };
}

import { type Config, defaultValue } from '../config/config.js';
import { StartError } from './firewall.js';
import { Exit } from '../sysexits.js';
import { findUser, type SystemUser, userAdvice } from './users.js';

/** Whom the daemon is to run as once it has what needs root. */
export type UserPlan =
  /** it is not root, and stays who it is */
  | { readonly kind: 'as-is' }
  | { readonly kind: 'become'; readonly user: SystemUser }
  /** root throughout: the configuration says so, or the user is missing */
  | { readonly kind: 'root'; readonly warning: string | undefined };

/**
 * Decides whom to run as.
 * @param uid - of this process
 * @throws StartError when the configuration names a user that does not exist
 */
export function planUser(
  config: Pick<Config, 'user'>,
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
  return { kind: 'root', warning: `runs as root, because there is no user "${name}": ${advice}` };
}

// FreeBSD's limit on how many entries of a table can be listed at once. Pure.

/** The sysctl, pf(4): more items are not taken or given in one call. */
export const LISTABLE = 'net.pf.request_maxcount';

/**
 * How FreeBSD is made to list more entries.
 * @param most - entries that there may be
 */
export function listAdvice(most: number): string {
  const setting = `${LISTABLE}=${Math.max(200_000, 2 * most)}`;
  return `sysctl ${setting}, and ${setting} in /etc/sysctl.conf for the next boot`;
}

// What an error of a queue means, in words for the administrator.
import { readFileSync } from 'node:fs';
import type { SystemCallError } from '../native/system-call.js';
import type { QueueRow } from './proc.js';

/** Queues that cannot be had or were lost, in words for the administrator. */
export class QueueError extends Error {
  override readonly name = 'QueueError';

  constructor(
    message: string,
    /** `unavailable`: a package or the kernel's part is missing; `taken`: another program has the queue */
    readonly kind: 'unavailable' | 'permission' | 'taken' | 'died',
  ) {
    super(message);
  }
}

/** errno.h of Linux */
export const EPERM = 1;
export const EBUSY = 16;
export const EINVAL = 22;
export const EOPNOTSUPP = 95;
/** linux/capability.h */
export const CAP_NET_ADMIN = 12;

/**
 * Why a queue was not given to us. The kernel says EPERM for two things: no capability, and a queue of another
 * program.
 * @param errno - what the kernel answered, if it did
 * @param rows - the queues that there are, if that is known
 * @param capable - whether we have CAP_NET_ADMIN, if that is known
 */
export function explainBind(
  queue: number,
  errno: number | undefined,
  ownPort: number,
  rows: readonly QueueRow[] | undefined,
  capable = hasCapability(CAP_NET_ADMIN),
): QueueError {
  const owner = rows?.find((row) => row.queue === queue && row.port !== ownPort);
  if (errno === EBUSY || (errno === EPERM && owner !== undefined)) {
    const port = owner === undefined ? '' : ` (netlink port ${owner.port}, mostly its process ID)`;
    const message = `NFQUEUE ${queue} is taken by another program${port}: end that, or choose another --queue-num`;
    return new QueueError(message, 'taken');
  }
  if (errno === EPERM) {
    const taken = capable === true && rows === undefined ? ', or another program has this queue' : '';
    return new QueueError(
      `NFQUEUE ${queue}: not permitted; CAP_NET_ADMIN is needed (run as root or by systemd/mxallowd.service)${taken}`,
      'permission',
    );
  }
  if (errno === EINVAL || errno === EOPNOTSUPP) {
    return new QueueError(
      `NFQUEUE ${queue}: this kernel has no queues; load the module nfnetlink_queue (modprobe nfnetlink_queue), ` +
        'or use a kernel with CONFIG_NETFILTER_NETLINK_QUEUE',
      'unavailable',
    );
  }
  const what = errno === undefined ? 'the kernel did not answer' : `the kernel answered with error ${errno}`;
  return new QueueError(`NFQUEUE ${queue}: ${what}`, 'died');
}

/** Why there is no socket. */
export function explainSocket(error: SystemCallError): QueueError {
  if (['EPROTONOSUPPORT', 'EAFNOSUPPORT', 'ESOCKTNOSUPPORT'].includes(error.code)) {
    return new QueueError(
      'NFQUEUE: this kernel has no nfnetlink (modprobe nfnetlink, or CONFIG_NETFILTER_NETLINK)',
      'unavailable',
    );
  }
  if (error.code === 'ENOSYS') {
    return new QueueError(`NFQUEUE: the C library has no ${error.call}; it is for Linux only`, 'unavailable');
  }
  const kind = error.code === 'EPERM' || error.code === 'EACCES' ? 'permission' : 'died';
  return new QueueError(`NFQUEUE: ${error.message}`, kind);
}

/** Whether this process has a capability in effect; undefined where that cannot be known. */
export function hasCapability(capability: number): boolean | undefined {
  try {
    const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    return mask === undefined ? undefined : ((BigInt(`0x${mask}`) >> BigInt(capability)) & 1n) === 1n;
  } catch {
    return undefined;
  }
}

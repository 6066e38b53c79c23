// What an error of NFLOG means, in words for the administrator. Pure, but for the look at our own capabilities.
import type { SystemCallError } from '../native/system-call.js';
import { CAP_NET_ADMIN, EBUSY, EINVAL, EOPNOTSUPP, EPERM, hasCapability } from '../netfilter/problem.js';
import { CaptureError } from './source.js';

/**
 * Why a group was not given to us. The kernel says EPERM for two things: no capability, and a group of another
 * program.
 * @param errno - what the kernel answered, if it did
 * @param capable - whether we have CAP_NET_ADMIN, if that is known
 */
export function explainGroup(
  group: number,
  errno: number | undefined,
  capable = hasCapability(CAP_NET_ADMIN),
): CaptureError {
  const what = `NFLOG group ${group}`;
  if (errno === EBUSY || (errno === EPERM && capable === true)) {
    const message = `${what} is taken by another program: end that, or choose another nflog-group (then nft-conf --install)`;
    return new CaptureError(message, 'died');
  }
  if (errno === EPERM) {
    const message = `${what}: not permitted; CAP_NET_ADMIN is needed (run as root or by systemd/mxallowd.service)`;
    return new CaptureError(message, 'permission');
  }
  if (errno === EINVAL || errno === EOPNOTSUPP) {
    const message =
      `${what}: this kernel has no NFLOG; load the module nfnetlink_log (modprobe nfnetlink_log), ` +
      'or use a kernel with CONFIG_NETFILTER_NETLINK_LOG';
    return new CaptureError(message, 'unavailable');
  }
  const why = errno === undefined ? 'the kernel did not answer' : `the kernel answered with error ${errno}`;
  return new CaptureError(`${what}: ${why}`, 'died');
}

/** Why there is no socket. */
export function explainLogSocket(error: SystemCallError): CaptureError {
  if (['EPROTONOSUPPORT', 'EAFNOSUPPORT', 'ESOCKTNOSUPPORT'].includes(error.code)) {
    return new CaptureError(
      'NFLOG: this kernel has no nfnetlink (modprobe nfnetlink, or CONFIG_NETFILTER_NETLINK)',
      'unavailable',
    );
  }
  if (error.code === 'ENOSYS') {
    return new CaptureError(`NFLOG: the C library has no ${error.call}; it is for Linux only`, 'unavailable');
  }
  return new CaptureError(`NFLOG: ${error.message}`, error.code === 'EPERM' ? 'permission' : 'died');
}

// What a failed request to /dev/bpf means, in words for the administrator.
import type { SystemCallError } from '../native/system-call.js';
import type { BpfSystem } from './bpf-systems.js';
import { CaptureError } from './source.js';

/** What was to be opened. */
export interface BpfTarget {
  readonly platform: BpfSystem['platform'];
  /** first of the system's devices */
  readonly device: string;
  readonly interfaceName: string;
}

interface Advice {
  readonly noDevice: string;
  readonly noInterface: (name: string) => string;
}

const ADVICE: Readonly<Record<BpfSystem['platform'], Advice>> = {
  openbsd: {
    noDevice: 'make it: cd /dev && sh MAKEDEV bpf',
    noInterface: (name) =>
      `create it: ifconfig ${name} create; ifconfig ${name} up (at each boot: "up" in /etc/hostname.${name})`,
  },
  freebsd: {
    noDevice: 'in a jail, unhide it (devfs.rules(5)); a kernel of your own needs "device bpf"',
    noInterface: (name) =>
      name === 'pflog0'
        ? 'load it: kldload pflog; service pflog start (at each boot: pflog_enable="YES" in /etc/rc.conf)'
        : `create it: kldload pflog; ifconfig ${name} create; ifconfig ${name} up (at each boot: cloned_interfaces in /etc/rc.conf)`,
  },
};

const GONE = new Set(['ENXIO', 'EIO', 'ENODEV', 'EBADF']);
const NOT_PERMITTED = new Set(['EACCES', 'EPERM']);

/**
 * A call that failed, in words for the administrator.
 * @param error - its call is `open`, `read`, `poll` or the name of a request
 */
export function explainBpf({ call, code }: SystemCallError, target: BpfTarget): CaptureError {
  const { platform, device, interfaceName } = target;
  const advice = ADVICE[platform];
  const say = (text: string, kind: CaptureError['kind']): CaptureError =>
    new CaptureError(`bpf on ${interfaceName}: ${text}`, kind);
  if (call === 'open') {
    if (NOT_PERMITTED.has(code)) {
      return say(`${device}: ${code}: not permitted; mxallowd must be started as root for it`, 'permission');
    }
    if (code === 'ENOENT') return say(`there is no ${device}; ${advice.noDevice}`, 'unavailable');
    if (code === 'EBUSY') {
      return say(`${device}: EBUSY: all bpf devices are in use; end a program that captures`, 'unavailable');
    }
    return say(`${device}: ${code}`, 'died');
  }
  if (call === 'BIOCSETIF' && code === 'ENXIO') {
    return say(`there is no interface ${interfaceName}; ${advice.noInterface(interfaceName)}`, 'unavailable');
  }
  if (code === 'ENETDOWN') {
    return say(`the interface is down; bring it up: ifconfig ${interfaceName} up`, 'unavailable');
  }
  if (call === 'read' && GONE.has(code)) {
    return say(`the interface is gone (${code}); ${advice.noInterface(interfaceName)}`, 'died');
  }
  return say(`${call}: ${code}`, NOT_PERMITTED.has(code) ? 'permission' : 'died');
}

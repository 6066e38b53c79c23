import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BpfTarget, explainBpf } from '../../src/capture/bpf-problem.js';
import { SystemCallError } from '../../src/native/system-call.js';

const OPENBSD: BpfTarget = { platform: 'openbsd', device: '/dev/bpf', interfaceName: 'pflog0' };
const FREEBSD: BpfTarget = { platform: 'freebsd', device: '/dev/bpf', interfaceName: 'pflog0' };
const FREEBSD_1: BpfTarget = { ...FREEBSD, interfaceName: 'pflog1' };

describe('a bpf that is not given', () => {
  const cases: readonly [string, string, BpfTarget, string, string][] = [
    [
      'open',
      'EACCES',
      OPENBSD,
      'permission',
      '/dev/bpf: EACCES: not permitted; mxallowd must be started as root for it',
    ],
    [
      'open',
      'EPERM',
      FREEBSD,
      'permission',
      '/dev/bpf: EPERM: not permitted; mxallowd must be started as root for it',
    ],
    [
      'open',
      'EBUSY',
      OPENBSD,
      'unavailable',
      '/dev/bpf: EBUSY: all bpf devices are in use; end a program that captures',
    ],
    ['open', 'ENOENT', OPENBSD, 'unavailable', 'there is no /dev/bpf; make it: cd /dev && sh MAKEDEV bpf'],
    [
      'open',
      'ENOENT',
      FREEBSD,
      'unavailable',
      'there is no /dev/bpf; in a jail, unhide it (devfs.rules(5)); a kernel of your own needs "device bpf"',
    ],
    ['open', 'EMFILE', FREEBSD, 'died', '/dev/bpf: EMFILE'],
    [
      'BIOCSETIF',
      'ENXIO',
      OPENBSD,
      'unavailable',
      'there is no interface pflog0; create it: ifconfig pflog0 create; ifconfig pflog0 up (at each boot: "up" in ' +
        '/etc/hostname.pflog0)',
    ],
    [
      'BIOCSETIF',
      'ENXIO',
      FREEBSD,
      'unavailable',
      'there is no interface pflog0; load it: kldload pflog; service pflog start (at each boot: ' +
        'pflog_enable="YES" in /etc/rc.conf)',
    ],
    [
      'BIOCSETIF',
      'ENXIO',
      FREEBSD_1,
      'unavailable',
      'there is no interface pflog1; create it: kldload pflog; ifconfig pflog1 create; ifconfig pflog1 up (at each ' +
        'boot: cloned_interfaces in /etc/rc.conf)',
    ],
    [
      'BIOCSETIF',
      'ENETDOWN',
      FREEBSD,
      'unavailable',
      'the interface is down; bring it up: ifconfig pflog0 up',
    ],
    ['BIOCSETF', 'EINVAL', FREEBSD, 'died', 'BIOCSETF: EINVAL'],
    ['BIOCSBLEN', 'EPERM', FREEBSD, 'permission', 'BIOCSBLEN: EPERM'],
    [
      'read',
      'EIO',
      OPENBSD,
      'died',
      'the interface is gone (EIO); create it: ifconfig pflog0 create; ifconfig pflog0 up (at each boot: "up" in ' +
        '/etc/hostname.pflog0)',
    ],
    ['read', 'EFAULT', FREEBSD, 'died', 'read: EFAULT'],
  ];
  for (const [call, code, target, kind, message] of cases) {
    it(`because of ${call}: ${code} on ${target.platform} (${target.interfaceName})`, () => {
      const error = explainBpf(new SystemCallError(call, code), target);
      assert.equal(error.message, `bpf on ${target.interfaceName}: ${message}`);
      assert.equal(error.kind, kind);
    });
  }
});

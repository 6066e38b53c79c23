import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SystemCallError } from '../../src/native/system-call.js';
import { explainBind, explainSocket } from '../../src/netfilter/problem.js';
import type { QueueRow } from '../../src/netfilter/proc.js';

/** asm-generic/errno-base.h, asm-generic/errno.h */
const ERRNO = { EPERM: 1, ENOMEM: 12, EBUSY: 16, EINVAL: 22, EOPNOTSUPP: 95 } as const;
const OWN_PORT = 29;

function row(queue: number, port: number): QueueRow {
  return { queue, port, waiting: 0, full: 0, lost: 0 };
}

describe('a queue that is not given', () => {
  interface Case {
    readonly name: string;
    readonly errno: number | undefined;
    readonly rows?: readonly QueueRow[];
    readonly capable?: boolean;
    readonly kind: string;
    readonly message: string;
  }

  const taken =
    'NFQUEUE 23 is taken by another program (netlink port 4711, mostly its process ID): end that, or choose another --queue-num';
  const takenBySomebody = 'NFQUEUE 23 is taken by another program: end that, or choose another --queue-num';
  const notPermitted =
    'NFQUEUE 23: not permitted; CAP_NET_ADMIN is needed (run as root or by systemd/mxallowd.service)';
  const noQueues =
    'NFQUEUE 23: this kernel has no queues; load the module nfnetlink_queue (modprobe nfnetlink_queue), or use a kernel with CONFIG_NETFILTER_NETLINK_QUEUE';

  const cases: readonly Case[] = [
    {
      name: 'is taken: EPERM, and it is on the list with another owner',
      errno: ERRNO.EPERM,
      rows: [row(22, 1), row(23, 4711), row(24, 2)],
      capable: true,
      kind: 'taken',
      message: taken,
    },
    {
      name: 'is taken, whatever we may',
      errno: ERRNO.EPERM,
      rows: [row(23, 4711)],
      capable: false,
      kind: 'taken',
      message: taken,
    },
    {
      name: 'is taken: EBUSY, and it is on the list with another owner',
      errno: ERRNO.EBUSY,
      rows: [row(23, 4711)],
      capable: true,
      kind: 'taken',
      message: taken,
    },
    {
      name: 'is taken: EBUSY, and there is no list',
      errno: ERRNO.EBUSY,
      capable: true,
      kind: 'taken',
      message: takenBySomebody,
    },
    {
      name: 'is taken: EBUSY, and the list does not have it',
      errno: ERRNO.EBUSY,
      rows: [row(24, 4711), row(23, OWN_PORT)],
      capable: true,
      kind: 'taken',
      message: takenBySomebody,
    },
    {
      name: 'is not for us: EPERM, and no capability',
      errno: ERRNO.EPERM,
      rows: [],
      capable: false,
      kind: 'permission',
      message: notPermitted,
    },
    {
      name: 'is not for us: EPERM, no capability, and so no list',
      errno: ERRNO.EPERM,
      capable: false,
      kind: 'permission',
      message: notPermitted,
    },
    {
      name: 'is not for us: EPERM, and others and we ourselves have other queues',
      errno: ERRNO.EPERM,
      rows: [row(22, 4711), row(23, OWN_PORT)],
      capable: true,
      kind: 'permission',
      message: notPermitted,
    },
    {
      name: 'may be either: EPERM with the capability, and no list',
      errno: ERRNO.EPERM,
      capable: true,
      kind: 'permission',
      message: `${notPermitted}, or another program has this queue`,
    },
    {
      name: 'is unknown to the kernel: EINVAL, as without the module',
      errno: ERRNO.EINVAL,
      capable: true,
      kind: 'unavailable',
      message: noQueues,
    },
    {
      name: 'is unknown to the kernel: EINVAL, whatever is on the list',
      errno: ERRNO.EINVAL,
      rows: [row(23, 4711)],
      capable: false,
      kind: 'unavailable',
      message: noQueues,
    },
    {
      name: 'is unknown to the kernel: EOPNOTSUPP',
      errno: ERRNO.EOPNOTSUPP,
      rows: [],
      capable: true,
      kind: 'unavailable',
      message: noQueues,
    },
    {
      name: 'fails with any other error',
      errno: ERRNO.ENOMEM,
      rows: [row(23, 4711)],
      capable: true,
      kind: 'died',
      message: 'NFQUEUE 23: the kernel answered with error 12',
    },
    {
      name: 'gets no answer',
      errno: undefined,
      rows: [row(23, 4711)],
      capable: true,
      kind: 'died',
      message: 'NFQUEUE 23: the kernel did not answer',
    },
  ];
  for (const { name, errno, rows, capable, kind, message } of cases) {
    it(name, () => {
      const error = explainBind(23, errno, OWN_PORT, rows, capable);
      assert.deepEqual([error.name, error.kind, error.message], ['QueueError', kind, message]);
    });
  }

  it('is told by its own number and owner', () => {
    const error = explainBind(65_535, ERRNO.EPERM, 1, [row(65_535, 4_294_967_295)], true);
    assert.equal(
      error.message,
      'NFQUEUE 65535 is taken by another program (netlink port 4294967295, mostly its process ID): end that, or choose another --queue-num',
    );
  });
});

describe('a socket that is not given', () => {
  const noNetlink = 'NFQUEUE: this kernel has no nfnetlink (modprobe nfnetlink, or CONFIG_NETFILTER_NETLINK)';
  const cases = [
    { call: 'socket', code: 'EPROTONOSUPPORT', kind: 'unavailable', message: noNetlink },
    { call: 'socket', code: 'EAFNOSUPPORT', kind: 'unavailable', message: noNetlink },
    { call: 'socket', code: 'ESOCKTNOSUPPORT', kind: 'unavailable', message: noNetlink },
    {
      call: 'recvmmsg',
      code: 'ENOSYS',
      kind: 'unavailable',
      message: 'NFQUEUE: the C library has no recvmmsg; it is for Linux only',
    },
    { call: 'bind', code: 'EPERM', kind: 'permission', message: 'NFQUEUE: bind: EPERM' },
    { call: 'socket', code: 'EACCES', kind: 'permission', message: 'NFQUEUE: socket: EACCES' },
    { call: 'socket', code: 'EMFILE', kind: 'died', message: 'NFQUEUE: socket: EMFILE' },
    { call: 'send', code: 'errno 4095', kind: 'died', message: 'NFQUEUE: send: errno 4095' },
  ];
  for (const { call, code, kind, message } of cases) {
    it(`because of ${code}`, () => {
      const error = explainSocket(new SystemCallError(call, code));
      assert.deepEqual([error.name, error.kind, error.message], ['QueueError', kind, message]);
    });
  }
});

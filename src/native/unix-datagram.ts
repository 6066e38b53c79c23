// Datagrams to a Unix socket, through the C library: Node has none.
import { errnoName, SystemCallError } from './system-call.js';
import type { Libc } from './libc.js';

/** Numbers of Linux: bits/socket.h, bits/socket_type.h. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_un (sys/un.h): family (16), path. */
const PATH_OFFSET = 2;
const LONGEST_PATH = 108;

/**
 * A struct sockaddr_un, as long as sendto(2) is to be told.
 * @param name - an absolute path, or `@` with a name in Linux' abstract namespace (unix(7))
 * @returns undefined for what is neither, or too long
 */
export function unixAddress(name: string): Uint8Array | undefined {
  const isAbstract = name.startsWith('@');
  if (!isAbstract && !name.startsWith('/')) return undefined;
  // a path ends in a NUL, an abstract name begins with one
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : `${name}\0`);
  if (path.length > LONGEST_PATH) return undefined;
  const address = new Uint8Array(PATH_OFFSET + path.length);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(path, PATH_OFFSET);
  return address;
}

/**
 * Sends a datagram, and never waits.
 * @param to - from {@link unixAddress}
 * @throws SystemCallError, EAGAIN among others: whoever reads does not read fast enough
 */
export type SendDatagram = (to: Uint8Array, text: string) => void;

/**
 * Finds what is needed to send datagrams.
 * @returns undefined when the C library does not have it
 */
export function datagramSender({ koffi, find }: Libc): SendDatagram | undefined {
  const socket = find('int socket(int, int, int)');
  const sendto = find('long sendto(int, const void *, size_t, int, const void *, uint32_t)');
  const close = find('int close(int)');
  if (socket === undefined || sendto === undefined || close === undefined) return undefined;
  const check = (call: string, result: unknown): number => {
    if ((result as number) >= 0) return result as number;
    throw new SystemCallError(call, errnoName(koffi, koffi.errno()));
  };
  return (to, text) => {
    const fd = check('socket', socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    try {
      const bytes = Buffer.from(text);
      check('sendto', sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to.length));
    } finally {
      close(fd);
    }
  };
}

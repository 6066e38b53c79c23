// A call that failed, with its errno.
import type * as Koffi from 'koffi';

/** A call that failed. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';

  constructor(
    readonly call: string,
    /** as `ENOBUFS` */
    readonly code: string,
  ) {
    super(`${call}: ${code}`);
  }
}

/** The name of an error number on this system, as `EPERM`. */
export function errnoName(koffi: typeof Koffi, errno: number): string {
  const codes = Object.entries(koffi.os.errno);
  // EWOULDBLOCK and EAGAIN, ENOTSUP and EOPNOTSUPP have one number each
  const names = codes.filter(([, value]) => value === errno).map(([name]) => name);
  return names.includes('EAGAIN') ? 'EAGAIN' : (names[0] ?? `errno ${errno}`);
}

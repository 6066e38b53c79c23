// Exit statuses, and a start that failed with one.

/** Exit statuses (sysexits(3)). */
export const Exit = {
  OK: 0,
  USAGE: 64,
  DATAERR: 65,
  NOINPUT: 66,
  UNAVAILABLE: 69,
  SOFTWARE: 70,
  OSERR: 71,
  CANTCREAT: 73,
  IOERR: 74,
  TEMPFAIL: 75,
  PROTOCOL: 76,
  NOPERM: 77,
  CONFIG: 78,
} as const;

/** A start that failed, in words for the administrator, with the exit status for it (sysexits). */
export class StartError extends Error {
  override readonly name = 'StartError';

  constructor(
    message: string,
    readonly exitStatus: number,
  ) {
    super(message);
  }
}

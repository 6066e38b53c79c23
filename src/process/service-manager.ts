// Tells systemd that we are ready, go on, and end: sd_notify(3), sd_watchdog_enabled(3).
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '../clock.js';
import type { Log } from '../log/log.js';
import { loadLibc } from '../native/libc.js';
import { SystemCallError } from '../native/system-call.js';
import { datagramSender, unixAddress } from '../native/unix-datagram.js';

/** What systemd wants to hear, as its environment says. */
export interface ManagerWishes {
  /** path of its socket, or `@` and an abstract name */
  readonly socket: string;
  /** it ends us when it has not heard of us for so long; undefined: it does not watch */
  readonly watchdogMs: number | undefined;
}

/**
 * Reads what the environment says, and takes it out: children have no part in it.
 * @param pid - of this process: the environment may have been meant for another one
 * @returns undefined when nobody wants to hear of us
 */
export function takeWishes(environment: NodeJS.ProcessEnv, pid: number): ManagerWishes | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: whose } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  if (socket === undefined || socket === '') return undefined;
  const ms = Number(usec) / 1000;
  const isWatched = ms >= 1 && Number.isFinite(ms) && (whose === undefined || Number(whose) === pid);
  return { socket, watchdogMs: isWatched ? ms : undefined };
}

/** Hands a message over; must not wait. */
export type Notify = (message: string) => void;

/** What systemd is told. */
export class ServiceManager {
  private cancel: (() => void) | undefined;
  private isSilent = false;

  constructor(
    private readonly wishes: ManagerWishes,
    private readonly notify: Notify,
    private readonly clock: Pick<Clock, 'after'>,
    private readonly log: Pick<Log, 'write'>,
  ) {}

  /**
   * The start is complete. From now on it is told twice in the time that it waits for it that we go on: by a timer, so
   * the event loop turns.
   * @param goesOn - whether the work goes on, too; is asked each time
   */
  ready(goesOn: () => boolean): void {
    this.notify('READY=1');
    const { watchdogMs } = this.wishes;
    if (watchdogMs !== undefined) this.tick(watchdogMs / 2, goesOn);
  }

  /** We end. */
  stopping(): void {
    this.cancel?.();
    this.notify('STOPPING=1');
  }

  private tick(everyMs: number, goesOn: () => boolean): void {
    this.cancel = this.clock.after(everyMs, () => {
      const isWell = goesOn();
      if (isWell) this.notify('WATCHDOG=1');
      else if (!this.isSilent) {
        const message =
          'packets wait and are not read: the service manager is told nothing, so that it starts us again';
        this.log.write('error', message, { event: 'watchdog' });
      }
      this.isSilent = !isWell;
      this.tick(everyMs, goesOn);
    });
  }
}

/** Where systemd-notify(1) may be. */
const SEARCH_PATH = '/usr/bin:/bin';

/**
 * How systemd is reached: by a datagram, and where that cannot be by systemd-notify(1).
 * @param trouble - is told why systemd cannot be told anything, once until it can
 */
export async function reachManager(
  { socket }: ManagerWishes,
  trouble: (message: string) => void,
  load: typeof loadLibc = loadLibc,
): Promise<Notify> {
  const loaded = await load();
  const send = loaded.ok ? datagramSender(loaded.libc) : undefined;
  const address = unixAddress(socket);
  let isTold = false;
  const failed = (why: string): void => {
    if (!isTold) trouble(why);
    isTold = true;
  };
  return (message) => {
    try {
      if (send === undefined || address === undefined) throw new SystemCallError('sendto', 'ENOSYS');
      send(address, message);
      isTold = false;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      notifyByChild(socket, message, (why) => failed(`${error.message}; ${why}`));
    }
  };
}

function notifyByChild(socket: string, message: string, trouble: (why: string) => void): void {
  const env = { PATH: SEARCH_PATH, NOTIFY_SOCKET: socket };
  let child: ChildProcess;
  try {
    child = spawn('systemd-notify', [message], { env, cwd: '/', stdio: 'ignore' });
  } catch (error) {
    trouble(String(error));
    return;
  }
  child.once('error', ({ message: why }) => trouble(why));
  child.once('exit', (status, signal) => {
    if (status !== 0) trouble(`systemd-notify ended (${signal ?? `status ${status}`})`);
  });
}

// One life of logger(1), and what it had not read when it ended.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/** A line for logger. */
export interface Item {
  /** with its end */
  readonly text: string;
  /** It was lost. */
  readonly lost: (why: string) => void;
}

/** How a life ended. */
export interface Ending {
  /** as in "/usr/bin/logger HOW" */
  readonly how: string;
  /** lines that it was given and had not read, or not to their end */
  readonly unread: readonly Item[];
  /** how many of those are not kept any more */
  readonly forgotten: number;
  /** whether it took any; whether it passed on the last of them nobody can know */
  readonly hasRead: boolean;
  /** its shell was killed, too: what it had not read is not known */
  readonly isUnknown: boolean;
}

type Process = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * A pipe dies with its reader, and what is in it is gone. So a shell holds it: when logger ends, the shell says with
 * what status, and passes what is left to cat(1), which gives it back. Both outlive the signal that ends a logger,
 * the shell once it has said so by an empty line: before that nobody can have read anything.
 */
const HOLDER = `trap : TERM; echo; "$0" "$@" >/dev/null; status=$?; trap '' TERM; echo $status; exec /bin/cat`;

/** Bytes of lines that are kept in case they come back: more than a pipe and its writer hold. */
const MOST_KEPT = 1 << 18;
/** A logger that is to end has so long to do it before its shell is ended, too. */
const KILL_MS = 500;
const LINE_FEED = 0x0a;

/** One life of logger(1). */
export class LoggerChild {
  /** Tells how it ended; never fails. */
  readonly ended: Promise<Ending>;
  private readonly given: Item[] = [];
  private givenBytes = 0;
  private count = 0;
  private isFull = false;
  private isOver = false;
  /** its shell, or what passes back what is left, has not come to its end */
  private isCut = false;

  /** what logger's shell has written: an empty line, logger's status, then what logger has not read */
  private head = '';
  private status: number | undefined;
  private unreadBytes = 0;
  private unreadLines = 0;
  private complaint = '';

  /**
   * @param child - its shell
   * @param hasRoom - is called when it takes lines again
   */
  private constructor(
    private readonly child: Process,
    hasRoom: () => void,
  ) {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(0, 500);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.on('drain', () => {
      this.isFull = false;
      hasRoom();
    });
    child.stdout.on('data', (data: Buffer) => this.take(data));
    this.ended = new Promise((resolve) => {
      let waitsFor = 2;
      let how = '';
      const end = (): void => {
        if (--waitsFor > 0) return;
        this.isOver = true;
        resolve(this.ending(how));
      };
      child.once('error', (error) => {
        how = `cannot be started: ${error.message}`;
        waitsFor = 1;
        end();
      });
      child.once('exit', (code, signal) => {
        how = `ended (${signal ?? `status ${code}`})`;
        this.isCut = code !== 0;
        end();
      });
      // what logger starts may hold the other streams for longer
      child.stdout.once('close', end);
    });
  }

  /**
   * Starts logger.
   * @param path - of the program
   * @param args - its arguments
   * @param hasRoom - is called when it takes lines again
   * @returns why it could not even be tried
   */
  static start(path: string, args: readonly string[], hasRoom: () => void): LoggerChild | string {
    try {
      const child: Process = spawn('/bin/sh', ['-c', HOLDER, path, ...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: {},
        cwd: '/',
        // it ends when it has read everything, also when somebody ends our whole process group
        detached: true,
      });
      // without descriptors there are no streams; the error comes a little later
      if ((child.stdin as Writable | undefined) !== undefined) return new LoggerChild(child, hasRoom);
      child.once('error', () => undefined);
      return 'too many open files';
    } catch (error) {
      return String(error);
    }
  }

  /** Whether it takes a line now. */
  get takesLines(): boolean {
    return !this.isFull && this.status === undefined && !this.isOver;
  }

  /** Gives it a line. */
  write(item: Item): void {
    this.count++;
    this.given.push(item);
    this.givenBytes += Buffer.byteLength(item.text);
    while (this.givenBytes > MOST_KEPT) this.givenBytes -= Buffer.byteLength(this.given.shift()?.text ?? '');
    this.isFull = !this.child.stdin.write(item.text);
  }

  /** Gives it the last lines: when it has read them it ends. */
  finish(items: readonly Item[]): void {
    for (const item of items) this.write(item);
    this.child.stdin.end();
  }

  /** Ends it; what it has not read comes back. */
  kill(): void {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), KILL_MS);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** It is the leader of its group, whose number is taken as long as it has not been waited for. */
  private signal(signal: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // it has just ended
    }
  }

  private take(data: Buffer): void {
    let at = 0;
    while (this.status === undefined) {
      const end = data.indexOf(LINE_FEED, at);
      this.head += data.toString('latin1', at, end < 0 ? data.length : end + 1);
      if (end < 0) return;
      at = end + 1;
      const [, status] = /^\n(\d+)\n/.exec(this.head) ?? [];
      if (status === undefined) continue;
      this.status = Number(status);
      // then what is left comes to its end
      this.child.stdin.end();
    }
    this.unreadBytes += data.length - at;
    for (; (at = data.indexOf(LINE_FEED, at)) >= 0; at++) this.unreadLines++;
  }

  private ending(how: string): Ending {
    const said = this.complaint.trim();
    const words = this.status === undefined ? how : howItEnded(this.status);
    const hasBegun = this.head !== '';
    const unread = hasBegun ? this.takeUnread() : this.given.splice(0);
    const unreadLines = hasBegun ? this.unreadLines : this.count;
    return {
      how: said === '' ? words : `${words}: ${said}`,
      unread,
      forgotten: Math.max(0, unreadLines - unread.length),
      hasRead: this.count > unreadLines,
      isUnknown: hasBegun && this.isCut && this.count > 0,
    };
  }

  /** The lines that came back; one that did so in part only comes as a whole. */
  private takeUnread(): Item[] {
    const unread: Item[] = [];
    let left = this.unreadBytes;
    for (let item; left > 0 && (item = this.given.pop()) !== undefined; unread.push(item)) {
      left -= Buffer.byteLength(item.text);
    }
    return unread.reverse();
  }
}

/** @param status - as a shell has it */
function howItEnded(status: number): string {
  if (status === 126 || status === 127) return 'cannot be started';
  const [signal] = Object.entries(constants.signals).find(([, number]) => number === status - 128) ?? [];
  return `ended (${signal ?? `status ${status}`})`;
}

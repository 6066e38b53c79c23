// Lines to syslog by logger(1), bounded.
import { accessSync, constants } from 'node:fs';
import type { Level } from './line.js';
import { type Ending, type Item, LoggerChild } from './logger-child.js';
import { Losses, type LossNotice, type LossReport } from './losses.js';
import type { LineWriter } from './writer.js';
import { amount } from '../words.js';

/** Where systems keep logger(1). */
const PATHS = ['/usr/bin/logger', '/bin/logger', '/usr/local/bin/logger'];

/** The syslog severity for each level (facility daemon, as with 1.9). */
const PRIORITIES: Readonly<Record<Level, string>> = {
  error: 'daemon.err',
  warn: 'daemon.warning',
  info: 'daemon.info',
  debug: 'daemon.debug',
};

/** Lines that wait while logger is being restarted or does not read; the newest are lost beyond that. */
const MAX_WAITING = 1000;
const FIRST_RESTART_MS = 200;
const MAX_RESTART_MS = 30_000;
/** At the end loggers have so long to read what waits for them; then to read what is said about that. */
const CLOSE_MS = 1000;
const LAST_WORD_MS = 300;

/**
 * Writes to syslog through a `logger` child for each severity in use: every BSD and Linux has logger(1), and no
 * native code is needed. A child that dies is started again, and is given what the one before had not read.
 */
export class Syslog implements LineWriter {
  readonly description: string;
  private readonly pipes = new Map<Level, LoggerPipe>();
  private readonly path: string;

  constructor(
    private readonly report: LossReport,
    path?: string,
  ) {
    this.path = path ?? PATHS.find(isExecutable) ?? '/usr/bin/logger';
    this.description = `syslog by ${this.path}`;
  }

  get lost(): number {
    return [...this.pipes.values()].reduce((sum, { losses }) => sum + losses.total, 0);
  }

  write(level: Level, line: string): void {
    const pipe = this.pipe(level);
    pipe.push({ text: `${line}\n`, lost: (why) => pipe.losses.add(1, why) });
  }

  async close(): Promise<void> {
    const { warn, ...others } = Object.fromEntries(this.pipes) as Partial<Record<Level, LoggerPipe>>;
    await Promise.all(Object.values(others).map((pipe) => pipe.close(CLOSE_MS)));
    const notices = [...this.pipes.values()].flatMap(({ losses }) => losses.take() ?? []);
    for (const notice of notices) this.tell(notice);
    const last = notices.length > 0 ? this.pipe('warn') : warn;
    await last?.close(notices.length > 0 ? LAST_WORD_MS : CLOSE_MS);
  }

  private pipe(level: Level): LoggerPipe {
    const known = this.pipes.get(level);
    if (known !== undefined) return known;
    const pipe = new LoggerPipe(this.path, PRIORITIES[level], this.report, (notice) => this.tell(notice));
    this.pipes.set(level, pipe);
    return pipe;
  }

  private tell({ line, told, lost }: LossNotice): void {
    this.pipe('warn').push({ text: `${line}\n`, lost });
    told();
  }
}

/** The lines of one severity. */
class LoggerPipe {
  readonly losses: Losses;
  private child: LoggerChild | undefined;
  private waiting: Item[] = [];
  private restartMs = FIRST_RESTART_MS;
  private restart: NodeJS.Timeout | undefined;
  private isClosing = false;

  /** @param tell - says that lines were lost, now that they go through again */
  constructor(
    private readonly path: string,
    private readonly priority: string,
    private readonly report: LossReport,
    private readonly tell: (notice: LossNotice) => void,
  ) {
    this.losses = new Losses(report);
  }

  push(item: Item): void {
    if (this.isClosing || this.waiting.length >= MAX_WAITING) item.lost('syslog did not take them');
    else this.waiting.push(item);
    this.pump();
  }

  /** Has what waits read, as far as that goes in so many milliseconds; loggers that die meanwhile are started again. */
  async close(withinMs: number): Promise<void> {
    const endMs = performance.now() + withinMs;
    clearTimeout(this.restart);
    this.isClosing = true;
    for (let goesOn = true; goesOn;) {
      if (this.waiting.length > 0) this.child ??= this.start();
      const { child } = this;
      if (child === undefined) break;
      child.finish(this.waiting.splice(0));
      const timer = setTimeout(() => child.kill(), endMs - performance.now());
      const ending = await child.ended;
      clearTimeout(timer);
      this.child = undefined;
      this.takeBack(ending);
      goesOn = ending.hasRead && this.waiting.length > 0 && performance.now() < endMs;
    }
    for (const item of this.waiting.splice(0)) item.lost('syslog has not read them at the end');
  }

  private pump(): void {
    if (this.isClosing || this.restart !== undefined) return;
    if (this.waiting.length > 0) this.child ??= this.start();
    while (this.child?.takesLines === true) {
      const item = this.waiting.shift();
      if (item !== undefined) this.child.write(item);
      else {
        const notice = this.losses.take();
        if (notice !== undefined) this.tell(notice);
        return;
      }
    }
  }

  /** @returns undefined when it could not even be tried; it is tried again later */
  private start(): LoggerChild | undefined {
    const child = LoggerChild.start(this.path, ['-t', 'mxallowd', '-p', this.priority], () => this.pump());
    if (typeof child === 'string') {
      this.startLater(`cannot be started: ${child}`);
      return undefined;
    }
    const startedMs = performance.now();
    void child.ended.then((ending) => {
      if (this.isClosing) return;
      this.child = undefined;
      const again = this.takeBack(ending);
      // one that ran for long has earned a quick restart
      if (performance.now() - startedMs > MAX_RESTART_MS) this.restartMs = FIRST_RESTART_MS;
      this.startLater(`${ending.how}${again}`);
    });
    return child;
  }

  /** @returns what becomes of what a logger has not read */
  private takeBack({ unread, forgotten, isUnknown }: Ending): string {
    this.losses.add(forgotten, 'logger has ended without reading them');
    this.waiting = [...unread, ...this.waiting];
    for (const item of this.waiting.splice(MAX_WAITING)) item.lost('syslog did not take them');
    if (isUnknown) return '; what it had not read is lost, and not counted';
    return unread.length === 0
      ? ''
      : `; ${amount(unread.length, 'line that it had not read is', 'lines that it had not read are')} written again`;
  }

  private startLater(why: string): void {
    this.report.trouble(`syslog: ${this.path} ${why}; starting it again in ${this.restartMs} ms`);
    clearTimeout(this.restart);
    this.restart = setTimeout(() => {
      this.restart = undefined;
      this.pump();
    }, this.restartMs);
    this.restart.unref();
    this.restartMs = Math.min(this.restartMs * 2, MAX_RESTART_MS);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// The recordings that a replay is given: in order of time, and how far they have been read.
import { access, constants, stat } from 'node:fs/promises';
import { SavefileSource } from '../../capture/savefile.js';
import { CaptureError } from '../../capture/source.js';
import type { Problem } from '../../config/problem.js';
import type { Frame } from '../../packet/frame.js';
import { systemWords } from '../../words.js';

/** Recordings, read one after the other. */
export class Inputs {
  private source: SavefileSource | undefined;
  /** of files that have been read */
  private doneBytes = 0;
  private isPaused = false;

  private constructor(
    readonly files: readonly string[],
    /** bytes of all; undefined: standard input or a FIFO is among them */
    private readonly totalBytes: number | undefined,
  ) {}

  /** Brings files into the order of their times. */
  static async of(files: readonly string[]): Promise<Inputs> {
    const sizes = await Promise.all(files.map(sizeOf));
    const isKnown = sizes.every((size) => size !== undefined);
    const total = isKnown ? sizes.reduce((sum, size) => sum + size, 0) : undefined;
    return new Inputs(await inOrderOfTime(files), total);
  }

  /** How much of all has been read, from 0 to 1; undefined: nobody knows how much there is. */
  get part(): number | undefined {
    if (this.totalBytes === undefined) return undefined;
    const done = this.doneBytes + (this.source?.bytesRead ?? 0);
    return this.totalBytes === 0 ? 1 : Math.min(1, done / this.totalBytes);
  }

  /**
   * Reads all before they are read, if that can be done: not of standard input or a FIFO. What is wrong with a file is
   * told when it is read.
   */
  async survey(onFrame: (frame: Frame) => void): Promise<void> {
    if (this.totalBytes === undefined) return;
    for (const file of this.files) await readWhole(new SavefileSource(file), onFrame, () => undefined);
  }

  /** Reads a file to its end; what is wrong with it is returned. */
  async read(
    path: string,
    onFrame: (frame: Frame) => void,
    notice: (text: string) => void,
  ): Promise<CaptureError | undefined> {
    const source = new SavefileSource(path);
    this.source = source;
    try {
      return await readWhole(source, onFrame, notice);
    } finally {
      this.doneBytes += source.bytesRead;
      this.source = undefined;
      this.isPaused = false;
    }
  }

  /** Reads no more for now. */
  readonly pause = (): void => {
    if (this.isPaused) return;
    this.isPaused = true;
    this.source?.pause();
  };

  /** Goes on. */
  readonly resume = (): void => {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.source?.resume();
  };
}

/** Reads to the end; what is wrong is returned. */
function readWhole(
  source: SavefileSource,
  onFrame: (frame: Frame) => void,
  notice: (text: string) => void,
): Promise<CaptureError | undefined> {
  return new Promise((resolve, reject) => {
    source
      .open({ frame: onFrame, end: () => resolve(undefined), error: resolve, notice })
      .catch((error: unknown) => {
        if (error instanceof CaptureError) resolve(error);
        else reject(error instanceof Error ? error : new Error(String(error)));
      });
  });
}

/** What is wrong with files that cannot be read at all. */
export async function unreadableOf(files: readonly string[]): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const where of files.filter((file) => file !== '-')) {
    try {
      await access(where, constants.R_OK);
    } catch (error) {
      problems.push({ where, kind: 'usage', message: systemWords(error) });
    }
  }
  return problems;
}

async function sizeOf(path: string): Promise<number | undefined> {
  const status = path === '-' ? undefined : await stat(path).catch(() => undefined);
  return status?.isFile() === true ? status.size : undefined;
}

/**
 * Sorts files by the time of their first frame: `pflog*` names the newest first. Files that cannot be read, and what
 * can be read only once (standard input, a FIFO), keep their places relative to each other, at the end.
 */
async function inOrderOfTime(files: readonly string[]): Promise<string[]> {
  if (files.length < 2) return [...files];
  const times = new Map<string, number>();
  for (const file of files) times.set(file, await firstFrameTimeMs(file));
  return [...files].sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0) || 0);
}

async function firstFrameTimeMs(path: string): Promise<number> {
  if ((await sizeOf(path)) === undefined) return Number.MAX_VALUE;
  const source = new SavefileSource(path);
  const time = await new Promise<number>((resolve) => {
    const none = (): void => resolve(Number.MAX_VALUE);
    source
      .open({ frame: (frame) => resolve(frame.timeMs), end: none, error: none, notice: none })
      .catch(none);
  });
  await source.close();
  return time;
}

// The source that reads a savefile.
import { createReadStream, type ReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SavefileParser } from './savefile-parser.js';
import {
  CaptureError,
  type CaptureStatistics,
  type FrameSink,
  type FrameSource,
  requireReadable,
} from './source.js';
import { amount, systemWords } from '../words.js';

/** A recording: a file, a FIFO, or `-` for standard input; gzip is undone when the name ends in `.gz`. */
export class SavefileSource implements FrameSource {
  readonly description: string;
  private received = 0;
  private input: Readable | undefined;
  private file: ReadStream | undefined;
  private closed = false;

  constructor(private readonly path: string) {
    this.description = `savefile ${path}`;
  }

  async open(sink: FrameSink): Promise<void> {
    const input = await this.openInput();
    const parser = new SavefileParser(
      this.path,
      (frame) => {
        this.received++;
        sink.frame(frame);
      },
      requireReadable,
    );
    const fail = (error: unknown): void => {
      if (this.closed) return;
      this.closed = true;
      input.destroy();
      sink.error(error instanceof CaptureError ? error : this.readError(error));
    };
    input.on('data', (chunk: Buffer) => {
      try {
        if (!this.closed) parser.push(chunk);
      } catch (error) {
        fail(error);
      }
    });
    input.on('error', fail);
    input.on('end', () => {
      if (this.closed) return;
      try {
        const cut = parser.finish();
        if (cut > 0) {
          const what = `the last record is cut off (${amount(cut, 'byte of it is', 'bytes of it are')} there); the rest was used`;
          sink.notice(`${this.path}: ${what}`, 'warning');
        }
      } catch (error) {
        fail(error);
        return;
      }
      this.closed = true;
      sink.end();
    });
  }

  /** Bytes of the file that have been read, packed as they may be. */
  get bytesRead(): number {
    return this.file?.bytesRead ?? 0;
  }

  /** Reads no more for now; what has been read may still be delivered. */
  pause(): void {
    this.input?.pause();
  }

  /** Goes on. */
  resume(): void {
    this.input?.resume();
  }

  statistics(): CaptureStatistics {
    return { received: this.received, dropped: undefined };
  }

  close(): Promise<void> {
    this.closed = true;
    this.input?.destroy();
    return Promise.resolve();
  }

  private readError(error: unknown): CaptureError {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_') !== true)
      return new CaptureError(`${this.path}: ${systemWords(error)}`, 'input');
    const rest = this.received === 0 ? '' : '; what came before was used';
    return new CaptureError(`${this.path}: gzip: ${systemWords(error)}${rest}`, 'data');
  }

  private async openInput(): Promise<Readable> {
    if (this.path === '-') {
      this.input = process.stdin;
      return process.stdin;
    }
    const file = createReadStream(this.path, { highWaterMark: 1 << 18 });
    this.input = file;
    this.file = file;
    await new Promise<void>((resolve, reject) => {
      file.once('open', () => resolve());
      file.once('error', (error) => reject(new CaptureError(`${this.path}: ${systemWords(error)}`, 'input')));
    });
    if (!this.path.endsWith('.gz')) return file;
    // pipeline destroys both ends, and the error shows on the stream that is read
    this.input = pipeline(file, createGunzip({ chunkSize: 1 << 18 }), () => undefined);
    return this.input;
  }
}

import type { CaptureError, FrameSink } from '../../src/capture/source.js';
import type { Frame } from '../../src/packet/frame.js';

/** A frame with its own copy of its bytes. */
export interface KeptFrame extends Omit<Frame, 'data' | 'offset'> {
  readonly bytes: Buffer;
}

/** Copies what a frame has, because a source may overwrite it. */
export function keep(frame: Frame): KeptFrame {
  const { data, offset, ...rest } = frame;
  return { ...rest, bytes: Buffer.from(data.subarray(offset, offset + frame.captureLength)) };
}

/** A sink that keeps everything; lets a test wait for a number of frames, for a notice, and for the last call. */
export class KeepingSink implements FrameSink {
  readonly frames: KeptFrame[] = [];
  readonly notices: { readonly text: string; readonly severity: 'info' | 'warning' }[] = [];
  /** calls of `end` and `error` */
  readonly endings: ('end' | CaptureError)[] = [];
  private waiting: (() => void)[] = [];

  /** @param onFrame - called with the number of frames so far */
  constructor(private readonly onFrame: (count: number) => void = () => undefined) {}

  frame(frame: Frame): void {
    this.frames.push(keep(frame));
    this.onFrame(this.frames.length);
    this.wake();
  }

  end(): void {
    this.endings.push('end');
    this.wake();
  }

  error(error: CaptureError): void {
    this.endings.push(error);
    this.wake();
  }

  notice(text: string, severity: 'info' | 'warning'): void {
    this.notices.push({ text, severity });
    this.wake();
  }

  /** Resolves with `end` or the error. */
  async ending(): Promise<'end' | CaptureError> {
    await this.until(() => this.endings.length > 0);
    return this.endings[0] ?? 'end';
  }

  /** Resolves as soon as `done` says so after a call. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}

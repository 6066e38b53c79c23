import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { StdoutLines } from '../../src/log/stdout.js';

const LINE = 'x'.repeat(999);

/** A reader that takes nothing until it is told to. */
class Stalled extends Writable {
  taken = '';
  private go: (() => void) | undefined;
  private flowing = false;

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.taken += chunk.toString();
    if (this.flowing) done();
    else this.go = done;
  }

  flow(): void {
    this.flowing = true;
    this.go?.();
  }
}

describe('lines for standard output', () => {
  it('are bounded when nobody reads, and it is said how many were dropped', async () => {
    const stream = new Stalled();
    const lines = new StdoutLines(stream as unknown as NodeJS.WriteStream);
    const write = (line: string): void => lines.write('info', line);
    for (let i = 0; i < 5000; i++) write(LINE);
    assert.ok(stream.writableLength <= (1 << 20) + 1000, `${stream.writableLength} bytes wait`);
    const drained = new Promise((resolve) => stream.once('drain', resolve));
    stream.flow();
    await drained;
    write('the last one');
    await new Promise((resolve) => stream.end(resolve));
    const taken = stream.taken.split('\n').slice(0, -1);
    const dropped = 5000 - (taken.length - 2);
    assert.deepEqual(taken.slice(-2), [
      `${dropped} log lines were dropped: nobody read them`,
      'the last one',
    ]);
    assert.ok(dropped > 3000);
  });
});

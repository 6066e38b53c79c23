import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Progress, progressLine } from '../../src/terminal/progress.js';

/** A terminal that keeps what is written to it. */
class FakeTerminal {
  readonly written: string[] = [];
  constructor(
    readonly isTTY: boolean,
    readonly columns = 80,
  ) {}
  write(text: string): void {
    this.written.push(text);
  }
}

describe('a progress line', () => {
  it('has a bar when it is known how much there is', () => {
    assert.equal(progressLine(0, 'x', 80), '[                    ]   0 % x');
    assert.equal(progressLine(0.5, '12 frames', 80), '[##########          ]  50 % 12 frames');
    assert.equal(progressLine(1, 'x', 80), '[####################] 100 % x');
    assert.equal(progressLine(undefined, '12 frames', 80), '12 frames');
  });

  it('is shorter than the terminal is wide', () => {
    for (const part of [undefined, 0.3]) {
      assert.equal(progressLine(part, 'y'.repeat(100), 40).length, 39);
    }
  });

  it('comes after half a second, ten times a second at the most, and goes without a trace', () => {
    let nowMs = 1000;
    const terminal = new FakeTerminal(true);
    const progress = new Progress(terminal, () => nowMs, { TERM: 'xterm' });
    const show = (): void => progress.show(() => ({ part: undefined, text: `at ${nowMs}` }));
    for (const at of [1000, 1499, 1500, 1550, 1599, 1600]) {
      nowMs = at;
      show();
    }
    assert.deepEqual(terminal.written, ['\rat 1500\x1b[K', '\rat 1600\x1b[K']);
    progress.hide();
    progress.hide();
    assert.deepEqual(terminal.written.slice(2), ['\r\x1b[K']);
  });

  it('needs a terminal that can do more than print', () => {
    for (const [isTTY, TERM] of [
      [false, 'xterm'],
      [true, 'dumb'],
      [true, ''],
    ] as const) {
      const terminal = new FakeTerminal(isTTY);
      let nowMs = 0;
      const progress = new Progress(terminal, () => nowMs, { TERM });
      nowMs = 5000;
      progress.show(() => ({ part: 0.5, text: 'x' }));
      progress.hide();
      assert.deepEqual(terminal.written, []);
    }
  });
});

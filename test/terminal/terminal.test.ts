import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { describe, it } from 'node:test';
import { drawing, type Key, Terminal } from '../../src/terminal/terminal.js';

describe('keys', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['q', 'q', ['quit']],
    ['Q', 'Q', ['quit']],
    ['Ctrl-C', '\x03', ['quit']],
    ['Ctrl-Z', '\x1a', ['suspend']],
    ['Ctrl-L', '\x0c', ['redraw']],
    ['several at once', 'x\x0cq', ['redraw', 'quit']],
    ['Escape', '\x1b', []],
    ['Escape twice', '\x1b\x1b', []],
    ['Escape, then q', '\x1b\x1bq', []],
    ['Alt-q', '\x1bq', []],
    ['arrows', '\x1b[A\x1b[B\x1bOC\x1bOD', []],
    ['keys of the keypad that end in q', '\x1bOq', []],
    ['function keys with modifiers', '\x1b[15;5~\x1b[1;2Q', []],
    ['mouse reports', '\x1b[<0;12;5M', []],
    ['an arrow, then q', '\x1b[Aq', ['quit']],
    ['others', 'abcü\r\n\t\x04', []],
  ];
  /** What of it a terminal tells; the pieces come one after the other. */
  async function keysIn(...pieces: readonly string[]): Promise<Key[]> {
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const keys: Key[] = [];
    const terminal = new Terminal(input as unknown as ReadStream, process.stdout, false);
    const forget = terminal.listen({ pressed: (key) => keys.push(key), resized: () => 0, gone: () => 0 });
    for (const piece of pieces) {
      const read = once(input, 'data');
      input.write(piece);
      await read;
    }
    forget();
    return keys;
  }

  for (const [what, sent, keys] of cases) {
    it(`are found: ${what}`, async () => assert.deepEqual(await keysIn(sent), keys));
  }

  it('are found where a sequence comes in two pieces', async () => {
    assert.deepEqual(await keysIn('\x1bO', 'qq'), ['quit']);
  });
});

describe('a drawing', () => {
  const lines = [
    { text: 'head', style: 'reverse' },
    { text: 'one', style: 'plain' },
    { text: 'two', style: 'bold' },
  ] as const;

  it('puts each line in its place, and erases behind it only', () => {
    assert.equal(
      drawing(lines, { columns: 4, rows: 4 }, true),
      '\x1b[1;1H\x1b[7mhead\x1b[0m' +
        '\x1b[2;1Hone\x1b[K' +
        '\x1b[3;1H\x1b[1mtwo\x1b[0m\x1b[K' +
        '\x1b[4;1H\x1b[K',
    );
  });

  it('has no styles where none are wanted', () => {
    assert.equal(
      drawing(lines, { columns: 9, rows: 3 }, false),
      '\x1b[1;1Hhead\x1b[K\x1b[2;1Hone\x1b[K\x1b[3;1Htwo\x1b[K',
    );
  });
});

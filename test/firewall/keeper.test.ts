import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/clock.js';
import { Keeper } from '../../src/firewall/keeper.js';
import type { Line } from '../../src/engine/messages.js';

/** Time that stands still until a test moves it. */
class HandClock implements Clock {
  private nowMs = 1_000_000;
  private timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  readonly monotonicMs = (): number => this.nowMs;
  readonly wallMs = (): number => this.nowMs;
  readonly soon = (callback: () => void): void => void this.after(0, callback);
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + ms, callback };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((other) => other !== timer));
  };

  /** How many callbacks wait. */
  get waiting(): number {
    return this.timers.length;
  }

  /** Time goes by, and what is due happens. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const timer of this.timers.filter(({ atMs }) => atMs <= this.nowMs)) {
      this.timers = this.timers.filter((other) => other !== timer);
      timer.callback();
      await settled();
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** When all that can happen by itself has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await nextTurn();
}

/** An error that may pass by itself. */
class Trouble extends Error {}

/** What a test lets a call of `open` do; undefined: succeed. */
type Fate = Error | Promise<void> | undefined;

/** A keeper of numbered things, and all that happens to them. */
class Bench {
  readonly clock = new HandClock();
  /** `open 1`, `close 1`, and so on */
  readonly happened: string[] = [];
  readonly lines: Line[] = [];
  /** what the next calls of `open` do, the first one first */
  fates: Fate[] = [];
  /** what each thing calls when it is lost */
  readonly lost: ((why: string) => void)[] = [];
  readonly keeper = new Keeper({
    open: async (lost, made) => {
      const number = this.lost.push(lost);
      this.happened.push(`open ${number}`);
      made({
        description: `thing ${number}`,
        close: async () => {
          this.happened.push(`close ${number}`);
          await nextTurn();
        },
      });
      const fate = this.fates.shift();
      if (fate instanceof Error) throw fate;
      await fate;
    },
    explain: (error) => (error instanceof Trouble ? error.message : undefined),
    name: 'thing',
    meanwhile: 'nothing works',
    say: (line) => this.lines.push(line),
    clock: this.clock,
  });

  /** The last thing that was opened is lost. */
  lose(why = 'it broke'): void {
    this.lost.at(-1)?.(why);
  }

  /** What it has said since the last call. */
  said(): string[] {
    return this.lines.splice(0).map(({ message }) => message);
  }

  /** After how many milliseconds, said the last line, it is tried again. */
  get waitMs(): unknown {
    return this.lines.at(-1)?.fields['retryInMs'];
  }
}

async function opened(): Promise<Bench> {
  const bench = new Bench();
  await bench.keeper.open();
  return bench;
}

describe('what is kept open', () => {
  it('has no description before it is opened, then its own', async () => {
    const bench = new Bench();
    assert.equal(bench.keeper.description, 'no thing');
    await bench.keeper.open();
    assert.equal(bench.keeper.description, 'thing 1');
    assert.equal(bench.keeper.current?.description, 'thing 1');
    assert.deepEqual(bench.said(), []);
  });

  it('that cannot be opened the first time is an error, and not tried again', async () => {
    const bench = new Bench();
    bench.fates = [new Trouble('no')];
    await assert.rejects(bench.keeper.open(), (error) => error instanceof Trouble);
    assert.deepEqual([bench.said(), bench.clock.waiting], [[], 0]);
  });

  it('is closed, and then not opened again, whatever it says', async () => {
    const bench = await opened();
    await bench.keeper.close();
    bench.lose();
    assert.deepEqual(bench.happened, ['open 1', 'close 1']);
    assert.deepEqual([bench.said(), bench.clock.waiting], [[], 0]);
  });
});

describe('what is lost', () => {
  it('is closed and opened again after a second; it says so, escaped', async () => {
    const bench = await opened();
    bench.lose('gone\nwith \x1b[2J the wind');
    assert.deepEqual(bench.lines, [
      {
        level: 'error',
        message: 'thing lost: gone\\x0awith \\x1b[2J the wind; nothing works meanwhile; next try in 1 s',
        fields: { event: 'thing-lost', retryInMs: 1000 },
      },
    ]);
    await bench.clock.pass(999);
    assert.deepEqual(bench.happened, ['open 1']);
    bench.said();
    await bench.clock.pass(1);
    assert.deepEqual(bench.happened, ['open 1', 'close 1', 'open 2']);
    assert.deepEqual(bench.lines, [
      { level: 'warn', message: 'thing open again: thing 2', fields: { event: 'thing-open' } },
    ]);
    assert.equal(bench.keeper.description, 'thing 2');
    assert.equal(bench.clock.waiting, 0);
  });

  it('is tried again after 1, 2, 4, 8, 16, and then always 30 s, as long as it cannot be opened', async () => {
    const bench = await opened();
    bench.lose();
    const waits: unknown[] = [];
    for (let i = 0; i < 8; i++) {
      waits.push(bench.waitMs);
      bench.fates = [new Trouble(`not yet (${i})`)];
      await bench.clock.pass(Number(bench.waitMs));
    }
    assert.deepEqual(
      waits.map((ms) => Number(ms) / 1000),
      [1, 2, 4, 8, 16, 30, 30, 30],
    );
    assert.equal(bench.said()[1], 'thing lost: not yet (0); nothing works meanwhile; next try in 2 s');
  });

  it('after a long life, too, is tried again later and later', async () => {
    const bench = await opened();
    await bench.clock.pass(3_600_000);
    bench.lose();
    const waits: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      waits.push(bench.waitMs);
      bench.fates = [new Trouble('not yet')];
      await bench.clock.pass(Number(bench.waitMs));
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000]);
  });

  it('soon after it was opened again has to wait longer than the last time', async () => {
    const bench = await opened();
    for (const expected of [1000, 2000, 4000]) {
      bench.lose();
      assert.equal(bench.waitMs, expected);
      await bench.clock.pass(expected);
      assert.match(bench.said().at(-1) ?? '', /^thing open again/);
      await bench.clock.pass(5000);
    }
  });

  it('after more than 30 s of life is tried again after a second', async () => {
    const bench = await opened();
    for (let i = 0; i < 3; i++) {
      bench.lose();
      await bench.clock.pass(Number(bench.waitMs));
    }
    await bench.clock.pass(30_000);
    bench.lose();
    assert.equal(bench.waitMs, 8000, '30 s are not more');
    await bench.clock.pass(8000);
    await bench.clock.pass(30_001);
    bench.lose();
    assert.equal(bench.waitMs, 1000);
  });

  it('twice is lost once', async () => {
    const bench = await opened();
    bench.lose('first');
    bench.lose('second');
    assert.deepEqual(bench.said(), ['thing lost: first; nothing works meanwhile; next try in 1 s']);
    assert.equal(bench.clock.waiting, 1);
    await bench.clock.pass(1000);
    assert.deepEqual(bench.happened, ['open 1', 'close 1', 'open 2']);
  });

  it('while it is opened, and cannot be opened then, is one loss', async () => {
    const bench = await opened();
    bench.lose();
    bench.said();
    let fail = (error: Error): void => void error;
    bench.fates = [new Promise((_, reject) => (fail = reject))];
    await bench.clock.pass(1000);
    bench.lose('broken at once');
    fail(new Trouble('and not opened'));
    await settled();
    assert.deepEqual(bench.said(), ['thing lost: broken at once; nothing works meanwhile; next try in 2 s']);
    assert.equal(bench.clock.waiting, 1);
  });

  it('and cannot be opened because of a bug: the bug is not hidden', async () => {
    const bench = await opened();
    bench.fates = [new TypeError('a bug')];
    bench.lose();
    bench.said();
    // the test runner would take it for a failure of its own
    const listeners = process.rawListeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    const thrown = new Promise((resolve) => process.once('unhandledRejection', resolve));
    try {
      await bench.clock.pass(1000);
      assert.match(String(await thrown), /^TypeError: a bug$/);
    } finally {
      process.removeAllListeners('unhandledRejection');
      for (const listener of listeners) {
        process.on('unhandledRejection', listener as NodeJS.UnhandledRejectionListener);
      }
    }
    assert.deepEqual([bench.said(), bench.clock.waiting], [[], 0]);
  });
});

describe('closing', () => {
  it('while it waits for the next try cancels that', async () => {
    const bench = await opened();
    bench.lose();
    await bench.keeper.close();
    assert.equal(bench.clock.waiting, 0);
    await bench.clock.pass(60_000);
    assert.deepEqual(bench.happened, ['open 1', 'close 1']);
  });

  it('while it is being opened again closes what comes of it, and says nothing of it', async () => {
    const bench = await opened();
    bench.lose();
    bench.said();
    let finish = (): void => undefined;
    bench.fates = [new Promise((resolve) => (finish = resolve))];
    await bench.clock.pass(1000);
    assert.equal(bench.happened.at(-1), 'open 2');
    await bench.keeper.close();
    finish();
    await settled();
    assert.equal(bench.happened.at(-1), 'close 2');
    assert.deepEqual([bench.said(), bench.clock.waiting], [[], 0]);
  });

  it('while it is being opened again, which fails then, is the end, too', async () => {
    const bench = await opened();
    bench.lose();
    bench.said();
    let fail = (error: Error): void => void error;
    bench.fates = [new Promise((_, reject) => (fail = reject))];
    await bench.clock.pass(1000);
    await bench.keeper.close();
    fail(new Trouble('closed under my feet'));
    await settled();
    assert.equal(bench.happened.at(-1), 'close 2');
    assert.deepEqual([bench.said(), bench.clock.waiting], [[], 0]);
  });

  it('while it is being opened for the first time closes what comes of it', async () => {
    const bench = new Bench();
    let finish = (): void => undefined;
    bench.fates = [new Promise((resolve) => (finish = resolve))];
    const opening = bench.keeper.open();
    await bench.keeper.close();
    finish();
    await opening;
    assert.deepEqual([bench.happened[0], bench.happened.at(-1)], ['open 1', 'close 1']);
  });

  it('while what was lost is being closed opens nothing any more', async () => {
    const bench = await opened();
    bench.lose();
    const passing = bench.clock.pass(1000);
    assert.deepEqual(bench.happened, ['open 1', 'close 1']);
    await bench.keeper.close();
    await passing;
    assert.ok(!bench.happened.includes('open 2'), bench.happened.join(', '));
  });
});

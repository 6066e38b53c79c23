import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { COUNTERS_MS, FLUSH_MS, StateFile } from '../../src/state/state-file.js';
import { SLICE } from '../../src/state/writer.js';
import { HandClock } from '../support/hand-clock.js';
import { Entries, entry, loadAll, NO_COUNTERS, savedEntries } from '../support/state.js';

let folder: string;
let path: string;
let clock: HandClock;
let source: Entries;
let store: StateFile;
let events: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mxallowd-state-'));
  path = join(folder, 'state');
  clock = new HandClock();
  source = new Entries();
  events = [];
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(): StateFile {
  return new StateFile({
    path,
    source,
    clock,
    report: ({ kind, message }) => events.push(`${kind}: ${message.replaceAll(folder, '')}`),
  });
}

/** An entry that a test can tell from others. */
function set(prefix: string, attempts = 1): void {
  source.set(
    entry(prefix, { addedMs: 1_000_000, deadlineMs: 4_600_000, lastAttemptMs: 1_000_000, attempts }),
  );
  store.changed();
}

function remove(prefix: string): void {
  source.remove(prefix);
  store.changed();
}

/** Lines of the file without checksums. */
function lines(): string[] {
  const [header = '', ...others] = readFileSync(path, 'latin1').split('\n');
  return [header.slice(0, 17), ...others.slice(0, -1).map((line) => line.slice(9))];
}

/** The file holds what the source does, and nothing is wrong with it. */
function assertSaved(): void {
  const loaded = loadAll(path, clock.wallMs());
  assert.deepEqual(loaded.problems, []);
  const byPrefix = (a: { prefix: string }, b: { prefix: string }): number => (a.prefix < b.prefix ? -1 : 1);
  assert.deepEqual(
    savedEntries(loaded, clock.monotonicMs()).sort(byPrefix),
    [...source.current.values()].sort(byPrefix),
  );
  assert.deepEqual(loaded.counters, source.counters());
}

const NO_COUNTS = `C ${Object.keys(NO_COUNTERS)
  .map((name) => `${name}=0`)
  .join(' ')}`;

describe('a state file', () => {
  it('is written anew at the start, for the user only', async () => {
    writeFileSync(path, 'older');
    set('192.0.2.1');
    await store.start();
    assert.deepEqual(lines(), [
      'mxallowd-state 1 ',
      'T 1000000 1000000',
      NO_COUNTS,
      'S known-time',
      '+ 192.0.2.1 attempt 1000000 4600000 1000000 1 0',
      'T 1000000 1000000',
    ]);
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.deepEqual(readdirSync(folder), ['state']);
    assertSaved();
  });

  it('stays as it is until the start: what was loaded may not be taken in yet', async () => {
    writeFileSync(path, 'older');
    set('192.0.2.1');
    assert.deepEqual(clock.timersMs, []);
    await store.flush();
    await store.close();
    assert.equal(readFileSync(path, 'utf8'), 'older');
  });

  it('is written half a second after a change, by one timer; there is none when nothing changes', async () => {
    await store.start();
    assert.deepEqual(clock.timersMs, []);
    set('192.0.2.1');
    clock.pass(100);
    set('192.0.2.2');
    remove('192.0.2.1');
    assert.deepEqual(clock.timersMs, [FLUSH_MS - 100]);
    clock.pass(FLUSH_MS - 100);
    await store.flush();
    assert.deepEqual(lines().slice(-3), [
      `T 1000500 1000500`,
      '- 192.0.2.1',
      '+ 192.0.2.2 attempt 1000000 4600000 1000000 1 0',
    ]);
    assert.deepEqual(clock.timersMs, []);
    assertSaved();
  });

  it('is written ten seconds after something was counted, and sooner with an entry', async () => {
    await store.start();
    const count = (): void => {
      source.counted.refusals++;
      store.changed('counters');
    };
    count();
    clock.pass(100);
    count();
    assert.deepEqual(clock.timersMs, [COUNTERS_MS - 100]);
    clock.pass(COUNTERS_MS - 100);
    await store.idle();
    assert.equal(lines().at(-1), NO_COUNTS.replace('refusals=0', 'refusals=2'));

    count();
    set('192.0.2.1');
    count();
    assert.deepEqual(clock.timersMs, [FLUSH_MS]);
    clock.pass(FLUSH_MS);
    // while it is written
    count();
    await store.idle();
    assert.deepEqual(lines().slice(-2), [
      NO_COUNTS.replace('refusals=0', 'refusals=5'),
      '+ 192.0.2.1 attempt 1000000 4600000 1000000 1 0',
    ]);
    assert.deepEqual(clock.timersMs, [COUNTERS_MS]);
    // and at the end without waiting
    count();
    await store.close();
    assert.equal(lines().at(-1), NO_COUNTS.replace('refusals=0', 'refusals=6'));
  });

  it('grows by what has changed only, and not at all when nothing has', async () => {
    await store.start();
    const before = lines();
    const { ino } = statSync(path);
    await store.flush();
    store.changed();
    clock.pass(FLUSH_MS);
    await store.flush();
    assert.deepEqual(lines(), before);
    source.counted.refusals = 5;
    await store.flush();
    assert.deepEqual(lines(), [
      ...before,
      'T 1000500 1000500',
      NO_COUNTS.replace('refusals=0', 'refusals=5'),
    ]);
    set('192.0.2.1');
    await store.flush();
    assert.deepEqual(lines().slice(before.length + 2), [
      'T 1000500 1000500',
      '+ 192.0.2.1 attempt 1000000 4600000 1000000 1 0',
    ]);
    assert.equal(statSync(path).ino, ino);
    assertSaved();
  });

  it('is written again for what changes during a write', async () => {
    await store.start();
    set('192.0.2.1');
    clock.pass(FLUSH_MS);
    set('192.0.2.2');
    // no second timer while it is written, one when it is done
    assert.deepEqual(clock.timersMs, []);
    await store.idle();
    assert.deepEqual(clock.timersMs, [FLUSH_MS]);
    clock.pass(FLUSH_MS);
    await store.idle();
    assert.deepEqual(clock.timersMs, []);
    assertSaved();
  });

  it('keeps up with a wall clock that is set while the daemon runs', async () => {
    set('192.0.2.1');
    await store.start();
    clock.pass(60_000);
    clock.wallAheadMs = 86_400_000;
    set('192.0.2.2');
    await store.flush();
    assertSaved();
  });

  it('gets what is left and the time at the end, and nothing afterwards', async () => {
    await store.start();
    set('192.0.2.1');
    clock.pass(10);
    await store.close();
    assert.deepEqual(clock.timersMs, []);
    assert.deepEqual(lines().slice(-2), [
      'T 1000010 1000010',
      '+ 192.0.2.1 attempt 1000000 4600000 1000000 1 0',
    ]);
    const before = lines();
    set('192.0.2.2');
    await store.flush();
    await store.close();
    assert.deepEqual(clock.timersMs, []);
    assert.deepEqual(lines(), before);
  });

  it('tells the time at the end even when nothing has changed', async () => {
    await store.start();
    clock.pass(3_000_000);
    await store.close();
    assert.equal(lines().at(-1), 'T 4000000 4000000');
  });

  it('is reported on', async () => {
    assert.deepEqual(store.report(), { path, writtenAgoMs: undefined, error: undefined });
    await store.start();
    clock.pass(700);
    assert.deepEqual(store.report(), { path, writtenAgoMs: 700, error: undefined });
  });
});

describe('somebody else', () => {
  for (const [what, act] of [
    ['has removed the file', () => rmSync(path)],
    ['has moved the file away', () => renameSync(path, `${path}.old`)],
    [
      'has put another one in its place',
      () => {
        writeFileSync(`${path}.mine`, 'mine');
        renameSync(`${path}.mine`, path);
      },
    ],
    ['has cut the file', () => truncateSync(path, 50)],
    ['has written to the file', () => writeFileSync(path, 'mine', { flag: 'a' })],
  ] as const) {
    it(`${what}: it is written anew`, async () => {
      set('192.0.2.1');
      await store.start();
      act();
      set('192.0.2.2');
      await store.flush();
      assertSaved();
      assert.deepEqual(events, []);
    });
  }

  it('has put symbolic links in the place of the files: they are replaced, not followed', async () => {
    const target = join(folder, 'target');
    writeFileSync(target, 'precious');
    symlinkSync(target, path);
    symlinkSync(target, `${path}.new`);
    await store.start();
    assertSaved();
    assert.equal(readFileSync(target, 'utf8'), 'precious');
    assert.equal(existsSync(`${path}.new`), false);
  });
});

describe('when the state file cannot be written', () => {
  const FAILED = 'a restart finds it as it was last written; trying again';

  it('that is said once, tried again later and later, and said once when it works', async () => {
    await store.start();
    rmSync(folder, { recursive: true });
    set('192.0.2.1');
    clock.pass(FLUSH_MS);
    const waits: number[] = [];
    for (let tries = 0; tries < 9; tries++) {
      await store.idle();
      waits.push(...clock.timersMs);
      set(`192.0.2.${tries}`);
      clock.pass(clock.timersMs[0] ?? 0);
    }
    await store.idle();
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert.deepEqual(events, [
      `failed: state file /state cannot be written: its folder does not exist (ENOENT); ${FAILED}`,
    ]);
    assert.equal(store.report().error, 'its folder does not exist (ENOENT)');
    assert.equal(store.report().writtenAgoMs, clock.monotonicMs() - 1_000_000);
    mkdirSync(folder);
    clock.pass(60_000);
    await store.idle();
    assert.deepEqual(events.slice(1), ['recovered: state file /state is written again']);
    assert.deepEqual(store.report(), { path, writtenAgoMs: 0, error: undefined });
    assert.deepEqual(clock.timersMs, []);
    assertSaved();
    // and begins with a second again
    rmSync(folder, { recursive: true });
    set('192.0.2.99');
    clock.pass(FLUSH_MS);
    await store.idle();
    assert.deepEqual(clock.timersMs, [1000]);
    assert.equal(events.length, 3);
    mkdirSync(folder);
  });

  it('what changes meanwhile takes no memory', async () => {
    path = join(folder, 'none', 'state');
    store = open();
    await store.start();
    for (let n = 0; n < 50_000; n++) {
      set(`10.0.${n >> 8}.${n & 255}`);
      remove(`10.0.${n >> 8}.${n & 255}`);
      assert.ok(source.changes <= SLICE + 1);
    }
    set('192.0.2.1');
    mkdirSync(join(folder, 'none'));
    clock.pass(1000);
    await store.idle();
    assertSaved();
  });

  it('by a user who may not', { skip: process.getuid?.() !== 0 && 'not root' }, async () => {
    chmodSync(folder, 0o755);
    process.seteuid?.(65534);
    try {
      await store.start();
      assert.deepEqual(events, [
        `failed: state file /state cannot be written: permission denied (EACCES); ${FAILED}`,
      ]);
    } finally {
      process.seteuid?.(0);
    }
  });

  it('because a folder is in its place', async () => {
    mkdirSync(path);
    await store.start();
    assert.deepEqual(events, [
      `failed: state file /state cannot be written: it is a folder (EISDIR); ${FAILED}`,
    ]);
    assert.deepEqual(readdirSync(folder), ['state']);
    await store.close();
    assert.deepEqual(clock.timersMs, []);
    rmSync(path, { recursive: true });
  });

  it('because changes come faster than the disk takes them, the file stays as it was', async () => {
    set('192.0.2.1');
    await store.start();
    const before = lines();
    for (let n = 0; n < 2000; n++) set(`10.1.${n >> 8}.${n & 255}`);
    const writing = store.flush();
    await new Promise((resolve) => setImmediate(resolve));
    for (let n = 0; n < 60_000; n++) {
      set(`10.2.${n >> 8}.${n & 255}`);
      remove(`10.2.${n >> 8}.${n & 255}`);
    }
    assert.ok(source.changes <= 20_001 + SLICE);
    await writing;
    assert.deepEqual(events, [
      `failed: state file /state cannot be written: the changes come faster than the disk takes them; ${FAILED}`,
    ]);
    assert.deepEqual(lines(), before);
    assert.deepEqual(readdirSync(folder), ['state']);
    clock.pass(1000);
    await store.idle();
    assert.deepEqual(events.slice(1), ['recovered: state file /state is written again']);
    assertSaved();
  });
});

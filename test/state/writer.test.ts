import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { KeptDomain } from '../../src/names/domain-networks.js';
import { formatPrefix, type PrefixText } from '../../src/packet/address.js';
import { loadState } from '../../src/state/load.js';
import type { Note } from '../../src/state/source.js';
import { StateParser } from '../../src/state/parser.js';
import type { SavedEntry } from '../../src/state/source.js';
import { SLICE, StateWriter } from '../../src/state/writer.js';
import { HandClock } from '../support/hand-clock.js';
import { prefix as prefixOfText } from '../support/observations.js';
import { Entries, entry } from '../support/state.js';

let folder: string;
let path: string;
let source: Entries;
let writer: StateWriter;
let clock: HandClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mxallowd-state-'));
  path = join(folder, 'state');
  use(new Entries());
});
afterEach(async () => {
  await writer.close();
  rmSync(folder, { recursive: true, force: true });
});

function use<T extends Entries>(entries: T): T {
  source = entries;
  clock = new HandClock();
  writer = new StateWriter(path, entries, clock);
  return entries;
}

function prefix(number: number): string {
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const allIsWell = (): boolean => false;

/** What a file, or the beginning of one, says of each prefix: how many attempts; and that it is in order. */
function attempts(bytes: Buffer): Map<string, number> {
  const parser = new StateParser(100_000);
  parser.push(bytes);
  const { header, damagedLines, unknownLines, contents } = parser.end();
  assert.deepEqual([header.kind, damagedLines, unknownLines], ['ours', 0, 0]);
  return new Map([...contents.entries].map(([prefix, found]) => [prefix, found.attempts]));
}

describe('a long journal', () => {
  it('of more than a megabyte, and more than the entries take, is replaced by a snapshot', async () => {
    for (let n = 0; n < 100; n++) source.set(entry(prefix(n)));
    await writer.snapshot(allIsWell);
    const small = statSync(path).size;
    let flushes = 0;
    while (!(await writer.needsSnapshot())) {
      for (let n = 0; n < 100; n++) source.set(entry(prefix(n), { attempts: ++flushes }));
      await writer.append(false);
    }
    const { size } = statSync(path);
    assert.ok(size - small > 1024 * 1024 && size < 1024 * 1024 + 2 * small, `${size}`);
    await writer.snapshot(allIsWell);
    assert.ok(statSync(path).size < small + 1000);
    assert.equal(await writer.needsSnapshot(), false);
  });

  it('is not even begun when most entries have changed', async () => {
    for (let n = 0; n < 2000; n++) source.set(entry(prefix(n)));
    await writer.snapshot(allIsWell);
    for (let n = 0; n < 1000; n++) source.set(entry(prefix(n)));
    assert.equal(await writer.needsSnapshot(), false);
    source.set(entry(prefix(1000)));
    assert.equal(await writer.needsSnapshot(), true);
  });
});

describe('what "allow" has put into the table', () => {
  const loaded = (): readonly string[] => loadState(path, 0, 100).allowed;
  const networks = (count: number): PrefixText[] =>
    Array.from({ length: count }, (_, n) => `2001:db8:${(n + 1).toString(16)}::/48` as PrefixText);

  it('is in each snapshot', async () => {
    source.networks = networks(101);
    await writer.snapshot(allIsWell);
    assert.deepEqual(loaded(), source.networks);
    source.networks = [];
    await writer.snapshot(allIsWell);
    assert.deepEqual(loaded(), []);
  });

  it('is written to the journal as a whole when it has changed, though nothing else has', async () => {
    source.networks = networks(3);
    await writer.snapshot(allIsWell);
    const { size } = statSync(path);
    await writer.append(false);
    assert.equal(statSync(path).size, size);
    for (const changed of [networks(50), networks(1), []]) {
      source.networks = changed;
      await writer.append(false);
      assert.deepEqual(loaded(), changed);
    }
  });
});

describe('the networks of domains', () => {
  const loaded = (wallMs = 0): string[] =>
    loadState(path, wallMs, 100).domains.map(({ domain, networks }) =>
      [domain, ...networks.map(({ network, seenAgoMs }) => `${formatPrefix(network)}@${seenAgoMs}`)].join(
        ' ',
      ),
    );
  const domains = (count: number, seenMs = 0): KeptDomain[] => [
    { domain: 'example.com', networks: [{ network: prefixOfText('192.0.2.0/24'), seenMs: -5000 }] },
    {
      domain: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
      networks: Array.from({ length: count }, (_, n) => ({
        network: prefixOfText(`2001:db8:1234:5678:9abc:def0:${(n + 0x1000).toString(16)}:8100/120`),
        seenMs,
      })),
    },
  ];
  const texts = (kept: readonly KeptDomain[], nowMs: number): string[] =>
    kept.map(({ domain, networks }) =>
      [domain, ...networks.map(({ network, seenMs }) => `${formatPrefix(network)}@${nowMs - seenMs}`)].join(
        ' ',
      ),
    );

  it('are in each snapshot, however many they are, with when they were named', async () => {
    source.domainNetworks = domains(101);
    await writer.snapshot(allIsWell);
    const nowMs = clock.monotonicMs();
    assert.deepEqual(loaded(clock.wallMs()), texts(source.domainNetworks, nowMs));
    source.domainNetworks = [];
    await writer.snapshot(allIsWell);
    assert.deepEqual(loaded(), []);
  });

  it('are written to the journal as a whole when they have changed, though nothing else has', async () => {
    source.domainNetworks = domains(3);
    await writer.snapshot(allIsWell);
    const { size } = statSync(path);
    await writer.append(false);
    assert.equal(statSync(path).size, size);
    for (const changed of [domains(50), domains(1, 700), []]) {
      source.domainNetworks = changed;
      await writer.append(false);
      assert.deepEqual(loaded(clock.wallMs()), texts(changed, clock.monotonicMs()));
    }
  });
});

/** Counts how many entries are asked for without a pause. */
class CountedEntries extends Entries {
  mostAtATime = 0;
  private atATime = 0;

  override *entries(): Generator<SavedEntry> {
    for (const entry of super.entries()) {
      if (this.atATime++ === 0) setImmediate(() => (this.atATime = 0));
      this.mostAtATime = Math.max(this.mostAtATime, this.atATime);
      yield entry;
    }
  }
}

describe('100,000 entries', () => {
  it('are written in slices, between which other things get their turn', async () => {
    const entries = use(new CountedEntries());
    for (let n = 0; n < 100_000; n++) entries.set(entry(prefix(n)));
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await writer.snapshot(allIsWell);
    done = true;
    assert.ok(entries.mostAtATime <= 2 * SLICE, `${entries.mostAtATime} at a time`);
    assert.ok(turns >= 100_000 / SLICE, `${turns} turns`);
    assert.equal(attempts(readFileSync(path)).size, 100_000);
    assert.equal(entries.changes, 0);
  });
});

describe('a flood', () => {
  it('does not keep a write from ending', async () => {
    for (let n = 0; n < 20_000; n++) source.set(entry(prefix(n)));
    let next = 20_000;
    let done = false;
    const flood = (): void => {
      // for each entry that comes one goes
      for (let n = 0; n < 100; n++, next++) {
        source.set(entry(prefix(next)));
        source.remove(prefix(next - 20_000));
      }
      if (!done) setImmediate(flood);
    };
    flood();
    await writer.snapshot(allIsWell);
    await writer.append(false);
    done = true;
    assert.ok(source.mostTaken <= SLICE);
    await writer.append(false);
    await writer.append(false);
    assert.deepEqual([...attempts(readFileSync(path)).keys()].sort(), [...source.current.keys()].sort());
  });
});

/** A generator of numbers that is the same in each run. @returns a number from 0 to below `bound` */
function randomNumbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** What each prefix has been, with the moment from which on; no attempts: no entry. */
class History {
  private readonly states = new Map<string, { readonly from: number; readonly attempts: number }[]>();
  now = 0;

  note(prefix: string, attempts: number): void {
    const states = this.states.get(prefix) ?? [{ from: 0, attempts: 0 }];
    states.push({ from: ++this.now, attempts });
    this.states.set(prefix, states);
  }

  /** What a prefix may have been between two moments. */
  between(prefix: string, first: number, last: number): number[] {
    const possible: number[] = [];
    for (const { from, attempts } of (this.states.get(prefix) ?? [{ from: 0, attempts: 0 }]).toReversed()) {
      if (from > last) continue;
      possible.push(attempts);
      if (from <= first) break;
    }
    return possible;
  }

  prefixes(): Iterable<string> {
    return this.states.keys();
  }
}

const PREFIXES = 1800;
const WRITES = 30;
const CUTS = 4;

describe('at any moment', () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`the file holds what was true when it was last written, or later (${seed})`, async () => {
      const random = randomNumbers(seed);
      const history = new History();

      function change(count: number): void {
        for (let n = 0; n < count; n++) {
          const which = prefix(random(PREFIXES));
          const isGone = random(3) === 0;
          if (isGone && !source.current.has(which as PrefixText)) continue;
          if (isGone) source.remove(which);
          else source.set(entry(which, { attempts: history.now + 1 }));
          history.note(which, isGone ? 0 : history.now + 1);
        }
      }

      /** Writes while others change. @returns the moments of the write's beginning and end */
      async function write(isSnapshot: boolean): Promise<[number, number]> {
        const start = history.now;
        let done = false;
        const writing = (isSnapshot ? writer.snapshot(allIsWell) : writer.append(false)).then(
          () => (done = true),
        );
        while (!done) {
          change(random(10));
          await nextTurn();
        }
        await writing;
        return [start, history.now];
      }

      function check(bytes: Buffer, first: number, last: number): void {
        const found = attempts(bytes);
        for (const which of history.prefixes()) {
          const possible = history.between(which, first, last);
          if (possible.includes(found.get(which) ?? 0)) continue;
          assert.fail(`${which}: ${found.get(which)}, not ${possible.join(' or ')}`);
        }
      }

      change(1500);
      let [first, last] = await write(true);
      let size = statSync(path).size;
      check(readFileSync(path), first, last);
      for (let count = 0; count < WRITES; count++) {
        change(random(random(3) === 0 ? 1200 : 20));
        const isSnapshot = random(5) === 0;
        const [start, end] = await write(isSnapshot);
        const bytes = readFileSync(path);
        // killed while the file grew: what was written by then
        for (let cut = 0; !isSnapshot && cut < CUTS; cut++) {
          check(bytes.subarray(0, size + random(bytes.length - size)), first, end);
        }
        [first, last, size] = [start, end, bytes.length];
        check(bytes, first, last);
      }
      // and when nothing changes any more, exactly what is true
      await writer.append(false);
      await writer.append(false);
      check(readFileSync(path), history.now, history.now);
    });
  }
});

describe('notes', () => {
  const note = (number: number): Note => ({
    kind: 'domain',
    domain: { domain: `d${number}.example`, count: 1, addresses: 1, firstMs: 1, lastMs: 1, letInMs: 0 },
  });
  const written = (): string[] => {
    const parser = new StateParser(100_000);
    parser.push(readFileSync(path));
    const { damagedLines, contents } = parser.end();
    assert.equal(damagedLines, 0);
    return [...contents.notes.since(1)].map((one) => (one.kind === 'domain' ? one.domain.domain : ''));
  };
  const numbers = (from: number, to: number): number[] =>
    Array.from({ length: to - from }, (_, i) => from + i);
  const names = (from: number, to: number): string[] => numbers(from, to).map((n) => `d${n}.example`);

  it('are all in a snapshot, and what had changed before is not written again', async () => {
    source.noted = numbers(0, 700).map(note);
    source.urgent = numbers(0, 5).map(note);
    await writer.snapshot(allIsWell);
    assert.deepEqual(written(), names(0, 700));
    const { size } = statSync(path);
    await writer.append(true);
    assert.ok(statSync(path).size - size < 100, 'a time line only');
  });

  it('go out a hundred with a write that something else has caused, and all that are left with the last one', async () => {
    await writer.snapshot(allIsWell);
    source.urgent = numbers(0, 250).map(note);
    source.leisurely = numbers(250, 900).map(note);
    await writer.append(false);
    assert.deepEqual(written(), [], 'nobody writes for them alone');
    source.counted.refusals++;
    await writer.append(false);
    assert.deepEqual(written(), names(0, 100));
    await writer.append(true);
    assert.deepEqual(written(), names(0, 900));
  });
});

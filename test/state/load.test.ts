import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { formatPrefix } from '../../src/packet/address.js';
import { sealed, seedOf } from '../../src/state/format.js';
import { MOST_REMAINING_MS } from '../../src/state/load.js';
import type { SavedEntry } from '../../src/state/source.js';
import { entry, loadAll, type LoadedAll, messages, NO_COUNTERS, savedEntries } from '../support/state.js';
import { amount } from '../../src/words.js';

const folder = mkdtempSync(join(tmpdir(), 'mxallowd-state-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'state');
const aside = `${path}.damaged`;

const HEADER = 'mxallowd-state 1 9f2c31ab';
/** the wall clock in the file, and the process's own */
const WALL = 1_764_115_411_000;
const NOW = 123_456;
/** Written by hand; the checksums are Python's: zlib.crc32(HEADER + body). */
const BY_HAND = `${HEADER}
5507fe25 T 1764115411000 123456
0452a44a C attempts=17 renewals=3 refusals=40 admissions=9 added=14 expired=2 expiredUsed=1 expiredUnused=1 evicted=0 adopted=5 named=6 pooled=7
b572b852 + 192.0.2.7 attempt 100000 3700000 120000 2 5 mail.example.org
8e581936 + 2001:db8::/64 pool -5000 200000 -5000 0 0
`;
const REMOVAL = '29337e71 - 192.0.2.7\n';

/** A file of these bodies, with the right checksums. */
function fileOf(...bodies: string[]): string {
  return `${HEADER}\n${bodies.map((body) => sealed(body, seedOf(HEADER))).join('')}`;
}

function load(content: string | Buffer, wallNowMs = WALL, maxEntries = 100_000): LoadedAll {
  rmSync(aside, { recursive: true, force: true });
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, content);
  return loadAll(path, wallNowMs, maxEntries);
}

function prefixes(loaded: LoadedAll): string[] {
  return loaded.entries.map(({ prefix }) => prefix);
}

describe('a state file', () => {
  it('holds entries, with times from now, and counters', () => {
    const loaded = load(BY_HAND);
    assert.equal(loaded.kind, 'loaded');
    assert.deepEqual(messages(loaded), []);
    assert.deepEqual(
      loaded.entries.map(({ prefix, remainingMs, ageMs, lastAttemptAgoMs }) => ({
        prefix,
        remainingMs,
        ageMs,
        lastAttemptAgoMs,
      })),
      [
        { prefix: '192.0.2.7', remainingMs: 3_576_544, ageMs: 23_456, lastAttemptAgoMs: 3456 },
        { prefix: '2001:db8::/64', remainingMs: 76_544, ageMs: 128_456, lastAttemptAgoMs: 128_456 },
      ],
    );
    assert.deepEqual(savedEntries(loaded, NOW), [
      entry('192.0.2.7', {
        addedMs: 100_000,
        deadlineMs: 3_700_000,
        lastAttemptMs: 120_000,
        attempts: 2,
        admissions: 5,
        name: 'mail.example.org',
      }),
      entry('2001:db8::/64', {
        origin: 'pool',
        addedMs: -5000,
        deadlineMs: 200_000,
        lastAttemptMs: -5000,
        attempts: 0,
      }),
    ]);
    assert.deepEqual(
      loaded.entries.map(({ network }) => network.length),
      [32, 64],
    );
    assert.deepEqual(loaded.counters, {
      ...{ attempts: 17, renewals: 3, refusals: 40, redirected: 0, admissions: 9, added: 14, expired: 2 },
      ...{ expiredUsed: 1, expiredUnused: 1, evicted: 0, adopted: 5 },
      ...{ named: 6, listed: 0, pooled: 7, outbound: 0 },
    });
    assert.equal(loaded.writtenAtMs, WALL);
  });

  it('tells when entries were admitted, and who is a regular', () => {
    const loaded = load(
      fileOf(
        ...['T 1000 50000', 'S known-time other'],
        ...['+ 192.0.2.7 attempt 0 900000 0 1 4', 'K 192.0.2.7 1000 20000 regular'],
        ...['+ 192.0.2.8 attempt 0 900000 0 1 1', 'K 192.0.2.8 2000 2000'],
        ...[
          '+ 192.0.2.9 attempt 0 900000 0 1 1',
          'K 192.0.2.9 3000 3000',
          '+ 192.0.2.9 attempt 0 900000 0 2 1',
        ],
      ),
      1000,
    );
    assert.deepEqual(messages(loaded), []);
    assert.equal(loaded.hasKnownTime, true);
    assert.deepEqual(
      loaded.entries.map(({ firstAdmissionAgoMs, lastAdmissionAgoMs, isRegular }) => [
        ...[firstAdmissionAgoMs, lastAdmissionAgoMs, isRegular],
      ]),
      [
        [49_000, 30_000, true],
        [48_000, 48_000, false],
        // each line about an entry says all of it anew
        [undefined, undefined, false],
      ],
    );
  });

  it('tells origins that an earlier version does not know', () => {
    const loaded = load(
      fileOf(
        ...['T 1 0', '+ 192.0.2.7 name 0 5000 0 0 0', 'O 192.0.2.7 outbound'],
        ...['+ 192.0.2.8 name 0 5000 0 0 0', 'O 192.0.2.8 outbound', '+ 192.0.2.8 attempt 0 5000 0 1 0'],
        // its line was damaged, say
        'O 192.0.2.9 outbound',
      ),
      1,
    );
    assert.deepEqual(messages(loaded), []);
    assert.deepEqual(
      loaded.entries.map(({ prefix, origin }) => `${prefix} ${origin}`),
      ['192.0.2.7 outbound', '192.0.2.8 attempt'],
    );
  });

  it('of an earlier version says nothing of known-time', () => {
    assert.equal(load(BY_HAND).hasKnownTime, false);
  });

  for (const body of [
    ...['K', 'K 192.0.2.7 1', 'K 192.0.2.7 5 4', 'K 192.0.2.7 4 5 often', 'K 0/0 1 2'],
    ...['O', 'O 192.0.2.7', 'O 192.0.2.7 mars', 'O 192.0.2.7 outbound x', 'O 0/0 outbound'],
  ]) {
    it(`is damaged by "${body}", and loses no entry by it`, () => {
      const loaded = load(fileOf('T 1 0', '+ 192.0.2.7 attempt 0 5000 0 1 1', body), 1);
      assert.equal(loaded.kind, 'damaged');
      assert.deepEqual(prefixes(loaded), ['192.0.2.7']);
    });
  }

  it('is believed for the last line about a prefix', () => {
    const loaded = load(BY_HAND + REMOVAL);
    assert.deepEqual(prefixes(loaded), ['2001:db8::/64']);
    assert.deepEqual(loaded.removed, ['192.0.2.7']);
    const again = fileOf('T 1 0', '- 192.0.2.7', '+ 192.0.2.7 name 0 5000 0 0 0');
    assert.deepEqual(load(again, 1).removed, []);
    assert.deepEqual(prefixes(load(again, 1)), ['192.0.2.7']);
  });

  it('counts the time since it was written', () => {
    const loaded = load(BY_HAND, WALL + 76_543);
    assert.deepEqual(
      loaded.entries.map(({ remainingMs, ageMs }) => [remainingMs, ageMs]),
      [
        [3_500_001, 99_999],
        [1, 204_999],
      ],
    );
    const later = load(BY_HAND, WALL + 76_544);
    assert.deepEqual(prefixes(later), ['192.0.2.7']);
    assert.deepEqual(later.expired, ['2001:db8::/64']);
    const muchLater = load(BY_HAND, WALL + 366 * 86_400_000);
    assert.deepEqual(prefixes(muchLater), []);
    assert.deepEqual(muchLater.expired, ['192.0.2.7', '2001:db8::/64']);
    assert.equal(muchLater.counters?.attempts, 17);
  });

  it('does not let a clock that was set back make entries older or younger', () => {
    const loaded = load(BY_HAND, WALL - 2500);
    assert.deepEqual(
      loaded.entries.map(({ remainingMs }) => remainingMs),
      [3_576_544, 76_544],
    );
    assert.deepEqual(messages(loaded), [
      `warning: the clock is 3 s behind the time at which state file ${path} was written: entries live that much longer`,
    ]);
    assert.equal(loaded.kind, 'loaded');
  });

  it('translates by its last time line: a clock that was set while the daemon ran changes nothing', () => {
    const steps = ['T 9000000000 1000', '+ 192.0.2.7 attempt 1000 61000 1000 1 0', 'T 50000 11000'];
    assert.deepEqual(
      load(fileOf(...steps), 51_000).entries.map(({ remainingMs, ageMs }) => [remainingMs, ageMs]),
      [[49_000, 11_000]],
    );
  });

  it('makes nothing immortal', () => {
    const [found] = load(fileOf('T 1 0', '+ 192.0.2.7 manual 0 999999999999999 0 0 0'), 1).entries;
    assert.equal(found?.remainingMs, MOST_REMAINING_MS);
  });

  it('passes over kinds of lines and counters that a later version has added', () => {
    const loaded = load(fileOf('T 1 0', 'Z whatever', 'C attempts=4 dreams=5', 'Y'), 1);
    assert.equal(loaded.kind, 'loaded');
    assert.deepEqual(loaded.counters, { ...NO_COUNTERS, attempts: 4 });
    assert.deepEqual(messages(loaded), [
      `note: state file ${path} has 2 lines of a later version: passed over`,
    ]);
  });
});

describe('what "allow" had put into the table', () => {
  it('is what the last list says, over as many lines as it takes', () => {
    const loaded = load(
      fileOf('A', 'A 192.0.2.0/24', 'T 1 0', 'A', 'A 198.51.100.7 10.0.0.0/8', 'A 2001::/16', '- 192.0.2.7'),
      1,
    );
    assert.deepEqual(loaded.allowed, ['198.51.100.7', '10.0.0.0/8', '2001::/16']);
    assert.deepEqual(messages(loaded), []);
    assert.deepEqual(load(fileOf('T 1 0', 'A 10.0.0.0/8', 'A'), 1).allowed, []);
  });
});

describe('the networks of domains', () => {
  const kept = (...bodies: string[]): string[] =>
    load(fileOf(...bodies), 3000).domains.map(({ domain, networks }) =>
      [domain, ...networks.map(({ network, seenAgoMs }) => `${formatPrefix(network)}@${seenAgoMs}`)].join(
        ' ',
      ),
    );

  it('are what the last list says, as long ago as they were named', () => {
    const old = ['N', 'N old.example 0 192.0.2.0/24'];
    const lines = [
      'T 1000 500',
      'N',
      'N a.example -100 198.51.100.0/24 203.0.113.7',
      'N b.example 0 2001:db8::/32',
    ];
    assert.deepEqual(kept(...old, ...lines, 'N a.example 200 203.0.113.0/25'), [
      'a.example 198.51.100.0/24@2600 203.0.113.7@2600 203.0.113.0/25@2300',
      'b.example 2001:db8::/32@2500',
    ]);
    assert.deepEqual(kept(...lines, 'N'), []);
  });

  it('are not known when nobody knows what time the file means', () => {
    assert.deepEqual(kept('N', 'N a.example 0 192.0.2.0/24'), []);
  });

  it('are bounded', () => {
    const line = `N a.example 0 ${Array.from({ length: 16 }, (_, n) => `10.0.0.${n}`).join(' ')}`;
    const all = load(fileOf('T 1 0', ...Array.from({ length: 2000 }, () => line)), 1).domains;
    assert.equal(all[0]?.networks.length, 20_000);
  });
});

describe('a line that makes no sense, though its checksum is right, is damage', () => {
  for (const body of [
    '+ 192.0.2.07 attempt 0 5000 0 1 0',
    '+ 192.0.2.7/32 attempt 0 5000 0 1 0',
    '+ 192.0.2.7/24 attempt 0 5000 0 1 0',
    '+ 2001:DB8::1 attempt 0 5000 0 1 0',
    '+ 2001:db8:0:0:0:0:0:1 attempt 0 5000 0 1 0',
    '+ em0 attempt 0 5000 0 1 0',
    // wider than anything that is stored
    '+ 0.0.0.0/0 attempt 0 5000 0 1 0',
    '+ 192.0.0.0/23 attempt 0 5000 0 1 0',
    '+ 2001:db8::/47 attempt 0 5000 0 1 0',
    '+ 192.0.2.7 stranger 0 5000 0 1 0',
    'N example.com',
    'N example.com 0',
    'N example.com x 192.0.2.0/24',
    'N EXAMPLE.com 0 192.0.2.0/24',
    'N com 0 192.0.2.0/24',
    'N example.com 0 192.0.2.1/24',
    'N example.com 0 0.0.0.0/7',
    'N example.com 0 192.0.2.0/24 ',
    '+ 192.0.2.7 attempt 0 x 0 1 0',
    '+ 192.0.2.7 attempt 0 5000.5 0 1 0',
    '+ 192.0.2.7 attempt 0 1e3 0 1 0',
    '+ 192.0.2.7 attempt 0 5000 0 -1 0',
    '+ 192.0.2.7 attempt 0 5000 0 1',
    '+ 192.0.2.7 attempt 0 5000 0 1 0 ',
    '+ 192.0.2.7 attempt 0 5000 0 1 0 localhost',
    '+ 192.0.2.7 attempt 0 5000 0 1 0 a.example b.example',
    '+ 192.0.2.7 attempt 0 5000 0 1 0 MAIL.example.org',
    '+ 192.0.2.7  attempt 0 5000 0 1 0',
    '+',
    '- 192.0.2.7 attempt',
    '- 0.0.0.0/0',
    'A 0.0.0.0/0',
    'A 192.0.2.0/24 8.0.0.0/7',
    'A 192.0.2.1/24',
    'A 192.0.2.0/24 ',
    'A em0',
    '-',
    'T 5',
    'T -5 5',
    'T 5 5 5',
    'C attempts=-4',
    'C attempts',
    'C attempts=4=5',
  ]) {
    it(JSON.stringify(body), () => {
      const loaded = load(fileOf('T 1 0', '+ 192.0.2.1 attempt 0 5000 0 1 0', body), 1);
      assert.deepEqual(prefixes(loaded), ['192.0.2.1']);
      assert.deepEqual(messages(loaded), [
        `error: state file ${path} is damaged: line 4: it makes no sense; entries saved from it: 1; set aside as ${aside}`,
      ]);
      assert.equal(loaded.kind, 'damaged');
    });
  }
});

describe('a file that is cut', () => {
  const bodies = [`T ${WALL} ${NOW}`, 'C attempts=3'];
  for (let host = 1; host <= 20; host++) {
    const name = host % 3 === 0 ? ` mail${host}.example.org` : '';
    bodies.push(
      `+ ${host % 2 ? `192.0.2.${host}` : `2001:db8:0:${host}::/64`} attempt 0 5000000 0 1 0${name}`,
    );
    if (host % 5 === 0) bodies.push(`- 192.0.2.${host - 4}`);
  }
  bodies.push(`T ${WALL} ${NOW}`);
  const whole = Buffer.from(fileOf(...bodies));

  /** The prefixes that complete lines of a part of the file leave. */
  function expected(part: Buffer): string[] {
    const lines = part.toString().split('\n').slice(1, -1);
    const left = new Set<string>();
    for (const line of lines) {
      const [, kind, prefix = ''] = line.split(' ');
      if (kind === '+') left.add(prefix);
      if (kind === '-') left.delete(prefix);
    }
    return [...left];
  }

  it('at any byte holds what its complete lines say, with a note', () => {
    for (let length = 1; length <= whole.length; length++) {
      const part = whole.subarray(0, length);
      const loaded = load(part);
      assert.deepEqual(prefixes(loaded), expected(part), `${length} bytes`);
      assert.equal(loaded.kind, 'loaded');
      const cut = length - 1 - part.lastIndexOf(10);
      assert.deepEqual(
        messages(loaded),
        cut === 0
          ? []
          : [
              `note: state file ${path} ends within a line (${amount(cut, 'byte')}), as after a crash: passed over`,
            ],
      );
      assert.equal(existsSync(aside), false);
    }
  });

  it('and filled up with zeros, as file systems do, as well', () => {
    for (const length of [1, 30, 200, 700, whole.length]) {
      const part = whole.subarray(0, length);
      const loaded = load(Buffer.concat([part, Buffer.alloc(8192)]));
      assert.deepEqual(prefixes(loaded), expected(part));
      assert.equal(loaded.kind, 'loaded');
    }
  });

  it('to nothing says so', () => {
    const loaded = load('');
    assert.equal(loaded.kind, 'none');
    assert.deepEqual(messages(loaded), [`note: state file ${path} is empty, as a crash may leave it`]);
  });

  it('may be read in pieces of any size', () => {
    const many = [`T ${WALL} ${NOW}`];
    for (let n = 0; n < 20_000; n++) many.push(`+ 10.0.${n >> 8}.${n & 255} attempt 0 5000000 0 1 0`);
    const loaded = load(fileOf(...many));
    assert.equal(loaded.entries.length, 20_000);
    assert.equal(loaded.entries.at(-1)?.prefix, '10.0.78.31');
    assert.deepEqual(messages(loaded), []);
  });

  it('or has a byte that is another one, never yields an entry that was not there, and is set aside', () => {
    const right = savedEntries(load(whole), NOW).map((found) => JSON.stringify(found));
    for (let at = 0; at < whole.length; at++) {
      for (const bit of [1, 2, 16, 128]) {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ bit;
        const loaded = load(damaged);
        const isLastFeed = at === whole.length - 1;
        assert.equal(loaded.kind, isLastFeed ? 'loaded' : 'damaged', `byte ${at}, bit ${bit}`);
        assert.equal(existsSync(aside), !isLastFeed);
        const here = savedEntries(loaded, NOW).map((found) => JSON.stringify(found));
        const wrong = here.filter((found) => !right.includes(found));
        // a removal that cannot be read leaves the entry, which has its deadline
        assert.ok(
          wrong.every((found) => isWithoutRemoval(found, loaded)),
          `byte ${at}, bit ${bit}`,
        );
        // a line feed that is none makes one line of two
        if (at > HEADER.length) assert.ok(here.length >= right.length - 2, `byte ${at}, bit ${bit}`);
      }
    }

    function isWithoutRemoval(found: string, { removed }: LoadedAll): boolean {
      const { prefix } = JSON.parse(found) as SavedEntry;
      return ['192.0.2.1', '192.0.2.11'].includes(prefix) && !removed.includes(prefix);
    }
  });
});

describe('a damaged file', () => {
  it('is set aside in place of an older one; what can be read of it counts', () => {
    const lines = BY_HAND.split('\n');
    const damaged = [...lines.slice(0, 3), lines[3]?.replace('attempt', 'manual '), ...lines.slice(4)].join(
      '\n',
    );
    writeFileSync(aside, 'older');
    rmSync(path, { force: true });
    writeFileSync(path, damaged);
    const loaded = loadAll(path, WALL);
    assert.deepEqual(prefixes(loaded), ['2001:db8::/64']);
    assert.equal(loaded.counters?.attempts, 17);
    assert.deepEqual(messages(loaded), [
      `error: state file ${path} is damaged: line 4: its checksum is wrong; entries saved from it: 1; set aside as ${aside}`,
    ]);
    assert.equal(readFileSync(aside, 'utf8'), damaged);
    assert.equal(existsSync(path), false);
  });

  it('tells how many lines are', () => {
    const loaded = load(`${BY_HAND}nonsense\n\n${'x'.repeat(2000)}\n${REMOVAL}`);
    assert.match(
      messages(loaded)[0] ?? '',
      /is damaged: line 6, and 2 more: its checksum is wrong; entries saved from it: 1/,
    );
    assert.deepEqual(loaded.removed, ['192.0.2.7']);
  });

  it('with a line that never ends is read in bounded memory', () => {
    const loaded = load(`${BY_HAND}${'x'.repeat(3_000_000)}\n${REMOVAL}`);
    assert.match(messages(loaded)[0] ?? '', /is damaged: line 6: it is too long; entries saved from it: 1/);
    const cut = load(BY_HAND + 'x'.repeat(3_000_000));
    assert.match(messages(cut)[0] ?? '', /^note: .* ends within a line \(3000000 bytes\)/);
  });

  it('that does not say when it was written is of no use', () => {
    const loaded = load(fileOf('+ 192.0.2.7 attempt 0 5000 0 1 0'));
    assert.deepEqual(prefixes(loaded), []);
    assert.deepEqual(messages(loaded), [
      `error: state file ${path} is damaged: it does not say when it was written; entries saved from it: 0; set aside as ${aside}`,
    ]);
  });

  it('with lines of an older one behind its own, as a crash can leave, does not take them', () => {
    const older = BY_HAND.replace('9f2c31ab', '9f2c31aa').split('\n').slice(3).join('\n');
    const loaded = load(
      fileOf(`T ${WALL} ${NOW}`, '+ 192.0.2.1 attempt 0 5000000 0 1 0') + older.replace(/^b/, 'c'),
    );
    assert.deepEqual(prefixes(loaded), ['192.0.2.1', '2001:db8::/64']);
    const header = 'mxallowd-state 1 00000001';
    const fresh = `${header}\n${sealed(`T ${WALL} ${NOW}`, seedOf(header))}`;
    const stale = load(fresh + BY_HAND.split('\n').slice(1).join('\n'));
    assert.deepEqual(prefixes(stale), []);
    assert.match(
      messages(stale)[0] ?? '',
      /line 3, and 3 more: its checksum is wrong; entries saved from it: 0/,
    );
  });

  it('is said to be none of ours when its first line is not', () => {
    for (const content of [
      '#!/bin/sh\nexit 0\n',
      'x',
      `${BY_HAND.replace('state 1', 'state 0')}`,
      '\n',
      '\0\0\0',
    ]) {
      const loaded = load(content);
      assert.equal(loaded.kind, 'damaged');
      assert.deepEqual(messages(loaded), [
        `error: state file ${path} is no state file, or its first line is damaged; set aside as ${aside}`,
      ]);
    }
  });

  it('of a newer format is set aside unread', () => {
    const loaded = load(BY_HAND.replace('state 1', 'state 12'));
    assert.deepEqual(prefixes(loaded), []);
    assert.deepEqual(messages(loaded), [
      `error: state file ${path} was written by a newer mxallowd (format 12; this one knows 1); set aside as ${aside}`,
    ]);
    assert.equal(existsSync(aside), true);
  });

  it('that cannot be set aside is read all the same', () => {
    rmSync(aside, { force: true });
    rmSync(path, { force: true });
    mkdirSync(join(aside, 'not-empty'), { recursive: true });
    writeFileSync(path, `${BY_HAND}x\n`);
    const loaded = loadAll(path, WALL);
    assert.equal(loaded.entries.length, 2);
    assert.match(
      messages(loaded)[0] ?? '',
      /entries saved from it: 2; it could not be set aside: .*\(EISDIR\)$/,
    );
    rmSync(aside, { recursive: true });
  });
});

describe('a file that is much larger than max-entries explains', () => {
  const nth = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  const living = (n: number): string => `+ ${nth(n)} attempt 0 5000000 0 1 0`;
  const count = (n: number, body: (n: number) => string): string[] =>
    Array.from({ length: n }, (_, i) => body(i));

  it('is read up to twice as many entries, and what comes while a snapshot is written', () => {
    const bodies = [
      `T ${WALL} ${NOW}`,
      ...count(30_000, living),
      `- ${nth(0)}`,
      living(29_999),
      `T ${WALL} ${NOW + 1}`,
    ];
    const loaded = load(fileOf(...bodies), WALL, 10);
    // room for the last one was made by the first one
    assert.equal(loaded.size, 20_020);
    assert.equal(loaded.entries.length, 20_020);
    assert.deepEqual(prefixes(loaded).slice(-2), [nth(20_019), nth(29_999)]);
    assert.equal(loaded.entries[0]?.ageMs, NOW + 1);
    assert.deepEqual(messages(loaded), [
      `warning: state file ${path} is too large for max-entries: read up to 20020 entries`,
    ]);
    assert.equal(loaded.kind, 'loaded');
    assert.equal(existsSync(aside), false);
    assert.equal(load(fileOf(...bodies), WALL, 5000).size, 29_999);
    assert.deepEqual(messages(load(fileOf(...bodies), WALL, 5000)), []);
  });

  it('is read up to as many that have gone', () => {
    const bodies = [`T ${WALL} ${NOW}`, ...count(30_000, (n) => `- ${nth(n)}`), living(30_000)];
    const loaded = load(fileOf(...bodies), WALL, 10);
    assert.equal(loaded.removed.length, 20_020);
    assert.deepEqual(prefixes(loaded), [nth(30_000)]);
  });

  it('is read up to so many bytes, whatever they say', () => {
    const line = sealed(living(0), seedOf(HEADER));
    const much = line.repeat(Math.ceil((17 << 20) / line.length));
    const content = fileOf(`T ${WALL} ${NOW}`) + much + sealed(living(1), seedOf(HEADER));
    const loaded = load(content, WALL, 10);
    assert.deepEqual(prefixes(loaded), [nth(0)]);
    assert.deepEqual(messages(loaded), [
      `warning: state file ${path} is too large for max-entries: read up to 16 MB`,
    ]);
    assert.deepEqual(prefixes(load(content, WALL, 2000)), [nth(0), nth(1)]);
  });
});

describe('in the place of a state file', () => {
  function clear(): void {
    rmSync(path, { recursive: true, force: true });
    rmSync(aside, { recursive: true, force: true });
  }

  it('nothing is no problem, with or without its folder', () => {
    clear();
    assert.deepEqual(loadAll(path, WALL), {
      kind: 'none',
      entries: [],
      size: 0,
      expired: [],
      removed: [],
      allowed: [],
      counters: undefined,
      domains: [],
      hasKnownTime: false,
      notes: [],
      writtenAtMs: undefined,
      problems: [],
    });
    assert.equal(loadAll(join(folder, 'none', 'state'), WALL).kind, 'none');
  });

  it('a folder stays, and is reported', () => {
    clear();
    mkdirSync(path);
    const loaded = loadAll(path, WALL);
    assert.equal(loaded.kind, 'none');
    assert.deepEqual(messages(loaded), [`error: state file ${path} is a folder: remove it`]);
    assert.equal(existsSync(path), true);
  });

  it('a symbolic link is not followed', () => {
    clear();
    const target = join(folder, 'target');
    writeFileSync(target, BY_HAND);
    symlinkSync(target, path);
    const loaded = loadAll(path, WALL);
    assert.deepEqual(prefixes(loaded), []);
    assert.deepEqual(messages(loaded), [
      `error: state file ${path} cannot be used: it is a symbolic link, which is not followed (ELOOP); set aside as ${aside}`,
    ]);
    assert.equal(readFileSync(target, 'utf8'), BY_HAND);
  });

  it('a FIFO does not hold up the start', () => {
    clear();
    execFileSync('mkfifo', [path]);
    assert.deepEqual(messages(loadAll(path, WALL)), [
      `error: state file ${path} cannot be used: it is no regular file; set aside as ${aside}`,
    ]);
  });

  it('a file larger than 256 MB is not read', () => {
    clear();
    writeFileSync(path, BY_HAND);
    truncateSync(path, 256 * 1024 * 1024 + 1);
    assert.deepEqual(messages(loadAll(path, WALL)), [
      `error: state file ${path} cannot be used: it is larger than 256 MB; set aside as ${aside}`,
    ]);
  });

  it('a file that may not be read is reported', { skip: process.getuid?.() !== 0 && 'not root' }, () => {
    clear();
    writeFileSync(path, BY_HAND, { mode: 0o600 });
    chmodSync(folder, 0o755);
    process.seteuid?.(65534);
    try {
      assert.deepEqual(messages(loadAll(path, WALL)), [
        `error: state file ${path} cannot be used: permission denied (EACCES); it could not be set aside: permission denied (EACCES)`,
      ]);
    } finally {
      process.seteuid?.(0);
    }
  });
});

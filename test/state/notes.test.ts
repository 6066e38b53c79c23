import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PrefixText } from '../../src/packet/address.js';
import { FORGET_MS, noteBody, RecordedNotes } from '../../src/state/notes.js';
import type { Note } from '../../src/state/source.js';
import { Words } from '../../src/state/words.js';
import { MOST_NEW, MOST_RETURNED, type Stranger } from '../../src/tracker/strangers.js';

const NOW_MS = 1_764_200_000_000;

function stranger(prefix: string, other: Partial<Stranger> = {}): Note {
  return {
    kind: 'stranger',
    stranger: {
      prefix: prefix as PrefixText,
      address: prefix,
      count: 12,
      passed: 2,
      redirected: 0,
      returns: 3,
      firstMs: NOW_MS - 5000,
      lastMs: NOW_MS - 1000,
      letInMs: 0,
      admittedMs: 0,
      askedMs: NOW_MS,
      named: undefined,
      ...other,
    },
  };
}

const NAMED: Note = stranger('2001:db8::/64', {
  address: '2001:db8::25',
  letInMs: NOW_MS - 900,
  admittedMs: NOW_MS - 800,
  named: { name: 'mail.example.org', isConfirmed: true, domain: 'example.org', spf: 'pass' },
});
const NAMELESS = stranger('192.0.2.7');
const UNCONFIRMED = stranger('192.0.2.8', {
  named: { name: 'x-1.example.net', isConfirmed: false, domain: undefined, spf: undefined },
});
const LED = stranger('192.0.2.9', { redirected: 11 });
const LED_NAMED = stranger('192.0.2.10', {
  redirected: 12,
  named: { name: 'mail.example.org', isConfirmed: true, domain: 'example.org', spf: 'none' },
});
const DOMAIN: Note = {
  kind: 'domain',
  domain: { domain: 'example.org', count: 40, addresses: 7, firstMs: 1, lastMs: NOW_MS - 1, letInMs: 0 },
};
const DEPARTURE: Note = {
  kind: 'departure',
  departure: {
    prefix: '192.0.2.7' as PrefixText,
    origin: 'pool',
    addedMs: NOW_MS - 7_200_000,
    triedMs: 0,
    admissions: 3,
    endedMs: NOW_MS - 3_600_000,
    reason: 'no-room',
  },
};

/** Reads the body of a line. @returns whether it makes sense */
function take(notes: RecordedNotes, body: string): boolean {
  const words = new Words();
  const bytes = Buffer.from(body);
  words.begin(bytes, 0, bytes.length);
  const takers: Readonly<Record<string, (words: Words) => boolean>> = {
    R: (all) => notes.takeStranger(all),
    D: (all) => notes.takeDomain(all),
    X: (all) => notes.takeDeparture(all),
  };
  return takers[words.text()]?.(words) ?? false;
}

describe('notes in a state file', () => {
  it('are lines', () => {
    assert.equal(
      noteBody(NAMED),
      'R 2001:db8::/64 2001:db8::25 12 2 3 1764199995000 1764199999000 1764199999100 1764199999200 ' +
        '1764200000000 c mail.example.org example.org pass',
    );
    assert.match(noteBody(LED), / 1764200000000 r 11$/);
    assert.match(noteBody(LED_NAMED), / 1764200000000 r 12 c mail\.example\.org example\.org none$/);
    assert.equal(noteBody(DOMAIN), 'D example.org 40 7 1 1764199999999 0');
    assert.equal(noteBody(DEPARTURE), 'X 192.0.2.7 pool 1764192800000 0 3 1764196400000 no-room');
  });

  it('are read as they were written, in that order', () => {
    const all = [NAMED, NAMELESS, UNCONFIRMED, LED, LED_NAMED, DOMAIN, DEPARTURE];
    const notes = new RecordedNotes();
    for (const note of all) assert.equal(take(notes, noteBody(note)), true, noteBody(note));
    assert.deepEqual([...notes.since(NOW_MS)], all);
  });

  it('count by their last line, which comes last', () => {
    const notes = new RecordedNotes();
    for (const note of [NAMELESS, UNCONFIRMED, stranger('192.0.2.7', { count: 13 })]) {
      take(notes, noteBody(note));
    }
    const found = [...notes.since(NOW_MS)].map((note) =>
      note.kind === 'stranger' ? `${note.stranger.prefix} ${note.stranger.count}` : '',
    );
    assert.deepEqual(found, ['192.0.2.8 12', '192.0.2.7 13']);
  });

  it('are bounded, however many a file has', () => {
    const notes = new RecordedNotes();
    const most = MOST_NEW + MOST_RETURNED;
    for (let i = 0; i < most + 5; i++) {
      take(notes, noteBody(stranger(`10.0.${i >> 8}.${i & 255}`)));
    }
    const found = [...notes.since(NOW_MS)];
    assert.equal(found.length, most);
    assert.deepEqual(found[0], stranger('10.0.0.5'));
  });

  it('are forgotten after 60 days', () => {
    const notes = new RecordedNotes();
    for (const note of [NAMED, NAMELESS, DOMAIN, DEPARTURE]) take(notes, noteBody(note));
    assert.equal([...notes.since(NOW_MS + FORGET_MS - 3_600_000)].length, 4);
    assert.equal([...notes.since(NOW_MS + FORGET_MS)].length, 0);
  });

  it('that make no sense are damage', () => {
    const good = noteBody(NAMED);
    assert.equal(take(new RecordedNotes(), good), true);
    for (const [what, body] of [
      ['no address', good.replace('2001:db8::25', '-')],
      ['an address that is written otherwise', good.replace('2001:db8::25', '2001:0db8::25')],
      ['a network that is no sender’s', good.replace('2001:db8::/64', '2001::/16')],
      ['a prefix that is written otherwise', good.replace('2001:db8::/64', '2001:DB8::/64')],
      ['a count that is none', good.replace(' 12 ', ' x ')],
      ['a negative count', good.replace(' 12 ', ' -12 ')],
      ['a mark that is none', good.replace(' c ', ' d ')],
      ['led elsewhere, and not how often', `${noteBody(NAMELESS)} r`],
      ['led elsewhere, and no number', noteBody(LED).replace(' r 11', ' r x')],
      ['led elsewhere twice', noteBody(LED).replace(' r 11', ' r 11 r 11')],
      ['no host name', good.replace(' mail.example.org', ' mail..org')],
      ['no domain', good.replace(' example.org', ' localhost')],
      ['a word that SPF does not have', good.replace(' pass', ' maybe')],
      ['too many words', `${good} more`],
      ['too few words', good.replace(' pass', '')],
      ['a domain without its times', 'D example.org 40 7 1 2'],
      ['a domain that is none', noteBody(DOMAIN).replace('example.org', 'x')],
      ['an origin that is none', noteBody(DEPARTURE).replace('pool', 'pond')],
      ['a reason that is none', noteBody(DEPARTURE).replace('no-room', 'replaced')],
      ['an end without a reason', noteBody(DEPARTURE).replace(' no-room', '')],
    ] as const) {
      assert.equal(take(new RecordedNotes(), body), false, what);
    }
  });

  it('leave out a name that is no host name: nothing depends on it', () => {
    const named = { name: 'a b', isConfirmed: true, domain: 'example.org', spf: 'pass' };
    const note = stranger('192.0.2.7', { named });
    assert.doesNotMatch(noteBody(note), /example/);
    assert.equal(take(new RecordedNotes(), noteBody(note)), true);
  });
});

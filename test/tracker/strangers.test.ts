import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Departed, MOST_DEPARTED } from '../../src/tracker/departed.js';
import type { PrefixText } from '../../src/packet/address.js';
import {
  isKeptOut,
  MOST_DOMAINS,
  MOST_NEW,
  MOST_RETURNED,
  RETURN_MS,
  Strangers,
  type StrangerName,
} from '../../src/tracker/strangers.js';

const START_MS = 1_764_000_000_000;
const MINUTE = 60_000;

const key = (text: string): PrefixText => text as PrefixText;
const numbered = (i: number): PrefixText => key(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`);

function named(name: string, domain: string | undefined, spf?: string): StrangerName {
  return { name, isConfirmed: true, domain, spf };
}

describe('somebody who is refused', () => {
  it('is counted; to come again after ten minutes is to return, to repeat a SYN is not', () => {
    const strangers = new Strangers();
    const a = key('192.0.2.7');
    for (const [afterMs, returns] of [
      [0, 0],
      [1000, 0],
      [RETURN_MS + 999, 0],
      // ten minutes after the last one
      [2 * RETURN_MS + 999, 1],
      [2 * RETURN_MS + 2000, 1],
    ] as const) {
      strangers.refused(a, a, 'dropped', START_MS + afterMs);
      assert.equal(strangers.of(a)?.returns, returns, `${afterMs}`);
    }
    const { count, passed, firstMs, lastMs } = strangers.of(a) ?? {};
    assert.deepEqual([count, passed, firstMs, lastMs], [5, 0, START_MS, START_MS + 2 * RETURN_MS + 2000]);
  });

  it('is told with the address that came last, and how often it got in all the same, or was led elsewhere', () => {
    const strangers = new Strangers();
    const net = key('2001:db8::/64');
    strangers.refused(net, '2001:db8::1', 'passed', START_MS);
    strangers.refused(net, '2001:db8::2', 'dropped', START_MS + 1);
    const { address, count, passed, redirected } = strangers.of(net) ?? {};
    assert.deepEqual([address, count, passed, redirected], ['2001:db8::2', 2, 1, 0]);
    strangers.refused(net, '2001:db8::3', 'redirected', START_MS + 2);
    strangers.refused(net, '2001:db8::3', 'redirected', START_MS + 3);
    assert.deepEqual(
      [strangers.of(net)?.count, strangers.of(net)?.passed, strangers.of(net)?.redirected],
      [4, 1, 2],
    );
  });

  it('is kept out until it is let in or admitted, and again when it is refused again', () => {
    const strangers = new Strangers();
    const a = key('192.0.2.7');
    const isOut = (): boolean => {
      const stranger = strangers.of(a);
      assert.ok(stranger);
      return isKeptOut(stranger, undefined);
    };
    strangers.letIn(a, START_MS - 1);
    strangers.refused(a, a, 'dropped', START_MS);
    assert.equal(isOut(), true, 'what was before does not count');
    strangers.letIn(a, START_MS + 1);
    assert.equal(isOut(), false);
    strangers.refused(a, a, 'dropped', START_MS + 2);
    assert.equal(isOut(), true);
    strangers.admitted(a, START_MS + 3);
    strangers.admitted(a, START_MS + 9);
    assert.equal(isOut(), false);
    assert.equal(strangers.of(a)?.admittedMs, START_MS + 3, 'the first time is told');
  });

  it('is not kept out when its domain has been let in since, and SPF vouches for it', () => {
    for (const [spf, isOut] of [
      ['pass', false],
      ['softfail', true],
      [undefined, true],
    ] as const) {
      const strangers = new Strangers();
      const a = key('192.0.2.7');
      strangers.refused(a, a, 'dropped', START_MS);
      strangers.named(a, named('f1.example.com', 'example.com', spf), true, START_MS);
      const stranger = strangers.of(a);
      assert.ok(stranger);
      assert.equal(isKeptOut(stranger, strangers.ofDomain('example.com')), true);
      strangers.letInDomain('example.com', START_MS + 5);
      assert.equal(isKeptOut(stranger, strangers.ofDomain('example.com')), isOut, String(spf));
    }
  });
});

describe('a domain', () => {
  it('adds up what its addresses were refused before and after their names were known', () => {
    const strangers = new Strangers();
    const [a, b] = [key('192.0.2.7'), key('192.0.2.8')];
    strangers.refused(a, a, 'dropped', START_MS);
    strangers.refused(a, a, 'dropped', START_MS + 1);
    strangers.refused(b, b, 'dropped', START_MS + 2);
    strangers.named(a, named('f1.example.com', 'example.com'), false, START_MS + 3);
    strangers.named(b, named('f2.example.com', 'example.com'), false, START_MS + 3);
    // the same again changes nothing
    strangers.named(b, named('f2.example.com', 'example.com', 'pass'), true, START_MS + 3);
    strangers.refused(b, b, 'dropped', START_MS + 4);
    assert.deepEqual(strangers.ofDomain('example.com'), {
      domain: 'example.com',
      count: 4,
      addresses: 2,
      firstMs: START_MS,
      lastMs: START_MS + 4,
      letInMs: 0,
    });
    strangers.admitted(a, START_MS + 5);
    assert.equal(strangers.ofDomain('example.com')?.letInMs, START_MS + 5);
  });

  it('keeps what SPF has said when a later answer has not asked for that', () => {
    const strangers = new Strangers();
    const a = key('192.0.2.7');
    strangers.refused(a, a, 'dropped', START_MS);
    strangers.named(a, named('f1.example.com', 'example.com', 'pass'), true, START_MS);
    strangers.named(a, named('f1.example.com', 'example.com'), false, START_MS + 1);
    assert.equal(strangers.of(a)?.named?.spf, 'pass');
    assert.equal(strangers.of(a)?.askedMs, START_MS);
    strangers.named(a, named('mail.other.net', 'other.net'), false, START_MS + 2);
    assert.equal(strangers.of(a)?.named?.spf, undefined, 'of another domain');
  });
});

describe('changes of strangers', () => {
  it('leave those out who came once, unless all are wanted', () => {
    const strangers = new Strangers();
    const [a, b] = [key('192.0.2.7'), key('192.0.2.8')];
    for (const one of [a, b]) strangers.refused(one, one, 'dropped', START_MS);
    strangers.refused(b, b, 'dropped', START_MS + RETURN_MS);
    const taken = (isAll: boolean): string[] =>
      strangers.takeChanges(10, isAll).map((one) => ('prefix' in one ? one.prefix : one.domain));
    assert.deepEqual(taken(false), [b]);
    assert.deepEqual(taken(false), []);
    assert.deepEqual(taken(true), [a]);
    strangers.named(b, named('f2.example.com', 'example.com'), true, START_MS);
    assert.deepEqual(taken(false), [b, 'example.com']);
  });
});

describe('the memory of those who were refused, in a flood', () => {
  const flood = 1_000_000;

  it('has its bounds with a million sources, and keeps those who came again before', () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const strangers = new Strangers();
    const regulars = Array.from({ length: 100 }, (_, i) => key(`192.0.2.${i}`));
    for (const one of regulars) {
      strangers.refused(one, one, 'dropped', START_MS);
      strangers.refused(one, one, 'dropped', START_MS + RETURN_MS);
    }
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < flood; i++) {
      const source = numbered(i);
      strangers.refused(source, source, 'dropped', START_MS + RETURN_MS + i);
      // each with a name of its own, by DNS that a stranger runs
      if (i % 10 === 0) {
        const domain = `d${i}.example`;
        strangers.named(source, named(`mail.${domain}`, domain, 'pass'), true, START_MS);
      }
    }
    assert.equal(strangers.size, MOST_NEW + regulars.length);
    assert.equal([...strangers.domains()].length, MOST_DOMAINS);
    assert.equal(
      regulars.every((one) => strangers.of(one)?.count === 2),
      true,
    );
    collect();
    const grown = (process.memoryUsage().heapUsed - before) / 1024;
    assert.ok(grown < 4096, `${grown} KB`);
    // nobody has taken what has changed
    assert.ok(strangers.takeChanges(Infinity, true).length <= MOST_NEW + regulars.length + MOST_DOMAINS);
  });

  it('has its bounds when all of them come again', () => {
    const strangers = new Strangers();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < MOST_NEW; i++) {
        for (const offset of [0, 20 * MINUTE, 40 * MINUTE]) {
          const source = numbered(round * MOST_NEW + i);
          strangers.refused(source, source, 'dropped', START_MS + round * 1e7 + offset);
        }
      }
    }
    assert.equal(strangers.size, MOST_RETURNED);
    assert.equal(strangers.of(numbered(0)), undefined);
    assert.equal(strangers.of(numbered(2 * MOST_NEW - 1))?.returns, 2);
  });
});

describe('entries that have ended', () => {
  it('are remembered by their prefix, the last one of each, those that ended last', () => {
    const departed = new Departed();
    const end = (prefix: PrefixText, endedMs: number): void =>
      departed.note({
        prefix,
        origin: 'attempt',
        addedMs: endedMs - 10,
        triedMs: endedMs - 10,
        admissions: 0,
        endedMs,
        reason: 'timeout',
      });
    end(key('192.0.2.7'), START_MS);
    end(key('192.0.2.7'), START_MS + 5);
    assert.equal(departed.of(key('192.0.2.7'))?.endedMs, START_MS + 5);
    for (let i = 0; i < MOST_DEPARTED; i++) end(numbered(i), START_MS + 10 + i);
    assert.equal(departed.of(key('192.0.2.7')), undefined);
    assert.equal([...departed].length, MOST_DEPARTED);
    assert.equal(departed.takeChanges(10).length, 10);
    assert.equal(departed.takeChanges(Infinity).length, MOST_DEPARTED - 10);
    assert.equal(departed.takeChanges(Infinity).length, 0);
  });
});

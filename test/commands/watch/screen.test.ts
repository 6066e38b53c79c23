import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { watchLine, watchTitles } from '../../../src/commands/watch/line.js';
import { WatchModel, type WatchView } from '../../../src/commands/watch/model.js';
import { rateText, screenLines } from '../../../src/commands/watch/screen.js';
import type { WatchTick } from '../../../src/control/protocol.js';
import { COUNTERS, EVENTS, FINDINGS, NEXT_TICK, TICK } from '../../support/control-reports.js';

// before the first Date
process.env['TZ'] = 'UTC';

/** What there is to show after some ticks. */
function after(...ticks: readonly WatchTick[]): WatchView {
  const model = new WatchModel();
  const views = ticks.map((tick) => model.add(tick));
  const last = views.at(-1);
  if (last === undefined) throw new Error('no tick');
  return last;
}

function screen(view: WatchView, columns: number, rows: number): string[] {
  return screenLines(view, 'mx.example.org', { columns, rows }).map(({ text }) => text.trimEnd());
}

describe('what mxallowd watch makes of ticks', () => {
  it('is no rate after the first one', () => assert.equal(after(TICK).rates, undefined));

  it('is what happened in a second after the second one', () => {
    // 12 frames more: 2 attempts, 5 refusals, 1 admission
    assert.deepEqual(after(TICK, NEXT_TICK).rates, {
      attempts: 2,
      refusals: 5,
      redirected: 0,
      admissions: 1,
      others: 4,
    });
  });

  it("is counted by the daemon's own clock, whatever the wall clock does", () => {
    const late = { ...NEXT_TICK, upMs: TICK.upMs + 2500, atMs: TICK.atMs - 3_600_000 };
    assert.deepEqual(after(TICK, late).rates, {
      attempts: 0.8,
      refusals: 2,
      redirected: 0,
      admissions: 0.4,
      others: 1.6,
    });
  });

  it('is never less than nothing', () => {
    const less = { ...NEXT_TICK, frames: 0, counters: { ...NEXT_TICK.counters, attempts: 0 } };
    assert.deepEqual(after(TICK, less).rates, {
      attempts: 0,
      refusals: 5,
      redirected: 0,
      admissions: 1,
      others: 0,
    });
    assert.equal(after(TICK, TICK).rates, undefined);
  });

  it('are events, the newest first, and 500 at the most', () => {
    const texts = after(TICK, NEXT_TICK).events.map(({ address }) => address);
    assert.deepEqual(
      [texts.length, texts[0], texts[1], texts.at(-1)],
      [11, '198.51.100.77', '203.0.113.9', '203.0.113.9'],
    );
    assert.equal(after(...Array.from({ length: 60 }, () => TICK)).events.length, 500);
  });

  it('is forgotten for another connection', () => {
    const model = new WatchModel();
    model.add(TICK);
    model.reset();
    const view = model.add(NEXT_TICK);
    assert.deepEqual([view.rates, view.events.length], [undefined, 1]);
  });
});

describe('a rate', () => {
  it('is short', () => {
    assert.deepEqual([undefined, 0, 0.04, 3.25, 99.9, 100, 12_345.6].map(rateText), [
      '-',
      '0.0',
      '0.0',
      '3.3',
      '99.9',
      '100',
      '12,346',
    ]);
  });
});

describe('the screen of mxallowd watch', () => {
  it('fills 80 by 24', () => {
    assert.deepEqual(screen(after(TICK, NEXT_TICK), 80, 24), [
      ' mxallowd on mx.example.org, up 12d04h: ok                    14:03:28  q quits',
      'entries 140   pending 0   last frame now',
      '',
      '                 ATTEMPTS       REFUSALS     ADMISSIONS   OTHER FRAMES',
      'per second            2.0            5.0            1.0            4.0',
      'in all              8,414         41,008          7,999        102,446',
      '',
      'MOST REFUSED        REFUSALS  THE LAST',
      '203.0.113.9              412  3s ago',
      '203.0.113.201             96  31s ago',
      '2001:db8:bad:1::25        17  9m04s ago',
      '192.0.2.66                 3  2h ago',
      '',
      'TIME      EVENT      ADDRESS',
      '14:03:28  attempt    198.51.100.77    tried the fake MX: whitelisted for 1h',
      '14:03:24  refusal    203.0.113.9      has not tried the fake MX',
      '14:03:15  attempt    203.0.113.77     tried the fake MX: whitelisted for 1h',
      '14:03:07  expiry     192.0.2.14       its time is over, used 2 times',
      '14:02:56  no-pool    203.0.113.201    its name merely encodes its address, as...',
      '14:02:56  refusal    203.0.113.201    has not tried the fake MX',
      '14:02:24  admission  198.51.100.130   reached the real MX',
      '14:02:23  pooled     198.51.100.130   belongs to example.net, which has tried...',
      '14:02:23  refusal    198.51.100.130   has not tried the fake MX',
      '14:02:22  admission  198.51.100.25    reached the real MX',
    ]);
  });

  it('counts who is redirected, where strangers are, within 80 columns', () => {
    const counters = { ...COUNTERS, redirected: 1234 };
    const before = { ...TICK, strangers: 'redirect 8025', counters };
    const redirected = { atMs: TICK.atMs, kind: 'redirected', address: '203.0.113.9', text: 'led elsewhere' };
    const next = {
      ...NEXT_TICK,
      strangers: 'redirect 8025',
      counters: { ...counters, redirected: 1237 },
      events: [redirected],
    };
    const lines = screen(after(before, next), 80, 24);
    assert.deepEqual(lines.slice(3, 6), [
      '                ATTEMPTS      REFUSALS    REDIRECTED    ADMISSIONS  OTHER FRAMES',
      'per second           0.0           0.0           3.0           0.0           9.0',
      'in all             8,412        41,003         1,237         7,998       102,446',
    ]);
    assert.equal(
      lines.find((line) => line.includes('EVENT')),
      'TIME      EVENT       ADDRESS',
    );
    assert.ok(lines.includes('14:03:27  redirected  203.0.113.9      led elsewhere'));
    // nobody yet: the column is there all the same
    assert.match(screen(after({ ...TICK, strangers: 'mark 1' }), 80, 24)[3] ?? '', /REDIRECTED/);
    assert.match(screen(after(before, next), 66, 24)[3] ?? '', /REDIRECTED +ADMISSIONS +OTHERS$/);
  });

  it('begins with a line in reverse, and has titles in bold', () => {
    const lines = screenLines(after(TICK), 'mx', { columns: 80, rows: 24 });
    assert.equal(lines[0]?.text.length, 80);
    const styled = lines.flatMap(({ text, style }) =>
      style === 'plain' ? [] : [[style, text.trim().split(' ')[0]]],
    );
    assert.deepEqual(styled, [
      ['reverse', 'mxallowd'],
      ['bold', 'ATTEMPTS'],
      ['bold', 'MOST'],
      ['bold', 'TIME'],
    ]);
  });

  it('has no rates yet after one tick, no total that is not told, and may have no events', () => {
    const bare = {
      ...TICK,
      unjudged: undefined,
      events: [],
      topRefused: [],
      lastFrameAgoMs: undefined,
      pending: 3,
    };
    assert.deepEqual(screen(after(bare), 80, 24).slice(1), [
      'entries 139   pending 3   last frame never',
      '',
      '                 ATTEMPTS       REFUSALS     ADMISSIONS   OTHER FRAMES',
      'per second              -              -              -              -',
      'in all              8,412         41,003          7,998',
      '',
      'TIME      EVENT      ADDRESS',
      'nothing yet',
    ]);
  });

  it('says what is wrong, the worst first', () => {
    assert.deepEqual(screen(after({ ...TICK, findings: FINDINGS }), 80, 24).slice(0, 4), [
      ' mxallowd on mx.example.org, up 12d04h: 1 error, 1 warning    14:03:27  q quits',
      'error: pf is disabled: everybody reaches the real MX (pfctl -e)',
      'warning: no rule of pf for the real MX has "log": refused senders are not see...',
      'entries 139   pending 0   last frame now',
    ]);
    const many = Array.from({ length: 9 }, () => FINDINGS).flat();
    const lines = screen(after({ ...TICK, findings: many }), 80, 24);
    assert.equal(lines[3], 'and 16 more: mxallowd status');
    assert.equal(lines[4], 'entries 139   pending 0   last frame now');
  });

  it('shows on a small one what fits', () => {
    assert.deepEqual(screen(after(TICK, { ...NEXT_TICK, findings: FINDINGS }), 56, 9), [
      ' mxallowd on mx.example.org, up 12d04h: 1 error, 1 wa...',
      'and 2 more: mxallowd status',
      'entries 140   pending 0   last frame now',
      '             ATTEMPTS   REFUSALS ADMISSIONS     OTHERS',
      'per second        2.0        5.0        1.0        4.0',
      'in all          8,414     41,008      7,999    102,446',
      'TIME      EVENT      ADDRESS',
      '14:03:28  attempt    198.51.100.77    tried the fake ...',
      '14:03:24  refusal    203.0.113.9      has not tried t...',
    ]);
    assert.deepEqual(screen(after(TICK), 20, 2), [' mxallowd on mx.e...', 'entries 139   pen...']);
  });

  it('shows more on a large one', () => {
    const lines = screen(after(TICK), 200, 60);
    assert.equal(lines.length, 7 + 6 + 1 + EVENTS.length);
    assert.ok(
      lines.includes(
        '14:02:56  no-pool    203.0.113.201    its name merely encodes its address, as dial-up names do',
      ),
    );
  });

  it('is never larger than the terminal, whatever there is to show', () => {
    const address = fc.constantFrom('192.0.2.1', '2001:db8:1111:2222:3333:4444:5555:6666');
    const tick = fc.record({
      events: fc.array(
        fc.record({
          atMs: fc.nat(),
          kind: fc.constantFrom('attempt', 'admission'),
          address,
          text: fc.string(),
        }),
        { maxLength: 100 },
      ),
      topRefused: fc.array(fc.record({ address, count: fc.nat(), lastAgoMs: fc.nat() }), { maxLength: 10 }),
      findings: fc.array(fc.constantFrom(...FINDINGS), { maxLength: 9 }),
    });
    fc.assert(
      fc.property(
        tick,
        fc.integer({ min: 1, max: 250 }),
        fc.integer({ min: 1, max: 80 }),
        (parts, columns, rows) => {
          const lines = screen(after({ ...TICK, ...parts }), columns, rows);
          assert.ok(lines.length <= rows);
          for (const line of lines) assert.ok(line.length <= columns);
        },
      ),
    );
  });
});

describe('the lines of mxallowd watch', () => {
  it('tell who is redirected, where strangers are', () => {
    const tick = { ...TICK, strangers: 'redirect 8025' };
    assert.deepEqual(
      [watchTitles(tick), watchLine(after(tick, { ...NEXT_TICK, strangers: 'redirect 8025' }))],
      [
        '    TIME ATTEMPTS/s REFUSALS/s REDIRECTED/s ADMISSIONS/s  OTHERS/s   ENTRIES   PENDING HEALTH',
        '14:03:28        2.0        5.0          0.0          1.0       4.0       140         0 ok',
      ],
    );
  });

  it('stand below their titles', () => {
    assert.deepEqual(
      [
        watchTitles(TICK),
        watchLine(after(TICK)),
        watchLine(after(TICK, { ...NEXT_TICK, findings: FINDINGS })),
      ],
      [
        '    TIME ATTEMPTS/s REFUSALS/s ADMISSIONS/s  OTHERS/s   ENTRIES   PENDING HEALTH',
        '14:03:27          -          -            -         -       139         0 ok',
        '14:03:28        2.0        5.0          1.0       4.0       140         0 1 error, 1 warning',
      ],
    );
  });
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { left, loadRules, PfScene } from '../support/pf-scene.js';
import { type PfctlCall, PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { addresses } from '../support/writing.js';

/** What the issue allows: nobody comes, and it is repaired within this time. */
const WITHIN_MS = 15_000;
/** An hour, a year ago. */
const LONG_AGO = 1_700_000_000;

const isList = ({ argv }: PfctlCall): boolean => argv.includes('show');

/** The table loses everything, as an operator or a restart of pf has it. */
const LOSSES: Readonly<Record<string, readonly string[]>> = {
  'is flushed': ['-q', '-t', 'mx-white', '-T', 'flush'],
  'is killed': ['-q', '-t', 'mx-white', '-T', 'kill'],
};

function tableTests(flavour: Flavour): void {
  let pfctl: PfctlStandIn;
  let scene: PfScene;
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
    loadRules(pfctl);
    scene = new PfScene(pfctl);
  });
  afterEach(async () => {
    await scene.stop();
    await pfctl.dispose();
  });

  const inTable = async (...expected: readonly string[]): Promise<void> =>
    assert.deepEqual(await pfctl.addresses(), expected);
  const has = async (count: number): Promise<boolean> => (await pfctl.addresses()).length === count;
  /** 10.0.0.1 and on try the fake MX. */
  const attempt = async (count: number, first = 1): Promise<void> => {
    scene.log(frames(4, count, 'fake', first));
    await scene.settle();
  };
  /** pf refuses this sender at the real MX. */
  const refuse = async (sender: number): Promise<void> => {
    scene.log(frames(4, 1, 'real', sender));
    await scene.settle();
  };
  const isWritten = (): Promise<boolean> =>
    Promise.resolve(scene.engine.firewallReport().table?.pending === 0);
  const lose = (how: readonly string[]): Promise<unknown> => pfctl.run(how);

  for (const [loss, how] of Object.entries(LOSSES)) {
    it(`that ${loss} is full again in 15 s, though nobody comes, with nothing lost or doubled`, async () => {
      await scene.start();
      await attempt(100);
      await scene.pass(60_000);
      await lose(how);
      const tookMs = await scene.passUntil(() => has(100), WITHIN_MS);
      assert.ok(tookMs <= WITHIN_MS);
      await inTable(...addresses(100, 1));
      assert.equal(scene.said(/had lost 100 entries/).length, 1);
      assert.equal(scene.engine.firewallReport().table?.entries, 100);
      assert.deepEqual(scene.refused, []);
    });

    it(`that ${loss} in a burst of new senders is full in 15 s, with nothing lost or doubled`, async () => {
      await scene.start();
      await attempt(500);
      let sent = 500;
      const burst = async (): Promise<void> => {
        // a hundred in each tenth of a second, and pfctl takes what has come when its last call has ended
        scene.log(frames(4, 100, 'fake', sent + 1));
        sent += 100;
        scene.clock.pass(100);
        await new Promise((resolve) => setImmediate(resolve));
      };
      for (let round = 0; round < 10; round++) await burst();
      await lose(how);
      for (let round = 0; round < 10; round++) await burst();
      const tookMs = await scene.passUntil(() => has(sent), WITHIN_MS);
      assert.ok(tookMs + 1000 <= WITHIN_MS);
      await inTable(...addresses(sent, 1));
      assert.equal(scene.engine.firewallReport().table?.entries, sent);
      assert.equal(scene.engine.tracker.counters.attempts, sent, 'what was sent is what was counted');
    });

    it(`that ${loss} is full again at once when a sender is refused that should be in it`, async () => {
      await scene.start();
      await attempt(100);
      await scene.pass(7000);
      await lose(how);
      await refuse(50);
      await inTable(...addresses(100, 1));
    });

    it(`that ${loss} has a sender again at once that tries the fake MX once more`, async () => {
      await scene.start();
      await attempt(100);
      await scene.pass(1000);
      await lose(how);
      scene.log(frames(4, 1, 'fake', 50));
      await scene.settle();
      // and then all others, for what one had lost the others have, too
      await inTable(...addresses(100, 1));
      assert.equal(scene.engine.tracker.counters.renewals, 1);
    });
  }

  it('is not listed as long as its entries are as many as they should be, for five minutes', async () => {
    await scene.start();
    await attempt(100);
    pfctl.clearCalls();
    await scene.pass(290_000);
    assert.equal(pfctl.calls().filter(isList).length, 0);
    assert.equal(pfctl.calls().filter(({ argv }) => argv.join(' ') === '-vv -s Tables').length, 29);
    await scene.pass(15_000);
    assert.equal(pfctl.calls().filter(isList).length, 1);
  });

  it('is looked at later when a sender is refused that was just added: the doubt is kept', async () => {
    await scene.start();
    await attempt(100);
    await lose(LOSSES['is flushed'] ?? []);
    await scene.pass(1000);
    await refuse(50);
    // faster than us, as far as anybody can tell
    assert.equal(await has(0), true);
    await scene.pass(4000);
    await inTable(...addresses(100, 1));
  });

  it('is looked at though it was compared a moment ago, and compared again later: the doubt is kept', async () => {
    await scene.start();
    await attempt(100);
    await scene.pass(7000);
    scene.engine.reload(scene.engine.config);
    await scene.settle();
    pfctl.clearCalls();
    // one has gone and another one has come: counting does not tell
    await pfctl.run(['-q', '-t', 'mx-white', '-T', 'delete', '10.0.0.50']);
    await pfctl.run(['-q', '-t', 'mx-white', '-T', 'add', '192.0.2.77']);
    await scene.pass(2000);
    await refuse(50);
    assert.equal(pfctl.calls().filter(({ argv }) => argv.join(' ') === '-vv -s Tables').length, 1);
    assert.equal(pfctl.calls().filter(isList).length, 0);
    await scene.pass(9000);
    await inTable(...addresses(100, 1), '192.0.2.77');
  });

  it('is looked at less and less often when senders are refused that are in it: the rules are wrong', async () => {
    await scene.start();
    await attempt(3);
    await scene.pass(7000);
    pfctl.clearCalls();
    for (let second = 0; second < 280; second++) {
      scene.log(frames(4, 1, 'real', 2));
      await scene.pass(1000);
    }
    // after 0, 20, 60, 140 s
    assert.equal(pfctl.calls().filter(isList).length, 4);
  });

  it('is compared when it has more entries than it should, and they are taken over', async () => {
    await scene.start();
    await attempt(2);
    await pfctl.run(['-q', '-t', 'mx-white', '-T', 'add', '192.0.2.77', '198.51.0.0/16']);
    await scene.pass(15_000);
    const origins = [...scene.engine.tracker.entries()].map(({ text, origin }) => `${text} ${origin}`);
    assert.deepEqual(origins.sort(), ['10.0.0.1 attempt', '10.0.0.2 attempt', '192.0.2.77 manual']);
    assert.deepEqual(scene.engine.firewallReport().table?.foreign, { count: 1, some: ['198.51.0.0/16'] });
  });

  it('is not made again for nobody, and is there with the next sender', async () => {
    await scene.start();
    await lose(LOSSES['is killed'] ?? []);
    await scene.pass(60_000);
    assert.equal(pfctl.cleared(), undefined);
    assert.deepEqual(scene.said(/^error/), []);
    await attempt(1);
    await inTable('10.0.0.1');
  });

  it('gets back what "allow" names when such a sender is refused, or tries the fake MX', async () => {
    await scene.stop();
    scene = new PfScene(pfctl, { more: [['allow', '10.0.0.0/24']] });
    await scene.start();
    await inTable('10.0.0.0/24');
    await scene.pass(7000);
    await lose(LOSSES['is flushed'] ?? []);
    await refuse(7);
    await inTable('10.0.0.0/24');
    await scene.pass(1000);
    await lose(LOSSES['is killed'] ?? []);
    await attempt(1, 7);
    await inTable('10.0.0.0/24');
  });

  it('is not asked more than once a second for those who try again and again', async () => {
    await scene.start();
    await attempt(20);
    await scene.pass(1000);
    pfctl.clearCalls();
    for (let tenth = 0; tenth < 20; tenth++) {
      scene.log(frames(4, 20, 'fake', 1));
      scene.clock.pass(100);
      await scene.settle();
    }
    const adds = pfctl.calls().filter(({ argv }) => argv.includes('add'));
    assert.ok(adds.length <= 3, `${adds.length} calls`);
    assert.ok(adds.every(({ stdinLines }) => stdinLines === 20));
  });

  it('is told as it is by what pf counts, and is looked into at once', async () => {
    await scene.start();
    await attempt(5);
    await lose(LOSSES['is flushed'] ?? []);
    const texts = await scene.engine.inspect();
    assert.equal(texts.entries, 0);
    await scene.settle();
    await inTable(...addresses(5, 1));
    await lose(LOSSES['is killed'] ?? []);
    assert.equal((await scene.engine.inspect()).entries, 'missing');
  });

  /** pf refuses more entries than this, whatever its limit says. OpenBSD's sleeps then: see the test of limits. */
  const refuseBeyond = (count: number): void => pfctl.update((state) => void (state.refusesBeyond = count));

  it('that pf has no memory for makes room at once: those that were never used go first', async () => {
    if (flavour === 'openbsd') return;
    const used = addresses(900, 1);
    const unused = addresses(300, 2001);
    const state = left(scene.clock, used, { admissions: 3 });
    const more = left(scene.clock, unused);
    refuseBeyond(1000);
    await scene.start({ ...state, entries: [...state.entries, ...more.entries] });
    const tookMs = await scene.passUntil(isWritten);
    assert.ok(tookMs <= 3000, `${tookMs} ms`);
    assert.match(scene.said(/cannot be written/).join(), /Cannot allocate memory/);
    const there = await pfctl.addresses();
    assert.ok(there.length <= 1000 && there.length > 900, `${there.length} entries`);
    assert.deepEqual(
      used.filter((one) => !there.includes(one)),
      [],
    );
    assert.equal(scene.engine.firewallReport().table?.entries, there.length);
    assert.equal(scene.engine.tracker.size, there.length);
    assert.equal(scene.said(/no memory for more table entries/).length, 1);
    // whoever comes now takes the place of one that was never used
    await attempt(10, 5001);
    const now = await pfctl.addresses();
    assert.deepEqual(
      [...used, ...addresses(10, 5001)].filter((one) => !now.includes(one)),
      [],
    );
    assert.deepEqual(scene.refused, []);
  });

  it('is read after each call that failed, and counted as it is: a batch may have been done in part', async () => {
    if (flavour === 'openbsd') return;
    refuseBeyond(1000);
    await scene.start();
    scene.log(frames(4, 2000, 'fake', 1));
    // the addition has failed, and nothing else has been done
    await scene.settle();
    const calls = pfctl.calls().map(({ argv }) => argv.join(' '));
    const at = calls.findIndex((call) => call.includes('-T add'));
    assert.equal(calls.slice(at + 1).filter((call) => call.includes('-T')).length, 0);
    assert.equal(await has(flavour === 'freebsd15' ? 768 : 0), true);
    pfctl.clearCalls();
    // at the next try it is read before it is written
    scene.clock.pass(100);
    await scene.settle();
    const [first, ...others] = pfctl.calls().flatMap(({ argv }) => argv[argv.indexOf('-T') + 1] ?? []);
    assert.equal(first, 'show');
    assert.ok(others.length > 0);
    await scene.passUntil(isWritten);
    const { length } = await pfctl.addresses();
    assert.equal(scene.engine.firewallReport().table?.entries, length);
  });

  it('that is too long to be listed is emptied at the start, and what is known put back at once', async () => {
    if (flavour !== 'freebsd15') return;
    const all = addresses(70_000);
    pfctl.putEntries(all, LONG_AGO);
    pfctl.putEntries(['198.51.0.0/16'], LONG_AGO);
    // the state file has 60,000 of them, and one that has gone meanwhile
    const known = [...all.slice(10_000), '192.0.2.77' as (typeof all)[number]];
    await scene.stop();
    scene = new PfScene(pfctl, { more: [['allow', '198.51.100.0/24']] });
    await scene.start(left(scene.clock, known));
    const there = new Set(await pfctl.addresses());
    assert.equal(there.size, known.length + 1);
    assert.deepEqual(
      [...known, '198.51.100.0/24'].filter((one) => !there.has(one)),
      [],
    );
    const batches = pfctl.calls().filter(({ argv }) => argv.includes('add'));
    assert.equal(batches.length, 7);
    const [advice, room, emptied] = scene.said(/^(error|warn)/);
    assert.match(
      advice ?? '',
      /^error: .* more entries than FreeBSD lists at once \(net\.pf\.request_maxcount: 65535\)/,
    );
    assert.match(advice ?? '', /: sysctl net\.pf\.request_maxcount=200000, and .* in \/etc\/sysctl\.conf/);
    assert.match(room ?? '', /leaves room for 64223 entries, less than max-entries \(100000\)/);
    assert.match(emptied ?? '', /^warn: 70001 entries taken out of .*, 60002 of them put back/);
    assert.deepEqual(scene.refused, []);
    // and it stays so
    pfctl.clearCalls();
    await scene.pass(310_000);
    assert.equal(pfctl.calls().filter(({ argv }) => argv.includes('flush')).length, 0);
  });

  it('is kept short enough to be listed, and a warning names the sysctl and its file', async () => {
    if (flavour !== 'freebsd15') return;
    const sysctl = join(pfctl.directory, 'sysctl');
    writeFileSync(sysctl, '#!/bin/sh\necho 3000\n', { mode: 0o755 });
    pfctl.update((state) => void (state.requestMaxcount = 3000));
    await scene.stop();
    scene = new PfScene(pfctl, {
      sysctl,
      more: [
        ['allow', '198.51.100.0/24'],
        ['maxEntries', '5000'],
      ],
    });
    pfctl.putEntries(['198.51.0.0/16'], LONG_AGO);
    await scene.start();
    // 2 % stay free, and two places are for what "allow" names and for the operator's network
    assert.deepEqual(scene.said(/lists no more than/), [
      'warn: FreeBSD lists no more than 3000 entries of a table (net.pf.request_maxcount), and one that cannot be listed ' +
        'cannot be kept right: that leaves room for 2938 entries, less than max-entries (5000) beside 2 by "allow" or ' +
        'by hand; sysctl net.pf.request_maxcount=200000, and net.pf.request_maxcount=200000 in /etc/sysctl.conf for the next boot',
    ]);
    await attempt(4000);
    assert.equal(scene.engine.tracker.size, 2938);
    assert.equal(await has(2940), true);
    // raised, and found at the next comparison
    writeFileSync(sysctl, '#!/bin/sh\necho 200000\n', { mode: 0o755 });
    pfctl.update((state) => void (state.requestMaxcount = 200_000));
    await scene.pass(310_000);
    await attempt(4000, 10_001);
    assert.equal(scene.engine.tracker.size, 5000);
  });

  it('is listed whole when the sysctl was raised', async () => {
    if (flavour !== 'freebsd15') return;
    const sysctl = join(pfctl.directory, 'sysctl');
    writeFileSync(sysctl, '#!/bin/sh\necho 200000\n', { mode: 0o755 });
    pfctl.update((state) => void (state.requestMaxcount = 200_000));
    const now = Math.floor(scene.clock.wallMs() / 1000);
    pfctl.putEntries(addresses(70_000), now);
    await scene.stop();
    scene = new PfScene(pfctl, { sysctl });
    await scene.start();
    assert.equal(scene.engine.tracker.size, 70_000);
    assert.deepEqual(scene.said(/^(warn|error)/), []);
    assert.equal(await has(70_000), true);
  });
}

for (const flavour of FLAVOURS) {
  describe(`pf's table, with the pfctl of ${flavour}`, () => tableTests(flavour));
}

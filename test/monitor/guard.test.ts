import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Given, resolveConfig } from '../../src/config/config.js';
import type { Config } from '../../src/config/config.js';
import { TableGuard } from '../../src/monitor/guard.js';
import { parseEngineRequest } from '../../src/monitor/request.js';
import { MOST_PREFIXES, type EngineRequest, type MonitorMessage } from '../../src/monitor/messages.js';
import { systemClock } from '../../src/clock.js';
import { prefix as prefixOfText } from '../support/observations.js';
import { HandClock } from '../support/hand-clock.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import { loadRules } from '../support/pf-scene.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { HANGS_MS } from '../support/writing.js';

function config(...more: [Given['key'], string][]): Config {
  const given: [Given['key'], string][] = [
    ['fakeMailserver', '192.0.2.3'],
    ['realMailserver', '192.0.2.4'],
    ...more,
  ];
  const result = resolveConfig(
    given.map(([key, text]) => ({ key, text, where: '', origin: 'command line' })),
    [],
    'openbsd',
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

function guardTests(flavour: Flavour): void {
  let pfctl: PfctlStandIn;
  let guard: TableGuard;
  let sent: MonitorMessage[];
  let refused: string[];
  let id = 0;

  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
    sent = [];
    refused = [];
    guard = new TableGuard(
      new PfctlTable({
        path: pfctl.path,
        table: 'mx-white',
        anchor: '',
        timeoutMs: HANGS_MS,
        clock: systemClock,
      }),
      (message) => sent.push(message),
      (why) => refused.push(why),
      systemClock,
      () => [[prefixOfText('198.18.0.0/15'), 'the network of em0']],
    );
    guard.configure(config(['allow', '198.51.100.0/24'], ['maxEntries', '100']));
  });
  afterEach(() => pfctl.dispose());

  const ask = async (request: Record<string, unknown>): Promise<MonitorMessage | undefined> => {
    const parsed = parseEngineRequest({ ...request, id: ++id });
    if (!parsed.ok) throw new Error(parsed.why);
    await guard.handle(parsed.value);
    return sent.at(-1);
  };

  it('has pfctl add and delete what could be a sender, and answers what pfctl did', async () => {
    assert.deepEqual(await ask({ request: 'add', prefixes: ['192.0.2.9', '2001:db8:1:2::/64'] }), {
      kind: 'reply',
      id,
      reply: { ok: true, changed: 2, created: false },
    });
    await ask({ request: 'delete', prefixes: ['192.0.2.9'] });
    assert.deepEqual(await pfctl.addresses(), ['2001:db8:1:2::/64']);
    assert.deepEqual(refused, []);
  });

  it('takes times, but none that are longer than any that the configuration gives, or 30 days', async () => {
    await ask({ request: 'add', prefixes: ['192.0.2.9'], seconds: [30 * 86_400] });
    assert.deepEqual(refused, []);
    await ask({ request: 'add', prefixes: ['192.0.2.10'], seconds: [30 * 86_400 + 1] });
    assert.deepEqual(refused, ['add for longer than 2592000 s']);
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.9']);
    const wrong = [[], [1, 2], [0], [-1], [1.5], ['1'], 'x', null];
    for (const seconds of wrong) {
      const parsed = parseEngineRequest({ id: 1, request: 'add', prefixes: ['192.0.2.9'], seconds });
      assert.deepEqual(parsed, { ok: false, why: 'add with times that are none' }, JSON.stringify(seconds));
    }
    const times = parseEngineRequest({ id: 1, request: 'delete', prefixes: ['192.0.2.9'], seconds: [1] });
    assert.equal(times.ok, false);
  });

  it('lets the networks of the configuration in, and no others of their size', async () => {
    await ask({ request: 'add', prefixes: ['198.51.100.0/24'] });
    await ask({ request: 'add', prefixes: ['203.0.113.0/24'] });
    assert.deepEqual(await pfctl.addresses(), ['198.51.100.0/24']);
    assert.deepEqual(refused, [
      "add 203.0.113.0/24: wider than a sender's prefix, and not allowed by the configuration",
    ]);
  });

  it('takes out what the configuration of an earlier run has let in, as wide as that can be', async () => {
    const wide = ['10.0.0.0/8', '203.0.113.0/24', '2001::/16'];
    pfctl.putEntries([...wide, '192.0.2.9'], 1_700_000_000);
    await ask({ request: 'delete', prefixes: wide });
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.9']);
    await ask({ request: 'delete', prefixes: ['0.0.0.0/7'] });
    await ask({ request: 'delete', prefixes: ['2001::/15'] });
    assert.equal(refused.length, 2);
  });

  it('takes out what an earlier configuration has let in', async () => {
    await ask({ request: 'add', prefixes: ['198.51.100.0/24'] });
    guard.configure(config());
    await ask({ request: 'delete', prefixes: ['198.51.100.0/24'] });
    assert.deepEqual(await pfctl.addresses(), []);
    await ask({ request: 'add', prefixes: ['198.51.100.0/24'] });
    assert.equal(refused.length, 1);
  });

  const FORGED = [
    '0/0',
    '0.0.0.0/0',
    '::/0',
    'em0',
    'egress',
    '!192.0.2.9',
    '010.011.012.013',
    '0xc0000201',
    '10.9',
    '192.0.2.9/31',
    '192.0.2.9/24',
    '2001:db8::/32',
    '2001:DB8::1',
    'fe80::1%em0',
    '-F all',
    '192.0.2.9\n0.0.0.0/0',
    '192.0.2.9 192.0.2.10',
    'mail.example.org',
    '',
  ];
  for (const prefix of FORGED) {
    it(`refuses ${JSON.stringify(prefix)}, with all of its batch, and pfctl does not hear of it`, async () => {
      const answer = await ask({ request: 'add', prefixes: ['192.0.2.77', prefix] });
      assert.ok(answer?.kind === 'reply' && !answer.reply.ok);
      assert.match(answer.reply.message, /^the monitor refuses: /);
      assert.equal(refused.length, 1);
      assert.deepEqual(pfctl.calls(), [], 'pfctl was called');
    });
  }

  it('refuses more entries than the configuration allows, whatever the engine counts', async () => {
    // max-entries 100, one allowed network, and two batches on the way
    const most = 100 + 1 + 2 * MOST_PREFIXES;
    const prefixes = (from: number, count: number): string[] =>
      Array.from(
        { length: count },
        (_, i) => `10.${(from + i) >> 16}.${((from + i) >> 8) & 255}.${(from + i) & 255}`,
      );
    for (let from = 0; from < 20_000; from += 10_000) {
      await ask({ request: 'add', prefixes: prefixes(from, 10_000) });
    }
    await ask({ request: 'add', prefixes: prefixes(20_000, 102) });
    assert.deepEqual(refused, [`more than ${most} entries: the table has 20000, and 102 were to be added`]);
    await ask({ request: 'add', prefixes: prefixes(20_000, 101) });
    assert.equal((await pfctl.addresses()).length, most);
  });

  it('counts what the table has before it adds anything, though nobody has asked for that', async () => {
    pfctl.putEntries(
      Array.from({ length: 20_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`),
      1_700_000_000,
    );
    await ask({ request: 'add', prefixes: Array.from({ length: 102 }, (_, i) => `192.0.2.${i}`) });
    assert.deepEqual(refused, ['more than 20101 entries: the table has 20000, and 102 were to be added']);
    // another engine, and somebody else has emptied the table meanwhile
    pfctl.emptyTable();
    guard.begin();
    await ask({ request: 'add', prefixes: ['192.0.2.9'] });
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.9']);
  });

  it('adds nothing to a table that it cannot read', async () => {
    pfctl.setFault({ mode: 'fail', only: 'show' });
    await ask({ request: 'add', prefixes: ['192.0.2.9'] });
    assert.deepEqual(refused, ['the table cannot be read']);
  });

  it("stays below pf's own limit, which it asks for by itself", async () => {
    guard.configure(config(['maxEntries', '100000']));
    pfctl.update((state) => (state.limit = 40));
    const prefixes = Array.from({ length: 39 }, (_, i) => `192.0.2.${i + 1}`);
    await ask({ request: 'add', prefixes });
    assert.deepEqual(refused, ['more than 38 entries: the table has 0, and 39 were to be added']);
  });

  it('counts what the table has when it is listed', async () => {
    pfctl.putEntries(['192.0.2.9', '198.18.0.0/15'], 1_700_000_000);
    const answer = await ask({ request: 'show' });
    assert.deepEqual(answer, { kind: 'reply', id, reply: { ok: true, changed: undefined, created: false } });
    const lines = sent.flatMap((message) => (message.kind === 'lines' ? message.lines.split('\n') : []));
    assert.deepEqual(
      lines.filter((line) => line.startsWith(' ')),
      ['   192.0.2.9', '   198.18.0.0/15'],
    );
  });

  for (const [entry, isForeign] of [
    ['192.0.2.9', false],
    ['192.0.2.0/24', false],
    ['192.0.2.0/23', true],
    ['10.0.0.0/8', true],
    ['2001:db8::1', false],
    ['2001:db8:1:2::/64', false],
    ['2001:db8:1::/48', false],
    ['2001:db8::/47', true],
    ['2001:d00::/9', true],
    ['!192.0.2.9', true],
    ['198.51.100.0/24', false],
  ] as const) {
    it(`${isForeign ? 'does not count' : 'counts'} ${entry} among those that max-entries is for`, async () => {
      const beside = Array.from({ length: 3 }, (_, n) => `203.0.113.${n}`);
      await pfctl.run(['-qt', 'mx-white', '-T', 'add', '--', entry, ...beside]);
      guard.configure(config(['maxEntries', '1']));
      await ask({ request: 'show' });
      // one of max-entries, what is on its way, and who is not ours
      const most = 1 + 2 * MOST_PREFIXES + Number(isForeign);
      const prefixes = Array.from({ length: MOST_PREFIXES }, (_, n) => `10.${n >> 8}.${n & 255}.1`);
      await ask({ request: 'add', prefixes });
      await ask({ request: 'add', prefixes: prefixes.map((text) => text.replace(/1$/, '2')) });
      assert.deepEqual(refused, [
        `more than ${most} entries: the table has ${4 + MOST_PREFIXES}, and ${MOST_PREFIXES} were to be added`,
      ]);
    });
  }

  it('leaves out details that nobody needs', async () => {
    pfctl.putEntries(['192.0.2.9'], 1_700_000_000);
    await ask({ request: 'show' });
    const lines = sent.flatMap((message) => (message.kind === 'lines' ? message.lines.split('\n') : []));
    assert.deepEqual(lines, ['   192.0.2.9', '\tCleared:     Tue Nov 14 22:13:20 2023', '']);
  });

  it('counts the entries, and lists nothing for that', async () => {
    loadRules(pfctl);
    pfctl.putEntries(['192.0.2.9', '198.18.0.0/15'], 1_700_000_000);
    assert.deepEqual(await ask({ request: 'count' }), { kind: 'counted', id, count: 2 });
    pfctl.destroyTable();
    assert.deepEqual(await ask({ request: 'count' }), { kind: 'counted', id, count: 'missing' });
    assert.equal(pfctl.calls().filter(({ argv }) => argv.includes('show')).length, 0);
  });

  it('empties no table that can be listed, whatever the engine says', async () => {
    pfctl.putEntries(['192.0.2.9'], 1_700_000_000);
    await ask({ request: 'flush' });
    await ask({ request: 'show' });
    await ask({ request: 'flush' });
    assert.deepEqual(refused, Array(2).fill('flush of a table that can be listed'));
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.9']);
  });

  it('empties one that is too long to be listed, once, and counts from there', async () => {
    if (flavour !== 'freebsd15') return;
    pfctl.update((state) => void (state.requestMaxcount = 100));
    const beside = Array.from({ length: 101 }, (_, n) => `10.0.0.${n}`);
    pfctl.putEntries(beside, 1_700_000_000);
    const shown = await ask({ request: 'show' });
    assert.ok(shown?.kind === 'reply' && !shown.reply.ok && shown.reply.failure === 'too-long');
    await ask({ request: 'add', prefixes: ['192.0.2.9'] });
    assert.deepEqual(refused, ['the table cannot be read']);
    const reply = { ok: true, changed: 101, created: false };
    assert.deepEqual(await ask({ request: 'flush' }), { kind: 'reply', id, reply });
    await ask({ request: 'add', prefixes: ['192.0.2.9'] });
    assert.deepEqual(await pfctl.addresses(), ['192.0.2.9']);
    await ask({ request: 'flush' });
    assert.equal(refused.at(-1), 'flush of a table that can be listed');
  });

  it('counts again after an addition that failed, for part of it may have been done', async () => {
    if (flavour === 'openbsd') return;
    guard.configure(config(['maxEntries', '1']));
    pfctl.update((state) => void (state.refusesBeyond = 19_995));
    const many = (from: number): string[] =>
      Array.from({ length: MOST_PREFIXES }, (_, n) => `10.${from + (n >> 8)}.${n & 255}.1`);
    await ask({ request: 'add', prefixes: many(0) });
    await ask({ request: 'add', prefixes: many(100).slice(0, 9990) });
    const answer = await ask({ request: 'add', prefixes: many(200).slice(0, 8) });
    assert.ok(answer?.kind === 'reply' && !answer.reply.ok && answer.reply.failure === 'no-room');
    pfctl.clearCalls();
    pfctl.update((state) => void (state.refusesBeyond = null));
    await ask({ request: 'add', prefixes: ['192.0.2.9', '192.0.2.10'] });
    assert.deepEqual(
      pfctl.calls().map(({ argv }) => argv[argv.indexOf('-T') + 1]),
      ['show', 'add'],
    );
    assert.deepEqual(refused, []);
  });

  describe('when domains are allowed', () => {
    const grant = async (...prefixes: string[]): Promise<string[]> => {
      const answer = await ask({ request: 'grant', prefixes });
      assert.ok(answer?.kind === 'granted', JSON.stringify(answer));
      return answer.refused.map(({ network, why }) => `${network}: ${why}`);
    };
    const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    beforeEach(() => guard.configure(config(['allowDomain', 'example.com'])));

    it('has networks added that were granted before, and no others', async () => {
      assert.deepEqual(await grant('203.0.113.0/24', '2a00:1450::/32', '64.0.0.0/14', '198.51.100.7'), []);
      await ask({ request: 'add', prefixes: ['203.0.113.0/24', '2a00:1450::/32', '64.0.0.0/14'] });
      assert.deepEqual((await pfctl.addresses()).sort(), ['203.0.113.0/24', '2a00:1450::/32', '64.0.0.0/14']);
      await ask({ request: 'add', prefixes: ['203.0.113.0/25'] });
      assert.equal(refused.length, 1);
      // the last word counts
      assert.deepEqual(await grant('50.0.0.0/24'), []);
      await ask({ request: 'add', prefixes: ['203.0.113.0/24'] });
      assert.equal(refused.length, 2);
      await ask({ request: 'delete', prefixes: ['64.0.0.0/14', '203.0.113.0/24'] });
      assert.deepEqual(await pfctl.addresses(), ['2a00:1450::/32']);
    });

    it('grants nothing that is wide, private, or ours, and nothing that is no network', async () => {
      const why = await grant(
        ...['0.0.0.0/0', '10.0.0.0/8', '64.0.0.0/13', '::/0', '2a00::/31', 'fc00::/32', '192.0.2.0/24'],
        ...['127.0.0.1', 'em0', '0/0', '203.0.113.1/24', '', '198.18.0.0/16'],
      );
      assert.deepEqual(why, [
        '0.0.0.0/0: it is unspecified, or has such addresses',
        '10.0.0.0/8: it is private, or has such addresses',
        '64.0.0.0/13: it is wider than /14',
        '::/0: it is wider than /32',
        '2a00::/31: it is wider than /32',
        'fc00::/32: it is not of 2000::/3',
        '192.0.2.0/24: it has addresses of our MX 192.0.2.3',
        '127.0.0.1: it is loopback, or has such addresses',
        'em0: it is no network',
        '0/0: it is no network',
        '203.0.113.1/24: it is no network',
        ': it is no network',
        '198.18.0.0/16: it has addresses of the network of em0',
      ]);
      await ask({ request: 'add', prefixes: ['192.0.2.0/24'] });
      assert.deepEqual([await pfctl.addresses(), refused.length], [[], 1]);
    });

    it('grants no more than a domain may have, counting what is in the table', async () => {
      const wide = (byte: number): string[] => numbers(200).map((i) => `50.${byte}.${i}.0/25`);
      assert.deepEqual(await grant(...wide(1)), []);
      await ask({ request: 'add', prefixes: wide(1) });
      // others instead: those before are still in the table
      const more = await grant(...wide(2));
      assert.equal(more.length, 100);
      assert.equal(more[0], '50.2.100.0/25: there are 300 networks already');
      await ask({ request: 'delete', prefixes: wide(1).slice(0, 60) });
      assert.equal((await grant(...wide(2))).length, 40);
      guard.configure(config(['allowDomain', 'example.com'], ['allowDomain', 'example.net']));
      assert.equal((await grant(...wide(2))).length, 0);
    });

    it('grants 2^23 IPv4 addresses at the most, counting what is in the table', async () => {
      const all = numbers(32).map((i) => `64.${4 * i}.0.0/14`);
      assert.deepEqual(await grant(...all), []);
      await ask({ request: 'add', prefixes: all });
      assert.deepEqual(await grant('70.0.0.0/24'), [
        '70.0.0.0/24: with it there would be more than 8388608 IPv4 addresses',
      ]);
      pfctl.emptyTable();
      // not before we know of it
      assert.equal((await grant('70.0.0.0/24')).length, 1);
      await ask({ request: 'delete', prefixes: all });
      assert.equal((await grant('70.0.0.0/24')).length, 0);
    });

    it('grants nothing any more when none is allowed, nor what has become ours', async () => {
      assert.deepEqual(await grant('50.1.0.0/24', '50.2.0.0/24'), []);
      guard.configure(config(['allowDomain', 'example.com'], ['realMailserver', '50.1.0.25']));
      await ask({ request: 'add', prefixes: ['50.2.0.0/24'] });
      assert.deepEqual([await pfctl.addresses(), refused.length], [['50.2.0.0/24'], 0]);
      await ask({ request: 'add', prefixes: ['50.1.0.0/24'] });
      assert.equal(refused.length, 1);
      guard.configure(config());
      assert.equal((await grant('50.3.0.0/24')).length, 1);
      await ask({ request: 'add', prefixes: ['50.2.0.0/24'] });
      assert.equal(refused.length, 2);
    });

    it('answers while pfctl runs for another request', async () => {
      const both = [
        guard.handle({ id: 901, request: 'show' }),
        guard.handle({ id: 902, request: 'grant', prefixes: [] }),
      ];
      await Promise.all(both);
      assert.deepEqual(refused, []);
      assert.equal(sent.filter(({ kind }) => kind === 'granted').length, 1);
    });
  });

  it('carries out one request at a time', async () => {
    const first: EngineRequest = { id: 901, request: 'show' };
    const both = [guard.handle(first), guard.handle({ id: 902, request: 'limits' })];
    await Promise.all(both);
    assert.deepEqual(refused, ['two requests at a time']);
    assert.deepEqual(
      sent.map((message) => 'id' in message && message.id),
      [902, 901],
    );
  });

  it('waits for its turn when pfctl has run often, and refuses nothing for that', async () => {
    const clock = new HandClock();
    const slow = new TableGuard(
      new PfctlTable({
        path: pfctl.path,
        table: 'mx-white',
        anchor: '',
        timeoutMs: 10_000,
        clock: systemClock,
      }),
      (message) => sent.push(message),
      (why) => refused.push(why),
      clock,
    );
    slow.configure(config());
    for (let list = 0; list < 5; list++) await slow.handle({ id: list, request: 'show' });
    assert.equal(sent.filter(({ kind }) => kind === 'reply').length, 5);
    const last = slow.handle({ id: 5, request: 'limits' });
    assert.deepEqual([clock.timersMs, slow.isBusy], [[80], true]);
    await slow.handle({ id: 6, request: 'limits' });
    assert.deepEqual(refused, ['two requests at a time']);
    clock.pass(80);
    await last;
    assert.equal(sent.at(-1)?.kind, 'limits');
  });

  it('tells what pf says of itself', async () => {
    const answer = await ask({ request: 'inspect' });
    assert.ok(answer?.kind === 'texts');
    assert.match(answer.texts.info ?? '', /^Status: Enabled/m);
  });
}

for (const flavour of FLAVOURS) {
  describe(`the guard of the table, with the pfctl of ${flavour}`, () => guardTests(flavour));
}

describe('a request of the engine', () => {
  const why = (value: unknown): string | undefined => {
    const parsed = parseEngineRequest(value);
    return parsed.ok ? undefined : parsed.why;
  };

  it('is an object with a number and a known word', () => {
    assert.equal(why(null), 'a message that is no object');
    assert.equal(why(7), 'a message that is no object');
    assert.equal(why({ request: 'show' }), 'a request without a number');
    assert.equal(why({ id: 1.5, request: 'show' }), 'a request without a number');
    assert.equal(why({ id: 1, request: 'kill' }), 'an unknown request "kill"');
    assert.equal(why({ id: 1, request: ['show'] }), 'a request that is no text');
    assert.equal(why({ id: 1, request: { toString: 1, valueOf: 1 } }), 'a request that is no text');
    assert.equal(why({ id: 1, request: 'show', prefixes: 'x' }), undefined);
  });

  it('has a list of prefixes where it needs one, not too long', () => {
    assert.equal(why({ id: 1, request: 'add' }), 'add without a list of prefixes');
    assert.equal(why({ id: 1, request: 'add', prefixes: '192.0.2.1' }), 'add without a list of prefixes');
    assert.equal(why({ id: 1, request: 'delete', prefixes: [1] }), 'delete without a list of prefixes');
    assert.equal(why({ id: 1, request: 'add', prefixes: [] }), 'add of 0 prefixes, at most 10000 are taken');
    const many = Array.from({ length: 10_001 }, () => '192.0.2.1');
    assert.equal(
      why({ id: 1, request: 'add', prefixes: many }),
      'add of 10001 prefixes, at most 10000 are taken',
    );
  });
});

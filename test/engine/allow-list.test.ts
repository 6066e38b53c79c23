import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AllowList } from '../../src/engine/allow-list.js';
import { listName, readListAnswer } from '../../src/names/dnswl.js';
import { configOf } from '../support/config.js';
import { until } from '../support/daemon.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';
import { HandClock } from '../support/hand-clock.js';
import { address } from '../support/observations.js';
import { scene } from '../support/tracker-scene.js';

const HOUR_MS = 3_600_000;
const found = (...records: string[]) => ({ status: 'found' as const, records, code: '' });

describe('an answer of a DNS allow list', () => {
  it('is asked for by the address backwards', () => {
    assert.equal(listName(address('198.51.100.7'), 'list.test.org'), '7.100.51.198.list.test.org');
    assert.match(
      listName(address('2001:db8::7'), 'list.test.org'),
      /^7(\.0){23}\.8\.b\.d\.0\.1\.0\.0\.2\.list\.test\.org$/,
    );
  });

  const wrong = [
    '127.0.0.255',
    '127.0.0.2',
    '127.0.0.1',
    '127.0.5.4',
    '127.0.5.30',
    '127.1.5.1',
    '203.0.113.1',
  ];
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['127.0.5.0'], 'listed 0'],
    [['127.0.5.3'], 'listed 3'],
    [['127.0.20.1', '127.0.2.2'], 'listed 2'],
    [['127.0.5.3', '198.51.100.1'], 'wrong 198.51.100.1'],
    ...wrong.map((record): [string[], string] => [[record], `wrong ${record}`]),
  ];
  for (const [records, text] of cases) {
    it(`${records.join(' ')} means: ${text}`, () => {
      const answer = readListAnswer(found(...records));
      const more = answer.kind === 'listed' ? answer.trust : answer.kind === 'wrong' ? answer.record : '';
      assert.equal(`${answer.kind} ${more}`, text);
    });
  }
});

describe('a DNS allow list', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => {
    server = await NameServer.start({
      'list.test.org': `
7.100.51.198 A 127.0.10.2
8.100.51.198 A 127.0.10.1
9.100.51.198 A 127.0.10.0
66.100.51.198 A 127.0.0.255`,
      'all.test.org': '* A 127.0.10.3',
    });
  });
  after(() => server.dispose());

  const lists: AllowList[] = [];
  afterEach(() => {
    for (const list of lists.splice(0)) list.close();
  });

  const open = (zone: string, trust = '1', dnsServer = server.address, maxEntries = 100) => {
    const clock = new HandClock();
    const at = scene({ maxEntries });
    const said: string[] = [];
    const list = new AllowList({
      config: () =>
        configOf({
          fakeMailserver: ['192.0.2.3'],
          realMailserver: ['192.0.2.4'],
          dnswl: [zone],
          dnswlTrust: [trust],
          dnsServer: [dnsServer],
          dnsTimeout: ['30'],
        }),
      tracker: at.tracker,
      clock,
      admitted: () => undefined,
      say: ({ message }) => said.push(message),
    });
    lists.push(list);
    list.begin();
    return { clock, at, said, list };
  };
  type Open = ReturnType<typeof open>;
  const tested = ({ clock }: Open): Promise<void> =>
    until('it has been tested', () => clock.timersMs.length > 0);
  const refuse = ({ list }: Open, ...texts: string[]): void => {
    for (const text of texts) list.refusal({ source: address(text) });
  };

  it('lets in whom it knows with enough trust, and nobody else', async () => {
    const all = open('list.test.org');
    await tested(all);
    refuse(all, '203.0.113.1', '198.51.100.9', '198.51.100.8', '198.51.100.7', '10.0.0.1');
    await until('both are in', () => all.at.tracker.size === 2);
    assert.deepEqual(all.at.prefixes, ['198.51.100.7', '198.51.100.8']);
    assert.deepEqual(
      [...all.at.tracker.entries()].map(({ origin }) => origin),
      ['dnswl', 'dnswl'],
    );
    assert.equal(all.at.tracker.counters.listed, 2);
    assert.ok(all.said.includes('Adding 198.51.100.7 to whitelist: known to list.test.org, with trust 2'));
    assert.deepEqual(all.list.findings(), []);
    const strict = open('list.test.org', '2');
    await tested(strict);
    refuse(strict, '198.51.100.8', '198.51.100.7');
    await until('one is in', () => strict.at.tracker.size === 1);
    assert.deepEqual(strict.at.prefixes, ['198.51.100.7']);
  });

  it('is not asked before it has been seen that it does not list everybody', () => {
    const early = open('list.test.org');
    refuse(early, '198.51.100.7');
    assert.equal(early.at.tracker.size, 0);
  });

  it('that lists 127.0.0.1 lets nobody in, and is tried again each hour', async () => {
    const all = open('all.test.org');
    await tested(all);
    refuse(all, '198.51.100.7');
    assert.equal(all.at.tracker.size, 0);
    assert.match(
      all.list.findings()[0]?.message ?? '',
      /^dnswl all\.test\.org: it lists 127\.0\.0\.1, so perhaps everybody: .*; it has not been asked for /,
    );
    assert.deepEqual(all.clock.timersMs, [HOUR_MS]);
    all.clock.pass(HOUR_MS);
    await tested(all);
    assert.equal(all.said.length, 1, 'it is said once');
  });

  it('that answers what none does is off for an hour, and then believed again', async () => {
    const all = open('list.test.org');
    await tested(all);
    refuse(all, '198.51.100.66');
    await until('it is off', () => all.list.findings().length === 1);
    assert.match(
      all.said[0] ?? '',
      /it answers 127\.0\.0\.255 about 198\.51\.100\.66: too much was asked of it; it is not asked for an hour/,
    );
    refuse(all, '198.51.100.7');
    assert.equal(all.at.tracker.size, 0);
    all.clock.pass(HOUR_MS);
    await until('it is believed again', () => all.list.findings().length === 0);
    refuse(all, '198.51.100.7');
    await until('one is in', () => all.at.tracker.size === 1);
  });

  it('that does not answer lets nobody in, and is asked again after a minute', async (t) => {
    const broken = await SlowServer.start({ reply: () => 'servfail' });
    t.after(() => broken.dispose());
    const all = open('list.test.org', '1', broken.address);
    await tested(all);
    assert.match(
      all.list.findings()[0]?.message ?? '',
      /DNS does not answer \(ESERVFAIL\), so nobody is let in by it/,
    );
    assert.deepEqual(all.clock.timersMs, [60_000]);
  });

  /** Somebody who has tried takes the only place. */
  it('does not take the place of one that has tried', async () => {
    const full = open('list.test.org', '1', server.address, 1);
    full.at.see('203.0.113.5', '192.0.2.3');
    await tested(full);
    refuse(full, '198.51.100.7');
    await until('it is said', () => full.said.length === 1);
    assert.deepEqual(full.said, [
      '198.51.100.7 is not let in: it is known to list.test.org, but max-entries is reached',
    ]);
    assert.deepEqual(full.at.prefixes, ['203.0.113.5']);
  });

  it('that begins to list everybody lets in nobody any more', async (t) => {
    let isAll = false;
    const changing = await SlowServer.start({
      reply: ({ name }) =>
        isAll || name.startsWith('7.') ? { type: 'A', data: ['127.0.10.3'] } : 'nxdomain',
    });
    t.after(() => changing.dispose());
    const all = open('list.test.org', '1', changing.address);
    await tested(all);
    refuse(all, '198.51.100.7');
    await until('one is in', () => all.at.tracker.size === 1);
    isAll = true;
    // longer than it is remembered that 127.0.0.1 was not listed; the next test is not yet due
    all.clock.pass(HOUR_MS / 2);
    refuse(all, '198.51.100.8');
    await until('it is off', () => all.list.findings().length === 1);
    assert.match(all.list.findings()[0]?.message ?? '', /it lists 127\.0\.0\.1, so perhaps everybody/);
    assert.deepEqual(all.at.prefixes, ['198.51.100.7']);
  });

  it('stays off, whatever a test says that was under way when it gave a wrong answer', async (t) => {
    const held = await SlowServer.start({
      reply: ({ name }) => (name.startsWith('66.') ? { type: 'A', data: ['127.0.0.255'] } : 'nxdomain'),
    });
    t.after(() => held.dispose());
    const all = open('list.test.org', '1', held.address);
    await tested(all);
    held.release('hold');
    refuse(all, '198.51.100.66');
    await until('it is asked about', () => held.holding === 1);
    all.clock.pass(HOUR_MS);
    await until('the test is under way', () => held.holding === 2);
    held.release('hold');
    await until('it is off', () => all.list.findings().length === 1);
    refuse(all, '198.51.100.7');
    await until('all is answered', () => held.holding === 0);
    all.clock.pass(HOUR_MS - 1);
    assert.equal(all.list.findings().length, 1);
    assert.equal(held.queries, 3, 'nothing more is asked of it');
  });

  it('is tested again when DNS has not answered about a sender', async (t) => {
    const failing = await SlowServer.start({ reply: () => 'nxdomain' });
    t.after(() => failing.dispose());
    const all = open('list.test.org', '1', failing.address);
    await tested(all);
    failing.reply = () => 'servfail';
    all.clock.pass(HOUR_MS / 2);
    refuse(all, '198.51.100.7');
    await until('there is a finding', () => all.list.findings().length === 1);
    assert.deepEqual(all.clock.timersMs, [60_000]);
    failing.reply = () => 'nxdomain';
    all.clock.pass(60_000);
    await until('it is believed again', () => all.list.findings().length === 0);
  });

  it('is asked about 200 senders a second at the most; what was asked is counted', async () => {
    const all = open('list.test.org');
    await tested(all);
    const flood = Array.from({ length: 250 }, (_, i) => `203.0.113.${i + 1}`);
    refuse(all, ...flood);
    assert.equal(all.list.asked().skipped, 50);
    await until('all are asked about', () => all.list.asked().counters.asked === 201);
    all.list.begin();
    assert.ok(all.list.asked().counters.asked >= 201, 'over a reload, too');
  });
});

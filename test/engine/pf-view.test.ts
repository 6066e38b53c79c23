import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { type PfState, PfView, WATCHED_MS } from '../../src/engine/pf-view.js';
import type { FirewallTexts } from '../../src/table/table.js';
import { HandClock } from '../support/hand-clock.js';

const SECOND = 1000;
const ENABLED: FirewallTexts = {
  info: 'Status: Enabled for 0 days\n',
  rules: undefined,
  entries: undefined,
  unanswered: undefined,
};
const SILENT: FirewallTexts = {
  info: undefined,
  rules: undefined,
  entries: undefined,
  unanswered: 'pfctl 123 hangs',
};

function config() {
  const given = [
    { key: 'fakeMailserver', text: '192.0.2.3', where: '', origin: 'command line' },
    { key: 'realMailserver', text: '192.0.2.4', where: '', origin: 'command line' },
  ] as const;
  const result = resolveConfig(given, [], 'openbsd');
  if (!result.ok) throw new Error('configuration');
  return result.config;
}

describe('what pf says of itself', () => {
  let clock: HandClock;
  let answers: ((texts: FirewallTexts) => void)[];
  let view: PfView;
  beforeEach(() => {
    clock = new HandClock();
    answers = [];
    const settings = config();
    const inspect = () => new Promise<FirewallTexts>((resolve) => answers.push(resolve));
    view = new PfView(inspect, () => settings, clock, 'linux');
  });

  /** Asks, and lets so much time go by before pf answers, if it does. */
  const look = async (ms: number, texts?: FirewallTexts): Promise<PfState> => {
    const looking = view.look();
    clock.pass(ms);
    if (texts !== undefined) answers.at(-1)?.(texts);
    return looking;
  };

  it('is waited for', async () => {
    const state = await look(SECOND, ENABLED);
    assert.deepEqual(state, {
      enabled: true,
      rules: [],
      entries: undefined,
      agoMs: 0,
      unanswered: undefined,
    });
  });

  it('is what pf says now: what was right two seconds ago is not told, and its age is', async () => {
    await look(0, { ...ENABLED, entries: 7 });
    clock.pass(2 * SECOND);
    const state = await look(500, { ...ENABLED, info: 'Status: Disabled for 0 days\n', entries: 'missing' });
    assert.deepEqual([state.enabled, state.entries, state.agoMs], [false, 'missing', 0]);
    clock.pass(SECOND - 1);
    assert.equal((await view.look()).agoMs, SECOND - 1);
    assert.equal(answers.length, 2);
  });

  it('is asked for once in ten seconds for what is redrawn each second', async () => {
    await look(0, ENABLED);
    clock.pass(10 * SECOND - 1);
    assert.equal((await view.look(WATCHED_MS)).agoMs, 10 * SECOND - 1);
    assert.equal(answers.length, 1);
    clock.pass(1);
    const looking = view.look(WATCHED_MS);
    answers.at(-1)?.(ENABLED);
    assert.equal((await looking).agoMs, 0);
    assert.equal(answers.length, 2);
  });

  it('is waited for no longer than two seconds; nothing is known then', async () => {
    const state = await look(2 * SECOND);
    assert.deepEqual(state, {
      enabled: undefined,
      rules: [],
      entries: undefined,
      agoMs: undefined,
      unanswered: { forMs: 2 * SECOND, why: undefined },
    });
  });

  it('is what it has said last, with its age, as long as pfctl does not answer; nobody waits twice', async () => {
    await look(0, ENABLED);
    clock.pass(60 * SECOND);
    const state = await look(2 * SECOND);
    assert.deepEqual(state, {
      enabled: true,
      rules: [],
      entries: undefined,
      agoMs: 62 * SECOND,
      unanswered: { forMs: 2 * SECOND, why: undefined },
    });
    clock.pass(SECOND);
    // no time goes by
    assert.deepEqual((await view.look()).unanswered?.forMs, 3 * SECOND);
    assert.equal(answers.length, 2, 'it is not asked again beside a question that is open');
  });

  it('tells since when and why there is no answer, over all questions, until there is one', async () => {
    await look(0, SILENT);
    clock.pass(15 * SECOND);
    const state = await look(0, SILENT);
    assert.deepEqual(state.unanswered, { forMs: 15 * SECOND, why: 'pfctl 123 hangs' });
    clock.pass(20 * SECOND);
    assert.deepEqual((await look(2 * SECOND)).unanswered, { forMs: 37 * SECOND, why: 'pfctl 123 hangs' });
    answers.at(-1)?.(ENABLED);
    assert.equal((await look(0)).unanswered, undefined);
  });

  it('counts as an answer when pfctl fails: it is not silent', async () => {
    const state = await look(0, { ...SILENT, unanswered: undefined });
    assert.deepEqual(state, {
      enabled: undefined,
      rules: [],
      entries: undefined,
      agoMs: 0,
      unanswered: undefined,
    });
  });

  it('comes fit for a terminal', async () => {
    const state = await look(0, { ...SILENT, unanswered: 'pfctl said \x1b[2J' });
    assert.equal(state.unanswered?.why, 'pfctl said \\x1b[2J');
  });
});

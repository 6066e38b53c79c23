import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HealthFacts, judgeHealth } from '../../src/engine/health.js';

const HOUR = 3_600_000;
const TABLE = {
  description: '<mx-white>',
  entries: 3,
  pending: 0,
  failedCalls: 0,
  failingForMs: undefined,
  lastError: undefined,
  room: 170_000,
  foreign: { count: 0, some: [] as readonly string[] },
};
const WELL: HealthFacts = {
  upMs: HOUR / 2,
  entries: 3,
  lastFrameAgoMs: 1000,
  lastAttemptAgoMs: 2000,
  lastRefusalAgoMs: 1000,
  kind: 'pf',
  firewall: {
    isOpen: true,
    capture: { description: 'bpf on pflog0', received: 10, dropped: 0 },
    table: TABLE,
    queue: undefined,
  },
  pf: { enabled: true, rules: [], entries: undefined, agoMs: 5000, unanswered: undefined },
  configuration: [],
  stateError: undefined,
  isRoot: false,
};
const NO_PF = { enabled: undefined, rules: [], entries: undefined, agoMs: undefined, unanswered: undefined };
const QUEUE = {
  description: 'NFQUEUE 23',
  received: 1,
  accepted: 1,
  dropped: 0,
  lost: 0,
  full: 0,
  waiting: 0,
  ports: [29],
};

/** The findings as `severity id`. */
function found(change: Partial<HealthFacts>): string[] {
  return judgeHealth({ ...WELL, ...change }).map(({ severity, id }) => `${severity} ${id}`);
}

describe('the health of a daemon', () => {
  it('is good when nothing is wrong', () => {
    assert.deepEqual(found({}), []);
    assert.deepEqual(found({ pf: NO_PF, lastFrameAgoMs: undefined, lastAttemptAgoMs: undefined }), []);
  });

  it('is bad when nftables has no table: everybody gets in', () => {
    const missing = { kind: 'nft', pf: { ...NO_PF, entries: 'missing' } } as const;
    assert.deepEqual(found(missing), ['error table-missing']);
    const [finding] = judgeHealth({ ...WELL, ...missing });
    assert.match(
      finding?.message ?? '',
      /^there is no table .*, so everybody gets in: mxallowd nft-conf --install$/,
    );
    const silent = judgeHealth({ ...WELL, kind: 'nft', upMs: 3 * HOUR, lastFrameAgoMs: 2 * HOUR });
    assert.match(silent[0]?.message ?? '', /^nothing has come from netfilter's log for 120 minutes/);
  });

  it('is bad when pf is disabled; its rules do not matter then', () => {
    const rules = [{ severity: 'error', id: 'rules-fake-log', message: '' } as const];
    assert.deepEqual(found({ pf: { ...WELL.pf, enabled: false, rules } }), ['error pf-disabled']);
    assert.deepEqual(found({ pf: { ...WELL.pf, rules } }), ['error rules-fake-log']);
  });

  it('is doubtful when pfctl does not answer, and bad when it goes on so', () => {
    const said = (forMs: number, agoMs: number | undefined, why?: string): string[] =>
      judgeHealth({ ...WELL, pf: { ...WELL.pf, agoMs, unanswered: { forMs, why } } }).map(
        ({ severity, id, message }) => `${severity} ${id}: ${message}`,
      );
    assert.deepEqual(said(2000, 182_000), [
      'warning pf-silent: pfctl has not answered for 2 s, so what is said of pf is 3 min old',
    ]);
    assert.deepEqual(said(45_000, undefined, 'pfctl 123 has not ended for 40 s'), [
      'error pf-silent: pfctl has not answered for 45 s, so what pf does is not known: pfctl 123 has not ended for 40 s',
    ]);
  });

  it('is bad when the log cannot be read, or frames are lost', () => {
    const { firewall } = WELL;
    assert.deepEqual(found({ firewall: { ...firewall, isOpen: false } }), ['error capture-lost']);
    const capture = { description: '', received: 5, dropped: 2 };
    assert.deepEqual(found({ firewall: { ...firewall, capture } }), ['warning frames-dropped']);
  });

  it('is bad when the table cannot be written, is empty, or full', () => {
    const table = (change: { failingForMs?: number; lastError?: string; entries?: number }): string[] =>
      found({ firewall: { ...WELL.firewall, table: { ...TABLE, ...change } } });
    assert.deepEqual(table({ failingForMs: 100, lastError: 'no' }), ['warning table-failing']);
    assert.deepEqual(table({ failingForMs: 6000, lastError: 'no', entries: 0 }), ['error table-failing']);
    assert.deepEqual(table({ entries: 0 }), ['warning table-empty']);
    assert.deepEqual(table({ entries: 170_000 }), ['error table-full']);
  });

  it('tells of entries of the table that are not ours, though nothing is wrong with them', () => {
    const foreign = { count: 12, some: ['198.51.0.0/16', '! 203.0.113.7'] };
    const [finding, ...others] = judgeHealth({
      ...WELL,
      firewall: { ...WELL.firewall, table: { ...TABLE, foreign } },
    });
    assert.deepEqual([finding?.severity, finding?.id, others], ['note', 'table-foreign', []]);
    assert.match(
      finding?.message ?? '',
      /has 12 networks or exceptions .*: 198\.51\.0\.0\/16, ! 203\.0\.113\.7, \.\.\.$/,
    );
  });

  it('takes silence for no proof of health', () => {
    assert.deepEqual(found({ upMs: 2 * HOUR, lastFrameAgoMs: undefined }), ['warning silence']);
    assert.deepEqual(found({ upMs: 9 * HOUR, lastFrameAgoMs: 2 * HOUR }), ['warning silence']);
    assert.deepEqual(found({ upMs: 2 * HOUR, lastAttemptAgoMs: undefined }), ['warning no-attempts']);
  });

  it('tells of a state file that is not written, and of root', () => {
    assert.deepEqual(found({ stateError: 'ENOSPC', isRoot: true }), [
      'warning state-not-written',
      'warning root',
    ]);
  });

  it('is bad when the queue is gone or packets are lost', () => {
    const firewall = { isOpen: true, capture: undefined, table: undefined, queue: QUEUE };
    assert.deepEqual(found({ firewall, pf: NO_PF }), []);
    assert.deepEqual(found({ firewall: { ...firewall, isOpen: false } }), ['error queue-lost']);
    assert.deepEqual(found({ firewall: { ...firewall, queue: { ...QUEUE, full: 3 } } }), [
      'warning packets-lost',
    ]);
  });

  it('tells the worst first', () => {
    const firewall = { ...WELL.firewall, isOpen: false };
    assert.deepEqual(found({ firewall, isRoot: true, stateError: 'x' }), [
      'error capture-lost',
      'warning state-not-written',
      'warning root',
    ]);
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fleetLines } from '../../src/commands/fleet/text.js';
import type { FleetReport } from '../../src/control/fleet-answers.js';

const REPORT: FleetReport = {
  isShared: true,
  url: 'rediss://mx1@192.0.2.10',
  site: 'mx',
  node: 'mx1',
  isLinked: true,
  isMuted: false,
  problem: undefined,
  latencyMs: 1.4,
  own: 1200,
  untold: 0,
  written: 3456,
  theirs: 2001,
  room: 50_000,
  leftOut: 0,
  skipped: { unknown: 0, stamp: 0, prefix: 0, manual: 0 },
  peers: [
    {
      name: 'mx2',
      version: '3.0.0',
      heardAgoMs: 1500,
      entries: 2001,
      here: 2001,
      messages: 77,
      behind: 0,
      problem: undefined,
    },
  ],
};

it('the other gateways as a table', () => {
  assert.deepEqual(fleetLines(REPORT, 80), [
    'store:      rediss://mx1@192.0.2.10, connected, the last write took 1 ms',
    'this one:   mx1 of site mx',
    'told:       1,200 entries, 0 still to be told; 3,456 messages',
    'taken:      2,001 entries of at most 50,000',
    '',
    'GATEWAY   HEARD  ENTRIES   HERE  MESSAGES  BEHIND  VERSION',
    'mx2      2s ago    2,001  2,001        77       0  3.0.0',
  ]);
});

it('what is wrong comes with it', () => {
  const [peer] = REPORT.peers;
  const lines = fleetLines(
    {
      ...REPORT,
      isMuted: true,
      problem: 'fleet: the store is away',
      leftOut: 5,
      skipped: { unknown: 0, stamp: 2, prefix: 1, manual: 0 },
      peers: peer === undefined ? [] : [{ ...peer, problem: 'has gone' }],
    },
    80,
  );
  assert.deepEqual(lines.slice(0, 2), [
    'error:      another gateway has the name mx1: this one only listens (fleet-node)',
    'store:      fleet: the store is away',
  ]);
  assert.match(lines.join('\n'), /5 left out/);
  assert.match(lines.join(' ').replace(/\s+/g, ' '), /2 from more than two hours ahead .*1 wider than/);
  assert.equal(lines.at(-1), 'mx2 has gone');
});

it('without fleet-url nothing is shared', () => {
  assert.match(fleetLines({ ...REPORT, isShared: false }, 80).join(), /fleet-url is not set/);
});

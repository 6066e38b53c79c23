// The other gateways, for people. Pure.
import type { FleetPeer, FleetReport } from '../../control/fleet-answers.js';
import { ago, counted, grouped } from '../../terminal/human.js';
import { type Column, formatRows, formatTable, type Row } from '../../terminal/table.js';

const TITLE_WIDTH = 12;

const COLUMNS: readonly Column[] = [
  { title: 'GATEWAY', align: 'left' },
  { title: 'HEARD', align: 'right' },
  { title: 'ENTRIES', align: 'right' },
  { title: 'HERE', align: 'right' },
  { title: 'MESSAGES', align: 'right' },
  { title: 'BEHIND', align: 'right' },
  { title: 'VERSION', align: 'left' },
];

/** How a gateway stands among the others. @param width - columns of the output */
export function fleetLines(report: FleetReport, width: number): string[] {
  if (!report.isShared)
    return ['nothing is shared with other gateways: fleet-url is not set (docs/fleet.md)'];
  return [...formatRows(rows(report), TITLE_WIDTH, width), '', ...peerLines(report.peers, width)];
}

function rows(report: FleetReport): Row[] {
  const { url, site, node, problem, isMuted, latencyMs } = report;
  const { own, untold, written, theirs, room, leftOut } = report;
  const took = latencyMs === undefined ? '' : `, the last write took ${Math.round(latencyMs)} ms`;
  const muted: Row[] = isMuted
    ? [['error', `another gateway has the name ${node}: this one only listens (fleet-node)`]]
    : [];
  const left = leftOut === 0 ? '' : `, ${grouped(leftOut)} left out`;
  return [
    ...muted,
    ['store', problem ?? `${url}, connected${took}`],
    ['this one', `${node} of site ${site}`],
    [
      'told',
      `${counted(own, 'entry', 'entries')}, ${grouped(untold)} still to be told; ${counted(written, 'message')}`,
    ],
    ['taken', `${counted(theirs, 'entry', 'entries')} of at most ${grouped(room)}${left}`],
    ...skippedRows(report.skipped),
  ];
}

const SKIPPED: Readonly<Record<keyof FleetReport['skipped'], string>> = {
  unknown: 'not understood',
  stamp: 'from more than two hours ahead (are the clocks right?)',
  prefix: 'wider than is stored here, or of no sender',
  manual: 'by hand (fleet-manual is not set)',
};

function skippedRows(skipped: FleetReport['skipped']): Row[] {
  const parts = Object.entries(SKIPPED).flatMap(([reason, words]) => {
    const count = skipped[reason as keyof typeof SKIPPED];
    return count === 0 ? [] : [`${grouped(count)} ${words}`];
  });
  return parts.length === 0 ? [] : [['not taken', parts.join(', ')]];
}

function peerLines(peers: readonly FleetPeer[], width: number): string[] {
  if (peers.length === 0) return ['no other gateway is there'];
  const problems = peers.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`${name} ${problem}`],
  );
  return [...formatTable(COLUMNS, peers.map(cells), width), ...problems];
}

function cells({ name, version, heardAgoMs, entries, here, messages, behind }: FleetPeer): string[] {
  const told = entries === undefined ? '' : grouped(entries);
  return [name, ago(heardAgoMs), told, grouped(here), grouped(messages), grouped(behind), version ?? ''];
}

// Answers about the other gateways.
import type { FleetPeer, FleetReport } from '../control/fleet-answers.js';
import type { Peer } from '../fleet/reader.js';
import { escapeText } from '../packet/escape.js';
import type { Engine } from './engine.js';

/** Nothing is shared. */
const ALONE: FleetReport = {
  ...{ isShared: false, url: '', site: '', node: '', isLinked: false, isMuted: false },
  ...{
    problem: undefined,
    latencyMs: undefined,
    own: 0,
    untold: 0,
    written: 0,
    theirs: 0,
    room: 0,
    leftOut: 0,
  },
  skipped: { unknown: 0, stamp: 0, prefix: 0, manual: 0 },
  peers: [],
};

/** How this gateway stands among the others. */
export function fleetReportOf({ sharing, config, clock }: Engine): FleetReport {
  if (sharing === undefined) return ALONE;
  const { own, merged, writer, skipped } = sharing.fleet;
  const nowMs = clock.monotonicMs();
  const peers = [...sharing.peers].map((peer) => peerOf(peer, merged.node(peer.name).size, nowMs));
  return {
    isShared: true,
    url: escapeText(config.fleetUrl?.text ?? '', 200),
    site: config.fleetSite,
    ...sharing.report(),
    own: own.size,
    untold: own.untoldSize,
    written: writer.messages,
    theirs: merged.size,
    room: merged.most,
    leftOut: merged.leftOut,
    skipped: { ...skipped },
    peers: peers.sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function peerOf(peer: Peer, here: number, nowMs: number): FleetPeer {
  const { name, head, heardMs, messages, behind } = peer;
  return {
    name,
    version: head?.version,
    heardAgoMs: Math.max(0, Math.round(nowMs - heardMs)),
    entries: head?.count,
    here,
    messages,
    behind,
    problem: problemOf(peer),
  };
}

function problemOf({ isOtherProtocol, head, hasBeenRead }: Peer): string | undefined {
  if (isOtherProtocol) return 'speaks a later version of the protocol';
  if (head === undefined) return 'has gone; what it has said counts until it ends';
  return hasBeenRead ? undefined : 'is being read';
}

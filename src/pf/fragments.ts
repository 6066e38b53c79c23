// Whether rules see whole packets. Pure.
import { type Address, formatAddress } from '../packet/address.js';
import { judgePacket, judgeReassembly } from './evaluate.js';
import { type Finding, finding } from './finding.js';
import type { Match } from './interfaces.js';
import type { Packet, Scene } from './match.js';
import type { PfRule } from './rule.js';

/** What fragments are judged for. */
export interface FragmentSetup {
  readonly real: readonly Address[];
  readonly port: number;
  readonly os: 'openbsd' | 'freebsd' | undefined;
}

const ID = 'rules-fragments';

/**
 * Judges whether a SYN that is cut into fragments gets past the rules: without reassembly it has no port for them.
 * FreeBSD reassembles by a `scrub` rule, OpenBSD by an option that pfctl does not show.
 */
export function judgeFragments(
  rules: readonly PfRule[],
  setup: FragmentSetup,
  scenes: readonly Scene[],
): Finding[] {
  if (setup.os !== 'freebsd' && !rules.some(({ kind }) => kind === 'scrub')) {
    const openbsd = 'OpenBSD does it unless pf.conf says "set reassemble no"';
    const message = `fragments: whether they are reassembled is not visible here${setup.os === 'openbsd' ? `; ${openbsd}` : ''}`;
    return [finding('note', ID, message)];
  }
  const fates = scenes.flatMap((scene) =>
    setup.real.map((destination) => ({ destination, fate: isStopped(rules, setup, destination, scene) })),
  );
  const open = fates.filter(({ fate }) => fate !== 'yes');
  if (open.length === 0) {
    return [finding('ok', ID, 'fragments: a SYN in fragments does not get past the rules')];
  }
  const isSure = open.some(({ fate }) => fate === 'no');
  const who = [...new Set(open.map(({ destination }) => formatAddress(destination)))].join(', ');
  const arrival = scenes[0]?.arrival;
  return [
    finding(
      isSure ? 'warning' : 'note',
      ID,
      `fragments: a SYN in fragments, from anybody, ${isSure ? 'gets' : 'may get'} past the rules to ${who}, unlogged`,
      `ahead of the filter rules: scrub in${arrival === undefined ? '' : ` on ${arrival}`} all fragment reassemble`,
    ),
  ];
}

/** Whether a fragmented SYN of a stranger is reassembled, or blocked as it is. */
function isStopped(
  rules: readonly PfRule[],
  { port }: FragmentSetup,
  destination: Address,
  scene: Scene,
): Match {
  const packet: Packet = { kind: 'fragment', destination, port, listed: false };
  const reassembled = judgeReassembly(rules, packet, scene);
  if (reassembled === 'yes') return 'yes';
  const { possible } = judgePacket(rules, packet, scene);
  if (possible.every(({ action }) => action === 'block')) return 'yes';
  return reassembled === 'no' && possible.every(({ action }) => action === 'pass') ? 'no' : 'maybe';
}

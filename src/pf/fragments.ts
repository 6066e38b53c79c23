// Whether rules see whole packets. Pure.
import { type Address, familyOf, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { Classifier, hasWord, type ReadInclude } from './classify.js';
import { judgePacket, judgeReassembly } from './evaluate.js';
import { type Finding, finding } from './finding.js';
import type { Match } from './interfaces.js';
import type { Packet, Scene } from './match.js';
import type { PfRule } from './rule.js';
import { parseConf } from './statements.js';

/** What a pf.conf says about fragments, which pfctl shows nowhere. */
export interface SaidOfFragments {
  /** of `set reassemble`; undefined: there is no such line */
  readonly value: 'yes' | 'no' | undefined;
  /** `FILE:LINE`, or the file where there is no such line; not escaped */
  readonly where: string;
}

/** What fragments are judged for. */
export interface FragmentSetup {
  readonly real: readonly Address[];
  readonly port: number;
  readonly os: 'openbsd' | 'freebsd' | undefined;
  /** of the system, as `15.1-RELEASE-p1`; undefined: not known */
  readonly release?: string | undefined;
  /** undefined: pf.conf has not been read */
  readonly said?: SaidOfFragments | undefined;
}

const ID = 'rules-fragments';
const FRAGMENTS = 'a SYN in fragments, from anybody,';
/** The first FreeBSD that has `set reassemble`; and that puts those of IPv6 together without being told (seen on 15.1). */
const [KNOWS_OPTION, WHOLE_IPV6] = [14, 15];

/**
 * Finds `set reassemble` in a pf.conf; the last word counts.
 * @param text - one character a byte
 * @param readInclude - for files that it includes
 */
export function saidOfFragments(text: string, file: string, readInclude: ReadInclude): SaidOfFragments {
  const items = new Classifier(readInclude, '').items(parseConf(text).statements, file);
  const last = items.findLast((item) => item.kind === 'option' && hasWord(item, 'reassemble'));
  if (last === undefined) return { value: undefined, where: file };
  return { value: hasWord(last, 'no') ? 'no' : 'yes', where: last.where };
}

/**
 * Judges whether a SYN that is cut into fragments gets past the rules: without reassembly it has no port for them.
 * FreeBSD reassembles by a `scrub` rule or, where there is none at all, by `set reassemble`; OpenBSD by the latter.
 */
export function judgeFragments(
  rules: readonly PfRule[],
  setup: FragmentSetup,
  scenes: readonly Scene[],
): Finding[] {
  const hasScrub = rules.some(({ kind }) => kind === 'scrub');
  const { os, said } = setup;
  const where = said === undefined ? '' : escapeText(said.where, 100);
  if (!hasScrub && isToldByOption(setup)) {
    if (said?.value === 'yes') {
      const message = `fragments: a SYN in fragments does not get past the rules ("set reassemble yes", ${where})`;
      return [finding('ok', ID, message)];
    }
    if (os !== 'freebsd' && said?.value === undefined) return [unseen(os)];
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
  const isUnread = os === 'freebsd' && !hasScrub && !isSure && said === undefined;
  const unless = isUnread ? ', unless pf.conf says "set reassemble yes"' : '';
  const gets = `${FRAGMENTS} ${isSure ? 'gets' : 'may get'} past the rules to ${who}, unlogged${unless}`;
  const arrival = scenes[0]?.arrival;
  return [
    os === 'openbsd'
      ? finding(
          'warning',
          ID,
          `fragments: ${gets} ("set reassemble no", ${where})`,
          'write "set reassemble yes"',
        )
      : finding(
          isSure ? 'warning' : 'note',
          ID,
          `fragments: ${gets}`,
          `ahead of the filter rules: scrub in${arrival === undefined ? '' : ` on ${arrival}`} all fragment reassemble`,
        ),
  ];
}

function isToldByOption({ os, release }: FragmentSetup): boolean {
  return os !== 'freebsd' || (majorOf(release) ?? KNOWS_OPTION) >= KNOWS_OPTION;
}

function majorOf(release: string | undefined): number | undefined {
  const major = Number.parseInt(release ?? '');
  return Number.isNaN(major) ? undefined : major;
}

function unseen(os: FragmentSetup['os']): Finding {
  const message = 'fragments: whether they are reassembled is not visible here';
  if (os !== 'openbsd') return finding('note', ID, message);
  const openbsd =
    'OpenBSD does it unless pf.conf says "set reassemble no", or said so once: that stays in force over a reload';
  return finding('note', ID, `${message}; ${openbsd}`, 'write "set reassemble yes" into pf.conf');
}

/** Whether a fragmented SYN of a stranger is reassembled, or blocked as it is. */
function isStopped(
  rules: readonly PfRule[],
  setup: FragmentSetup,
  destination: Address,
  scene: Scene,
): Match {
  const packet: Packet = { kind: 'fragment', destination, port: setup.port, listed: false };
  const reassembled = isReassembled(rules, setup, packet, scene);
  if (reassembled === 'yes') return 'yes';
  const { possible } = judgePacket(rules, packet, scene);
  if (possible.every(({ action }) => action === 'block')) return 'yes';
  return reassembled === 'no' && possible.every(({ action }) => action === 'pass') ? 'no' : 'maybe';
}

function isReassembled(rules: readonly PfRule[], setup: FragmentSetup, packet: Packet, scene: Scene): Match {
  if (setup.os !== 'freebsd' || rules.some(({ kind }) => kind === 'scrub')) {
    return judgeReassembly(rules, packet, scene);
  }
  const major = majorOf(setup.release);
  if (familyOf(packet.destination) === 6 && major !== undefined && major >= WHOLE_IPV6) return 'yes';
  // what pf.conf says may not have been read
  return isToldByOption(setup) && setup.said === undefined ? 'maybe' : 'no';
}

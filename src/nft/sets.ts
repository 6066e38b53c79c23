// The sets of our table, as text. Pure.
import { ADDRESS_BITS, type Family } from '../packet/address.js';
import { FAMILIES, setName, type SetKind } from '../table/nft-sets.js';
import type { NftSpec } from './spec.js';

/** A set. */
export interface SetText {
  readonly name: string;
  readonly kind: SetKind | 'counter';
  readonly family: Family | undefined;
  /** the configuration says what is in it */
  readonly isConfigured: boolean;
  /** lines of its body, without elements */
  readonly properties: readonly string[];
}

/** Sets have room for so much more than `max-entries`: somebody has to be able to come while room is made. */
const ROOM = 1.25;
/** In a flood the kernel remembers who tried the fake MX for so long, and so many: 25,000 a second. */
export const FLOOD_S = 10;
const FLOOD_SIZE = 262_144;
/** A refused source is told once in this time, in seconds; the rules tell of no more than 1,000 a second. */
export const REFUSED_S = 60;
const REFUSED_SIZE = 65_536;
/** Names of the sets that count what is not told, by family: repeats of a refusal, and what a flood brings. */
export const COUNTING_SETS = ['repeats', 'flooded', 'unseen'] as const;

const TYPES: Readonly<Record<Family, string>> = { 4: 'ipv4_addr', 6: 'ipv6_addr' };

/** How many elements a set of ours has room for. */
export function sizeFor(maxEntries: number): number {
  return Math.ceil(maxEntries * ROOM);
}

/** The sets, in their order. */
export function setsOf(spec: NftSpec): SetText[] {
  return [
    ...FAMILIES.flatMap((family) => familySets(spec, family)),
    ...COUNTING_SETS.map((name) => {
      const properties = ['type nf_proto', 'size 8', 'flags dynamic'];
      return { name, kind: 'counter' as const, family: undefined, isConfigured: false, properties };
    }),
  ];
}

/** Tells how long the prefixes are whose addresses are in a set, for whoever reads the set alone. */
function storedAs(kind: SetKind, length: number): string[] {
  return kind === 'tried' || kind === 'granted' ? [`comment "/${length}"`] : [];
}

function familySets({ lengths, maxEntries, whitelistTime }: NftSpec, family: Family): SetText[] {
  const size = `size ${sizeFor(maxEntries)}`;
  const time = `timeout ${whitelistTime}s`;
  const hasSingles = lengths[family] < ADDRESS_BITS[family];
  const sets: readonly (readonly [kind: SetKind, ...properties: string[]])[] = [
    ['fake'],
    ['real'],
    ['allowed', 'flags interval'],
    ['tried', size, 'flags dynamic,timeout', time],
    ['flood', `size ${FLOOD_SIZE}`, 'flags dynamic,timeout', `timeout ${FLOOD_S}s`],
    ['granted', size, 'flags timeout', time],
    ...(hasSingles ? [['single', size, 'flags timeout', time] as const] : []),
    ['wide', 'flags interval,timeout', time],
    ['refused', `size ${REFUSED_SIZE}`, 'flags dynamic,timeout', `timeout ${REFUSED_S}s`],
  ];
  return sets.map(([kind, ...properties]) => ({
    name: setName(kind, family),
    kind,
    family,
    isConfigured: kind === 'fake' || kind === 'real' || kind === 'allowed',
    properties: [`type ${TYPES[family]}`, ...properties, ...storedAs(kind, lengths[family])],
  }));
}

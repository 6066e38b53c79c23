// Which of pf's records are about one packet: a small bounded memory. Pure.
import type { Observation } from '../packet/observation.js';
import { Action } from '../packet/pflog.js';

/**
 * What was made of a packet by its earlier record: settled, or what nobody expected. That it passed or was dropped may
 * yet be taken back: `log (matches)` has a record for each rule that matches, and only the last rule decides.
 */
export const Outcome = { SETTLED: 1, PASSED: 2, DROPPED: 3 } as const;

/** One of {@link Outcome}. */
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Records of one packet lie 0.01 to 0.32 ms apart (OpenBSD 7.8, FreeBSD 15.1); who repeats a SYN waits for a second. */
const SAME_PACKET_MS = 100;
/** A power of two, few enough for the processor's cache: in a flood of 10,000 SYNs a second, what came within 50 ms. */
const SLOT_BITS = 9;
const SLOTS = 1 << SLOT_BITS;
/** of a packet: source and destination, four words each; ports; sequence number */
const WORDS = 10;

/** beside the outcome: by a record of a redirection */
const REDIRECTED = 4;

/**
 * Remembers the SYNs of the last moment: each has one place, and takes it from whoever is there. Who is forgotten too
 * early is counted twice, that is all.
 */
export class RecentPackets {
  private readonly words = new Int32Array(SLOTS * WORDS);
  private readonly times = new Float64Array(SLOTS);
  private readonly codes = new Uint8Array(SLOTS);
  /** of the packet that was asked for last */
  private slot = 0;

  /** What was made of an earlier record of this packet; undefined: this is the first. */
  recall(observation: Observation): Outcome | undefined {
    const slot = slotOf(observation);
    this.slot = slot;
    const code = this.codes[slot] as number;
    if (code === 0 || Math.abs(observation.timeMs - (this.times[slot] as number)) > SAME_PACKET_MS)
      return undefined;
    return this.holds(slot, observation, code) ? ((code & 3) as Outcome) : undefined;
  }

  /** Remembers what was made of the record that {@link recall} was asked for last. */
  keep(observation: Observation, outcome: Outcome): void {
    const { words, slot } = this;
    let at = slot * WORDS;
    words[at++] = observation.source0;
    words[at++] = observation.source1;
    words[at++] = observation.source2;
    words[at++] = observation.source3;
    words[at++] = portsOf(observation);
    words[at++] = observation.sequence;
    words[at++] = observation.destination0;
    words[at++] = observation.destination1;
    words[at++] = observation.destination2;
    words[at] = observation.destination3;
    this.times[slot] = observation.timeMs;
    this.codes[slot] = outcome | (observation.action === Action.RDR ? REDIRECTED : 0);
  }

  private holds(slot: number, observation: Observation, code: number): boolean {
    const { words } = this;
    const at = slot * WORDS;
    const isSameSource =
      words[at] === observation.source0 &&
      words[at + 1] === observation.source1 &&
      words[at + 2] === observation.source2 &&
      words[at + 3] === observation.source3 &&
      words[at + 5] === observation.sequence;
    if (!isSameSource) return false;
    const ports = words[at + 4] as number;
    // FreeBSD logs what "rdr pass log" redirects once with each destination
    if (observation.action === Action.RDR && (code & REDIRECTED) !== 0) {
      return ports >>> 16 === observation.sourcePort;
    }
    return (
      ports === portsOf(observation) &&
      words[at + 6] === observation.destination0 &&
      words[at + 7] === observation.destination1 &&
      words[at + 8] === observation.destination2 &&
      words[at + 9] === observation.destination3
    );
  }
}

function portsOf({ sourcePort, destinationPort }: Observation): number {
  return (sourcePort << 16) | destinationPort;
}

/** By what translation leaves as it was. No secret: whoever makes two packets share a place has made two packets. */
function slotOf({ source0, source1, source2, source3, sourcePort, sequence }: Observation): number {
  const source = Math.imul(source0, 31) ^ Math.imul(source1, 37) ^ Math.imul(source2, 41) ^ source3;
  const mixed = Math.imul(source ^ Math.imul(sequence, 0x85eb_ca6b) ^ sourcePort, 0x9e37_79b1);
  return mixed >>> (32 - SLOT_BITS);
}

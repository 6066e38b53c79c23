// What the daemon answers about other gateways, as schemas.
import type * as v from 'valibot';
import { bool, list, maybe, number, object, text } from './schema.js';

const peer = object({
  name: text,
  /** its version of mxallowd; undefined: it has not said */
  version: maybe(text),
  /** since it was last heard */
  heardAgoMs: number,
  /** prefixes that it vouches for, as it says, and how many of them are known here */
  entries: maybe(number),
  here: number,
  /** messages of it that were read, and that are still to be read */
  messages: number,
  behind: number,
  /** why nothing of it counts; undefined: it does */
  problem: maybe(text),
});
/** Another gateway. */
export type FleetPeer = v.InferOutput<typeof peer>;

/** The answer to `fleet`. */
export const fleetReport = object({
  /** false: nothing is shared, and all else is empty */
  isShared: bool,
  url: text,
  site: text,
  node: text,
  isLinked: bool,
  /** whether another gateway has our name, so that this one only listens */
  isMuted: bool,
  /** what is wrong with the store, for people; undefined: nothing */
  problem: maybe(text),
  /** how long the last write took */
  latencyMs: maybe(number),
  /** prefixes that this gateway vouches for, how many of them are still to be told, and messages that it has written */
  own: number,
  untold: number,
  written: number,
  /** prefixes that others vouch for, how many there may be, and how many had no room since the start */
  theirs: number,
  room: number,
  leftOut: number,
  /** what was not taken since the start, by reason */
  skipped: object({ unknown: number, stamp: number, prefix: number, manual: number }),
  peers: list(peer),
});
/** How a gateway stands among the others. */
export type FleetReport = v.InferOutput<typeof fleetReport>;

/** Observations and addresses made from texts, for tests of what comes after decoding. */
import {
  type Address,
  addressWords,
  familyOf,
  formatPrefix,
  parseAddress,
  parsePrefix,
  type Prefix,
} from '../../src/packet/address.js';
import { Observation, TcpFlag } from '../../src/packet/observation.js';
import { Action, Direction, PfReason } from '../../src/packet/pflog.js';

/** The address of a text that is one. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** The prefix of a text that is one. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(`not a prefix: ${text}`);
  return parsed.prefix;
}

/** Canonical texts of the prefixes of entries, sorted. */
export function prefixTexts(entries: Iterable<{ readonly prefix: Prefix }>): string[] {
  return [...entries].map((entry) => formatPrefix(entry.prefix) as string).sort();
}

/** What a test wants to be different from an inbound SYN to port 25 that a rule blocked. */
export interface ObservationFields {
  readonly port?: number;
  readonly flags?: number;
  readonly direction?: number;
  readonly action?: number;
  readonly pfReason?: number;
  /** milliseconds after the first second of all these */
  readonly afterMs?: number;
  readonly sourcePort?: number;
  readonly sequence?: number;
  readonly hasIpOptions?: boolean;
  readonly translatedPort?: number;
}

/** A SYN from one address to another, both as texts. */
export function syn(from: string, to: string, fields: ObservationFields = {}): Observation {
  return synBetween(address(from), address(to), fields);
}

/** A SYN from one address to another. */
export function synBetween(
  source: Address,
  destination: Address,
  fields: ObservationFields = {},
): Observation {
  return new Observation(
    1_700_000_000_000 + (fields.afterMs ?? 0),
    familyOf(source),
    ...addressWords(source),
    ...addressWords(destination),
    fields.sourcePort ?? 40_000,
    fields.port ?? 25,
    fields.sequence ?? 1_000_000_000,
    fields.flags ?? TcpFlag.SYN,
    fields.hasIpOptions ?? false,
    fields.direction ?? Direction.IN,
    fields.action ?? Action.DROP,
    fields.pfReason ?? PfReason.MATCH,
    'em0',
    '',
    3,
    fields.translatedPort ?? 0,
  );
}

// What a node says of a sender, and its text in the store. Pure.
import {
  type Address,
  contains,
  formatAddress,
  parseAddress,
  parseCanonical,
  type Prefix,
  type PrefixText,
  prefixOf,
} from '../packet/address.js';

/** What one node knows of a prefix. */
export interface Sighting {
  /** of the attempt, or of whatever else has let it in: what was forgotten before that does not count against it */
  readonly stamp: number;
  /** until when it is let in, in the clock of the node that says so */
  readonly endMs: number;
  /** it was admitted there */
  readonly isKnown: boolean;
  /** an operator let it in */
  readonly isManual: boolean;
  /** who of its network has come, for whoever asks DNS */
  readonly source: Address | undefined;
  /** the name that this node has found for it: a hint */
  readonly name: string | undefined;
}

/** An operator has taken a prefix out: what is stamped before, or the same, does not count. */
export interface Forgetting {
  readonly stamp: number;
  /** until when it must be remembered, in the clock of the node that says so */
  readonly endMs: number;
}

/** A change of what a node vouches for. */
export type Change =
  | { readonly kind: 'seen'; readonly prefix: PrefixText; readonly sighting: Sighting }
  | { readonly kind: 'gone'; readonly prefix: PrefixText }
  | { readonly kind: 'forgotten'; readonly prefix: PrefixText; readonly forgetting: Forgetting };

/** Field of a node's hash that says that a prefix is forgotten: this, and the prefix. */
const FORGOTTEN = '!';
const SEEN = '+';
const GONE = '-';

/** The longest line that we read, in characters. */
const LONGEST = 400;
/** 2^53 - 1 has so many digits. */
const NUMBER = /^\d{1,16}$/;
const NAME = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/i;
const FLAGS = /^(?:-|[a-z]{1,16})$/;

/** `STAMP END FLAGS [SOURCE [NAME]]`: the value of a prefix in a node's hash. FLAGS: `k` known, `m` manual, or `-`. */
export function writeSighting({ stamp, endMs, isKnown, isManual, source, name }: Sighting): string {
  const flags = `${isKnown ? 'k' : ''}${isManual ? 'm' : ''}`;
  const hints = name === undefined || source === undefined ? '' : ` ${formatAddress(source)} ${name}`;
  return `${stamp} ${Math.floor(endMs)} ${flags === '' ? '-' : flags}${hints}`;
}

/** Reads it; words behind those that we know are left for later versions. */
export function readSighting(prefix: Prefix, text: string): Sighting | undefined {
  if (text.length > LONGEST) return undefined;
  const [stamp = '', end = '', flags = '', sourceText, nameText] = text.split(' ');
  if (!NUMBER.test(stamp) || !NUMBER.test(end) || !FLAGS.test(flags)) return undefined;
  const source = sourceText === undefined ? undefined : parseAddress(sourceText);
  const isOf = source !== undefined && contains(prefix, { address: source, length: fullLength(source) });
  const hasName = isOf && nameText !== undefined && NAME.test(nameText);
  return {
    stamp: Number(stamp),
    endMs: Number(end),
    isKnown: flags.includes('k'),
    isManual: flags.includes('m'),
    source: hasName ? source : undefined,
    name: hasName ? nameText : undefined,
  };
}

function fullLength(address: Address): number {
  return typeof address === 'number' ? 32 : 128;
}

/** `STAMP END`: the value of a forgotten prefix. */
export function writeForgetting({ stamp, endMs }: Forgetting): string {
  return `${stamp} ${Math.floor(endMs)}`;
}

function readForgetting(text: string): Forgetting | undefined {
  if (text.length > LONGEST) return undefined;
  const [stamp = '', end = ''] = text.split(' ');
  return NUMBER.test(stamp) && NUMBER.test(end) ? { stamp: Number(stamp), endMs: Number(end) } : undefined;
}

/** The field of a node's hash that a change is about. */
export function fieldOf(change: Change): string {
  return change.kind === 'forgotten' ? `${FORGOTTEN}${change.prefix}` : change.prefix;
}

/** Its value; undefined: the field goes. */
export function valueOf(change: Change): string | undefined {
  if (change.kind === 'gone') return undefined;
  return change.kind === 'seen' ? writeSighting(change.sighting) : writeForgetting(change.forgetting);
}

/** A line of a message: `+PREFIX STAMP END FLAGS ...`, `-PREFIX`, or `!PREFIX STAMP END`. */
export function writeChange(change: Change): string {
  const sign = change.kind === 'seen' ? SEEN : change.kind === 'gone' ? GONE : '';
  const value = valueOf(change);
  return `${sign}${fieldOf(change)}${value === undefined ? '' : ` ${value}`}`;
}

/** Reads a line of a message; undefined: it is none that we know. */
export function readChange(line: string): Change | undefined {
  if (line.length > LONGEST) return undefined;
  const blank = line.indexOf(' ');
  const field = blank < 0 ? line : line.slice(0, blank);
  const value = blank < 0 ? undefined : line.slice(blank + 1);
  if (field.startsWith(GONE)) {
    const prefix = field.slice(1);
    return parseCanonical(prefix) === undefined ? undefined : { kind: 'gone', prefix: prefix as PrefixText };
  }
  if (value === undefined) return undefined;
  if (field.startsWith(SEEN)) return readField(field.slice(1), value);
  return field.startsWith(FORGOTTEN) ? readField(field, value) : undefined;
}

/** Reads a field of a node's hash; undefined: it is none that we know. */
export function readField(field: string, value: string): Change | undefined {
  const isForgotten = field.startsWith(FORGOTTEN);
  const text = isForgotten ? field.slice(1) : field;
  const prefix = text.length > LONGEST ? undefined : parseCanonical(text);
  // host bits that are set are not canonical
  if (prefix === undefined || prefixOf(prefix.address, prefix.length).address !== prefix.address)
    return undefined;
  if (isForgotten) {
    const forgetting = readForgetting(value);
    return forgetting && { kind: 'forgotten', prefix: text as PrefixText, forgetting };
  }
  const sighting = readSighting(prefix, value);
  return sighting && { kind: 'seen', prefix: text as PrefixText, sighting };
}

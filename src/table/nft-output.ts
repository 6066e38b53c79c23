// What `nft -j` prints about sets. Pure.
import { parsePrefix, type Prefix } from '../packet/address.js';

/** An element of a set. */
export interface SetElement {
  readonly prefix: Prefix;
  /** seconds that it still lives; undefined: it has no end */
  readonly expiresS: number | undefined;
}

/** A set as nft lists it. */
export interface ListedSet {
  readonly name: string;
  readonly comment: string | undefined;
  readonly elements: readonly SetElement[];
}

/**
 * Reads the output of `nft -j list set`. What is no address or network is left out.
 * @returns undefined when it is not that
 */
export function parseSet(text: string): ListedSet | undefined {
  const object = objects(text).find((one) => 'set' in one)?.['set'];
  if (!isRecord(object) || typeof object['name'] !== 'string') return undefined;
  const { name, comment, elem } = object;
  const elements = (Array.isArray(elem) ? elem : []).flatMap((one: unknown) => readElement(one) ?? []);
  return { name, comment: typeof comment === 'string' ? comment : undefined, elements };
}

/** An element with what time it has: an address, or a network. One without a time is none of ours. */
const ELEMENT =
  /\{"elem": \{"val": (?:"([\d.a-f:]+)"|\{"prefix": \{"addr": "([\d.a-f:]+)", "len": (\d+)\}\})((?:, "(?:timeout|expires)": \d+)*)/g;
const EXPIRES = /"expires": (\d+)/;

/**
 * Reads the elements of `nft -j list set` without making objects of them: they may be a hundred thousand.
 * @param length - of the prefixes whose first addresses they are; undefined: they say it themselves
 * @param take - gets the prefix as text, not always canonical, and the seconds that it still lives
 */
export function eachElement(
  text: string,
  length: number | undefined,
  take: (text: string, seconds: number | undefined) => void,
): void {
  for (const [, address, network, bits, times = ''] of text.matchAll(ELEMENT)) {
    const own = address ?? network ?? '';
    const seconds = EXPIRES.exec(times)?.[1];
    const given = length ?? (bits === undefined ? undefined : Number(bits));
    const isWhole = given === undefined || given === (own.includes(':') ? 128 : 32);
    take(isWhole ? own : `${own}/${given}`, seconds === undefined ? undefined : Number(seconds));
  }
}

/**
 * Reads sets whose elements count packets: `nft -j list set` one after the other.
 * @returns packets of all elements, by the set's name
 */
export function parseCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { set } of objects(text)) {
    if (!isRecord(set) || typeof set['name'] !== 'string') continue;
    const elements: unknown[] = Array.isArray(set['elem']) ? set['elem'] : [];
    counts.set(
      set['name'],
      elements.reduce<number>((sum, one) => sum + packetsOf(one), 0),
    );
  }
  return counts;
}

function packetsOf(element: unknown): number {
  const elem = isRecord(element) ? element['elem'] : undefined;
  const counter = isRecord(elem) ? elem['counter'] : undefined;
  const packets = isRecord(counter) ? counter['packets'] : undefined;
  return typeof packets === 'number' && Number.isFinite(packets) ? packets : 0;
}

/** Either the value itself, or an object that has it beside its times. */
function readElement(element: unknown): SetElement | undefined {
  const elem = isRecord(element) ? element['elem'] : undefined;
  const value = isRecord(elem) ? elem['val'] : element;
  const expires = isRecord(elem) ? elem['expires'] : undefined;
  const prefix = readPrefix(value);
  if (prefix === undefined) return undefined;
  return { prefix, expiresS: typeof expires === 'number' ? expires : undefined };
}

/** `"192.0.2.1"`, or `{"prefix": {"addr": "192.0.2.0", "len": 24}}` */
function readPrefix(value: unknown): Prefix | undefined {
  const network = isRecord(value) ? value['prefix'] : undefined;
  const text = isRecord(network) ? `${String(network['addr'])}/${String(network['len'])}` : value;
  const parsed = typeof text === 'string' ? parsePrefix(text) : undefined;
  return parsed?.ok === true ? parsed.prefix : undefined;
}

/** All that nft has printed: one document for each command. */
export function objects(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    let document: unknown;
    try {
      document = JSON.parse(line);
    } catch {
      return [];
    }
    const list = isRecord(document) ? document['nftables'] : undefined;
    return Array.isArray(list) ? list.filter(isRecord) : [];
  });
}

/** Whether something is an object, of whatever kind. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

// What is not told one by one in a flood: how many of what kind, and from how many networks.
import { isWithin, type Level } from '../log/line.js';
import type { Family } from '../packet/address.js';
import { type HashKey, halfSipHash } from '../tracker/siphash.js';
import type { Line } from './messages.js';
import type { Seen } from './repeats.js';

/** Bits of the sketch below. */
const BITS = 1 << 16;
/** A network is a /24 of IPv4 and a /48 of IPv6: the least that a site is given, as a rule. */
const IPV4_MASK = 0xffffff00;
const IPV6_SECOND_MASK = 0xffff0000;

/**
 * How many different networks were seen: linear counting (K.-Y. Whang, B. Vander-Zanden, H. M. Taylor, "A linear-time
 * probabilistic counting algorithm for database applications", 1990). Each network sets the bit that its hash names; how
 * many bits are left tells how many networks there were. 8 KB, exact for a few, within 1 % for 50,000.
 */
export class NetworkSketch {
  private readonly words = new Int32Array(BITS / 32);
  private ones = 0;

  constructor(private readonly hashKey: HashKey) {}

  /** @param w0, w1 - the first words of the address, as `addressWords` has them */
  add(family: Family, w0: number, w1: number): void {
    const hash =
      family === 4
        ? halfSipHash(this.hashKey, 1, w0 & IPV4_MASK, 0, 0, 0)
        : halfSipHash(this.hashKey, 2, w0, w1 & IPV6_SECOND_MASK, 0, 0);
    const at = (hash >>> 5) & (BITS / 32 - 1);
    const bit = 1 << (hash & 31);
    const word = this.words[at] as number;
    if ((word & bit) !== 0) return;
    this.words[at] = word | bit;
    this.ones++;
  }

  /** How many there were since the last time; begins anew. */
  take(): number {
    const zeros = Math.max(1, BITS - this.ones);
    const count = Math.round(BITS * Math.log(BITS / zeros));
    if (this.ones > 0) this.words.fill(0);
    this.ones = 0;
    return count;
  }
}

/** Counts what is not told one by one. Its size does not depend on what comes. */
export class Flood {
  private counts = new Map<string, number>();
  private level: Level = 'debug';
  private readonly networks: NetworkSketch;

  constructor(hashKey: HashKey) {
    this.networks = new NetworkSketch(hashKey);
  }

  /**
   * Counts events that are not told.
   * @param level - that their lines would have had
   * @param kind - the `event` of their lines
   * @param seen - whose they are, when somebody has come
   */
  add(level: Level, kind: string, seen?: Seen, count = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
    if (isWithin(level, this.level)) this.level = level;
    if (seen !== undefined) this.networks.add(seen.family, seen.source0, seen.source1);
  }

  /** The line about what was counted since the last one; undefined: nothing was. */
  take(): Line | undefined {
    const { counts, level } = this;
    if (counts.size === 0) return undefined;
    this.counts = new Map();
    this.level = 'debug';
    return floodLine(level, counts, this.networks.take());
  }
}

/** What a flood consists of: by event, the field of its number, and the words for one and for more. */
const WORDS: Readonly<Record<string, readonly [field: string, one: string, more: string]>> = {
  attempt: ['attempts', 'attempt', 'attempts'],
  refusal: ['refusals', 'refusal', 'refusals'],
  redirected: ['redirected', 'redirected', 'redirected'],
  admission: ['admissions', 'admission', 'admissions'],
  expiry: ['expiries', 'expiry', 'expiries'],
  eviction: ['evictions', 'entry without room', 'entries without room'],
  replaced: ['replaced', 'entry for a whole network now', 'entries for whole networks now'],
  forgotten: ['forgotten', 'taken out by hand', 'taken out by hand'],
  resolved: ['resolved', 'name found', 'names found'],
  named: ['named', 'let in by name', 'let in by name'],
  pooled: ['pooled', 'let in by pool', 'let in by pool'],
  listed: ['listed', 'let in by a DNS allow list', 'let in by a DNS allow list'],
  'listed-no-room': ['listedNoRoom', 'listed one without room', 'listed ones without room'],
  'no-pool': ['noPool', 'in no pool', 'in no pool'],
};

/**
 * What was too much within a second to be told one by one.
 * @param counts - by event
 * @param networks - of those who came; 0: nobody has come
 */
function floodLine(level: Level, counts: ReadonlyMap<string, number>, networks: number): Line {
  let suppressed = 0;
  const parts: string[] = [];
  const numbers: Record<string, number> = {};
  for (const [event, count] of counts) {
    const [field, one, more] = WORDS[event] ?? [event, event, event];
    suppressed += count;
    parts.push(`${count} ${count === 1 ? one : more}`);
    numbers[field] = count;
  }
  if (networks > 0) numbers['networks'] = networks;
  const from =
    networks === 0 ? '' : `, from ${networks === 1 ? 'one network' : `about ${networks} networks`}`;
  const events = suppressed === 1 ? 'event' : 'events';
  const message = `Flood: ${suppressed} more ${events} within a second, not told one by one: ${parts.join(', ')}${from}`;
  return { level, message, fields: { event: 'flood', suppressed, ...numbers } };
}

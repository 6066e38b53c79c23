// Checks of single values. Pure.
import {
  type Address,
  ADDRESS_BITS,
  familyOf,
  formatAddress,
  parseAddress,
  parsePrefix,
  type Prefix,
  WIDEST_NETWORK,
} from '../packet/address.js';
import { whyNoSender } from '../packet/no-sender.js';

/** A checked value, or what was expected instead. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  /** `isSecret`: there may be a password in it, so it is not shown */
  | { readonly ok: false; readonly expected: string; readonly isSecret?: true };

/** Turns the text of an option's value into the value. */
export type Check<T> = (text: string) => Checked<T>;

function good<T>(value: T): Checked<T> {
  return { ok: true, value };
}

function bad<T>(expected: string): Checked<T> {
  return { ok: false, expected };
}

/** One literal IPv4 or IPv6 address. */
export const address: Check<Address> = (text) => {
  const value = parseAddress(text);
  return value === undefined ? bad('an IPv4 or IPv6 address') : good(value);
};

/** An address or a network in CIDR form. */
export const network: Check<Prefix> = (text) => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) {
    const why = {
      'not-an-address': '',
      'bad-length': ' (bad prefix length)',
      'host-bits': ' (host bits are set)',
    };
    return bad(`an address or a network such as 192.0.2.0/24${why[parsed.reason]}`);
  }
  const family = familyOf(parsed.prefix.address);
  if (parsed.prefix.length < WIDEST_NETWORK[family]) {
    return bad(
      `a network of at least /${WIDEST_NETWORK[family]} (${formatAddress(parsed.prefix.address)} is IPv${family})`,
    );
  }
  const never = whyNoSender(parsed.prefix.address);
  return never === undefined ? good(parsed.prefix) : bad(`a network that mail can come from: it is ${never}`);
};

/** A whole number within bounds. */
export function integer(min: number, max: number, unit = ''): Check<number> {
  return (text) => {
    const value = Number(text);
    const fits = /^\d{1,15}$/.test(text) && value >= min && value <= max;
    return fits
      ? good(value)
      : bad(`a whole number${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`);
  };
}

/** The same, which may be negative. */
export function signed(min: number, max: number): Check<number> {
  return (text) => {
    const value = Number(text);
    const fits = /^-?\d{1,15}$/.test(text) && value >= min && value <= max;
    return fits ? good(value) : bad(`a whole number from ${min} to ${max}`);
  };
}

/** An address, or an address and a port: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`. */
export const dnsServer: Check<string> = (text) => {
  const match = /^\[(.+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const [host = text, port] = match?.slice(1) ?? [];
  const isPort = port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  return parseAddress(host) !== undefined && isPort
    ? good(text)
    : bad('an address of a DNS server, with or without a port, such as 192.0.2.53:5353');
};

/** RFC 1035 section 2.3.4, with the underscores that names of records have; two labels at least. */
const DOMAIN =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)+$/;

/** A name in DNS; comes out in lower case, without the final dot. */
export const domainName: Check<string> = (text) => {
  const name = text.replace(/\.$/, '').toLowerCase();
  if (DOMAIN.test(name) && parseAddress(name) === undefined) return good(name);
  return bad('a domain name such as example.org (one with other letters is written as xn--...)');
};

/** Numbers of queues that can be had at once: a batch of messages for all of them must have its bounds. */
const MOST_QUEUES = 64;

/** A number of an NFQUEUE, or a range of them such as `23-26`. */
export const queueRange: Check<{ readonly first: number; readonly last: number }> = (text) => {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  return match !== null && first <= last && last <= 65_535 && last - first < MOST_QUEUES
    ? good({ first, last })
    : bad(`a queue number from 0 to 65535, or a range of at most ${MOST_QUEUES} such as 23-26`);
};

/** A part of a whole: `50` or `50%`; out comes the number. */
export const percent: Check<number> = (text) => {
  const checked = integer(0, 100)(text.replace(/%$/, ''));
  return checked.ok ? checked : bad('a part from 0% to 100%');
};

/** Number of bits of a stored prefix. */
export function prefixLength(family: 4 | 6, min: number): Check<number> {
  return integer(min, ADDRESS_BITS[family], 'bits');
}

/** Units of time, and their seconds; the greatest first. */
const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;
/** The longest time that can be given. */
export const MAX_SECONDS = 366 * 86_400;

const TIME = /^(?:(\d{1,9})|(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?)$/;

/**
 * A time within bounds: a number of seconds, or numbers with units, the greatest first (`90m`, `1h30m`).
 * @param min - seconds, as the value is
 */
export function duration(min = 1, max = MAX_SECONDS): Check<number> {
  return (text) => {
    const [whole, plain = '0', ...numbers] = TIME.exec(text) ?? [];
    const seconds = UNITS.reduce((sum, [, size], at) => sum + Number(numbers[at] ?? 0) * size, Number(plain));
    return whole !== undefined && seconds >= min && seconds <= max
      ? good(seconds)
      : bad(`a time from ${durationText(min)} to ${durationText(max)}, in seconds or with units as 1h30m`);
  };
}

/** A time as {@link duration} reads it: `1h30m`, `36d`. @param seconds - a whole number, not negative */
export function durationText(seconds: number): string {
  let rest = seconds;
  const text = UNITS.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? '' : `${count}${unit}`;
  }).join('');
  return text === '' ? '0' : text;
}

/**
 * Whether what stands behind a time, and a blank, would make it another one: `h` behind `1`, `30m` behind `1h`.
 * Seconds behind a number change nothing, and may stand in files of 1.9.
 */
export function changesTime(text: string): boolean {
  const [, number = '', unit] = /^(\d*)\s*([a-z]+)/i.exec(text) ?? [];
  const isSeconds = /^(?:s|secs?|seconds?)$/i.test(unit ?? '');
  const isLonger = /^(?:m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)$/i.test(unit ?? '');
  return isLonger || (isSeconds && number !== '');
}

/** What becomes of strangers at the real MX. */
export type Strangers =
  | { readonly kind: 'drop' }
  /** pf leads them to another port */
  | { readonly kind: 'redirect'; readonly port: number }
  /** netfilter gets their packets with a mark, for rules of the administrator's own */
  | { readonly kind: 'mark'; readonly mark: number };

const STRANGERS = /^(?:(drop)|redirect\s+(\d{1,5})|mark\s+(\d{1,10}|0x[0-9a-f]{1,8}))$/i;
const MOST_MARK = 0xffff_ffff;

/** `drop`, `redirect PORT`, `mark N`; marks may be hexadecimal, and 0 is none. */
export const strangers: Check<Strangers> = (text) => {
  const [whole, drop, port, mark] = STRANGERS.exec(text.trim()) ?? [];
  const [portNumber, markNumber] = [Number(port ?? 0), Number(mark ?? 0)];
  if (drop !== undefined) return good({ kind: 'drop' });
  if (portNumber >= 1 && portNumber <= 65_535) return good({ kind: 'redirect', port: portNumber });
  if (markNumber >= 1 && markNumber <= MOST_MARK) return good({ kind: 'mark', mark: markNumber });
  const expected =
    whole === undefined
      ? 'drop, "redirect PORT" or "mark N"'
      : port === undefined
        ? `a mark from 1 to 0x${MOST_MARK.toString(16)}`
        : 'a port from 1 to 65535';
  return bad(expected);
};

/** The same as text, as the configuration has it. */
export function strangersText(given: Strangers): string {
  switch (given.kind) {
    case 'drop':
      return 'drop';
    case 'redirect':
      return `redirect ${given.port}`;
    case 'mark':
      return `mark ${given.mark}`;
  }
}

/** One of a few words. */
export function oneOf<T extends string>(words: readonly T[]): Check<T> {
  return (text) => {
    const word = words.find((candidate) => candidate === text.toLowerCase());
    return word === undefined ? bad(`one of ${words.join(', ')}`) : good(word);
  };
}

/** A name for pf: no blanks, no quotes, at most `max` characters. */
export function name(what: string, pattern: RegExp, max: number): Check<string> {
  return (text) =>
    pattern.test(text) && text.length <= max ? good(text) : bad(`${what} of at most ${max} characters`);
}

/** A path that begins with a slash. */
export const absolutePath: Check<string> = (text) =>
  /^\/[^\0-\x1f]*$/.test(text) ? good(text) : bad('an absolute path');

/** The same without what could mean something between quotes to pfctl or nft. */
export const plainPath: Check<string> = (text) =>
  /^\/[\w.+@:,/-]*[\w+@:,-]$/.test(text)
    ? good(text)
    : bad('an absolute path of letters, digits and ._+@:,-');

/** An absolute path, or `none`, which is the empty text. */
export const absolutePathOrNone: Check<string> = (text) => {
  if (text.toLowerCase() === 'none') return good('');
  return absolutePath(text).ok ? good(text) : bad('an absolute path, or none');
};

/** Any text. */
export const anyText: Check<string> = (text) => good(text);

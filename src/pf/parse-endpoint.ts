// Addresses and ports in a printed rule. Pure.
import { ADDRESS_BITS, familyOf, parseAddress, type Prefix, prefixOf } from '../packet/address.js';
import type { Endpoint, PortCondition, Redirect, RuleAddress } from './rule.js';

/** Words of a rule, taken one after the other. */
export class Words {
  private at = 0;

  constructor(private readonly words: readonly string[]) {}

  /** The next word, which stays; undefined at the end. */
  get next(): string | undefined {
    return this.words[this.at];
  }

  /** Takes the next word; empty at the end. */
  take(): string {
    return this.words[this.at++] ?? '';
  }

  /** Takes the next word if it is this one. */
  skip(word: string): boolean {
    if (this.next !== word) return false;
    this.at++;
    return true;
  }
}

/** Anybody, from any port. */
export const ANYBODY: Endpoint = { negated: false, address: { kind: 'any' }, port: undefined };

/**
 * Reads what follows `from` or `to`: `! <table> port = smtp os "Linux"`.
 * @param words - are taken up to what no longer belongs to it
 * @returns the endpoint, and whether it has an operating system as a condition; undefined when it cannot be read
 */
export function parseEndpoint(words: Words): { endpoint: Endpoint; os: string | undefined } | undefined {
  const negated = words.skip('!');
  // with a port alone pfctl prints "any" all the same
  const address = words.next === 'port' ? ANYBODY.address : parseRuleAddress(words);
  let port: PortCondition | undefined;
  if (words.skip('port')) {
    port = parsePort(words);
    if (port === undefined) return undefined;
  }
  const os = words.skip('os') ? words.take() : undefined;
  return { endpoint: { negated, address, port }, os };
}

function parseRuleAddress(words: Words): RuleAddress {
  const text = words.take();
  if (text === 'any') return { kind: 'any' };
  if (text === 'no-route' || text === 'urpf-failed') return { kind: 'nobody' };
  if (text === 'route') return { kind: 'unknown', text: `route ${words.take()}` };
  // <mx-white:3> with the number of its addresses, as -vv prints it
  const table = /^<([^:>]+)(?::\d+)?>$/.exec(text)?.[1];
  if (table !== undefined) return { kind: 'table', name: table };
  if (text.startsWith('(')) return { kind: 'interface', text };
  const first = parseNetwork(text);
  if (first === undefined) return { kind: 'unknown', text };
  if (!words.skip('-')) return { kind: 'prefix', prefix: first };
  const end = words.take();
  const last = parseNetwork(end);
  return last === undefined ? { kind: 'unknown', text: `${text} - ${end}` } : { kind: 'range', first, last };
}

function parseNetwork(text: string): Prefix | undefined {
  const [addressText = '', lengthText] = text.split('/');
  const address = parseAddress(addressText);
  if (address === undefined) return undefined;
  const bits = ADDRESS_BITS[familyOf(address)];
  if (lengthText === undefined) return { address, length: bits };
  const length = Number(lengthText);
  return /^\d{1,3}$/.test(lengthText) && length <= bits ? prefixOf(address, length) : undefined;
}

const BEFORE = new Set(['=', '!=', '<', '<=', '>', '>=']);

function parsePort(words: Words): PortCondition | undefined {
  const first = words.take();
  if (BEFORE.has(first)) {
    const value = words.take();
    const isName = first === '=' || first === '!=';
    if (!(isName ? /^[\w.+-]+$/ : /^\d+$/).test(value)) return undefined;
    return { operator: first as PortCondition['operator'], values: [value] };
  }
  const range = /^(\d+):(\d+)$/.exec(first);
  if (range !== null) return { operator: ':', values: range.slice(1) };
  const operator = words.take();
  const last = words.take();
  const isRange = operator === '><' || operator === '<>';
  return isRange && /^\d+$/.test(first) && /^\d+$/.test(last)
    ? { operator, values: [first, last] }
    : undefined;
}

/**
 * Reads where a rule redirects to: `127.0.0.1 port 2525`, `{ 10.0.0.1, 10.0.0.2 } round-robin`.
 * @param values - the words behind `rdr-to` and the like
 */
export function parseRedirect(values: readonly string[], rewrites: boolean): Redirect {
  const [target = '', word, portText = '', ...more] = values;
  const hasPort = word === 'port';
  const port = hasPort && /^\d+$/.test(portText) ? Number(portText) : undefined;
  // with a port that we cannot read, and with whatever else there is, nobody knows where it leads
  const isPlain = word === undefined || (hasPort && port !== undefined && more.length === 0);
  const address = isPlain ? parseAddress(target) : undefined;
  return { address, port, text: values.join(' '), rewrites };
}

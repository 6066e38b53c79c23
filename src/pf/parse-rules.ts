// What `pfctl -s rules` prints. Pure.
import type { Family } from '../packet/address.js';
import { ANYBODY, parseEndpoint, parseRedirect, Words } from './parse-endpoint.js';
import type { Criteria, Endpoint, PfRule, Redirect, RuleLog } from './rule.js';

/** Where `log` without `to` goes. */
export const DEFAULT_PFLOG = 'pflog0';

/** A bound on what is read: a rule set larger than this is none. */
export const MOST_RULES = 50_000;
const DEEPEST = 64;

/**
 * Reads what `pfctl -s rules` prints, on OpenBSD and FreeBSD, also with `-v` or `-vv`, and with `-a '*'`, which
 * shows the rules in anchors. What it does not understand becomes a rule of kind `unknown`.
 */
export function parseRules(text: string): PfRule[] {
  const root: PfRule[] = [];
  const open: PfRule[][] = [root];
  for (const line of text.split('\n', MOST_RULES)) {
    const rule = line.trim().replace(/^@\d+ /, '');
    const into = open.at(-1) ?? root;
    // with -v there are lines of counters in brackets
    if (rule === '' || rule.startsWith('[ ')) continue;
    if (rule === '}') {
      if (open.length > 1) open.pop();
      else into.push({ kind: 'unknown', text: rule });
      continue;
    }
    const opens = rule.endsWith(' {') && open.length < DEEPEST;
    const inside: PfRule[] = [];
    const parsed = parseRule(opens ? rule.slice(0, -2) : rule, opens ? inside : undefined);
    into.push(parsed);
    if (opens) open.push(inside);
  }
  return root;
}

/** A word, `"text"`, `(text)`, `word(text)`. */
const WORD = /"[^"]*"|[^\s"()]*\([^()]*\)[^\s"()]*|[^\s"()]+/g;

/** What is gathered while a rule is read. */
interface Draft {
  direction?: 'in' | 'out';
  on?: { name: string; negated: boolean };
  family?: Family;
  proto?: string;
  from: Endpoint;
  to: Endpoint;
  flags?: { set: string; of: string };
  fragment: boolean;
  icmp: boolean;
  doubts: string[];
  quick: boolean;
  log?: RuleLog;
  redirect?: Redirect;
  translates: boolean;
}

function parseRule(text: string, inside: readonly PfRule[] | undefined): PfRule {
  const unknown: PfRule = { kind: 'unknown', text };
  const tokens = wordsOf(text);
  if (tokens === undefined) return unknown;
  const words = new Words(tokens);
  const action = words.take();
  if (action === 'scrub' || (action === 'no' && words.skip('scrub'))) {
    const draft = readScrub(words);
    const reassembles = action === 'scrub' && / fragment reassemble\b/.test(text);
    return draft === undefined ? unknown : { kind: 'scrub', text, criteria: criteriaOf(draft), reassembles };
  }
  if (action === 'anchor') {
    const name = words.next?.startsWith('"') === true ? words.take().slice(1, -1) : '';
    const draft = read(words);
    if (draft === undefined) return unknown;
    // what is in all anchors below a name, pfctl need not show
    const rules = name.endsWith('*') ? undefined : inside;
    return { kind: 'anchor', text, name, criteria: criteriaOf(draft), quick: draft.quick, rules };
  }
  if (action !== 'pass' && action !== 'block' && action !== 'match') return unknown;
  const returns = action === 'block' && words.next?.startsWith('return') === true;
  if (action === 'block' && (returns || words.next === 'drop')) words.take();
  const draft = read(words);
  if (draft === undefined) return unknown;
  const { quick, log, redirect, translates } = draft;
  return { kind: action, text, criteria: criteriaOf(draft), quick, log, returns, redirect, translates };
}

/** The words of a rule; undefined when there is something between them. */
export function wordsOf(text: string): string[] | undefined {
  const tokens = text.match(WORD) ?? [];
  return tokens.join('').length === text.replace(/\s/g, '').length + blanksIn(tokens) ? tokens : undefined;
}

/** What a rule is about, of one that does nothing else; undefined when it cannot be read. */
export function readCondition(words: Words): { criteria: Criteria; log: RuleLog | undefined } | undefined {
  const draft = read(words);
  return draft === undefined ? undefined : { criteria: criteriaOf(draft), log: draft.log };
}

/** Blanks inside quotes and brackets belong to their word. */
function blanksIn(tokens: readonly string[]): number {
  return tokens.reduce((sum, token) => sum + (token.match(/\s/g)?.length ?? 0), 0);
}

function criteriaOf(draft: Draft): Criteria {
  const { from, to, fragment, icmp, doubts, direction, on, family, proto, flags } = draft;
  return { from, to, fragment, icmp, doubts, direction, on, family, proto, flags };
}

function newDraft(): Draft {
  return {
    from: ANYBODY,
    to: ANYBODY,
    fragment: false,
    icmp: false,
    doubts: [],
    quick: false,
    translates: false,
  };
}

/** How an option behind the addresses is taken. */
interface OptionShape {
  /** how many words follow it; `many`: up to the next option */
  readonly words: number | 'many';
  /** whether it decides if a rule matches, in a way that cannot be judged from here */
  readonly doubt?: true;
  /** whether later rules see the new address */
  readonly redirects?: 'rewrites' | 'diverts';
  readonly translates?: true;
}

/** Options that come with a rule (pf.conf(5) of both systems); words in brackets are skipped in any case. */
const OPTIONS: ReadonlyMap<string, OptionShape> = new Map<string, OptionShape>([
  ...['keep', 'modulate', 'synproxy', 'no', 'state', 'allow-opts', 'sloppy', 'set', 'scrub'].map(
    (name): [string, OptionShape] => [name, { words: 0 }],
  ),
  ...['label', 'tag', 'queue', 'rtable', 'prio', 'ridentifier'].map((name): [string, OptionShape] => [
    name,
    { words: 1 },
  ]),
  ...['divert-reply', 'divert-packet', 'divert', 'route-to', 'reply-to', 'dup-to', 'dnpipe', 'dnqueue'].map(
    (name): [string, OptionShape] => [name, { words: 'many' }],
  ),
  ...['nat-to', 'binat-to'].map((name): [string, OptionShape] => [name, { words: 'many', translates: true }]),
  ['rdr-to', { words: 'many', redirects: 'rewrites' }],
  ['divert-to', { words: 'many', redirects: 'diverts' }],
  ...['tagged', 'probability', 'tos', 'max-pkt-rate'].map((name): [string, OptionShape] => [
    name,
    { words: 1, doubt: true },
  ]),
  ...['user', 'group', 'received-on'].map((name): [string, OptionShape] => [
    name,
    { words: 'many', doubt: true },
  ]),
  ['once', { words: 0, doubt: true }],
]);

/** Words that can follow options which take many. */
const HEAD = new Set(['in', 'out', 'log', 'quick', 'on', 'inet', 'inet6', 'proto', 'all', 'from', 'to']);
const TAIL = new Set(['flags', 'fragment', 'icmp-type', 'icmp6-type', '!']);

function isKnown(word: string): boolean {
  return HEAD.has(word) || TAIL.has(word) || OPTIONS.has(word) || word === 'af-to';
}

function read(words: Words): Draft | undefined {
  const draft = newDraft();
  while (words.next !== undefined) {
    if (!readHead(words, draft) && !readTail(words, draft)) return undefined;
  }
  return draft;
}

/** Takes one part of what stands up to the addresses; false when it is something else. */
function readHead(words: Words, draft: Draft): boolean {
  const word = words.next ?? '';
  if (!HEAD.has(word)) return false;
  words.take();
  switch (word) {
    case 'in':
    case 'out':
      draft.direction = word;
      return true;
    case 'quick':
      draft.quick = true;
      return true;
    case 'log':
      return readLog(words, draft);
    case 'on':
      return readInterface(words, draft);
    case 'inet':
    case 'inet6':
      draft.family = word === 'inet' ? 4 : 6;
      return true;
    case 'proto':
      draft.proto = words.take();
      return draft.proto !== '';
    case 'all':
      return true;
    default:
      return readEndpoint(words, draft, word === 'from' ? 'from' : 'to');
  }
}

function readEndpoint(words: Words, draft: Draft, which: 'from' | 'to'): boolean {
  const parsed = parseEndpoint(words);
  if (parsed === undefined) return false;
  draft[which] = parsed.endpoint;
  if (parsed.os !== undefined) draft.doubts.push(`os ${parsed.os}`);
  return true;
}

function readLog(words: Words, draft: Draft): boolean {
  let to = DEFAULT_PFLOG;
  let matches = false;
  if (words.next?.startsWith('(') === true) {
    for (const part of words.take().slice(1, -1).split(',')) {
      const [name, target, ...more] = part.trim().split(/\s+/);
      if (name === 'to' && /^pflog\d+$/.test(target ?? '') && more.length === 0) to = target ?? '';
      else if (name === 'matches') matches = true;
      else if (name !== 'all' && name !== 'user') return false;
    }
  }
  draft.log = { to, matches };
  return true;
}

function readInterface(words: Words, draft: Draft): boolean {
  const negated = words.skip('!');
  const name = words.take();
  if (name === 'rdomain') draft.doubts.push(`on ${negated ? '! ' : ''}rdomain ${words.take()}`);
  else draft.on = { name, negated };
  return name !== '';
}

/** Takes one option; false when it is not known. */
function readTail(words: Words, draft: Draft): boolean {
  const negation = words.skip('!') ? '! ' : '';
  const word = words.take();
  if (negation !== '' && word !== 'tagged' && word !== 'received-on') return false;
  // the values of the option before it
  if (word.startsWith('(')) return true;
  if (word === 'flags') return readFlags(words, draft);
  if (word === 'fragment') {
    draft.fragment = true;
    return true;
  }
  if (word === 'icmp-type' || word === 'icmp6-type') {
    draft.icmp = true;
    takeMany(words);
    return true;
  }
  if (word === 'af-to') return readFamilyChange(words, draft);
  const option = OPTIONS.get(word);
  if (option === undefined) return false;
  const values = option.words === 'many' ? takeMany(words) : takeSome(words, option.words);
  if (values === undefined) return false;
  if (option.doubt === true) draft.doubts.push([`${negation}${word}`, ...values].join(' '));
  if (option.redirects !== undefined) draft.redirect = parseRedirect(values, option.redirects === 'rewrites');
  if (option.translates === true) draft.translates = true;
  return true;
}

/** `af-to inet from 192.0.2.4 to 10.0.0.25`: words that mean something else in front of it. */
function readFamilyChange(words: Words, draft: Draft): boolean {
  if (!words.skip('inet') && !words.skip('inet6')) return false;
  if (words.skip('from')) takeMany(words);
  const target = words.skip('to') ? takeMany(words) : [];
  draft.redirect = parseRedirect(target, true);
  return true;
}

function readFlags(words: Words, draft: Draft): boolean {
  const value = words.take();
  if (value === 'any') return true;
  const match = /^([FSRPAUEW]*)\/([FSRPAUEW]+)$/.exec(value);
  if (match === null) return false;
  draft.flags = { set: match[1] ?? '', of: match[2] ?? '' };
  return true;
}

function takeMany(words: Words): string[] {
  const taken: string[] = [];
  while (words.next !== undefined && !isKnown(words.next)) taken.push(words.take());
  return taken;
}

function takeSome(words: Words, count: number): string[] | undefined {
  const taken = Array.from({ length: count }, () => words.take());
  return taken.includes('') ? undefined : taken;
}

/** Options of `scrub`, by the number of words that follow. */
const SCRUB_OPTIONS: ReadonlyMap<string, number> = new Map([
  ['no-df', 0],
  ['random-id', 0],
  ['reassemble', 1],
  ['fragment', 1],
  ['min-ttl', 1],
  ['max-mss', 1],
  ['set-tos', 1],
]);

function readScrub(words: Words): Draft | undefined {
  const draft = newDraft();
  while (words.next !== undefined) {
    if (readHead(words, draft)) continue;
    const word = words.take();
    const count = SCRUB_OPTIONS.get(word);
    if (count === undefined || takeSome(words, count) === undefined) return undefined;
    // "fragment no reassemble", of newer FreeBSD
    if (word === 'fragment') words.skip('reassemble');
  }
  return draft;
}

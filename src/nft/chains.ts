// The chains of our table, as text. Pure.
import { ADDRESS_BITS, type Family, formatAddress, parseAddress, prefixOf } from '../packet/address.js';
import { NFLOG_WHO, NflogWord } from '../packet/nflog.js';
import { FAMILIES, setName, type SetKind } from '../table/nft-sets.js';
import type { NftSpec } from './spec.js';

/** A chain with its rules. */
export interface ChainText {
  readonly name: string;
  /** how it is hooked in; undefined: other chains lead to it */
  readonly base: string | undefined;
  readonly rules: readonly RuleText[];
}

/** A rule; its comment is the only one of its kind in the chain. */
export interface RuleText {
  readonly text: string;
  readonly comment: string;
}

/** So many SYNs a second to the fake MX are remembered for `whitelist-time`, and told at once. */
const REMEMBERED = 'limit rate 200/second burst 2000 packets';
/** So many more of something are told at once, and then so many by the dozen. */
const AT_ONCE = 'limit rate 200/second burst 400 packets';
const BY_THE_DOZEN = 'limit rate 800/second burst 800 packets';
/** Messages that the kernel gathers: `1` wakes us for each. */
const EACH = 1;
const GATHERED = 64;
/** What of a packet is told: its IP header, a few extension headers, TCP. */
const SNAP_LENGTH = 128;
/** nat's chain has its turn before those of others at the same hook. */
const BEFORE_DNAT = 'dstnat - 5';

const REFUSE = 'reject with tcp reset';

/** The chains, in their order: what one leads to stands before it. */
export function chainsOf(spec: NftSpec): ChainText[] {
  const ways = [
    chain('tried', [[`${told(spec, NflogWord.TRIED, EACH)} ${REFUSE}`, 'remembered: the next MX, please']]),
    chain('flood', [
      [`${BY_THE_DOZEN} ${told(spec, NflogWord.FLOOD, GATHERED)} ${REFUSE}`, 'remembered for a moment'],
      [`${counted('flooded')} ${REFUSE}`, 'too many to be told'],
    ]),
    chain('known', letIn(spec, NflogWord.KNOWN)),
    chain('allowed', letIn(spec, NflogWord.ALLOWED)),
    chain('new', letIn(spec, NflogWord.NEW)),
  ];
  return [
    ...ways,
    ...FAMILIES.flatMap((family) => familyChains(spec, family)),
    chain('mail', [
      ['iif "lo" return', "the machine's own mail"],
      ['tcp flags & (syn | ack) != syn return', 'only who begins is asked'],
      ...FAMILIES.flatMap((family): [string, string][] => [
        [`${daddr(family)} @${setName('fake', family)} goto fake${family}`, `the fake MX, IPv${family}`],
        [`${daddr(family)} @${setName('real', family)} goto real${family}`, `the real MX, IPv${family}`],
      ]),
    ]),
    ...baseChains(spec),
  ];
}

function familyChains(spec: NftSpec, family: Family): ChainText[] {
  const key = keyOf(spec, family);
  const tried = setName('tried', family);
  const flood = setName('flood', family);
  return [
    chain(`fake${family}`, [
      [`${REMEMBERED} update @${tried} { ${key} } goto tried`, 'who tries the fake MX'],
      [`update @${flood} { ${key} } goto flood`, 'the same in a flood, or without room'],
      [`${counted('flooded')} ${REFUSE}`, 'no room at all'],
    ]),
    chain(`stranger${family}`, strangerRules(spec, family)),
    chain(`real${family}`, [
      ...lookUps(spec, family).map(([kind, expression]): [string, string] => [
        `${expression} goto ${WAYS[kind] ?? 'known'}`,
        COMMENTS[kind] ?? '',
      ]),
      [`goto stranger${family}`, 'the others'],
    ]),
    ...(leads(spec) ? ledChains(spec, family) : []),
  ];
}

/** Which chain a set leads to. */
const WAYS: Partial<Record<SetKind, string>> = { allowed: 'allowed', tried: 'new', flood: 'new' };
const COMMENTS: Partial<Record<SetKind, string>> = {
  granted: 'let in by mxallowd',
  single: 'let in by mxallowd, one address',
  wide: 'let in by mxallowd, a network',
  allowed: 'allowed by the configuration',
  tried: 'has tried the fake MX',
  flood: 'has tried it in a flood',
};

/** The sets in which a sender that may reach the real MX is, and how to look. */
function lookUps(spec: NftSpec, family: Family): (readonly [SetKind, string])[] {
  const key = keyOf(spec, family);
  const whole = saddr(family);
  const hasSingles = spec.lengths[family] < ADDRESS_BITS[family];
  return [
    ['granted', key],
    ...(hasSingles ? [['single', whole] as const] : []),
    ['tried', key],
    ['wide', whole],
    ['allowed', whole],
    ['flood', key],
  ].map(
    ([kind = '', from = '']) => [kind as SetKind, `${from} @${setName(kind as SetKind, family)}`] as const,
  );
}

/** What becomes of strangers: told once in a while, and then always the same. */
function strangerRules(spec: NftSpec, family: Family): [string, string][] {
  const { strangers, mode } = spec;
  if (mode === 'learn') return refusals(spec, family, NflogWord.PASSED, 'accept');
  if (strangers.kind === 'mark') {
    return refusals(spec, family, NflogWord.MARKED, `meta mark set ${strangers.mark} accept`);
  }
  if (strangers.kind === 'redirect') return [['counter drop', 'could not be led elsewhere']];
  return refusals(spec, family, NflogWord.REFUSED, 'drop');
}

function refusals(spec: NftSpec, family: Family, word: NflogWord, verdict: string): [string, string][] {
  const key = keyOf(spec, family);
  const refused = setName('refused', family);
  const note = `add @${refused} { ${key} }`;
  return [
    [`${key} @${refused} ${counted('repeats')} ${verdict}`, 'told a moment ago'],
    [`${AT_ONCE} ${note} ${told(spec, word, EACH)} ${verdict}`, 'told at once'],
    [`${BY_THE_DOZEN} ${note} ${told(spec, word, GATHERED)} ${verdict}`, 'told by the dozen'],
    [`${counted('unseen')} ${verdict}`, 'too many to be told'],
  ];
}

/** Whether strangers are led to another port. */
function leads({ strangers, mode }: NftSpec): boolean {
  return mode === 'live' && strangers.kind === 'redirect';
}

function ledChains(spec: NftSpec, family: Family): ChainText[] {
  const { strangers } = spec;
  const port = strangers.kind === 'redirect' ? strangers.port : 0;
  const verdict = `meta nfproto ipv${family} meta l4proto tcp dnat to :${port}`;
  return [
    chain(`led${family}`, [
      ...lookUps(spec, family).map(([kind, expression]): [string, string] => [
        `${expression} accept`,
        COMMENTS[kind] ?? '',
      ]),
      ...refusals(spec, family, NflogWord.ELSEWHERE, verdict),
    ]),
  ];
}

function baseChains(spec: NftSpec): ChainText[] {
  const { hook, priority, port, outbound } = spec;
  const hooks = hook === 'both' ? ['input', 'forward'] : [hook];
  // naming the connection's state has fragments put together before
  const judged = `tcp dport ${port} ct state new,invalid,untracked jump mail`;
  return [
    ...hooks.map((name) => {
      const base = `type filter hook ${name} priority ${priority}; policy accept;`;
      const ours = outbound && name === 'forward' ? FAMILIES.map((family) => sent(spec, family)) : [];
      return chain(name, [[judged, 'connections to the mail servers'], ...ours], base);
    }),
    ...(outbound
      ? [chain('output', [sent(spec)], `type filter hook output priority ${priority}; policy accept;`)]
      : []),
    ...(leads(spec) ? [leadingChain(spec)] : []),
  ];
}

/** Tells of a connection that we open; from a mail server behind us: by its address. */
function sent(spec: NftSpec, family?: Family): [string, string] {
  const from = family === undefined ? 'oif != "lo"' : `${saddr(family)} @${setName('real', family)}`;
  const begins = `tcp dport ${spec.port} tcp flags & (syn | ack) == syn`;
  const comment = family === undefined ? 'mail of this machine' : `mail of the real MX, IPv${family}`;
  return [`${from} ${begins} ${AT_ONCE} ${told(spec, NflogWord.OUTBOUND, EACH)}`, comment];
}

function leadingChain({ port }: NftSpec): ChainText {
  const base = `type nat hook prerouting priority ${BEFORE_DNAT}; policy accept;`;
  const rules = FAMILIES.map((family): [string, string] => [
    `${daddr(family)} @${setName('real', family)} tcp dport ${port} iif != "lo" goto led${family}`,
    `strangers go elsewhere, IPv${family}`,
  ]);
  return chain('elsewhere', rules, base);
}

function letIn(spec: NftSpec, word: NflogWord): [string, string][] {
  return [
    [`${AT_ONCE} ${told(spec, word, EACH)} accept`, 'told at once'],
    [`${BY_THE_DOZEN} ${told(spec, word, GATHERED)} accept`, 'told by the dozen'],
    ['counter accept', 'too many to be told'],
  ];
}

/** Sends it to us. */
function told({ group }: NftSpec, word: NflogWord, threshold: number): string {
  const to = `group ${group} snaplen ${SNAP_LENGTH} queue-threshold ${threshold}`;
  return `counter log prefix "${NFLOG_WHO}${word}" ${to}`;
}

/** Counts it where that can be read without reading all that is in the table. */
function counted(set: string): string {
  return `update @${set} { meta nfproto counter }`;
}

function chain(name: string, rules: readonly (readonly [string, string])[], base?: string): ChainText {
  return { name, base, rules: rules.map(([text, comment]) => ({ text, comment })) };
}

function saddr(family: Family): string {
  return family === 4 ? 'ip saddr' : 'ip6 saddr';
}

function daddr(family: Family): string {
  return family === 4 ? 'ip daddr' : 'ip6 daddr';
}

/** What is stored of a sender. */
function keyOf({ lengths }: NftSpec, family: Family): string {
  const length = lengths[family];
  if (length === ADDRESS_BITS[family]) return saddr(family);
  const all = parseAddress(family === 4 ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff');
  if (all === undefined) throw new Error('no mask');
  return `${saddr(family)} & ${formatAddress(prefixOf(all, length).address)}`;
}

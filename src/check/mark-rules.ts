// Whether rules of Linux do something with the packets that `strangers mark` marks. Pure.
import { type Address, contains, familyOf, formatAddress, parsePrefix } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { isLater, type NetfilterRule, portsOf } from './netfilter-rules.js';

/** What the configuration wants. */
export interface MarkSetup {
  readonly mark: number;
  readonly real: readonly Address[];
  readonly port: number;
}

/**
 * Judges whether strangers are led anywhere.
 * @param rules - all that could be read
 * @param asking - those of them that send connections to mxallowd's queue: there the mark is given
 */
export function judgeMark(
  { mark, real, port }: MarkSetup,
  rules: readonly NetfilterRule[],
  asking: readonly NetfilterRule[],
): Finding[] {
  const using = rules.filter(({ text }) => usesMark(text, mark) && isForPort(text, port));
  const useless: Address[] = [];
  const late: Address[] = [];
  const good = new Set<NetfilterRule>();
  for (const address of real) {
    const fitting = using.filter((rule) => isForAddress(rule, address));
    const inTime = fitting.filter((rule) => isAskedBefore(rule, address, asking));
    if (fitting.length === 0) useless.push(address);
    else if (inTime.length === 0) late.push(address);
    for (const rule of inTime) good.add(rule);
  }
  const shown = [...new Set([...good].map(({ text }) => text))].map((text) =>
    finding('ok', 'strangers-mark', `strangers: "${escapeText(text, 200)}"`),
  );
  return [...missing(useless, mark, port), ...tooLate(late, mark), ...shown];
}

function missing(addresses: readonly Address[], mark: number, port: number): Finding[] {
  if (addresses.length === 0) return [];
  const message =
    `strangers: no rule uses packet mark ${mark} for ${addressList(addresses)} port ${port}: ` +
    'strangers are let in like everybody';
  const advice =
    'examples/strangers.nft, with your addresses (docs/strangers.md); or "strangers drop" in mxallowd.conf';
  return [finding('error', 'strangers-mark', message, advice)];
}

function tooLate(addresses: readonly Address[], mark: number): Finding[] {
  if (addresses.length === 0) return [];
  const message =
    `strangers: packets to ${addressList(addresses)} come to the rule for mark ${mark} before mxallowd is asked: ` +
    'strangers are let in like everybody';
  const advice = 'mxallowd must be asked in prerouting, with priority mangle (docs/strangers.md)';
  return [finding('error', 'strangers-mark-late', message, advice)];
}

function addressList(addresses: readonly Address[]): string {
  return addresses.map(formatAddress).join(', ');
}

/** Whether a packet may have its mark when it comes to a rule; what is not known counts as good. */
function isAskedBefore(rule: NetfilterRule, address: Address, asking: readonly NetfilterRule[]): boolean {
  const before = asking.filter((one) => isForAddress(one, address));
  // behind the queue a packet goes on with the next chain, not with the next rule
  return (
    before.length === 0 ||
    before.some((one) => one.chain !== rule.chain && isLater(rule.place, one.place) !== false)
  );
}

function isForPort(text: string, port: number): boolean {
  const ports = portsOf(text);
  return ports.length === 0 || ports.includes(String(port));
}

const DESTINATION = /(?:\bip6? daddr| -d) (?:\{ ([^}]*) \}|(\S+))/;

/** Whether a rule is for packets to an address; what cannot be read (sets, ranges, "not") counts as yes. */
function isForAddress({ text, families }: NetfilterRule, address: Address): boolean {
  if (!families.includes(familyOf(address))) return false;
  const [, several, one] = DESTINATION.exec(text) ?? [];
  const destinations = (several ?? one ?? '').split(',').map((word) => word.trim());
  if (destinations.includes('') || / ! -d /.test(text)) return true;
  return destinations.some((word) => {
    const parsed = parsePrefix(word);
    const single = { address, length: familyOf(address) === 4 ? 32 : 128 };
    return !parsed.ok || contains(parsed.prefix, single);
  });
}

/** `meta mark & 0xff == 0x19`, `meta mark != 0x19`, `ct mark { 0x19, 0x20-0x2f }`, `meta mark vmap { 0x19 : accept }` */
const NFT_MARK =
  /\b(?:meta|ct) mark (?!set )(?:(?:&|and) (\w+) )?(==|!=|<=?|>=?)? ?(?:vmap )?(?:\{ ([^}]*) \}|(@?[\w-]+))/g;

/** `-m mark --mark 0x19/0xff` of iptables, `fwmark 0x19/0xff` of ip-rule(8) */
const OTHER_MARK = /(?: --mark| fwmark) (\w+)(?:\/(\w+))?/g;

/** Whether a rule tells packets with this mark from others. */
function usesMark(text: string, mark: number): boolean {
  const nft = [...text.matchAll(NFT_MARK)].some(([, mask, operator, several, one]) =>
    isTold({ mark, mask, operator, values: several ?? one ?? '' }),
  );
  const others = [...text.matchAll(OTHER_MARK)].some(([, values = '', mask]) =>
    isTold({ mark, mask, operator: undefined, values }),
  );
  return nft || others;
}

interface MarkTest {
  readonly mark: number;
  readonly mask: string | undefined;
  readonly operator: string | undefined;
  /** numbers and ranges, each perhaps with what is done then */
  readonly values: string;
}

/** By operators; whatever else there is (`==`, `!=`, nothing) names the mark, and so tells it. */
const COMPARISONS: Readonly<Record<string, (mark: number, limit: number) => boolean>> = {
  '<': (mark, limit) => mark < limit,
  '<=': (mark, limit) => mark <= limit,
  '>': (mark, limit) => mark > limit,
  '>=': (mark, limit) => mark >= limit,
};

function isTold({ mark, mask, operator, values }: MarkTest): boolean {
  const masked = mask === undefined ? mark : Number(BigInt.asUintN(32, BigInt(mark) & BigInt(mask)));
  // those bits are somebody else's
  if (masked === 0) return false;
  return values.split(',').some((value) => {
    const [range = ''] = value.split(' : ');
    if (range.startsWith('@')) return true;
    const [first = NaN, last = first] = range.trim().split('-').map(Number);
    const compare = COMPARISONS[operator ?? ''];
    return compare === undefined ? masked >= first && masked <= last : compare(masked, first);
  });
}

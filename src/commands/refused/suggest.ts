// Lines for the configuration that would let in who was refused, the least suspicious first. Pure.
import type { RefusedDomain, RefusedSender } from '../../control/protocol.js';
import { counted, duration } from '../../terminal/human.js';
import { wrap } from '../../terminal/table.js';

/** What suggestions need to know beside who was refused. */
export interface SuggestSettings {
  /** the time, for people */
  readonly now: string;
  /** path of the configuration file */
  readonly file: string;
  /** nothing is dropped, only told */
  readonly isDry: boolean;
  /** domains that may be let in as such */
  readonly largeSenders: ReadonlySet<string>;
}

const WIDTH = 78;
const MOST_SUGGESTED = 100;
/** Addresses of one domain that are suggested at the most: who has many more is not let in one by one. */
const MOST_OF_DOMAIN = 4;
const HOUR_MS = 3_600_000;
const RETURN_MS = 600_000;

/** Someone to let in. */
interface Suggestion {
  readonly domain: string | undefined;
  readonly line: string;
  readonly remark: string;
  /** the less the better */
  readonly suspicion: number;
  readonly returns: number;
}

/**
 * Commented lines of a configuration file. A domain is suggested as such only when it is known as a large sender's: who
 * sends spam from a domain of his own has an SPF record that passes, too, and would be let in from wherever he says.
 */
export function suggestions(
  senders: readonly RefusedSender[],
  domains: readonly RefusedDomain[],
  { now, file, isDry, largeSenders }: SuggestSettings,
): string[] {
  const byName = new Map(domains.map((domain) => [domain.domain, domain]));
  const lost = senders.filter(({ isIn }) => isIn === 'no');
  const large = new Map<string, RefusedSender[]>();
  const single: Suggestion[] = [];
  let others = 0;
  for (const sender of lost) {
    const domain = sender.domain === undefined ? undefined : byName.get(sender.domain);
    const known = sender.spf === 'pass' ? nameOfLarge(sender.domain, largeSenders) : undefined;
    if (known !== undefined) {
      large.set(known, [...(large.get(known) ?? []), sender]);
    } else if (isPlausible(sender, domain)) single.push(suggestAddress(sender, domain));
    else others++;
  }
  single.sort((a, b) => a.suspicion - b.suspicion || b.returns - a.returns);
  const few = atMost(MOST_OF_DOMAIN, single);
  const all = [...[...large].map(([name, of]) => suggestDomain(name, of)), ...few];
  const shown = all.slice(0, MOST_SUGGESTED);
  const head = [
    `${isDry ? 'Would have been refused' : 'Refused'}, and not let in since, as of ${now}: the least suspicious first.`,
    `Whom you want mail from: its line without the # into ${file}, then "mxallowd reload". That SPF ` +
      'passes means that the domain vouches for the address, not that its mail is wanted.',
  ];
  return [
    ...head.flatMap(comment),
    ...(all.length === 0 ? ['', ...comment('Nobody.')] : []),
    ...shown.flatMap(({ remark, line }) => ['', ...comment(remark), `#${line}`]),
    ...rest(all.length - shown.length + single.length - few.length, others),
  ];
}

/** The name of a large sender's record: its domain, or one in it, as `spf.protection.outlook.com`. */
function nameOfLarge(domain: string | undefined, largeSenders: ReadonlySet<string>): string | undefined {
  if (domain === undefined || largeSenders.has(domain)) return domain;
  return [...largeSenders].find((name) => name.endsWith(`.${domain}`));
}

/** So many of each domain, the first ones. */
function atMost(most: number, all: readonly Suggestion[]): Suggestion[] {
  const counts = new Map<string, number>();
  return all.filter(({ domain = '' }) => {
    const count = (counts.get(domain) ?? 0) + 1;
    counts.set(domain, count);
    return count <= most;
  });
}

function comment(text: string): string[] {
  return wrap(text, WIDTH).map((line) => `# ${line}`);
}

function rest(left: number, others: number): string[] {
  const lines = [
    ...(left > 0 ? [`${left} more like these.`] : []),
    ...(others > 0
      ? [
          `${counted(others, 'other')}: came once, no name of its own, or its SPF record fails (mxallowd refused).`,
        ]
      : []),
  ];
  return lines.length === 0 ? [] : ['', ...lines.flatMap(comment)];
}

/** Whether somebody may be a mail server: a name of its own, no SPF record against it, and it came again. */
function isPlausible(sender: RefusedSender, domain: RefusedDomain | undefined): boolean {
  if (sender.domain === undefined || sender.spf === 'fail') return false;
  if (sender.returns > 0) return true;
  // of a pool each address may come once
  const isBack = domain !== undefined && domain.firstAgoMs - domain.lastAgoMs >= RETURN_MS;
  return isBack && sender.spf === 'pass';
}

const SPF_SUSPICION: Readonly<Record<string, number>> = { pass: 0, none: 3, neutral: 3, softfail: 5 };

/** So many addresses of one domain are that suspicious: who sends spam has many, each used a little. */
const ADDRESSES_SUSPICION: readonly (readonly [most: number, suspicion: number])[] = [
  [2, 0],
  [8, 1],
  [32, 3],
  [Infinity, 6],
];

function suggestAddress(sender: RefusedSender, domain: RefusedDomain | undefined): Suggestion {
  const { prefix, name, spf, count, redirected, returns, firstAgoMs, lastAgoMs } = sender;
  const addresses = domain?.addresses ?? 1;
  const spanMs = firstAgoMs - lastAgoMs;
  const time = spanMs >= 2 * HOUR_MS && returns > 1 ? 0 : spanMs >= HOUR_MS ? 1 : 2;
  const ofAddresses = ADDRESSES_SUSPICION.find(([most]) => addresses <= most)?.[1] ?? 0;
  const siblings = addresses > 1 ? `, one of ${addresses} addresses of ${sender.domain}` : '';
  const period =
    spanMs < RETURN_MS
      ? `${duration(lastAgoMs)} ago`
      : `from ${duration(firstAgoMs)} to ${duration(lastAgoMs)} ago`;
  const led = redirected === 0 ? '' : redirected >= count ? ' (redirected)' : ` (${redirected} redirected)`;
  return {
    domain: sender.domain,
    line: `allow ${prefix}`,
    remark: `${name ?? 'no name'}: ${counted(count, 'time')}${led}, ${period}; SPF ${spf ?? 'not known'}${siblings}`,
    suspicion: (SPF_SUSPICION[spf ?? ''] ?? 4) + ofAddresses + time,
    returns,
  };
}

function suggestDomain(name: string, of: readonly RefusedSender[]): Suggestion {
  const times = of.reduce((sum, { count }) => sum + count, 0);
  const last = Math.min(...of.map(({ lastAgoMs }) => lastAgoMs));
  const from = counted(of.length, 'address', 'addresses');
  const remark = `${name}, a large sender: ${counted(times, 'time')} from ${from}, the last ${duration(last)} ago; SPF pass`;
  return { domain: name, line: `allow-domain ${name}`, remark, suspicion: -1, returns: 0 };
}

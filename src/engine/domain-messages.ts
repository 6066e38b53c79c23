// What is said of the domains that the configuration allows: log lines, and findings for `status`. Pure.
import { inWords } from '../clock.js';
import type { HealthFinding } from '../control/protocol.js';
import { type DomainChange, type DomainState, FINDING_AFTER_MS } from '../names/domain-networks.js';
import type { RefusedNetwork } from '../names/network-bounds.js';
import type { PassedReason, PassedTerm } from '../names/spf-networks.js';
import { escapeText } from '../packet/escape.js';
import { amount } from '../words.js';
import type { Line } from './messages.js';

/** A domain, and what has come of it. */
export interface DomainView {
  readonly domain: string;
  readonly state: DomainState;
  /** networks that are let in */
  readonly count: number;
  /** networks that are not, whatever DNS says */
  readonly refused: readonly RefusedNetwork[];
}

/** What has been said of a domain: it is said again when it is another. */
export interface Said {
  readonly warnings: string;
  readonly notes: string;
  readonly none: string;
  readonly isFailing: boolean;
}

/** Nothing has been said yet. */
export const UNSAID: Said = { warnings: '', notes: '', none: '', isFailing: false };

/** Of many networks or terms so many are named. */
const MOST_NAMED = 5;

/** Why a term gives no networks, behind it. */
const PASSED: Readonly<Record<PassedReason, string>> = {
  all: 'names everybody',
  exists: 'depends on each message',
  ptr: 'depends on each message',
  macro: 'depends on each message',
  'not-pass': 'does not say that mail may come from there',
  excepted: 'has addresses that an earlier term excepts',
};

/** A term that gives no networks, in words. */
export function passedWords({ domain, term, why }: PassedTerm): string {
  return `"${escapeText(term, 60)}" of ${domain} ${PASSED[why]}`;
}

/** A network that is not let in, in words. */
export function refusedWords({ network, why }: RefusedNetwork): string {
  return `${network} (${why})`;
}

/** What is a mistake, or an attack: whoever wrote the record should not have. */
function warningsOf({ state, refused }: DomainView): string[] {
  const everybody = state.passed.filter(({ why }) => why === 'all').map(passedWords);
  return [...everybody, ...refused.map(refusedWords)];
}

/** What mail may come from and is not let in by this. */
function notesOf({ state }: DomainView): string[] {
  return state.passed.filter(({ why }) => why !== 'all').map(passedWords);
}

/** The first ones of many, and how many more there are. */
export function firstOf(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMED;
  return `${texts.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function stay(count: number): string {
  if (count === 0) return 'nobody is let in by it';
  return count === 1 ? 'its one network stays' : `its ${count} networks stay`;
}

/** What a look-up has changed, as lines for the log. */
export function domainLines(
  view: DomainView,
  { added, gone }: DomainChange,
  before: Said,
): { readonly lines: readonly Line[]; readonly said: Said } {
  const { domain, state, count } = view;
  const lines: Line[] = [];
  const say = (level: Line['level'], event: string, text: string): void => {
    lines.push({
      level,
      message: `allow-domain ${domain}: ${text}`,
      fields: { event, domain, networks: count },
    });
  };
  const isFailing = state.failingMs !== undefined;
  if (isFailing && !before.isFailing) {
    const [first = ''] = state.unanswered;
    say('warn', 'domain-unanswered', `DNS does not answer (${first}): ${stay(count)}; it is asked again`);
  }
  if (!isFailing && before.isFailing) say('info', 'domain-answered', 'DNS answers again');
  const none = state.none ?? '';
  if (none !== '' && none !== before.none) {
    const until = count === 0 ? '' : ', for an hour, unless that changes';
    say('warn', 'domain-none', `${none}: ${stay(count)}${until}`);
  }
  if (added.length + gone.length > 0) {
    const change = [
      ...(added.length > 0 ? [`${added.length} new`] : []),
      ...(gone.length > 0 ? [`${gone.length} gone`] : []),
    ];
    const networks = amount(count, 'network is', 'networks are');
    say('info', 'domain-networks', `${networks} let in; its record names ${change.join(', ')}`);
  }
  const warnings = firstOf(warningsOf(view));
  if (warnings !== '' && warnings !== before.warnings) {
    say('warn', 'domain-passed-over', `passed over: ${warnings}`);
  }
  const notes = firstOf(notesOf(view));
  if (notes !== '' && notes !== before.notes) {
    say('info', 'domain-terms', `mail may come from elsewhere, too, which is not let in by this: ${notes}`);
  }
  return { lines, said: { warnings, notes, none, isFailing } };
}

/** What an administrator should know of a domain. */
export function domainFindings(view: DomainView, nowMs: number): HealthFinding[] {
  const { domain, state, count } = view;
  const { failingMs, none } = state;
  const findings: HealthFinding[] = [];
  const warn = (id: string, text: string): void => {
    findings.push({ severity: 'warning', id, message: `allow-domain ${domain}: ${text}` });
  };
  const forMs = failingMs === undefined ? 0 : nowMs - failingMs;
  if (failingMs !== undefined && (count === 0 || forMs >= FINDING_AFTER_MS)) {
    const until = count === 0 ? '' : ', each for 30 days since DNS has named it last';
    warn(
      'domain-unanswered',
      `DNS has not answered for ${inWords(forMs)} (${state.unanswered[0] ?? ''}): ${stay(count)}${until}`,
    );
  }
  if (none !== undefined) {
    const until =
      count === 0
        ? ': take the line out, or write the name that mail comes by'
        : ' for an hour, unless that changes';
    warn('domain-none', `${none}: ${stay(count)}${until}`);
  }
  const warnings = firstOf(warningsOf(view));
  if (warnings !== '') warn('domain-passed-over', `passed over: ${warnings}`);
  return findings;
}

// The log lines about packets, entries, names and tables. Pure.
import type { CaptureStatistics } from '../capture/source.js';
import { durationText } from '../config/values.js';
import type { Fields } from '../log/log.js';
import type { Level } from '../log/line.js';
import type { ResolverCounters } from '../names/resolver.js';
import type { QueueStatistics } from '../netfilter/queue.js';
import type { PoolVerdict } from '../names/pool.js';
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { Observation } from '../packet/observation.js';
import type { Counters } from '../tracker/counters.js';
import { type Decision, eventOf } from '../tracker/decision.js';
import type { RemovalReason } from '../tracker/tracker.js';
import type { Entry } from '../tracker/whitelist.js';
import { amount } from '../words.js';

/** A log line. */
export interface Line {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
  /** the same for a list that has the address in a column of its own; absent: not for such a list */
  readonly brief?: string;
}

/** The level of a decision's line: what 1.9 logged is info, the rest debug. */
export function decisionLevel({ kind, reason }: Decision): Level {
  const isOrdinary = ['renewed', 'always-allowed', 'no-sender'].includes(reason);
  return (kind === 'attempt' || kind === 'outbound') && isOrdinary ? 'debug' : 'info';
}

/**
 * A decision in the words of 1.9.
 * @param isDry - nothing is dropped, only told
 */
export function decisionLine(
  decision: Decision,
  observation: Observation,
  { isDry, nowMs }: { readonly isDry: boolean; readonly nowMs: number },
): Line {
  // whom it is about: of a connection that this network opens it is the other end
  const isOutbound = decision.kind === 'outbound';
  const source = formatAddress(isOutbound ? observation.destination : observation.source);
  const event = eventOf(decision);
  const fields = {
    event,
    reason: decision.reason,
    source,
    target: formatAddress(isOutbound ? observation.source : observation.destination),
    interface: escapeText(observation.interfaceName, 64),
    ...(decision.kind === 'refusal' && { count: 1 }),
  };
  const isStrange = isStrangeRefusal(decision, nowMs);
  const message = decisionText(decision, source, isDry, isStrange);
  return {
    level: decisionLevel(decision),
    message,
    fields,
    brief: (isStrange ? STRANGE_BRIEF[event] : BRIEF[event][decision.reason]) ?? '',
  };
}

/** An entry older than this should be in the table: pf has dropped its SYN for another reason, or has lost it. */
export const SETTLED_MS = 5000;

/** Whether pf refuses a sender that should long be in the table. */
export function isStrangeRefusal(decision: Decision, nowMs: number): boolean {
  return decision.reason === 'not-yet-in-table' && nowMs - (decision.entry?.addedMs ?? nowMs) > SETTLED_MS;
}

const STRANGE_BRIEF: Readonly<Record<string, string>> = {
  refusal: 'is whitelisted for some time, and yet pf drops it: see its rules',
  redirected: 'is whitelisted for some time, and yet pf leads it elsewhere: see its rules',
};

const BRIEF: Readonly<Record<Decision['kind'] | 'redirected', Readonly<Record<string, string>>>> = {
  attempt: {
    'new-entry': 'tried the fake MX: whitelisted',
    promoted: 'tried the fake MX: its entry is its own now',
    renewed: 'tried the fake MX again: its time begins anew',
    'always-allowed': 'tried the fake MX: it is allowed at all times',
    'no-sender': 'tried the fake MX: its address is ours, or link-local, and is never let in',
  },
  refusal: {
    'not-whitelisted': 'has not tried the fake MX',
    'not-yet-in-table': 'was faster than the table: its next SYN gets in',
  },
  redirected: {
    'not-whitelisted': 'has not tried the fake MX: led elsewhere (strangers)',
    'not-yet-in-table': 'was faster than the table, and led elsewhere (strangers)',
  },
  admission: {
    whitelisted: 'reached the real MX',
    'always-allowed': 'reached the real MX: it is allowed at all times',
    'passed-by-pf': 'reached the real MX: the firewall let it in by itself',
  },
  outbound: {
    'new-entry': 'this network has connected to it: whitelisted',
    renewed: 'this network has connected to it again',
    'always-allowed': 'this network has connected to it: it is allowed at all times',
    'no-room': 'this network has connected to it, but max-entries is reached',
  },
  unjudged: {},
};

function decisionText(decision: Decision, source: string, isDry: boolean, isStrange: boolean): string {
  switch (decision.kind) {
    case 'attempt': {
      const then = {
        'new-entry': 'adding to whitelist',
        promoted: 'adding to whitelist (it came in with another sender before)',
        renewed: 'renewing its whitelist entry',
        'always-allowed': 'which is allowed at all times',
        'no-sender': 'whose address is ours, or link-local, and is never let in',
      }[decision.reason];
      return `Successful connection from ${source} to a fake mailserver, ${then}`;
    }
    case 'refusal': {
      const isLate = decision.reason === 'not-yet-in-table';
      const why = isStrange
        ? 'whitelisted for some time: see the rules'
        : 'whitelisted, but not yet in the table';
      const late = isLate ? ` (${why})` : '';
      const [would, does] = decision.redirected
        ? ['Would redirect', 'Redirecting']
        : ['Would drop', 'Dropping'];
      const verb = isDry ? would : does;
      return `${verb} connection attempt from ${source} to a real mailserver${late}`;
    }
    case 'admission':
      return `Successful connection from ${source} to a real mailserver`;
    case 'outbound': {
      const then = {
        'new-entry': 'adding to whitelist',
        renewed: 'renewing its whitelist entry',
        'always-allowed': 'which is allowed at all times',
        'no-room': 'which is not let in: max-entries is reached',
      }[decision.reason];
      return `This network has opened a connection to ${source}, ${then}`;
    }
    case 'unjudged':
      return `Nothing to decide about a packet from ${source}: ${decision.reason}`;
  }
}

/** The name of a sender is known; the words of 1.9. */
export function resolvedLine(source: Address, name: string): Line {
  const address = formatAddress(source);
  return {
    level: 'info',
    message: `Resolved ${address} to ${name}`,
    fields: { event: 'resolved', source: address, name },
    brief: `its name is ${name}`,
  };
}

/** Another address of a sender's name is admitted. */
export function namedLine(entry: Entry, name: string): Line {
  const source = entry.text;
  const message = `Adding ${source} to whitelist: an address of ${name}`;
  return { level: 'info', message, fields: { event: 'named', source, name }, brief: `an address of ${name}` };
}

/** A member of a sender's pool is admitted. */
export function pooledLine(entry: Entry, name: string, domain: string): Line {
  const source = entry.text;
  const message = `Adding ${source} to whitelist: ${name} belongs to ${domain}, which has tried a fake mailserver`;
  const brief = `belongs to ${domain}, which has tried the fake MX`;
  return { level: 'info', message, fields: { event: 'pooled', source, name, domain }, brief };
}

/** A refused sender is known to a DNS allow list. */
export function listedLine(entry: Entry, zone: string, trust: number): Line {
  const source = entry.text;
  const brief = `known to ${zone}, with trust ${trust}`;
  const message = `Adding ${source} to whitelist: ${brief}`;
  return { level: 'info', message, fields: { event: 'listed', source, zone, trust }, brief };
}

/** A DNS allow list knows a refused sender, but nobody has to go for it. */
export function noPlaceForListedLine(address: Address, zone: string): Line {
  const source = formatAddress(address);
  const brief = `known to ${zone}, but max-entries is reached`;
  const fields = { event: 'listed-no-room', source, zone };
  return { level: 'warn', message: `${source} is not let in: it is ${brief}`, fields, brief };
}

/** A member of a sender's pool is not admitted: nobody has to go for it. */
export function noPlaceLine(address: Address, domain: string): Line {
  const source = formatAddress(address);
  const brief = `belongs to ${domain}, which has tried the fake MX, but max-entries is reached`;
  const fields = { event: 'no-pool', source, reason: 'no-room', about: domain };
  return { level: 'warn', message: `${source} is not let in: it ${brief}`, fields, brief };
}

/** Something of ours is broken: a package is missing, for instance. */
export function namesFailedLine(error: unknown): Line {
  const message = `a name could not be looked up: ${escapeText(String(error), 500)}`;
  return { level: 'error', message, fields: { event: 'names-failed' } };
}

/** A refused sender belongs to nobody's pool. */
export function noPoolLine(address: Address, verdict: PoolVerdict & { kind: 'no-pool' }): Line {
  const source = formatAddress(address);
  const { reason, about, spf } = verdict;
  const brief = noPoolReason(verdict);
  const message = `${source} is in no pool of a sender: ${brief}`;
  return { level: 'debug', message, fields: { event: 'no-pool', source, reason, about, spf }, brief };
}

/** Why an address is in no pool, for people. */
export function noPoolReason({ reason, about, spf }: PoolVerdict & { kind: 'no-pool' }): string {
  return {
    'no-name': `it has no name${about === '' ? '' : ` (${about})`}`,
    unconfirmed: `its name ${about} does not point back to it`,
    'encodes-address': `its name ${about} merely encodes its address, as dial-up names do`,
    'no-domain': `its name ${about} is in no registrable domain`,
    'no-attempt': `nobody of ${about} has tried the fake MX lately`,
    spf: `the SPF record of ${about} says ${spf}`,
  }[reason];
}

/** An operator has let somebody in. */
export function allowedLine(entry: Entry, seconds: number): Line {
  const source = entry.text;
  const message = `Adding ${source} to whitelist: by hand, for ${seconds} s`;
  const fields = { event: 'allowed', source, seconds };
  return { level: 'info', message, fields, brief: `let in by hand, for ${seconds} s` };
}

/** An operator has taken out all of a network, or everybody; each has had a line of its own. */
export function forgottenLine(network: string | undefined, count: number): Line {
  const where = network === undefined ? '' : ` of ${network}`;
  const message = `${amount(count, 'entry', 'entries')}${where} taken out by hand`;
  return { level: 'info', message, fields: { event: 'forgotten-all', network, count } };
}

/** Why entries go, in the words of the log, and for lists. */
const REMOVALS: Readonly<Record<RemovalReason, Readonly<Record<'why' | 'event' | 'brief', string>>>> = {
  timeout: { why: 'timeout', event: 'expiry', brief: 'its time is over' },
  forgotten: { why: 'taken out by hand', event: 'forgotten', brief: 'taken out by hand' },
  'no-room': {
    why: 'no room: max-entries is reached',
    event: 'eviction',
    brief: 'made room for another one',
  },
  replaced: {
    why: 'what is stored of its sender has taken its place',
    event: 'replaced',
    brief: 'what is stored of its sender has taken its place',
  },
  withdrawn: {
    why: 'no other gateway vouches for it any more',
    event: 'withdrawn',
    brief: 'no other gateway vouches for it any more',
  },
};

/** The event of an entry's end. */
export function removalEvent(reason: RemovalReason): string {
  return REMOVALS[reason].event;
}

/** An entry that has gone. */
export function removalLine(entry: Entry, reason: RemovalReason): Line {
  const prefix = entry.text;
  const { admissions, name = 'none' } = entry;
  const { why, event, brief } = REMOVALS[reason];
  return {
    level: reason === 'no-room' ? 'warn' : 'info',
    message: `Cleaning ${prefix} (RDNS: ${name}) from whitelist (${why})`,
    fields: { event, source: prefix, reason, admissions },
    brief: reason === 'timeout' ? `${brief}, used ${amount(admissions, 'time')}` : brief,
  };
}

/** What an earlier run has left cannot all be believed. */
export function strangeEntriesLine(prefixes: readonly string[]): Line {
  const [first = ''] = prefixes;
  const count = prefixes.length;
  const others = count === 1 ? 'an entry' : `and ${count - 1} more entries`;
  const message = `${first}, ${others} of the state file: not taken over, for no sender has such an address`;
  return { level: 'warn', message, fields: { event: 'state-strange', first, count } };
}

/** Of those whom `strangers` leads elsewhere; nothing where there are none. */
function redirectedText({ redirected }: Counters): string {
  return redirected === 0 ? '' : `, ${redirected} redirected`;
}

/** The statistics in the words of 1.9, with our own counters as fields. */
export function statisticsLine(counters: Counters, entries: number): Line {
  const message =
    `Statistics: ${counters.refusals} blocked connection attempts, ` +
    `${counters.expiredUsed} successful connections, ${counters.expiredUnused} direct-to-fake-mx` +
    redirectedText(counters);
  return { level: 'info', message, fields: { event: 'statistics', entries, ...counters } };
}

/** The same since the start, in our own words. */
export function countersLine(counters: Counters, entries: number): Line {
  const { attempts, refusals, redirected, admissions } = counters;
  const message =
    `Since the start: ${amount(attempts, 'attempt')}, ${amount(refusals, 'refusal')}` +
    `${redirectedText(counters)}, ${amount(admissions, 'admission')}; ${amount(entries, 'entry', 'entries')} now`;
  const fields = { event: 'counters', attempts, refusals, redirected, admissions, entries };
  return { level: 'info', message, fields };
}

/** What was captured. */
export function captureLine({ received, dropped }: CaptureStatistics): Line {
  const message = `${amount(received, 'frame')} received, ${dropped ?? 'an unknown number'} dropped`;
  return { level: 'info', message, fields: { event: 'capture-statistics', received, dropped } };
}

/** A configuration of an earlier version has got a second time: said once. @param seconds - known-time */
export function knownTimeLine(seconds: number): Line {
  const message =
    `who has reached the real MX is let in for another ${durationText(seconds)} from then (known-time, new); ` +
    'known-time 0 leaves it at whitelist-time, as before';
  return { level: 'info', message, fields: { event: 'known-time', seconds } };
}

/** Packets that led to no decision. */
export function unjudgedLine(unjudged: ReadonlyMap<string, number>): Line {
  const reasons = [...unjudged].map(([reason, count]) => `${count} ${reason}`).join(', ');
  return {
    level: 'info',
    message: `not judged: ${reasons === '' ? 'none' : reasons}`,
    fields: { event: 'unjudged', ...Object.fromEntries(unjudged) },
  };
}

/** What was asked of DNS. */
export function namesLine(counters: ResolverCounters, skipped: number): Line {
  const { asked, fromCache, failed, dropped } = counters;
  const message =
    `${amount(asked, 'DNS look-up')}, ${fromCache} answered from memory, ${failed} failed; ` +
    `${dropped + skipped} not made because there were too many`;
  return {
    level: 'info',
    message,
    fields: { event: 'names-statistics', asked, fromCache, failed, dropped, skipped },
  };
}

/** What went through the queues of netfilter. */
export function queueLine(statistics: QueueStatistics): Line {
  const { received, accepted, dropped, lost, full, waiting } = statistics;
  const message =
    `${amount(received, 'packet')} from the queue: ${accepted} accepted, ${dropped} dropped; ` +
    `${lost} lost because we were too slow, ${full ?? 'an unknown number'} because the queue was full`;
  const fields = { event: 'queue-statistics', received, accepted, dropped, lost, full, waiting };
  return { level: 'info', message, fields };
}

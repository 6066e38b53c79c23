// Answers what administrators ask about single senders, and carries out what they want of them.
import type { FirewallName } from '../config/names.js';
import { durationText, strangersText } from '../config/values.js';
import type { ControlResults, EndedEntry, ListedEntry, WhyReport } from '../control/protocol.js';
import { ControlError } from '../control/server.js';
import {
  type Address,
  ADDRESS_BITS,
  contains,
  familyOf,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  type Prefix,
} from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { whyNoSender } from '../packet/no-sender.js';
import { Exit } from '../sysexits.js';
import { entryText } from '../table/foreign.js';
import type { Departure } from '../tracker/departed.js';
import type { Stranger } from '../tracker/strangers.js';
import { KEPT_MS } from '../names/domain-networks.js';
import type { DomainNetwork } from '../tracker/roles.js';
import type { Entry } from '../tracker/whitelist.js';
import { inWords } from '../clock.js';
import type { Engine } from './engine.js';
import type { Remembered } from './history.js';
import { allowedLine, forgottenLine } from './messages.js';

/** By what everybody gets in, while it is only looked. */
const LEARNING: Readonly<Record<FirewallName, string>> = {
  pf: "by pf's rules (pf-conf --learn)",
  nft: "by nftables' rules (nft-conf --learn)",
  queue: '',
};
/** For so long it counts that pf has let somebody in by itself: its rules may have been changed since. */
const LEARNT_MS = 3_600_000;

/** What applies to somebody whom nothing lets in. */
const OUTSIDE: ReadonlySet<WhyReport['now']> = new Set(['refused', 'redirected', 'let-in-anyway']);

/** Entries that are looked at in one turn of the event loop. */
const SLICE = 1000;

/** What administrators ask about single senders. */
export class SenderAnswers {
  constructor(private readonly engine: Engine) {}

  /** @throws ControlError when nobody can be let in by that */
  allow(text: string, forSeconds: number | undefined): ControlResults['allow'] {
    const { engine } = this;
    const prefix = this.entryPrefix(text);
    const asked = parseAddressOrPrefix(text).address;
    if (engine.tracker.roles.of(asked) !== undefined) {
      throw new ControlError(`${formatAddress(asked)} is a mail server of ours`, Exit.USAGE);
    }
    const never = whyNoSender(asked);
    if (never !== undefined) {
      throw new ControlError(
        `${formatAddress(asked)} cannot be the address of a sender: it is ${never}`,
        Exit.USAGE,
      );
    }
    if (engine.tracker.roles.isOwn(asked)) {
      throw new ControlError(`${formatAddress(asked)} is an address of this machine`, Exit.USAGE);
    }
    const nowMs = engine.clock.monotonicMs();
    const lifeMs = (forSeconds ?? engine.config.whitelistTime) * 1000;
    const { entry, wasThere } = engine.tracker.allow(prefix, nowMs, nowMs + lifeMs);
    engine.sharing?.attempt(entry);
    engine.entriesChanged(allowedLine(entry, Math.round((entry.deadlineMs - nowMs) / 1000)));
    return { prefix: formatPrefix(prefix), expiresInMs: entry.deadlineMs - nowMs, wasThere };
  }

  /**
   * Takes out what lets an address in, or all that lies in a network.
   * @param text - undefined: everybody
   * @throws ControlError when there is nothing to be taken out
   */
  async forget(text: string | undefined): Promise<ControlResults['forget']> {
    const prefix = text === undefined ? undefined : parseAddressOrPrefix(text);
    if (prefix !== undefined && isSingle(prefix)) return this.forgetAddress(prefix);
    const count = await this.forgetWithin(prefix);
    if (count === 0 && prefix !== undefined) throw this.nothingThere(prefix);
    const network = prefix && formatPrefix(prefix);
    if (count > 0) this.engine.say(forgottenLine(network, count));
    return { prefix: network, count, still: undefined };
  }

  private forgetAddress(prefix: Prefix): ControlResults['forget'] {
    const { tracker } = this.engine;
    const gone: Entry[] = [];
    for (let entry; (entry = tracker.find(prefix.address)) !== undefined;) {
      tracker.forget(entry);
      gone.push(entry);
    }
    const [first] = gone;
    if (first === undefined) throw this.nothingThere(prefix);
    const { now, text } = this.verdict(prefix.address, undefined);
    return {
      prefix: gone.length === 1 ? first.text : formatPrefix(prefix),
      count: gone.length,
      still: OUTSIDE.has(now) ? undefined : text,
    };
  }

  /** Others get their turn in between; who comes meanwhile may be among them. */
  private async forgetWithin(network: Prefix | undefined): Promise<number> {
    const { tracker, clock } = this.engine;
    let count = 0;
    let looked = 0;
    for (const entry of tracker.entries()) {
      if (network === undefined || contains(network, entry.prefix)) {
        tracker.forget(entry);
        count++;
      }
      if (++looked % SLICE === 0) await new Promise<void>((resolve) => clock.soon(resolve));
    }
    return count;
  }

  private nothingThere(prefix: Prefix): ControlError {
    const { tracker } = this.engine;
    const text = formatPrefix(prefix);
    const around = tracker.find(prefix.address);
    const allowed = tracker.roles.allowing(prefix.address);
    const foreign = this.engine.foreignEntry(prefix.address);
    const why =
      around !== undefined && contains(around.prefix, prefix)
        ? `no entry lies in ${text}, but it lies in ${around.text}, which is one`
        : allowed !== undefined && contains(allowed, prefix)
          ? `${text} is allowed by the configuration (${this.allowedBy(prefix.address)}): take it out there, and reload`
          : foreign !== undefined && contains(foreign.prefix, prefix)
            ? `${text} is not in the whitelist; the table has ${entryText(foreign)}, which is not mxallowd's (pfctl)`
            : `${text} is not in the whitelist`;
    return new ControlError(why, Exit.DATAERR);
  }

  /** @throws ControlError when the text is no address */
  why(text: string): WhyReport {
    const address = parseAddress(text);
    if (address === undefined)
      throw new ControlError(`"${escapeText(text, 64)}" is not an address`, Exit.USAGE);
    const { engine } = this;
    const name = formatAddress(address);
    const entry = engine.tracker.find(address);
    const remembered = engine.history.of(name);
    const stored = entry === undefined ? undefined : engine.history.of(entry.text);
    const wallMs = engine.clock.wallMs();
    const events = [...new Set([...(remembered?.events ?? []), ...(stored?.events ?? [])])];
    const departure = entry === undefined ? engine.memory.departure(address) : undefined;
    const stranger = engine.memory.stranger(address);
    return {
      address: name,
      ...this.verdict(address, entry),
      entry: entry === undefined ? this.networkOf(address) : this.listed(entry),
      refusals: refusalsOf(stranger, remembered, wallMs),
      before: departure && beforeOf(departure),
      lastRefusedAtMs: stranger?.lastMs,
      pool: remembered?.pool,
      events: events.sort((a, b) => a.atMs - b.atMs),
    };
  }

  /** The domain's network that lets an address in. */
  private networkOf(address: Address): ListedEntry | undefined {
    const one = this.engine.tracker.roles.allowingDomain(address);
    return one && this.listedNetwork(one);
  }

  private verdict(address: Address, entry: Entry | undefined): Pick<WhyReport, 'now' | 'text'> {
    const { engine } = this;
    const role = engine.tracker.roles.of(address);
    if (role !== undefined) return { now: `${role}-mx`, text: `it is our ${role} MX` };
    const allowed = engine.tracker.roles.allowing(address);
    const foreign = this.foreignVerdict(address, Math.max(entry?.prefix.length ?? -1, allowed?.length ?? -1));
    if (foreign !== undefined) return foreign;
    if (allowed !== undefined) {
      const text = `it is let in at all times, by the configuration (${this.allowedBy(address)})`;
      return { now: 'always-allowed', text };
    }
    if (entry === undefined) return this.unknown(address);
    const seconds = Math.max(0, Math.round((entry.deadlineMs - engine.clock.monotonicMs()) / 1000));
    const text = `it is let in for another ${durationText(seconds)}, as ${entry.text} (${entry.origin}${this.seenAt(entry)})`;
    return { now: 'whitelisted', text };
  }

  /** It is in no list. */
  private unknown(address: Address): Pick<WhyReport, 'now' | 'text'> {
    const { memory, config } = this.engine;
    const stranger = memory.stranger(address);
    const isLearning =
      stranger !== undefined &&
      stranger.passed === stranger.count &&
      this.engine.clock.wallMs() - stranger.lastMs < LEARNT_MS;
    if (!config.dryRun && !isLearning) return this.strangersVerdict();
    const why = config.dryRun ? 'for now everybody is (dry-run)' : LEARNING[config.firewall];
    const text = `it is not in the whitelist, and let in all the same: ${why}`;
    return { now: 'let-in-anyway', text };
  }

  /** What becomes of who is not in the whitelist. */
  private strangersVerdict(): Pick<WhyReport, 'now' | 'text'> {
    const why = 'it is not in the whitelist';
    const { strangers } = this.engine.config;
    if (strangers.kind === 'drop') return { now: 'refused', text: `it is refused at the real MX: ${why}` };
    const text = `it is led elsewhere at the real MX (strangers ${strangersText(strangers)}): ${why}`;
    return { now: 'redirected', text };
  }

  /**
   * What follows from an entry of the table that is not ours.
   * @param own - how narrow the entry or network of ours is that lets the address in; -1: none does
   */
  private foreignVerdict(address: Address, own: number): Pick<WhyReport, 'now' | 'text'> | undefined {
    const foreign = this.engine.foreignEntry(address);
    if (foreign === undefined || foreign.prefix.length <= own) return undefined;
    const whose = `${entryText(foreign)}, which is in the table and not mxallowd's`;
    if (foreign.negated) {
      const { now } = this.strangersVerdict();
      const what = now === 'redirected' ? 'led elsewhere' : 'refused';
      return { now, text: `it is ${what} at the real MX, by ${whose}` };
    }
    return own < 0 ? { now: 'in-table', text: `it is let in for good, by ${whose}` } : undefined;
  }

  /** By which line of the configuration an address is let in at all times. */
  private allowedBy(address: Address): string {
    const one = this.engine.tracker.roles.allowingDomain(address);
    return one === undefined ? 'allow' : `allow-domain ${one.domain}: ${formatPrefix(one.network)}`;
  }

  /** A network of a domain, for people. */
  listedNetwork(one: DomainNetwork): ListedEntry {
    const nowMs = this.engine.clock.monotonicMs();
    const ageMs = Math.round(nowMs - (this.engine.domains.seenMs(one) ?? nowMs));
    return {
      prefix: formatPrefix(one.network),
      origin: 'domain',
      ageMs,
      expiresInMs: Math.max(0, KEPT_MS - ageMs),
      attempts: 0,
      lastAttemptAgoMs: undefined,
      admissions: one.admissions,
      lastAdmissionAgoMs: undefined,
      isRegular: undefined,
      name: one.domain,
      parent: undefined,
      gateways: undefined,
    };
  }

  /** An entry for people. */
  listed(entry: Entry): ListedEntry {
    const nowMs = this.engine.clock.monotonicMs();
    const { prefix, origin, addedMs, deadlineMs, attempts, lastAttemptMs, name, parent } = entry;
    const { admissions, lastAdmissionMs, isRegular } = entry.use;
    return {
      prefix: formatPrefix(prefix),
      origin,
      ageMs: Math.round(nowMs - addedMs),
      expiresInMs: Math.max(0, Math.round(deadlineMs - nowMs)),
      attempts,
      lastAttemptAgoMs: attempts > 0 ? Math.round(nowMs - lastAttemptMs) : undefined,
      admissions,
      lastAdmissionAgoMs: lastAdmissionMs === undefined ? undefined : Math.round(nowMs - lastAdmissionMs),
      isRegular,
      name: name === undefined ? undefined : escapeText(name, 255),
      parent: parent && parent.text,
      gateways: this.gateways(entry),
    };
  }

  /** Other gateways that let it in. */
  private gateways({ text }: Entry): string[] | undefined {
    const all = this.engine.sharing?.fleet.vouchers(text).map(({ node }) => node) ?? [];
    return all.length === 0 ? undefined : all.sort();
  }

  /** `; seen at mx3 4 s ago, at mx4 2 h ago` */
  private seenAt({ text }: Entry): string {
    const { sharing } = this.engine;
    const all = sharing?.fleet.vouchers(text) ?? [];
    if (sharing === undefined || all.length === 0) return '';
    const newest = all.sort((a, b) => b.sighting.stamp - a.sighting.stamp).slice(0, 5);
    const words = newest.map(({ node, sighting: { stamp } }) => {
      return `at ${node} ${inWords(Math.max(0, sharing.fleet.ownMs - stamp))} ago`;
    });
    return `; seen ${words.join(', ')}`;
  }

  /** What would be stored of a sender that has this address; a wider network is not for a while, but for good. */
  private entryPrefix(text: string): Prefix {
    const prefix = parseAddressOrPrefix(text);
    const stored = this.engine.tracker.roles.entryPrefix(prefix.address);
    if (isSingle(prefix)) return stored;
    if (prefix.length >= stored.length) return prefix;
    throw new ControlError(
      `${formatPrefix(prefix)} is wider than what is stored of a sender (/${stored.length}): a network goes into ` +
        'the configuration (allow), then reload',
      Exit.USAGE,
    );
  }
}

/** What is remembered over restarts, else what has happened since the start. */
function refusalsOf(
  stranger: Stranger | undefined,
  remembered: Remembered | undefined,
  wallMs: number,
): WhyReport['refusals'] {
  if (stranger !== undefined) {
    const { count, passed, redirected, firstMs, lastMs } = stranger;
    return { count, passed, redirected, firstAgoMs: wallMs - firstMs, lastAgoMs: wallMs - lastMs };
  }
  if (remembered === undefined || remembered.refusals === 0) return undefined;
  const { refusals: count, redirected, firstRefusalMs, lastRefusalMs } = remembered;
  const [firstAgoMs, lastAgoMs] = [wallMs - firstRefusalMs, wallMs - lastRefusalMs] as const;
  return { count, passed: undefined, redirected, firstAgoMs, lastAgoMs };
}

function beforeOf({ prefix, origin, addedMs, triedMs, endedMs, reason, admissions }: Departure): EndedEntry {
  return {
    prefix,
    origin,
    addedAtMs: addedMs,
    triedAtMs: triedMs > 0 ? triedMs : undefined,
    endedAtMs: endedMs,
    reason,
    admissions,
  };
}

function isSingle({ address, length }: Prefix): boolean {
  return length === ADDRESS_BITS[familyOf(address)];
}

function parseAddressOrPrefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed.ok) return parsed.prefix;
  throw new ControlError(`"${escapeText(text, 64)}" is not an address or a network`, Exit.USAGE);
}

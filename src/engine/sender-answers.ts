// Answers what administrators ask about single senders, and carries out what they want of them.
import type { ControlResults, ListedEntry, WhyReport } from '../control/protocol.js';
import { ControlError } from '../control/server.js';
import {
  type Address,
  ADDRESS_BITS,
  addressWords,
  familyOf,
  formatAddress,
  formatPrefix,
  isPossibleSource,
  parseAddress,
  parsePrefix,
  type Prefix,
} from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { Exit } from '../sysexits.js';
import { entryText } from '../table/foreign.js';
import type { Entry } from '../tracker/whitelist.js';
import type { Engine } from './engine.js';
import { allowedLine } from './messages.js';

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
    if (!isPossibleSource(familyOf(asked), ...addressWords(asked))) {
      throw new ControlError(`${formatAddress(asked)} cannot be the address of a sender`, Exit.USAGE);
    }
    const nowMs = engine.clock.monotonicMs();
    const lifeMs = (forSeconds ?? engine.config.whitelistTime) * 1000;
    const { entry, wasThere } = engine.tracker.allow(prefix, nowMs, nowMs + lifeMs);
    engine.entriesChanged(allowedLine(entry, Math.round((entry.deadlineMs - nowMs) / 1000)));
    return { prefix: formatPrefix(prefix), expiresInMs: entry.deadlineMs - nowMs, wasThere };
  }

  /** @throws ControlError when there is nothing to be taken out */
  forget(text: string): ControlResults['forget'] {
    const { tracker } = this.engine;
    const prefix = parseAddressOrPrefix(text);
    const entry = [
      ...(prefix.length === ADDRESS_BITS[familyOf(prefix.address)] ? [tracker.find(prefix.address)] : []),
      tracker.get(prefix),
    ].find((found) => found !== undefined);
    if (entry === undefined) {
      const allowed = tracker.roles.allowing(prefix.address) !== undefined;
      const why = allowed
        ? 'is allowed by the configuration (allow): take it out there, and reload'
        : 'is not in the whitelist';
      throw new ControlError(`${formatPrefix(prefix)} ${why}`, Exit.DATAERR);
    }
    tracker.forget(entry);
    return { prefix: entry.text };
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
    const hasRefusals = remembered !== undefined && remembered.refusals > 0;
    return {
      address: name,
      ...this.verdict(address, entry),
      entry: entry && this.listed(entry),
      refusals: hasRefusals
        ? {
            count: remembered.refusals,
            firstAgoMs: wallMs - remembered.firstRefusalMs,
            lastAgoMs: wallMs - remembered.lastRefusalMs,
          }
        : undefined,
      pool: remembered?.pool,
      events: events.sort((a, b) => a.atMs - b.atMs),
    };
  }

  private verdict(address: Address, entry: Entry | undefined): Pick<WhyReport, 'now' | 'text'> {
    const { engine } = this;
    const role = engine.tracker.roles.of(address);
    if (role !== undefined) return { now: `${role}-mx`, text: `it is our ${role} MX` };
    const allowed = engine.tracker.roles.allowing(address);
    const foreign = this.foreignVerdict(address, Math.max(entry?.prefix.length ?? -1, allowed?.length ?? -1));
    if (foreign !== undefined) return foreign;
    if (allowed !== undefined) {
      return { now: 'always-allowed', text: 'it is let in at all times, by the configuration (allow)' };
    }
    if (entry === undefined) {
      return { now: 'refused', text: 'it is refused at the real MX: it is not in the whitelist' };
    }
    const seconds = Math.max(0, Math.round((entry.deadlineMs - engine.clock.monotonicMs()) / 1000));
    const text = `it is let in for another ${seconds} s, as ${entry.text} (${entry.origin})`;
    return { now: 'whitelisted', text };
  }

  /**
   * What follows from an entry of the table that is not ours.
   * @param own - how narrow the entry or network of ours is that lets the address in; -1: none does
   */
  private foreignVerdict(address: Address, own: number): Pick<WhyReport, 'now' | 'text'> | undefined {
    const foreign = this.engine.foreignEntry(address);
    if (foreign === undefined || foreign.prefix.length <= own) return undefined;
    const whose = `${entryText(foreign)}, which is in the table and not mxallowd's`;
    if (foreign.negated) return { now: 'refused', text: `it is refused at the real MX, by ${whose}` };
    return own < 0 ? { now: 'in-table', text: `it is let in for good, by ${whose}` } : undefined;
  }

  /** An entry for people. */
  listed(entry: Entry): ListedEntry {
    const nowMs = this.engine.clock.monotonicMs();
    const { prefix, origin, addedMs, deadlineMs, attempts, lastAttemptMs, admissions, name, parent } = entry;
    return {
      prefix: formatPrefix(prefix),
      origin,
      ageMs: Math.round(nowMs - addedMs),
      expiresInMs: Math.max(0, Math.round(deadlineMs - nowMs)),
      attempts,
      lastAttemptAgoMs: attempts > 0 ? Math.round(nowMs - lastAttemptMs) : undefined,
      admissions,
      name: name === undefined ? undefined : escapeText(name, 255),
      parent: parent && parent.text,
    };
  }

  /** What would be stored of a sender that has this address; a wider network is not for a while, but for good. */
  private entryPrefix(text: string): Prefix {
    const prefix = parseAddressOrPrefix(text);
    const stored = this.engine.tracker.roles.entryPrefix(prefix.address);
    const isAddress = prefix.length === ADDRESS_BITS[familyOf(prefix.address)];
    if (isAddress) return stored;
    if (prefix.length >= stored.length) return prefix;
    throw new ControlError(
      `${formatPrefix(prefix)} is wider than what is stored of a sender (/${stored.length}): a network goes into ` +
        'the configuration (allow), then reload',
      Exit.USAGE,
    );
  }
}

function parseAddressOrPrefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed.ok) return parsed.prefix;
  throw new ControlError(`"${escapeText(text, 64)}" is not an address or a network`, Exit.USAGE);
}

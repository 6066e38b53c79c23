// What is remembered for those who ask: who was refused and what became of it, and entries that have ended.
import type { Clock } from '../clock.js';
import type { Identity } from '../names/identify.js';
import {
  type Address,
  ADDRESS_BITS,
  familyOf,
  formatAddress,
  formatPrefix,
  type PrefixText,
} from '../packet/address.js';
import type { Note, NoteSource } from '../state/source.js';
import { Departed, DEPARTURE_REASONS, type Departure } from '../tracker/departed.js';
import type { RemovalReason, Tracker } from '../tracker/tracker.js';
import { isKeptOut, type Stranger, type StrangerDomain, Strangers } from '../tracker/strangers.js';
import type { Entry } from '../tracker/whitelist.js';
import type { Judgement } from './judge.js';

/** What it needs of the engine. */
export interface MemoryParts {
  readonly tracker: () => Tracker;
  readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  /** nothing is dropped, only told */
  readonly isDry: () => boolean;
  /** whether an entry of the firewall's table that is not ours lets an address in */
  readonly isForeign: (address: Address) => boolean;
}

/** Who has been refused for so long is asked about in DNS, and again after so long. */
const ASK_AFTER_MS = 60_000;
const ASK_AGAIN_MS = 86_400_000;

/** Remembers what happened, without deciding anything. */
export class Memory implements NoteSource {
  readonly strangers = new Strangers();
  readonly departed = new Departed();

  constructor(private readonly parts: MemoryParts) {}

  /**
   * Notes what was decided.
   * @returns whom the whitelist does not know, if it is that; whether DNS should be asked who that is
   */
  follow({ observation, decision }: Judgement): { readonly isStranger: boolean; readonly isWanted: boolean } {
    if (
      observation === undefined ||
      decision.kind === 'unjudged' ||
      decision.kind === 'attempt' ||
      decision.kind === 'outbound'
    )
      return NOBODY;
    const { reason, entry } = decision;
    const nowMs = this.parts.clock.wallMs();
    const isRefused = reason === 'not-whitelisted';
    if (!isRefused && (reason !== 'passed-by-pf' || this.parts.isForeign(observation.source))) {
      if (decision.kind === 'admission' && this.strangers.size > 0) {
        this.strangers.admitted(
          entry === undefined ? this.keyOf(observation.source) : this.keyOfEntry(entry),
          nowMs,
        );
      }
      return NOBODY;
    }
    const { source } = observation;
    const isRedirected = decision.kind === 'refusal' && decision.redirected;
    const how = !isRefused || this.parts.isDry() ? 'passed' : isRedirected ? 'redirected' : 'dropped';
    const stranger = this.strangers.refused(this.keyOf(source), formatAddress(source), how, nowMs);
    return { isStranger: true, isWanted: isWanted(stranger, nowMs) };
  }

  /** An entry has come. */
  added(entry: Entry): void {
    if (this.strangers.size > 0) this.strangers.letIn(this.keyOfEntry(entry), this.parts.clock.wallMs());
  }

  /** An entry has ended. */
  removed(entry: Entry, removal: RemovalReason): void {
    const reason = DEPARTURE_REASONS.find((one) => one === removal);
    if (reason === undefined) return;
    const { clock } = this.parts;
    const wallMs = clock.wallMs();
    const wallOf = (monotonicMs: number): number => wallMs - (clock.monotonicMs() - monotonicMs);
    const { text: prefix, origin, addedMs, admissions, attempts, lastAttemptMs, deadlineMs } = entry;
    this.departed.note({
      prefix,
      origin,
      addedMs: wallOf(addedMs),
      triedMs: attempts > 0 ? wallOf(lastAttemptMs) : 0,
      admissions,
      // it is taken out a little later, together with others
      endedMs: reason === 'timeout' ? Math.min(wallMs, wallOf(deadlineMs)) : wallMs,
      reason,
    });
  }

  /** DNS has told who somebody is. @param isComplete - whether its SPF record was asked for, too */
  named(source: Address, identity: Identity, isComplete: boolean): void {
    const { name, isConfirmed, domain, spf, isFailure } = identity;
    const named = name === undefined ? undefined : { name, isConfirmed, domain, spf };
    this.strangers.named(this.keyOf(source), named, isComplete && !isFailure, this.parts.clock.wallMs());
  }

  /** Somebody who may send for a domain has tried the fake MX. */
  domainTried(domain: string): void {
    this.strangers.letInDomain(domain, this.parts.clock.wallMs());
  }

  /** What is known of an address as of somebody who was refused. */
  stranger(address: Address): Stranger | undefined {
    return this.strangers.of(this.keyOf(address));
  }

  /** Whether somebody is still kept out, as far as is known. */
  isKeptOut(stranger: Stranger): boolean {
    const domain = stranger.named?.domain;
    return isKeptOut(stranger, domain === undefined ? undefined : this.strangers.ofDomain(domain));
  }

  /** The entry that an address had last, and has no more. */
  departure(address: Address): Departure | undefined {
    const own = this.departed.of(this.keyOf(address));
    const single = this.departed.of(formatAddress(address) as PrefixText);
    if (own === undefined || single === undefined) return own ?? single;
    return own.endedMs >= single.endedMs ? own : single;
  }

  /** Takes in what an earlier run has left. */
  restore(notes: Iterable<Note>): void {
    for (const note of notes) {
      if (note.kind === 'stranger') this.strangers.restore(note.stranger);
      else if (note.kind === 'domain') this.strangers.restoreDomain(note.domain);
      else this.departed.restore(note.departure);
    }
  }

  all(): Note[] {
    return [
      ...[...this.strangers].map(noteOf),
      ...[...this.strangers.domains()].map(noteOf),
      ...[...this.departed].map(departureNote),
    ];
  }

  takeChanges(most: number, isAll: boolean): Note[] {
    const strangers = this.strangers.takeChanges(most, isAll).map(noteOf);
    // a crash may take them away: they are many, and nothing depends on them
    const departures = isAll ? this.departed.takeChanges(most - strangers.length).map(departureNote) : [];
    return [...strangers, ...departures];
  }

  private keyOf(address: Address): PrefixText {
    return formatPrefix(this.parts.tracker().roles.entryPrefix(address));
  }

  private keyOfEntry(entry: Entry): PrefixText {
    const { address, length } = entry.prefix;
    // by a name it may be narrower than what is stored of a sender
    return length === ADDRESS_BITS[familyOf(address)] ? this.keyOf(address) : entry.text;
  }
}

const NOBODY = { isStranger: false, isWanted: false } as const;

/** Whether DNS should be asked who somebody is: not about those who come once, which are bots mostly. */
function isWanted({ firstMs, askedMs, named }: Stranger, nowMs: number): boolean {
  if (nowMs - firstMs < ASK_AFTER_MS) return false;
  return askedMs === 0 || (named === undefined && nowMs - askedMs >= ASK_AGAIN_MS);
}

function noteOf(one: Stranger | StrangerDomain): Note {
  return 'prefix' in one ? { kind: 'stranger', stranger: one } : { kind: 'domain', domain: one };
}

function departureNote(departure: Departure): Note {
  return { kind: 'departure', departure };
}

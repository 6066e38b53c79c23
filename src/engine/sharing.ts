// The engine among other gateways: what is decided here is told there, and what is told there counts here.
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { Fleet, type OwnFacts, type Whitelisting } from '../fleet/fleet.js';
import type { Voucher } from '../fleet/merged.js';
import type { Peer } from '../fleet/reader.js';
import type { Sighting } from '../fleet/record.js';
import type { Store, StoreError, StoreProblem } from '../fleet/store.js';
import { ADDRESS_BITS, familyOf, type Prefix, type PrefixText } from '../packet/address.js';
import type { Departure } from '../tracker/departed.js';
import type { RemovalReason, Tracker } from '../tracker/tracker.js';
import { Entry } from '../tracker/whitelist.js';
import type { Clock } from '../clock.js';
import type { Line } from './messages.js';
import type { Namer } from './namer.js';
import { RateLimit } from './rate-limit.js';

/** A store that can be connected to. */
export interface FleetStore extends Store {
  /** how long the last write took, milliseconds */
  readonly latencyMs: number | undefined;
  open(): void;
  close(): void;
}

/** How to get to the store. */
export interface OpenStore {
  /** this gateway's name there */
  readonly node: string;
  /** random, for this run */
  readonly nonce: string;
  /**
   * @param linked - is told when it can be asked, and when it cannot any more
   * @param failed - is told why there is no connection
   */
  readonly open: (linked: (isLinked: boolean) => void, failed: (error: StoreError) => void) => FleetStore;
}

/** What sharing needs of the engine. */
export interface SharingParts {
  readonly access: OpenStore;
  readonly config: () => Config;
  readonly tracker: Tracker;
  readonly clock: Clock;
  readonly namer: Namer | undefined;
  readonly version: string;
  /** entries have come: their time must end, too, and a restart must find them */
  readonly changed: () => void;
  readonly say: (line: Line) => void;
}

/** What others have found out in DNS is looked up here, so often in a second. */
const NAMES_PER_SECOND = 50;

/** What is wrong, and what to do about it. */
export const STORE_PROBLEMS: Readonly<Record<StoreProblem, string>> = {
  away: 'cannot be reached',
  frozen: 'takes connections, and does not answer',
  'out-of-memory': 'has no memory left (raise its maxmemory)',
  'read-only': 'takes no writes (is it a replica, or its disk full?)',
  'no-permission': 'does not permit what is needed (docs/fleet.md has the lines)',
  'wrong-password': 'does not let us in (fleet-password-file, and the user in fleet-url)',
  tls: 'and we do not agree about TLS (fleet-ca, and the name in its certificate)',
  loading: 'is starting',
  other: 'does not do what it is asked',
};

/** This gateway among the others of its site. */
export class Sharing implements Whitelisting {
  readonly fleet: Fleet;
  private readonly store: FleetStore;
  private isLinked = false;
  private isMuted = false;
  private wasLinked = false;
  /** what a peer has said is being carried out: that is not ours to tell */
  private isTaking = false;
  private readonly errors = new Map<'connecting' | 'writing' | 'reading', StoreError>();
  private told: StoreProblem | undefined;
  private readonly names: RateLimit;

  constructor(private readonly parts: SharingParts) {
    const { access, clock, version, config } = parts;
    this.names = new RateLimit(NAMES_PER_SECOND, clock);
    this.store = access.open(
      (isLinked) => this.link(isLinked),
      (error) => this.note('connecting', error),
    );
    this.fleet = new Fleet({
      store: this.store,
      clock,
      version,
      nonce: access.nonce,
      limits: () => {
        const { maxEntries, fleetShare, knownTime, whitelistTime, fleetManual } = config();
        return {
          share: Math.floor((maxEntries * fleetShare) / 100),
          lifeMs: Math.max(knownTime, whitelistTime) * 1000,
          isManualTaken: fleetManual,
        };
      },
      whitelist: this,
      outcome: (what, error) => this.note(what, error),
      muted: (isMuted) => this.mute(isMuted),
    });
  }

  /** Takes in what the tracker has from an earlier run, and what was taken out by hand then. */
  restore(departures: Iterable<Departure>): void {
    for (const { prefix, reason, endedMs } of departures) {
      if (reason !== 'forgotten') continue;
      const endMs = endedMs + FORGOTTEN_MS;
      this.fleet.restoreForgetting(prefix, { stamp: Math.floor(endedMs), endMs });
    }
    for (const entry of this.parts.tracker.entries()) {
      const { attempts, lastAttemptMs, addedMs } = entry;
      if (isOfOurs(entry))
        this.fleet.used(entry.text, this.facts(entry), attempts > 0 ? lastAttemptMs : addedMs);
    }
  }

  /** Connects to the store; nothing waits for it. */
  begin(): void {
    this.store.open();
  }

  close(): void {
    this.fleet.close();
    this.store.close();
  }

  reconfigured(): void {
    this.fleet.reconfigured();
  }

  /** Something was decided about a sender here. */
  decided({ kind, entry }: { readonly kind: string; readonly entry?: Entry | undefined }): void {
    if (entry === undefined) return;
    if (kind === 'attempt' || kind === 'outbound') this.attempt(entry);
    else if (kind === 'admission') this.used(entry);
  }

  /** A sender has tried the fake MX here, this network has connected to it, or an operator has let it in. */
  attempt(entry: Entry): void {
    this.fleet.attempt(entry.text, this.facts(entry));
  }

  private used(entry: Entry): void {
    this.fleet.used(entry.text, this.facts(entry), entry.addedMs);
  }

  /** The name of an entry is known now. */
  named(entry: Entry): void {
    if (this.fleet.own.get(entry.text) !== undefined) this.used(entry);
  }

  /** An entry has ended. */
  removed(entry: Entry, reason: RemovalReason): void {
    if (reason !== 'forgotten') this.fleet.lost(entry.text, reason === 'timeout');
    else if (this.isTaking) this.fleet.lost(entry.text, true);
    else this.fleet.forget(entry.text);
  }

  accepts(prefix: Prefix): boolean {
    const { roles } = this.parts.tracker;
    return prefix.length >= roles.entryPrefix(prefix.address).length && roles.canBeEntry(prefix);
  }

  raise(prefix: Prefix, text: PrefixText, voucher: Voucher): void {
    this.take(prefix, text, voucher, true);
  }

  vouch(prefix: Prefix, text: PrefixText, voucher: Voucher): void {
    this.take(prefix, text, voucher, false);
  }

  private take(prefix: Prefix, text: PrefixText, voucher: Voucher, isAtLeast: boolean): void {
    const { tracker, clock, changed } = this.parts;
    const entry = tracker.vouch(prefix, text, Math.floor(voucher.untilMs), isAtLeast, clock.monotonicMs());
    if (!(entry instanceof Entry)) {
      if (entry === 'no-room') this.fleet.merged.leftOut++;
      return;
    }
    changed();
    this.verify(entry, voucher.sighting);
  }

  unvouch(prefix: Prefix): void {
    this.parts.tracker.unvouch(prefix, this.parts.clock.monotonicMs());
    this.parts.changed();
  }

  forget(prefix: Prefix): void {
    const { tracker, changed } = this.parts;
    const entry = tracker.get(prefix);
    if (entry === undefined) return;
    this.isTaking = true;
    tracker.forget(entry);
    this.isTaking = false;
    changed();
  }

  adopt(prefix: Prefix, text: PrefixText, untilMs: number, sighting: Sighting): boolean {
    const { tracker, clock, changed } = this.parts;
    if (tracker.get(prefix) !== undefined) return true;
    const nowMs = clock.monotonicMs();
    const { isKnown, isManual } = sighting;
    const usedMs = isKnown ? nowMs : undefined;
    const isIn = tracker.restore({
      prefix,
      text,
      origin: isManual ? 'manual' : 'attempt',
      addedMs: nowMs,
      deadlineMs: Math.floor(untilMs),
      lastAttemptMs: nowMs,
      attempts: 0,
      admissions: isKnown ? 1 : 0,
      firstAdmissionMs: usedMs,
      lastAdmissionMs: usedMs,
      isRegular: false,
      name: undefined,
    });
    if (isIn) changed();
    return isIn;
  }

  synced(isVouched: (text: PrefixText) => boolean): void {
    const { tracker, say } = this.parts;
    const left = [...tracker.entries()].filter(
      (entry) => entry.vouchedMs !== Number.NEGATIVE_INFINITY && !isVouched(entry.text),
    );
    for (const { prefix } of left) this.unvouch(prefix);
    const nodes = this.fleet.reader.peers.size;
    const message = `fleet: ${nodes} other gateways read, ${this.fleet.merged.size} entries are theirs`;
    say({ level: 'info', message, fields: { event: 'fleet-read', nodes, entries: this.fleet.merged.size } });
  }

  /** What an administrator should know. */
  findings(): HealthFinding[] {
    const findings: HealthFinding[] = [];
    const problem = this.problem();
    if (problem !== undefined) findings.push({ severity: 'warning', id: 'fleet-alone', message: problem });
    if (this.isMuted) findings.push({ severity: 'error', id: 'fleet-name', message: this.mutedWords() });
    const { leftOut } = this.fleet.merged;
    if (leftOut > 0) {
      const message = `${leftOut} entries of other gateways had no room: raise fleet-share or max-entries`;
      findings.push({ severity: 'note', id: 'fleet-room', message });
    }
    return findings;
  }

  /** The other gateways, as far as they are known. */
  get peers(): Iterable<Peer> {
    return this.fleet.reader.peers.values();
  }

  /** How the store is doing. */
  report(): {
    readonly node: string;
    readonly isLinked: boolean;
    readonly isMuted: boolean;
    readonly problem: string | undefined;
    readonly latencyMs: number | undefined;
  } {
    const { isLinked, isMuted } = this;
    const latencyMs = isLinked ? this.store.latencyMs : undefined;
    return { node: this.parts.access.node, isLinked, isMuted, problem: this.problem(), latencyMs };
  }

  private link(isLinked: boolean): void {
    this.isLinked = isLinked;
    this.errors.clear();
    this.fleet.link(isLinked);
    if (isLinked) this.wasLinked = true;
  }

  private note(what: 'connecting' | 'writing' | 'reading', error: StoreError | undefined): void {
    if (error !== undefined) this.errors.set(what, error);
    else this.errors.delete(what);
    const worst = this.worst()?.problem;
    if (worst === this.told) return;
    // what is wrong is said when it is known; that it is right again when something was written
    if (worst === undefined && what !== 'writing') return;
    this.told = worst;
    const message = this.problem() ?? `fleet: ${this.where} is used again`;
    const event = worst === undefined ? 'fleet-back' : 'fleet-alone';
    this.parts.say({
      level: worst === undefined ? 'info' : 'warn',
      message,
      fields: { event, problem: worst },
    });
  }

  private worst(): StoreError | undefined {
    return this.errors.get('connecting') ?? this.errors.get('writing') ?? this.errors.get('reading');
  }

  private problem(): string | undefined {
    const error = this.worst();
    if (error !== undefined) {
      return `fleet: ${this.where} ${STORE_PROBLEMS[error.problem]}: ${error.message}; this gateway goes on alone`;
    }
    if (this.isLinked) return undefined;
    return `fleet: ${this.where} is ${this.wasLinked ? 'lost' : 'not connected yet'}; this gateway goes on alone`;
  }

  private get where(): string {
    return this.parts.config().fleetUrl?.text ?? '';
  }

  private mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    const message = isMuted ? this.mutedWords() : `fleet: "${this.parts.access.node}" is ours again`;
    const event = isMuted ? 'fleet-name' : 'fleet-name-free';
    this.parts.say({ level: isMuted ? 'error' : 'info', message, fields: { event } });
  }

  private mutedWords(): string {
    const { node } = this.parts.access;
    return `fleet: another gateway has the name "${node}", so this one only listens: give each its own (fleet-node)`;
  }

  /** What another gateway has found in DNS we look up ourselves. */
  private verify(entry: Entry, { source, name }: Sighting): void {
    const { namer } = this.parts;
    if (namer === undefined || name === undefined || source === undefined) return;
    if (entry.name !== undefined || entry.asked !== undefined || !this.names.allows()) return;
    namer.attempt({ source }, entry);
  }

  private facts(entry: Entry): OwnFacts {
    const { prefix, origin, name, asked, ownDeadlineMs: untilMs } = entry;
    const { knownTime, whitelistTime } = this.parts.config();
    const isKnown = entry.admissions > 0;
    const isSingle = prefix.length === ADDRESS_BITS[familyOf(prefix.address)];
    return {
      untilMs,
      lifeMs: (isKnown ? Math.max(knownTime, whitelistTime) : whitelistTime) * 1000,
      isKnown,
      isManual: origin === 'manual',
      source: asked?.source ?? (isSingle ? prefix.address : undefined),
      name,
    };
  }
}

/** What was taken out by hand is remembered for so long: as state files do. */
const FORGOTTEN_MS = 60 * 86_400_000;

/** Whether an entry is there by what was seen here, and not by somebody else's attempt alone. */
function isOfOurs({ origin, admissions }: Entry): boolean {
  return admissions > 0 || origin === 'attempt' || origin === 'manual' || origin === 'outbound';
}

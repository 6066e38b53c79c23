// What it means that pf has let somebody in, as far as recordings tell. Pure.
import type { Address } from '../../packet/address.js';
import type { Frame } from '../../packet/frame.js';
import { decode, isPflog, type Observation } from '../../packet/observation.js';
import { Action, Direction, PfReason, readPflogHeader } from '../../packet/pflog.js';
import type { Roles } from '../../tracker/roles.js';

/** An entry of this age is in pf's table. */
const SETTLED_MS = 5000;

/** A sender that has tried the fake MX, in milliseconds of the recording. */
interface Attempts {
  sinceMs: number;
  lastMs: number;
}

/** What {@link PassRules} must know of the configuration. */
export interface PassRulesConfig {
  readonly port: number;
  readonly whitelistTimeMs: number;
}

/**
 * Who was let in by pf has an entry in its table, also one that is older than the recording: nobody keeps him out. Not
 * so where rules let everybody in for now (`pf-conf --learn`): then nobody is dropped, and who is in the table comes by
 * another rule than the rest. Learns that from the recordings.
 */
export class PassRules {
  private readonly attempts = new Map<Address, Attempts>();
  /** by rule: how often it has let in somebody who was in the table */
  private readonly ofTable = new Map<string, number>();
  private mostOfTable = 0;
  private drops = false;

  constructor(
    private readonly roles: Roles,
    private readonly config: PassRulesConfig,
  ) {}

  /** Learns from a frame; in the order of time. */
  note(frame: Frame): void {
    if (!isPflog(frame.linkType)) return;
    const seen = decode(frame);
    if (!seen.ok || !this.isRequest(seen)) return;
    const role = this.roles.ofDestination(seen);
    if (role === 'fake') this.attempt(seen);
    else if (role === 'real' && seen.action === Action.DROP) this.drops = true;
    else if (role === 'real' && seen.action === Action.PASS && this.isInTable(seen)) {
      const rule = ruleOf(frame);
      const count = (this.ofTable.get(rule) ?? 0) + 1;
      this.ofTable.set(rule, count);
      this.mostOfTable = Math.max(this.mostOfTable, count);
    }
  }

  /** Whether pf has let in this packet, and not because it lets everybody in. */
  vouchesFor(frame: Frame, observation: Observation): boolean {
    if (observation.action !== Action.PASS) return false;
    const isApart = !this.drops && (this.ofTable.get(ruleOf(frame)) ?? 0) < this.mostOfTable;
    return !isApart;
  }

  private isRequest({ isSyn, destinationPort, direction, pfReason }: Observation): boolean {
    return (
      isSyn &&
      destinationPort === this.config.port &&
      (direction === Direction.IN || direction === Direction.UNKNOWN) &&
      pfReason === PfReason.MATCH
    );
  }

  private attempt({ source, timeMs }: Observation): void {
    const known = this.attempts.get(source);
    if (known === undefined) this.attempts.set(source, { sinceMs: timeMs, lastMs: timeMs });
    else {
      if (timeMs - known.lastMs > this.config.whitelistTimeMs) known.sinceMs = timeMs;
      known.lastMs = timeMs;
    }
  }

  private isInTable({ source, timeMs }: Observation): boolean {
    const known = this.attempts.get(source);
    if (known === undefined) return false;
    const { sinceMs, lastMs } = known;
    return timeMs - sinceMs >= SETTLED_MS && timeMs - lastMs <= this.config.whitelistTimeMs;
  }
}

/** Which rule a record is of: by anchor, its number, and its number in the anchor. */
function ruleOf(frame: Frame): string {
  const header = readPflogHeader(frame);
  return typeof header === 'string' ? '' : `${header.ruleset} ${header.ruleNumber} ${header.subruleNumber}`;
}

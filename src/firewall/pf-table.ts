// pf's table: all entries are in it, and it knows no time.
import type { Core } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { formatPrefix, type Prefix } from '../packet/address.js';
import type { Table, TableEntry } from '../table/table.js';
import type { Entry } from '../tracker/whitelist.js';
import { KeptTable } from './kept-table.js';

/** Keeps pf's table. */
export class PfTable extends KeptTable {
  /** @param filled - is told when the table has been read, and perhaps changed the whitelist */
  constructor(core: Core, table: Table, filled: () => void) {
    super(core, table, 'pf', filled);
  }

  added(entry: Entry): void {
    this.writer.want(entry.text);
  }

  removed(entry: Entry): void {
    if (!this.isAllowed(entry.text)) this.writer.unwant(entry.text);
  }

  follow({ decision, observation }: Judgement): void {
    if (decision.kind === 'attempt' && observation !== undefined) {
      // it comes to the real MX next: it must be in the table, were that emptied a moment ago, too
      const allowed = this.core.tracker.roles.allowing(observation.source);
      if (decision.entry !== undefined) this.writer.assure(decision.entry.text);
      else if (allowed !== undefined) this.writer.assure(formatPrefix(allowed));
    }
    if (decision.kind === 'refusal' && decision.reason === 'not-yet-in-table') this.doubt(decision.entry);
  }

  protected always(): readonly Prefix[] {
    return this.core.always;
  }

  protected adopt({ prefix, clearedAtMs }: TableEntry, origin: 'manual' | 'adopted'): boolean {
    const { tracker, clock, config } = this.core;
    const lifeMs = config.whitelistTime * 1000;
    const ageMs = clearedAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - clearedAtMs);
    // who is there that long may have been used, or have tried again: only the state file could have told
    const isOld = ageMs >= lifeMs && ageMs < config.knownTime * 1000;
    return tracker.adopt(prefix, origin, isOld ? lifeMs : lifeMs - ageMs, clock.monotonicMs());
  }
}

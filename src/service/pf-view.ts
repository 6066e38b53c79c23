import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import type { FirewallTexts } from '../table/table.js';

/** What pf says of itself. */
export interface PfState {
  /** undefined: not known */
  readonly enabled: boolean | undefined;
  readonly rules: readonly HealthFinding[];
}

/** pf is asked again after this time at the earliest: two calls of pfctl. */
const FRESH_MS = 10_000;

/** Looks at pf when somebody asks how it is doing. */
export class PfView {
  private state: PfState = { enabled: undefined, rules: [] };
  private lookedMs = Number.NEGATIVE_INFINITY;
  private looking: Promise<void> | undefined;

  /** @param nowMs - monotonic milliseconds */
  constructor(
    private readonly inspect: () => Promise<FirewallTexts>,
    private readonly config: () => Config,
    private readonly nowMs: () => number,
  ) {}

  /** What pf says, at most ten seconds old. */
  async look(): Promise<PfState> {
    if (this.config().queueNum !== undefined) return this.state;
    if (this.nowMs() - this.lookedMs >= FRESH_MS) {
      this.looking ??= this.refresh();
      await this.looking;
      this.looking = undefined;
    }
    return this.state;
  }

  private async refresh(): Promise<void> {
    const { info } = await this.inspect();
    const status = info === undefined ? null : /^Status: (Enabled|Disabled)/m.exec(info);
    this.state = { enabled: status === null ? undefined : status[1] === 'Enabled', rules: [] };
    this.lookedMs = this.nowMs();
  }
}

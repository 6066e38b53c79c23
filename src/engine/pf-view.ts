// What pf says of itself, not asked more often than needed.
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { parsePfInfo } from '../pf/info.js';
import { judgeRules } from '../pf/rules.js';
import type { FirewallTexts } from '../table/table.js';

/** What pf says of itself. */
export interface PfState {
  /** undefined: not known */
  readonly enabled: boolean | undefined;
  readonly rules: readonly HealthFinding[];
}

/** Whose rules can be judged. */
const RULED = ['openbsd', 'freebsd'] as const;
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
    private readonly platform: NodeJS.Platform,
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
    const { info, rules } = await this.inspect();
    const enabled = info === undefined ? undefined : parsePfInfo(info)?.enabled;
    this.state = { enabled, rules: rules === undefined ? [] : this.judge(rules) };
    this.lookedMs = this.nowMs();
  }

  private judge(rules: string): HealthFinding[] {
    const { fakeMailserver, realMailserver, port, table, pflogInterface } = this.config();
    const os = RULED.find((name) => name === this.platform);
    const setup = { fake: fakeMailserver, real: realMailserver, port, table, pflogInterface, os };
    return judgeRules(rules, setup).flatMap(({ severity, id, message, advice }) => {
      // what cannot be seen from here is for "mxallowd check" to tell
      if (severity === 'ok' || severity === 'note') return [];
      return [{ severity, id, message: advice === undefined ? message : `${message}: ${advice}` }];
    });
  }
}

// What pf says of itself, not asked more often than needed, and not waited for without end.
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { escapeText } from '../packet/escape.js';
import { parsePfInfo } from '../pf/info.js';
import { judgeRules } from '../pf/rules.js';
import type { FirewallTexts, TableCount } from '../table/table.js';

/** What pf says of itself. */
export interface PfState {
  /** undefined: not known */
  readonly enabled: boolean | undefined;
  readonly rules: readonly HealthFinding[];
  /** entries of the table */
  readonly entries: TableCount;
  /** how long ago pf has said that, in milliseconds; undefined: it has not said anything yet */
  readonly agoMs: number | undefined;
  /** pfctl does not answer; undefined: it does */
  readonly unanswered: Unanswered | undefined;
}

/** pfctl does not answer. */
export interface Unanswered {
  /** since it was asked, in milliseconds */
  readonly forMs: number;
  /** why, as far as known; escaped */
  readonly why: string | undefined;
}

/** Whose rules can be judged. */
const RULED = ['openbsd', 'freebsd'] as const;
/**
 * Who asks how things are is told what pf says now: it is asked again when that is older. Four to six calls of pfctl,
 * so for what is redrawn each second it may be older.
 */
export const FRESH_MS = 1000;
export const WATCHED_MS = 10_000;
/** So long somebody who asks is kept waiting for pfctl; he is to have an answer within two seconds. */
const PATIENCE_MS = 1500;

/** Looks at pf when somebody asks how it is doing. */
export class PfView {
  private known: Pick<PfState, 'enabled' | 'rules' | 'entries'> = {
    enabled: undefined,
    rules: [],
    entries: undefined,
  };
  private knownMs: number | undefined;
  private asking: Promise<void> | undefined;
  private askedMs = 0;
  /** when it was last clear that there is an answer, or none */
  private settledMs = Number.NEGATIVE_INFINITY;
  /** when the first question was asked that has not been answered, and why not */
  private silent: { readonly sinceMs: number; readonly why: string } | undefined;

  constructor(
    private readonly inspect: () => Promise<FirewallTexts>,
    private readonly config: () => Config,
    private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>,
    private readonly platform: NodeJS.Platform,
  ) {}

  /**
   * What pf says, or what it has said last, if pfctl takes its time.
   * @param freshMs - it may be so old
   */
  async look(freshMs = FRESH_MS): Promise<PfState> {
    if (this.config().queueNum === undefined) await this.refresh(freshMs);
    const nowMs = this.clock.monotonicMs();
    const { known, knownMs, silent } = this;
    // still asking: all patience is over, were the timer a moment early
    const sinceMs = silent?.sinceMs ?? (this.asking === undefined ? undefined : this.askedMs);
    return {
      ...known,
      agoMs: knownMs === undefined ? undefined : nowMs - knownMs,
      unanswered: sinceMs === undefined ? undefined : { forMs: nowMs - sinceMs, why: silent?.why },
    };
  }

  /** Asks, unless that has been done lately, and waits; who comes while it is asked waits for what is left of the time. */
  private async refresh(freshMs: number): Promise<void> {
    const { clock } = this;
    if (this.asking === undefined) {
      if (clock.monotonicMs() - this.settledMs < freshMs) return;
      this.askedMs = clock.monotonicMs();
      this.asking = this.ask();
    }
    const leftMs = this.askedMs + PATIENCE_MS - clock.monotonicMs();
    if (leftMs <= 0) return;
    let cancel: () => void = () => undefined;
    const enough = new Promise<void>((resolve) => (cancel = clock.after(leftMs, resolve)));
    await Promise.race([this.asking, enough]);
    cancel();
  }

  private async ask(): Promise<void> {
    const { info, rules, entries, unanswered } = await this.inspect();
    this.asking = undefined;
    this.settledMs = this.clock.monotonicMs();
    if (unanswered !== undefined) {
      this.silent = { sinceMs: this.silent?.sinceMs ?? this.askedMs, why: escapeText(unanswered) };
      return;
    }
    this.silent = undefined;
    this.knownMs = this.settledMs;
    const enabled = info === undefined ? undefined : parsePfInfo(info)?.enabled;
    this.known = { enabled, rules: rules === undefined ? [] : this.judge(rules), entries };
  }

  private judge(rules: string): HealthFinding[] {
    const { fakeMailserver: fake, realMailserver: real, strangers, ...config } = this.config();
    const os = RULED.find((name) => name === this.platform);
    const { port, outbound, table, pflogInterface } = config;
    const strangersPort = strangers.kind === 'redirect' ? strangers.port : undefined;
    const setup = { fake, real, port, outbound, table, pflogInterface, strangersPort, os };
    return judgeRules(rules, setup).flatMap(({ severity, id, message, advice }) => {
      // what cannot be seen from here is for "mxallowd check" to tell
      if (severity === 'ok' || severity === 'note') return [];
      return [{ severity, id, message: advice === undefined ? message : `${message}: ${advice}` }];
    });
  }
}

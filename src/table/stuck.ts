// Calls that go on though they were killed: counted, told, and waited for.
import { type Clock, inWords } from '../clock.js';
import type { ChildEnd, RunningChild } from './child.js';

/** What is told of a call that goes on though it was killed. */
export interface StuckReport {
  /** `ended` comes once, after any number of `stuck` */
  readonly kind: 'stuck' | 'ended';
  readonly pid: number;
  /** since its start */
  readonly afterMs: number;
  /** a sentence for people */
  readonly message: string;
}

/** As long as nothing changes it is told again after this time. */
const REMIND_MS = 10 * 60_000;

interface StuckCall {
  readonly pid: number;
  readonly startedMs: number;
}

/** "pfctl 123 has not ended for 30 s ...". */
export function stuckWords(pid: number, afterMs: number, program = 'pfctl'): string {
  const where = program === 'pfctl' ? '? docs/pf.md, limits' : '';
  const cause = `asleep in the kernel${where}`;
  return `${program} ${pid} has not ended for ${inWords(afterMs)}, though it was killed (${cause})`;
}

/** The calls of pfctl that go on though they were killed. */
export class StuckCalls {
  private readonly calls = new Set<StuckCall>();

  constructor(
    private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>,
    private readonly report: (report: StuckReport) => void,
    private readonly program = 'pfctl',
  ) {}

  /** The end of a call that is not begun, because the oldest one of these still goes on; undefined: there is none. */
  get end(): (ChildEnd & { readonly kind: 'stuck' }) | undefined {
    const [oldest] = this.calls;
    if (oldest === undefined) return undefined;
    return { kind: 'stuck', pid: oldest.pid, afterMs: this.since(oldest), stderr: '' };
  }

  /** Watches a call from now on, and until it is gone. */
  async watch({ gone }: RunningChild, { pid, afterMs }: { pid: number; afterMs: number }): Promise<void> {
    const call: StuckCall = { pid, startedMs: this.clock.monotonicMs() - afterMs };
    this.calls.add(call);
    let cancel: () => void = () => undefined;
    const tell = (): void => {
      const forMs = this.since(call);
      const message = `${stuckWords(pid, forMs, this.program)}; until it has, no other one is started, and nobody new is let in`;
      this.report({ kind: 'stuck', pid, afterMs: forMs, message });
      cancel = this.clock.after(REMIND_MS, tell);
    };
    tell();
    await gone;
    cancel();
    this.calls.delete(call);
    const forMs = this.since(call);
    const message = `${this.program} ${pid} has ended after ${inWords(forMs)}: the table is read, then written again`;
    this.report({ kind: 'ended', pid, afterMs: forMs, message });
  }

  private since({ startedMs }: StuckCall): number {
    return this.clock.monotonicMs() - startedMs;
  }
}

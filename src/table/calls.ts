// Calls of the program that changes the table: one that does not end holds up all others, and how a call ended.
import type { Clock } from '../clock.js';
import { type ChildEnd, type RunningChild, runChild } from './child.js';
import { StuckCalls, type StuckReport, stuckWords } from './stuck.js';
import type { TableFailure, TableReply } from './table.js';

/** What is called, and how long it may take. */
export interface CallsSettings {
  /** absolute path of the program or of a wrapper (doas, sudo) */
  readonly path: string;
  /** for a call with few elements */
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  /** is told of a call that goes on though it was killed */
  readonly report?: (report: StuckReport) => void;
}

/** What is particular to a program. */
export interface ProgramFacts {
  readonly name: 'pfctl' | 'nft';
  /** all that it is given of the environment */
  readonly environment: Readonly<Record<string, string>>;
  /** so many elements more have a second more */
  readonly elementsPerSecond: number;
  /** where it comes from, when it is not there */
  readonly comesWith: string;
  /** what a failed call means, by its standard error */
  readonly classify: (stderr: string) => TableFailure;
  /** what it said, on one line; empty: nothing that matters */
  readonly essence: (stderr: string) => string;
}

/**
 * Runs a program. As long as a call goes on though it was killed no other one is started: it would wait for the same lock
 * in the kernel, and be stuck, too.
 */
export class Calls {
  private readonly running = new Set<RunningChild>();
  private readonly stuck: StuckCalls;
  private started = 0;

  constructor(
    private readonly settings: CallsSettings,
    private readonly facts: ProgramFacts,
  ) {
    this.stuck = new StuckCalls(settings.clock, settings.report ?? (() => undefined), facts.name);
  }

  /** number of calls that were begun */
  get count(): number {
    return this.started;
  }

  /**
   * Runs it to its end, or until it is clear that it does not end.
   * @param elements - of the table, as far as the call has to do with them
   * @param stdout - gets what it prints, in pieces of whole lines
   */
  async run(
    args: readonly string[],
    stdin: string,
    elements: number,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    const { path, timeoutMs, clock } = this.settings;
    const { environment, elementsPerSecond } = this.facts;
    if (this.stuck.end !== undefined) return this.stuck.end;
    this.started++;
    const child = runChild({
      path,
      args,
      environment,
      stdin,
      timeoutMs: timeoutMs + (elements / elementsPerSecond) * 1000,
      clock,
      ...(stdout === undefined ? {} : { stdout }),
    });
    this.running.add(child);
    const end = await child.ended;
    this.running.delete(child);
    if (end.kind === 'stuck') void this.stuck.watch(child, end);
    return end;
  }

  /** Ends the calls that are running, at once. */
  abort(): void {
    for (const child of this.running) child.kill();
  }
}

/**
 * What the end of a call means, by its exit status first: 0 is success, whatever stands on standard error.
 * @param path - as it was called
 */
export function judgeEnd(path: string, end: ChildEnd, facts: ProgramFacts): TableReply {
  const failed = (failure: TableFailure, what: string, stderr = ''): TableReply => {
    const words = facts.essence(stderr);
    return { ok: false, failure, message: words === '' ? what : `${what}: ${words}` };
  };
  switch (end.kind) {
    case 'not-started': {
      const isMissing = end.message.endsWith('ENOENT');
      const what = isMissing ? `does not exist (${facts.comesWith})` : `cannot be started: ${end.message}`;
      return failed('not-started', `${path} ${what}`);
    }
    case 'time-out':
      return failed(
        'time-out',
        `${path} did not end within ${end.afterMs / 1000} s and was killed`,
        end.stderr,
      );
    case 'stuck':
      return failed('stuck', stuckWords(end.pid, end.afterMs, facts.name), end.stderr);
    case 'signal':
      return failed('killed', `${path} was killed by ${end.signal}`, end.stderr);
    case 'exit':
      if (end.status === 0) return { ok: true, changed: undefined, created: false };
      return failed(facts.classify(end.stderr), `${path} ended with status ${end.status}`, end.stderr);
  }
}

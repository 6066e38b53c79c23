import { HandClock } from './hand-clock.js';
import type { PfctlStandIn } from './pfctl-harness.js';
import { HANGS_MS } from './writing.js';
import type { FrameSink, FrameSource } from '../../src/capture/source.js';
import { type Given, resolveConfig } from '../../src/config/config.js';
import { systemClock } from '../../src/clock.js';
import { Engine } from '../../src/engine/engine.js';
import type { Restored } from '../../src/engine/restored.js';
import { PfFirewall } from '../../src/firewall/pf.js';
import { TableGuard } from '../../src/monitor/guard.js';
import type { EngineRequest, MonitorMessage } from '../../src/monitor/messages.js';
import { RemoteTable } from '../../src/monitor/remote-table.js';
import type { Frame } from '../../src/packet/frame.js';
import { parsePrefix, type PrefixText } from '../../src/packet/address.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import type { Table } from '../../src/table/table.js';
import type { RestoredEntry } from '../../src/tracker/tracker.js';

/** The rules of a set-up that is right, as pfctl shows them; the stand-in counts in them. */
export const RULES = [
  'pass in log quick on egress inet proto tcp from <mx-white> to 192.168.1.4 port = smtp flags S/SA',
  'pass in log quick on egress inet6 proto tcp from <mx-white> to 2001:dead:beef::1 port = smtp flags S/SA',
  'block return in log quick on egress inet proto tcp from any to 192.168.1.3 port = smtp',
  'block return in log quick on egress inet6 proto tcp from any to 2001:dead:beef::2 port = smtp',
  'block drop in log quick on egress inet proto tcp from any to 192.168.1.4 port = smtp',
  'block drop in log quick on egress inet6 proto tcp from any to 2001:dead:beef::1 port = smtp',
];

/** Loads those rules. */
export function loadRules(pfctl: PfctlStandIn): void {
  pfctl.update((state) => {
    state.rules = RULES;
    state.references = { '': { 'mx-white': 2 } };
  });
}

/** Time that a test moves; what is to be done when the events at hand have been handled needs no moving. */
class SceneClock extends HandClock {
  override readonly soon = (callback: () => void): void => void setImmediate(callback);
}

/** A capture that a test feeds. */
class Feed implements FrameSource {
  readonly description = 'this test';
  sink: FrameSink | undefined;

  open(sink: FrameSink): Promise<void> {
    this.sink = sink;
    return Promise.resolve();
  }

  statistics(): { received: number; dropped: number } {
    return { received: 0, dropped: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * An engine with pf as its firewall, through a guard as in the monitor, on a stand-in pfctl: everything is real but pf,
 * the capture, and the time, which stands still until the test moves it.
 */
export class PfScene {
  readonly clock = new SceneClock();
  readonly engine: Engine;
  /** what it has logged: `level: message` */
  readonly lines: string[] = [];
  /** what the guard has refused */
  readonly refused: string[] = [];
  private readonly feed = new Feed();
  private underway = 0;

  constructor(
    pfctl: PfctlStandIn,
    options: { readonly sysctl?: string; readonly more?: readonly [Given['key'], string][] } = {},
  ) {
    const { sysctl, more = [] } = options;
    const given: [Given['key'], string][] = [
      ['fakeMailserver', '192.168.1.3'],
      ['fakeMailserver', '2001:dead:beef::2'],
      ['realMailserver', '192.168.1.4'],
      ['realMailserver', '2001:dead:beef::1'],
      ['noRdnsWhitelist', 'true'],
      ['noPool', 'true'],
      ...more,
    ];
    const resolved = resolveConfig(
      given.map(([key, text]) => ({ key, text, where: '', origin: 'command line' })),
      [],
      'openbsd',
    );
    if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
    const pf = new PfctlTable({
      path: pfctl.path,
      table: 'mx-white',
      anchor: '',
      timeoutMs: HANGS_MS,
      clock: systemClock,
      ...(sysctl === undefined ? {} : { sysctl }),
    });
    const toEngine = (message: MonitorMessage): void =>
      remote.handle(message as Extract<MonitorMessage, { id: number }>);
    const guard = new TableGuard(pf, toEngine, (why) => this.refused.push(why), systemClock);
    guard.configure(resolved.config);
    const remote = new RemoteTable(pf.description, (message) => void guard.handle(message as EngineRequest));
    this.engine = new Engine({
      config: resolved.config,
      log: {
        write: (level, message) => void this.lines.push(`${level}: ${message}`),
        isEnabled: () => true,
        setLevel: () => undefined,
        description: 'this list',
        lost: 0,
        close: () => Promise.resolve(),
      },
      clock: this.clock,
      hashKey: [1, 2],
      makeFirewall: (core) =>
        new PfFirewall(core, { table: this.noted(remote), makeSource: () => Promise.resolve(this.feed) }),
    });
  }

  /** Starts, and waits until nothing is to be done. */
  async start(restored?: Restored): Promise<void> {
    await this.engine.prepare();
    await this.engine.start(restored);
    await this.settle();
  }

  /** Ends it, whatever is still to be done. */
  async stop(): Promise<void> {
    const stopped = this.engine.stop(0);
    this.clock.pass(1);
    await stopped;
    await this.settle();
  }

  /** pf logs these packets. */
  log(frames: readonly Frame[]): void {
    for (const frame of frames) this.feed.sink?.frame(frame);
  }

  /** Waits until there is nothing to be done before time goes by. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 5; idle++) {
      this.clock.pass(0);
      await new Promise((resolve) => setImmediate(resolve));
      if (this.underway > 0) idle = -1;
    }
  }

  /** Time goes by, a second after the other, and what is due is done. */
  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1000) {
      this.clock.pass(Math.min(leftMs, 1000));
      await this.settle();
    }
  }

  /** Time goes by until something holds. @returns how much, in milliseconds */
  async passUntil(holds: () => Promise<boolean>, mostMs = 3_600_000): Promise<number> {
    await this.settle();
    for (let passedMs = 0; ; passedMs += 1000) {
      if (await holds()) return passedMs;
      if (passedMs >= mostMs) throw new Error(`not after ${passedMs / 1000} s\n${this.lines.join('\n')}`);
      await this.pass(1000);
    }
  }

  /** The messages with these words. */
  said(words: RegExp): string[] {
    return this.lines.filter((line) => words.test(line));
  }

  /** The same table, and it is known whether it is at work. */
  private noted(table: Table): Table {
    const note = async <T>(work: Promise<T>): Promise<T> => {
      this.underway++;
      try {
        return await work;
      } finally {
        this.underway--;
      }
    };
    return {
      description: table.description,
      add: (prefixes) => note(table.add(prefixes)),
      delete: (prefixes) => note(table.delete(prefixes)),
      flush: () => note(table.flush()),
      show: (entry) => note(table.show(entry)),
      count: () => note(table.count()),
      limits: () => note(table.limits()),
      inspect: () => note(table.inspect()),
      abort: () => table.abort(),
    };
  }
}

/** What an earlier run has left: these entries, with an hour to live from now on. */
export function left(
  clock: HandClock,
  prefixes: readonly PrefixText[],
  facts: Partial<RestoredEntry> = {},
): Restored {
  const nowMs = clock.monotonicMs();
  const entries = prefixes.map((text): RestoredEntry => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(text);
    return {
      prefix: parsed.prefix,
      text,
      origin: 'attempt',
      addedMs: nowMs - 60_000,
      deadlineMs: nowMs + 3_540_000,
      lastAttemptMs: nowMs - 60_000,
      attempts: 1,
      admissions: 0,
      firstAdmissionMs: undefined,
      lastAdmissionMs: undefined,
      isRegular: false,
      name: undefined,
      ...facts,
    };
  });
  return {
    entries,
    expired: [],
    allowed: [],
    counters: undefined,
    hasKnownTime: true,
    domains: [],
    notes: [],
  };
}

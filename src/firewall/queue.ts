// NFQUEUE as the firewall: packets wait for our verdict.
import type { Config } from '../config/config.js';
import { Verdict } from '../netfilter/messages.js';
import { QueueError } from '../netfilter/problem.js';
import type { KernelFigures } from '../netfilter/proc.js';
import { PacketQueues, type QueueRange } from '../netfilter/queues.js';
import { formatAddress, type PrefixText } from '../packet/address.js';
import { decodeAddresses, decodePacket, type UndecodedReason } from '../packet/observation.js';
import { Direction } from '../packet/pflog.js';
import type { FirewallTexts } from '../table/table.js';
import type { UnjudgedReason } from '../tracker/decision.js';
import { answeringFakes } from './fake-listener.js';
import { type Core, type Firewall, type FirewallReport } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { Keeper } from './keeper.js';
import { type Line, queueLine } from '../engine/messages.js';
import { Exit, StartError } from '../sysexits.js';
import { amount } from '../words.js';

/** Enough for an IP header with options or extension headers, and TCP's; a SYN has 40 to 80 bytes. */
const COPY_RANGE = 256;
/** What a message takes of the receive buffer, which the kernel doubles. */
const BUFFER_FOR_EACH = 1024;
/** Bytes. */
const MOST_BUFFER = 256 << 20;
/** The loopback interface has this index in every network namespace (LOOPBACK_IFINDEX, net/net_namespace.h). */
const LOOPBACK = 1;
/** enum nf_inet_hooks: output and postrouting; the others are on the way in */
const FIRST_HOOK_OUT = 3;
/** When packets come: how soon after one it is looked whether some were lost. */
const CHECK_AFTER_MS = 5000;

/** What cannot be the beginning of a connection to a real MX. */
const HARMLESS: ReadonlySet<string> = new Set([
  'not-tcp',
  // without its first fragment, which is judged, nobody can put the packet together
  'fragment',
  'not-inbound',
  'not-syn',
  'other-port',
  'other-destination',
] satisfies (UndecodedReason | UnjudgedReason)[]);

const NOTHING: readonly PrefixText[] = [];

const EXIT_STATUS: Readonly<Record<QueueError['kind'], number>> = {
  unavailable: Exit.UNAVAILABLE,
  taken: Exit.UNAVAILABLE,
  died: Exit.UNAVAILABLE,
  permission: Exit.NOPERM,
};

/** The queues of netfilter: who may reach the real MX is said by each packet's verdict. */
export class QueueFirewall implements Firewall {
  readonly authority = 'whitelist';
  private readonly queue: Keeper<ClosableQueue>;
  private cancelCheck: (() => void) | undefined;
  private figures: KernelFigures | undefined;
  private lostBefore = { lost: 0, full: 0 };
  private closed = false;
  /** decisions whose packets wait for their verdict */
  private readonly toFollow: Judgement[] = [];

  constructor(
    private readonly core: Core,
    queues: QueueRange,
  ) {
    const { queueLength, failOpen, queueExit } = core.config;
    const rest = queueExit === 'accept' ? Verdict.ACCEPT : Verdict.DROP;
    const settings = {
      queues,
      maxLength: queueLength,
      copyRange: COPY_RANGE,
      failOpen,
      receiveBuffer: Math.min(
        queueLength * BUFFER_FOR_EACH,
        Math.floor(MOST_BUFFER / (queues.last - queues.first + 1)),
      ),
    };
    this.queue = new Keeper({
      open: async (lost, made) => {
        const queue = await PacketQueues.open(
          settings,
          {
            judge: (data, start, end, hook, inInterface) => this.judge(data, start, end, hook, inInterface),
            get mark() {
              const { strangers } = core.config;
              return strangers.kind === 'mark' ? strangers.mark : 0;
            },
            answered: () => this.answered(),
            failed: (error) => lost(error.message),
          },
          this.figures,
        );
        this.lostBefore = { lost: 0, full: 0 };
        if (queue.receiveBuffer < settings.receiveBuffer)
          core.say(bufferLine(queue.receiveBuffer, settings.receiveBuffer));
        made(new ClosableQueue(queue, rest, (left) => this.sayLeft(left)));
      },
      explain: (error) => (error instanceof QueueError ? error.message : undefined),
      name: 'queue',
      meanwhile: 'its packets are dropped (or pass, with "bypass" in the rule)',
      say: (line) => core.say(line),
      clock: core.clock,
    });
  }

  get description(): string {
    return this.queue.description;
  }

  async prepare(): Promise<void> {
    this.figures = await orStartError(PacketQueues.prepare());
  }

  async start(): Promise<void> {
    await orStartError(this.queue.open());
    void this.checkFakes();
  }

  // who is whitelisted is asked for each packet anew: nothing to write anywhere
  added(): void {}
  removed(): void {}
  entriesChanged(): void {}
  alwaysChanged(): void {}
  reconfigured({ dryRun }: Config): void {
    if (dryRun !== this.core.config.dryRun) this.core.say(dryRunLine(this.core.config.dryRun));
    void this.checkFakes();
  }

  logStatistics(): void {
    const statistics = this.queue.current?.queue.statistics();
    if (statistics !== undefined) this.core.say(queueLine(statistics));
  }

  report(): FirewallReport {
    const open = this.queue.current?.queue;
    const nothing = { received: 0, accepted: 0, dropped: 0, lost: 0, full: undefined, waiting: undefined };
    const { description } = this.queue;
    const queue = { description, ports: open?.ports ?? [], ...(open?.statistics() ?? nothing) };
    return { isOpen: this.queue.isOpen, capture: undefined, table: undefined, queue };
  }

  // there is no table
  foreignEntry(): undefined {}
  allowedInTable(): readonly PrefixText[] {
    return NOTHING;
  }

  goesOn(): boolean {
    // one that is not open is being opened again
    return !this.queue.isOpen || (this.queue.current?.queue.goesOn() ?? true);
  }

  inspect(): Promise<FirewallTexts> {
    return Promise.resolve({ info: undefined, rules: undefined, entries: undefined, unanswered: undefined });
  }

  async stop(): Promise<void> {
    this.closed = true;
    this.cancelCheck?.();
    await this.queue.close();
    this.figures?.close();
    this.figures = undefined;
  }

  private judge(data: Uint8Array, start: number, end: number, hook: number, inInterface: number): Verdict {
    this.cancelCheck ??= this.core.clock.after(CHECK_AFTER_MS, () => this.checkLost());
    // the machine's own connections to its own mail server
    if (inInterface === LOOPBACK) return Verdict.ACCEPT;
    const direction = hook < FIRST_HOOK_OUT ? Direction.IN : Direction.OUT;
    const decoded = decodePacket(data, start, end, this.core.clock.wallMs(), direction);
    const judgement = this.core.decide(decoded);
    this.toFollow.push(judgement);
    const verdict = this.verdict(judgement, data, start, end);
    return this.core.config.dryRun ? Verdict.ACCEPT : verdict;
  }

  /** The sender does not wait for the log. */
  private answered(): void {
    for (const judgement of this.toFollow.splice(0)) this.core.follow(judgement);
  }

  /** A refusal is dropped, or marked where strangers are, and what might be a connection to a real MX and cannot be judged; the rest is accepted. */
  private verdict({ decision }: Judgement, data: Uint8Array, start: number, end: number): Verdict {
    if (decision.kind === 'refusal') return decision.redirected ? Verdict.MARK : Verdict.DROP;
    if (decision.kind !== 'unjudged') return Verdict.ACCEPT;
    if (HARMLESS.has(decision.reason)) return Verdict.ACCEPT;
    const addresses = decodeAddresses(data, start, end);
    const passes = addresses !== undefined && this.core.tracker.mayPassUnread(addresses);
    return passes ? Verdict.ACCEPT : Verdict.DROP;
  }

  /** Whatever listens on a fake MX would take mail from everybody. */
  private async checkFakes(): Promise<void> {
    const { fakeMailserver, port } = this.core.config;
    for (const fake of await answeringFakes(fakeMailserver, port)) {
      const address = formatAddress(fake);
      const message =
        `something listens on port ${port} of the fake MX ${address}: it takes mail from everybody; ` +
        'let the mail server listen on the real addresses only (docs/nfqueue.md)';
      this.core.say({ level: 'warn', message, fields: { event: 'fake-answers', target: address } });
    }
  }

  private checkLost(): void {
    this.cancelCheck = undefined;
    const statistics = this.queue.current?.queue.statistics();
    if (statistics === undefined || this.closed) return;
    const { lost, full = 0 } = statistics;
    const more = { lost: lost - this.lostBefore.lost, full: full - this.lostBefore.full };
    this.lostBefore = { lost, full };
    if (more.lost > 0 || more.full > 0) this.core.say(lostLine(more, this.core.config));
  }

  private sayLeft(left: number): void {
    if (left === 0) return;
    const fate = this.core.config.queueExit === 'accept' ? 'accepted' : 'dropped';
    const message = `${amount(left, 'packet')} still in ${this.description} at the end: ${fate} unjudged`;
    this.core.say({ level: 'info', message, fields: { event: 'queue-left', left, fate } });
  }
}

/** A queue as the keeper wants it: closing says what became of the rest. */
class ClosableQueue {
  readonly description: string;

  constructor(
    readonly queue: PacketQueues,
    private readonly rest: Verdict,
    private readonly closed: (left: number) => void,
  ) {
    this.description = queue.description;
  }

  close(): void {
    this.closed(this.queue.close(this.rest));
  }
}

async function orStartError<T>(opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (!(error instanceof QueueError)) throw error;
    throw new StartError(error.message, EXIT_STATUS[error.kind]);
  }
}

function lostLine({ lost, full }: { lost: number; full: number }, config: Config): Line {
  const fate = config.failOpen ? 'let in unjudged (fail-open)' : 'dropped unjudged; senders try again';
  const where = [
    ...(full > 0
      ? [`${amount(full, 'packet')} found the queue full (queue-length ${config.queueLength})`]
      : []),
    ...(lost > 0 ? [`${amount(lost, 'packet')} found our receive buffer full`] : []),
  ];
  const message = `${where.join(', ')}: ${fate}`;
  return { level: 'warn', message, fields: { event: 'queue-overflow', lost, full } };
}

function dryRunLine(isDry: boolean): Line {
  const message = isDry
    ? 'dry-run is on: from the next packet on everything is accepted, and nothing is dropped'
    : 'dry-run is off: from the next packet on who has not tried the fake MX is dropped at the real one';
  return { level: 'warn', message, fields: { event: 'dry-run', dryRun: isDry } };
}

function bufferLine(bytes: number, wanted: number): Line {
  const message =
    `the receive buffer has ${bytes} bytes instead of ${wanted}, so the queue takes fewer packets than queue-length; ` +
    'raise net.core.rmem_max';
  return { level: 'warn', message, fields: { event: 'receive-buffer', bytes, wanted } };
}

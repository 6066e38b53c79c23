// Checks and carries out what the engine asks of the table.
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import {
  type Family,
  familyOf,
  formatPrefix,
  parseCanonical,
  type Prefix,
  type PrefixText,
  WIDEST_ENTRY,
  WIDEST_NETWORK,
} from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import {
  type FirewallTexts,
  mostLife,
  type TableCount,
  type TableFailure,
  type TableLimits,
  type TableReply,
} from '../table/table.js';
import type { Own } from '../names/network-bounds.js';
import { Bucket } from './bucket.js';
import { Grants } from './grants.js';
import { type EngineRequest, MOST_PREFIXES, type MonitorMessage } from './messages.js';
import { amount } from '../words.js';

/** The table as the monitor uses it. */
export interface GuardedTable {
  /** the firewall bounds by itself how many entries there are */
  readonly isBounded?: boolean;
  add(prefixes: readonly PrefixText[], seconds?: readonly number[]): Promise<TableReply>;
  delete(prefixes: readonly PrefixText[]): Promise<TableReply>;
  flush(): Promise<TableReply>;
  showText(take: (lines: string) => void): Promise<TableReply>;
  count(): Promise<TableCount>;
  limits(): Promise<TableLimits | undefined>;
  inspect(): Promise<FirewallTexts>;
  abort(): void;
}

/** What the table may have beyond max-entries: what is taken out next is still there. */
const ON_THE_WAY = 2 * MOST_PREFIXES;
/** Part of pf's limit that is never used: what it means to reach it is in docs/pf.md. */
const USABLE = 0.95;
/** A request that changes the table. */
type ChangeRequest = Extract<EngineRequest, { request: 'add' | 'delete' }>;

/** Failures after which nothing of a change has been carried out; of any other, part of it may have been, or still is. */
const NOTHING_DONE: ReadonlySet<TableFailure> = new Set(['not-started', 'missing-table']);
/** When pf did not answer it is asked again after this time. */
const LIMITS_AGAIN_MS = 10_000;
/** What other tables hold may change: pf is asked again after this time. */
const LIMITS_FRESH_MS = 10 * 60_000;
/**
 * pfctl is run for the engine so often at once, and so often in a second; what comes too fast waits. A batch that waits
 * for 40 ms takes what has come meanwhile: in a flood of new senders that is fewer calls for the same.
 */
const BURST = 50;
const PER_SECOND = 25;
/** What a request counts for: calls of pfctl, and for the list the time that it takes to read. */
const COST: Readonly<Record<EngineRequest['request'], number>> = {
  add: 1,
  delete: 1,
  flush: 1,
  count: 2,
  limits: 2,
  inspect: 5,
  show: 10,
  reload: 0,
  grant: 0,
};
/** A line of the list that is an entry, not a detail of one. */
const ENTRY_LINE = /^ {2}[ !]\S.*$/gm;
/**
 * One that may not be a sender's: an exception, a network of 47 bits and less, or what has characters that no address
 * has. The others need no closer look.
 */
const WIDE_LINE = /^ {2}(?:!.*| [^/\n]+\/(?:\d|[1-3]\d|4[0-7])| .*[^\da-f:./\n].*)$/gm;
/** A detail that nobody needs: a table with counters has eight of them for each entry. */
const IDLE_LINE = /^\t(?!Cleared:|Expires:).*\n/gm;

/**
 * Carries out what the engine asks for, after looking at it as if the engine were an enemy: only prefixes that could
 * be a sender's or that the configuration allows, only so many of them, one request at a time.
 */
export class TableGuard {
  private readonly turns = new Bucket(BURST, PER_SECOND);
  private allowed: ReadonlySet<string> = new Set();
  private readonly grants: Grants;
  private config: Config | undefined;
  private held = 0;
  private foreign = 0;
  private room = Number.POSITIVE_INFINITY;
  /** whether {@link held} is what the table really has, and since when {@link room} is known */
  private isCounted = false;
  /** the last list could not be had, for it is too long: then the table may be emptied */
  private isTooLong = false;
  private limitsAtMs = Number.NEGATIVE_INFINITY;
  private isReadingLimits = false;
  private running: Promise<void> | undefined;
  private inspecting: Promise<FirewallTexts> | undefined;

  /**
   * @param send - to the engine
   * @param refused - is told of every request that was not carried out, in words, escaped
   * @param interfaces - the networks of this machine's interfaces
   */
  constructor(
    private readonly table: GuardedTable,
    private readonly send: (message: MonitorMessage) => void,
    private readonly refused: (why: string) => void,
    private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>,
    interfaces: () => Own = () => [],
  ) {
    this.grants = new Grants(interfaces);
  }

  /** Takes over the configuration, which says what may be in the table. */
  configure(config: Config): void {
    this.config = config;
    this.allowed = new Set(config.allow.map(formatPrefix));
    this.grants.configure(config);
  }

  /** Ends the table's command that is running; not our own look at pf's limits, without which nobody knows the room. */
  abort(): void {
    if (!this.isReadingLimits) this.table.abort();
  }

  /** Looks at a request and carries it out; the engine gets an answer in any case in which it can understand one. */
  async handle(request: EngineRequest): Promise<void> {
    const { id } = request;
    if (request.request === 'inspect') return this.inspect(request);
    if (request.request === 'grant') {
      // pfctl has no part in it
      this.send({ kind: 'granted', id, refused: this.grants.request(request.prefixes) });
      return;
    }
    const why = this.running === undefined ? this.problem(request) : 'two requests at a time';
    if (why !== undefined) {
      this.refuse(id, why);
      return;
    }
    this.running = this.carryOut(request);
    // it never rejects
    await this.running;
    this.running = undefined;
  }

  /** Another engine has begun; nobody knows what happened to the table in between. */
  begin(): void {
    this.isCounted = false;
    this.limitsAtMs = Number.NEGATIVE_INFINITY;
  }

  /** whether pfctl runs for the engine, which waits for it */
  get isBusy(): boolean {
    return this.running !== undefined || this.inspecting !== undefined;
  }

  /** Resolves when nothing is under way: what an engine has asked for must not answer the next one. */
  async idle(): Promise<void> {
    await Promise.all([this.running, this.inspecting]);
  }

  /** Never rejects: what goes wrong here must not be the end of the monitor. */
  private async carryOut(request: EngineRequest): Promise<void> {
    const { id } = request;
    try {
      await this.turn(request);
      if (request.request === 'add' || request.request === 'delete') {
        await this.change(request);
      } else if (request.request === 'show') await this.show(id);
      else if (request.request === 'flush') await this.flush(id);
      else if (request.request === 'count') {
        this.send({ kind: 'counted', id, count: await this.table.count() });
      } else await this.limits(id);
    } catch (error) {
      this.refuse(id, `it failed: ${escapeText(String(error))}`);
    }
  }

  /** Waits until it is time to run pfctl again. */
  private async turn({ request }: EngineRequest): Promise<void> {
    const waitMs = this.turns.take(COST[request], this.clock.monotonicMs());
    if (waitMs > 0) await new Promise<void>((resolve) => this.clock.after(waitMs, resolve));
  }

  private async change(request: ChangeRequest): Promise<void> {
    const { id, request: verb, prefixes, seconds } = request;
    const asks = verb === 'add' && this.table.isBounded !== true;
    const why = asks ? await this.roomProblem(prefixes.length) : undefined;
    if (why !== undefined) {
      this.refuse(id, why);
      return;
    }
    const reply =
      verb === 'delete' ? await this.table.delete(prefixes) : await this.table.add(prefixes, seconds);
    this.noteGrants(verb, prefixes, reply);
    this.count(verb, prefixes.length, reply);
    this.send({ kind: 'reply', id, reply });
  }

  /** So many seconds an entry may stay at the most, where the firewall keeps time. */
  private get mostLife(): number {
    return mostLife(this.config?.knownTime ?? 0, this.config?.whitelistTime ?? 0);
  }

  /** Why a change is not made; undefined when it may be. */
  private problem(request: EngineRequest): string | undefined {
    if (request.request !== 'add' && request.request !== 'delete') return undefined;
    const { request: verb, prefixes, seconds } = request;
    if (seconds?.every((life) => life <= this.mostLife) === false) {
      return `${verb} for longer than ${this.mostLife} s`;
    }
    for (const prefix of prefixes) {
      const why = this.prefixProblem(verb, prefix);
      if (why !== undefined) return why;
    }
    return undefined;
  }

  /** Why so many more entries are not added; undefined when they may be. The monitor counts by itself. */
  private async roomProblem(count: number): Promise<string | undefined> {
    if (!this.isCounted) {
      const listed = await this.list(() => undefined);
      // what is not there has nothing in it, and is made by the addition
      if (!listed.ok && listed.failure === 'missing-table') this.held = this.foreign = 0;
      else if (!listed.ok) return 'the table cannot be read';
    }
    if (this.clock.monotonicMs() - this.limitsAtMs > LIMITS_FRESH_MS) await this.readLimits();
    const most = Math.min(
      (this.config?.maxEntries ?? 0) + this.allowed.size + this.grants.size + this.foreign + ON_THE_WAY,
      this.room,
    );
    if (this.held + count <= most) return undefined;
    return `more than ${amount(most, 'entry', 'entries')}: the table has ${this.held}, and ${count} were to be added`;
  }

  private prefixProblem(verb: 'add' | 'delete', text: PrefixText): string | undefined {
    const prefix = parseCanonical(text);
    if (prefix === undefined) return `"${escapeText(text, 60)}" is no prefix`;
    if (this.allowed.has(text) || prefix.length >= this.widest(verb, prefix)) return undefined;
    if (this.grants.allows(text)) return undefined;
    return `${verb} ${text}: wider than a sender's prefix, and not allowed by the configuration`;
  }

  /** What any earlier configuration has put in, by `allow` too, may be taken out by this one. */
  private widest(verb: 'add' | 'delete', prefix: Prefix): number {
    const family: Family = familyOf(prefix.address);
    if (verb === 'delete' || this.config === undefined) return WIDEST_NETWORK[family];
    return family === 4 ? this.config.ipv4Prefix : this.config.ipv6Prefix;
  }

  /** A table that can be listed is emptied by nobody at one stroke. */
  private async flush(id: number): Promise<void> {
    if (!this.isTooLong) {
      this.refuse(id, 'flush of a table that can be listed');
      return;
    }
    const reply = await this.table.flush();
    if (reply.ok) {
      this.held = this.foreign = 0;
      this.isCounted = true;
      this.isTooLong = false;
      this.grants.lost();
    }
    this.send({ kind: 'reply', id, reply });
  }

  /** What is in the table by a grant counts, whatever is granted later. */
  private noteGrants(verb: 'add' | 'delete', prefixes: readonly PrefixText[], reply: TableReply): void {
    if (reply.ok ? reply.created : reply.failure === 'missing-table') this.grants.lost();
    if (verb === 'add' && (reply.ok || !NOTHING_DONE.has(reply.failure))) this.grants.added(prefixes);
    if (verb === 'delete' && reply.ok) this.grants.deleted(prefixes);
  }

  private count(verb: 'add' | 'delete', asked: number, reply: TableReply): void {
    if (!reply.ok) {
      if (reply.failure === 'missing-table') this.held = 0;
      // perhaps it was carried out, or part of it was: it is counted before anything is added
      if (!NOTHING_DONE.has(reply.failure)) this.isCounted = false;
      return;
    }
    if (reply.created) this.held = 0;
    this.held = Math.max(0, this.held + (verb === 'add' ? (reply.changed ?? asked) : -(reply.changed ?? 0)));
  }

  private async show(id: number): Promise<void> {
    const reply = await this.list((lines) => this.send({ kind: 'lines', id, lines }));
    this.send({ kind: 'reply', id, reply });
  }

  /** Whether an entry of the table may be one that the engine has asked for. */
  private isOurs(text: string): boolean {
    const prefix = parseCanonical(text);
    if (prefix === undefined) return false;
    if (this.allowed.has(text) || this.grants.holds(text as PrefixText)) return true;
    return prefix.length >= WIDEST_ENTRY[familyOf(prefix.address)];
  }

  /** Lists the table, and counts it. */
  private async list(take: (lines: string) => void): Promise<TableReply> {
    let entries = 0;
    let foreign = 0;
    const isForeign = (line: string): boolean => line[2] === '!' || !this.isOurs(line.slice(3));
    const reply = await this.table.showText((lines) => {
      entries += lines.match(ENTRY_LINE)?.length ?? 0;
      foreign += lines.match(WIDE_LINE)?.filter(isForeign).length ?? 0;
      take(lines.replace(IDLE_LINE, ''));
    });
    this.isTooLong = !reply.ok && reply.failure === 'too-long';
    if (!reply.ok) return reply;
    this.held = entries;
    this.foreign = foreign;
    this.isCounted = true;
    return reply;
  }

  private async limits(id: number): Promise<void> {
    this.send({ kind: 'limits', id, limits: await this.readLimits() });
  }

  private async readLimits(): Promise<TableLimits | undefined> {
    this.isReadingLimits = true;
    const limits = await this.table.limits().finally(() => (this.isReadingLimits = false));
    const nowMs = this.clock.monotonicMs();
    // what could not be read is tried again soon, and what was known stays
    this.limitsAtMs = limits === undefined ? nowMs - LIMITS_FRESH_MS + LIMITS_AGAIN_MS : nowMs;
    if (limits !== undefined)
      this.room = Math.min(
        Math.floor(Math.max(0, limits.limit - limits.usedByOthers) * USABLE),
        limits.listable ?? Number.POSITIVE_INFINITY,
      );
    return limits;
  }

  private async inspect(request: EngineRequest): Promise<void> {
    const { id } = request;
    if (this.inspecting !== undefined) {
      this.refuse(id, 'two requests at a time');
      return;
    }
    try {
      this.inspecting = this.turn(request).then(() => this.table.inspect());
      const texts = await this.inspecting;
      this.send({ kind: 'texts', id, texts });
    } catch (error) {
      this.refuse(id, `it failed: ${escapeText(String(error))}`);
    } finally {
      this.inspecting = undefined;
    }
  }

  private refuse(id: number, why: string): void {
    this.refused(why);
    const reply: TableReply = { ok: false, failure: 'refused', message: `the monitor refuses: ${why}` };
    this.send({ kind: 'reply', id, reply });
  }
}

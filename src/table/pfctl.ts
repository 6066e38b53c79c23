// pf's table, through pfctl(8).
import type { Clock } from '../clock.js';
import { type PrefixText, WIDEST_NETWORK } from '../packet/address.js';
import { type ChildEnd, type RunningChild, runChild } from './child.js';
import { PfctlCounts } from './pfctl-counts.js';
import { classifyFailure, essence, parseChanged, parseCreated, ShowParser } from './pfctl-output.js';
import { StuckCalls, type StuckReport, stuckWords } from './stuck.js';
import type { FirewallTexts, ShownEntry, Table, TableCount, TableLimits, TableReply } from './table.js';

/** What pfctl is told, and how long it may take. */
export interface PfctlSettings {
  /** absolute path of pfctl or of a wrapper (doas, sudo) */
  readonly path: string;
  readonly table: string;
  /** anchor path, empty for the main ruleset */
  readonly anchor: string;
  /** for a call with few addresses; a thousand more get a second more */
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  /** absolute path of sysctl(8), where it knows how many entries can be listed (FreeBSD) */
  readonly sysctl?: string;
  /** is told of a call that goes on though it was killed */
  readonly report?: (report: StuckReport) => void;
}

/** UTC, so that the times which pfctl prints can be read whatever the zone; nothing else is passed on. */
const ENVIRONMENT = { TZ: 'UTC' };

/** What may stand in a line for pfctl: it takes much more, and most of that would open the gate. */
const LITERAL = /^(?:\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:.]+)(?:\/(\d{1,3}))?$/;

/** Time for many addresses (50,000 took 1.9 s on an emulated CPU), on top of the time for a call. */
const ADDRESSES_PER_SECOND = 1000;
/** Characters of rules and the like that are read at the most. */
const MOST_TEXT = 1 << 20;
/** `show` does not know beforehand how many there are. */
const SHOW_ALLOWANCE = 20_000;

/** When there is no word from pf at all. */
const NOTHING: FirewallTexts = {
  info: undefined,
  rules: undefined,
  entries: undefined,
  unanswered: undefined,
};

/** What pfctl prints about something, or why there is nothing. */
interface Printed {
  readonly text: string | undefined;
  /** why it has not answered; undefined: it has, or it has failed */
  readonly unanswered: string | undefined;
}

/**
 * A pf table, changed and read with pfctl(8). As long as a pfctl goes on though it was killed no other one is started:
 * it would wait for the same lock in the kernel, and be stuck, too.
 */
export class PfctlTable implements Table {
  readonly description: string;
  private readonly running = new Set<RunningChild>();
  private readonly stuck: StuckCalls;
  private readonly counts: PfctlCounts;
  private started = 0;

  constructor(private readonly settings: PfctlSettings) {
    this.description = tableDescription(settings);
    this.stuck = new StuckCalls(settings.clock, settings.report ?? (() => undefined));
    this.counts = new PfctlCounts({
      table: settings.table,
      anchor: settings.anchor,
      pfctl: async (args, take) => isDone(await this.run(args, '', SHOW_ALLOWANCE, take)),
      sysctl: (name) => this.sysctl(name),
    });
  }

  /** number of times that pfctl has been started */
  get calls(): number {
    return this.started;
  }

  add(prefixes: readonly PrefixText[]): Promise<TableReply> {
    return this.change('add', prefixes);
  }

  delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    return this.change('delete', prefixes);
  }

  async show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    const parser = new ShowParser(entry);
    const reply = await this.showText((lines) => parser.push(lines));
    if (reply.ok) parser.finish();
    return reply;
  }

  /** The same as pfctl prints it, for {@link ShowParser}: in pieces of whole lines. */
  async showText(take: (lines: string) => void): Promise<TableReply> {
    const shown = reply(
      this.settings.path,
      await this.ofTable(['-v', '-T', 'show'], '', SHOW_ALLOWANCE, take),
    );
    // a list takes no room: an older FreeBSD (errata EN-20:04) says so of one that is too long
    return !shown.ok && shown.failure === 'no-room' ? { ...shown, failure: 'too-long' } : shown;
  }

  async flush(): Promise<TableReply> {
    return reply(this.settings.path, await this.ofTable(['-T', 'flush'], '', SHOW_ALLOWANCE));
  }

  count(): Promise<TableCount> {
    return this.counts.ours();
  }

  async inspect(): Promise<FirewallTexts> {
    const info = await this.print(['-s', 'info']);
    if (info.unanswered !== undefined) return { ...NOTHING, unanswered: info.unanswered };
    const main = await this.print(['-s', 'rules']);
    // with what is in the anchors, if there are any
    const isAnchored = main.text !== undefined && /^\s*anchor /m.test(main.text);
    const all = isAnchored ? await this.print(['-a', '*', '-s', 'rules']) : main;
    const unanswered = main.unanswered ?? all.unanswered;
    const entries = unanswered === undefined ? await this.counts.ours() : undefined;
    return { info: info.text, rules: all.text ?? main.text, entries, unanswered };
  }

  limits(): Promise<TableLimits | undefined> {
    return this.counts.limits();
  }

  abort(): void {
    for (const child of this.running) child.kill();
  }

  private async change(command: 'add' | 'delete', prefixes: readonly PrefixText[]): Promise<TableReply> {
    for (const prefix of prefixes) {
      if (!isSafe(prefix)) throw new Error(`not a prefix for pfctl: ${JSON.stringify(prefix)}`);
    }
    const end = await this.ofTable(['-T', command, '-f', '-'], `${prefixes.join('\n')}\n`, prefixes.length);
    return reply(this.settings.path, end);
  }

  private ofTable(
    command: readonly string[],
    stdin: string,
    addresses: number,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    const { anchor, table } = this.settings;
    const args = [...(anchor === '' ? [] : ['-a', anchor]), '-t', table, ...command];
    return this.run(args, stdin, addresses, stdout);
  }

  /** What `sysctl -n NAME` prints. */
  private async sysctl(name: string): Promise<string | undefined> {
    const { sysctl: path, timeoutMs, clock } = this.settings;
    if (path === undefined) return undefined;
    let text = '';
    const end = await runChild({
      path,
      args: ['-n', name],
      environment: {},
      stdin: '',
      timeoutMs,
      clock,
      stdout: (lines) => (text += lines),
    }).ended;
    return isDone(end) ? text : undefined;
  }

  private async print(args: readonly string[]): Promise<Printed> {
    let text = '';
    const end = await this.run(args, '', 0, (lines) => {
      if (text.length < MOST_TEXT) text += lines;
    });
    if (isDone(end)) return { text, unanswered: undefined };
    const said = reply(this.settings.path, end);
    const isSilent = !said.ok && (said.failure === 'time-out' || said.failure === 'stuck');
    return { text: undefined, unanswered: isSilent ? said.message : undefined };
  }

  /** Runs pfctl to its end, or until it is clear that it does not end. */
  private async run(
    args: readonly string[],
    stdin: string,
    addresses: number,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    const { path, timeoutMs, clock } = this.settings;
    if (this.stuck.end !== undefined) return this.stuck.end;
    this.started++;
    const child = runChild({
      path,
      args,
      environment: ENVIRONMENT,
      stdin,
      timeoutMs: timeoutMs + (addresses / ADDRESSES_PER_SECOND) * 1000,
      clock,
      ...(stdout === undefined ? {} : { stdout }),
    });
    this.running.add(child);
    const end = await child.ended;
    this.running.delete(child);
    if (end.kind === 'stuck') void this.stuck.watch(child, end);
    return end;
  }
}

function isDone(end: ChildEnd): boolean {
  return end.kind === 'exit' && end.status === 0;
}

/** A table's name, with its anchor, for people. */
export function tableDescription({ table, anchor }: Pick<PfctlSettings, 'table' | 'anchor'>): string {
  return anchor === '' ? `<${table}>` : `<${table}> of anchor "${anchor}"`;
}

/** Whether a text is a literal address, or a network that is not half the world. */
function isSafe(text: string): boolean {
  const match = LITERAL.exec(text);
  if (match === null) return false;
  const length = match[1];
  return length === undefined || Number(length) >= WIDEST_NETWORK[text.includes(':') ? 6 : 4];
}

/** Judges by exit status first: 0 is success whatever stands on standard error (facts: 1 usage, 255 table errors). */
export function reply(path: string, end: ChildEnd): TableReply {
  switch (end.kind) {
    case 'not-started':
      return { ok: false, failure: 'not-started', message: notStarted(path, end.message) };
    case 'time-out':
      return {
        ok: false,
        failure: 'time-out',
        message: withWords(`${path} did not end within ${end.afterMs / 1000} s and was killed`, end.stderr),
      };
    case 'stuck':
      return {
        ok: false,
        failure: 'stuck',
        message: withWords(stuckWords(end.pid, end.afterMs), end.stderr),
      };
    case 'signal':
      return {
        ok: false,
        failure: 'killed',
        message: withWords(`${path} was killed by ${end.signal}`, end.stderr),
      };
    case 'exit':
      if (end.status === 0) {
        return { ok: true, changed: parseChanged(end.stderr), created: parseCreated(end.stderr) };
      }
      return {
        ok: false,
        failure: classifyFailure(end.stderr),
        message: withWords(`${path} ended with status ${end.status}`, end.stderr),
      };
  }
}

function notStarted(path: string, message: string): string {
  return message.endsWith('ENOENT')
    ? `${path} does not exist (it comes with pf, on OpenBSD and FreeBSD)`
    : `${path} cannot be started: ${message}`;
}

function withWords(what: string, stderr: string): string {
  const words = essence(stderr);
  return words === '' ? what : `${what}: ${words}`;
}

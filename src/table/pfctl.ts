// pf's table, through pfctl(8).
import { type PrefixText, WIDEST_NETWORK } from '../packet/address.js';
import { type ChildEnd, type RunningChild, runChild } from './child.js';
import {
  classifyFailure,
  essence,
  parseChanged,
  parseCreated,
  parseTableEntriesLimit,
  ShowParser,
  sumOtherTables,
} from './pfctl-output.js';
import type { FirewallTexts, ShownEntry, Table, TableLimits, TableReply } from './table.js';

/** What pfctl is told, and how long it may take. */
export interface PfctlSettings {
  /** absolute path of pfctl or of a wrapper (doas, sudo) */
  readonly path: string;
  readonly table: string;
  /** anchor path, empty for the main ruleset */
  readonly anchor: string;
  /** for a call with few addresses; a thousand more get a second more */
  readonly timeoutMs: number;
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

/** A pf table, changed and read with pfctl(8). */
export class PfctlTable implements Table {
  readonly description: string;
  private running: RunningChild | undefined;
  private started = 0;

  constructor(private readonly settings: PfctlSettings) {
    this.description = tableDescription(settings);
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
    return reply(this.settings.path, await this.run(['-v', '-T', 'show'], '', SHOW_ALLOWANCE, take));
  }

  async inspect(): Promise<FirewallTexts> {
    const info = await this.text(['-s', 'info']);
    const main = await this.text(['-s', 'rules']);
    // with what is in the anchors, if there are any
    const isAnchored = main !== undefined && /^\s*anchor /m.test(main);
    return { info, rules: isAnchored ? ((await this.text(['-a', '*', '-s', 'rules'])) ?? main) : main };
  }

  async limits(): Promise<TableLimits | undefined> {
    const memory = await this.text(['-s', 'memory']);
    const limit = memory && parseTableEntriesLimit(memory);
    if (limit === undefined || limit === '') return undefined;
    const tables = (await this.text(['-vv', '-s', 'Tables'])) ?? '';
    return { limit, usedByOthers: sumOtherTables(tables, this.settings.table, this.settings.anchor) };
  }

  abort(): void {
    this.running?.kill();
  }

  private async change(command: 'add' | 'delete', prefixes: readonly PrefixText[]): Promise<TableReply> {
    for (const prefix of prefixes) {
      if (!isSafe(prefix)) throw new Error(`not a prefix for pfctl: ${JSON.stringify(prefix)}`);
    }
    const end = await this.run(['-T', command, '-f', '-'], `${prefixes.join('\n')}\n`, prefixes.length);
    return reply(this.settings.path, end);
  }

  private run(
    command: readonly string[],
    stdin: string,
    addresses: number,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    const { anchor, table } = this.settings;
    const args = [...(anchor === '' ? [] : ['-a', anchor]), '-t', table, ...command];
    return this.spawn(args, stdin, addresses, stdout);
  }

  private async text(args: readonly string[]): Promise<string | undefined> {
    let stdout = '';
    const end = await this.start(args, '', 0, (lines) => {
      if (stdout.length < MOST_TEXT) stdout += lines;
    }).ended;
    return end.kind === 'exit' && end.status === 0 ? stdout : undefined;
  }

  private async spawn(
    args: readonly string[],
    stdin: string,
    addresses: number,
    stdout?: (lines: string) => void,
  ): Promise<ChildEnd> {
    this.running = this.start(args, stdin, addresses, stdout);
    const end = await this.running.ended;
    this.running = undefined;
    return end;
  }

  private start(
    args: readonly string[],
    stdin: string,
    addresses: number,
    stdout?: (lines: string) => void,
  ): RunningChild {
    const { path, timeoutMs } = this.settings;
    this.started++;
    return runChild({
      path,
      args,
      environment: ENVIRONMENT,
      stdin,
      timeoutMs: timeoutMs + (addresses / ADDRESSES_PER_SECOND) * 1000,
      ...(stdout === undefined ? {} : { stdout }),
    });
  }
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

// pf's table, through pfctl(8).
import { type PrefixText, WIDEST_NETWORK } from '../packet/address.js';
import { Calls, type CallsSettings, judgeEnd, type ProgramFacts } from './calls.js';
import { type ChildEnd, runChild } from './child.js';
import { PfctlCounts } from './pfctl-counts.js';
import { classifyFailure, essence, parseChanged, parseCreated, parseShown } from './pfctl-output.js';
import type { FirewallTexts, ShownEntry, Table, TableCount, TableLimits, TableReply } from './table.js';

/** What pfctl is told, and how long it may take. */
export interface PfctlSettings extends CallsSettings {
  readonly table: string;
  /** anchor path, empty for the main ruleset */
  readonly anchor: string;
  /** absolute path of sysctl(8), where it knows how many entries can be listed (FreeBSD) */
  readonly sysctl?: string;
}

/** What may stand in a line for pfctl: it takes much more, and most of that would open the gate. */
const LITERAL = /^(?:\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:.]+)(?:\/(\d{1,3}))?$/;

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

const PFCTL: ProgramFacts = {
  name: 'pfctl',
  // UTC, so that the times which it prints can be read whatever the zone; nothing else is passed on
  environment: { TZ: 'UTC' },
  // 50,000 took 1.9 s on an emulated CPU
  elementsPerSecond: 1000,
  comesWith: 'it comes with pf, on OpenBSD and FreeBSD',
  classify: classifyFailure,
  essence,
};

/** A pf table, changed and read with pfctl(8). */
export class PfctlTable implements Table {
  readonly description: string;
  private readonly pfctl: Calls;
  private readonly counts: PfctlCounts;

  constructor(private readonly settings: PfctlSettings) {
    this.description = tableDescription(settings);
    this.pfctl = new Calls(settings, PFCTL);
    this.counts = new PfctlCounts({
      table: settings.table,
      anchor: settings.anchor,
      pfctl: async (args, take) => isDone(await this.pfctl.run(args, '', SHOW_ALLOWANCE, take)),
      sysctl: (name) => this.sysctl(name),
    });
  }

  /** number of times that pfctl has been started */
  get calls(): number {
    return this.pfctl.count;
  }

  add(prefixes: readonly PrefixText[]): Promise<TableReply> {
    return this.change('add', prefixes);
  }

  delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    return this.change('delete', prefixes);
  }

  show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    return parseShown((take) => this.showText(take), entry);
  }

  /** The same as pfctl prints it, for {@link parseShown}: in pieces of whole lines. */
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
    this.pfctl.abort();
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
    return this.pfctl.run(args, stdin, addresses, stdout);
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
    const end = await this.pfctl.run(args, '', 0, (lines) => {
      if (text.length < MOST_TEXT) text += lines;
    });
    if (isDone(end)) return { text, unanswered: undefined };
    const said = reply(this.settings.path, end);
    const isSilent = !said.ok && (said.failure === 'time-out' || said.failure === 'stuck');
    return { text: undefined, unanswered: isSilent ? said.message : undefined };
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

/** What the end of a call of pfctl means (facts: 1 usage, 255 table errors). */
export function reply(path: string, end: ChildEnd): TableReply {
  const judged = judgeEnd(path, end, PFCTL);
  if (!judged.ok || end.kind !== 'exit') return judged;
  return { ok: true, changed: parseChanged(end.stderr), created: parseCreated(end.stderr) };
}

// The table as the engine sees it: over the channel to the monitor.
import type { PrefixText } from '../packet/address.js';
import { ShowParser } from '../table/pfctl-output.js';
import type {
  FirewallTexts,
  ShownEntry,
  Table,
  TableCount,
  TableLimits,
  TableReply,
} from '../table/table.js';
import type { RefusedNetwork } from '../names/network-bounds.js';
import type { EngineEvent, EngineRequest, MonitorMessage, Reconfiguration } from './messages.js';

type Answer = Extract<MonitorMessage, { id: number }>;

/** EngineRequest without its number. */
type Question = EngineRequest extends infer R ? (R extends EngineRequest ? Omit<R, 'id'> : never) : never;

const LOST: TableReply = { ok: false, failure: 'killed', message: 'the monitor has gone' };

/** A list of the table that nobody reads yet. */
interface Fetched {
  /** what has come of it */
  readonly lines: readonly string[];
  /** gets what is still to come */
  take: (text: string) => void;
  readonly reply: Promise<TableReply>;
}

/** The pf table as an engine without root has it: the monitor changes it. */
export class RemoteTable implements Table {
  private readonly waiting = new Map<number, (answer: Answer | undefined) => void>();
  private lastId = 0;
  /** the list that was asked for beforehand */
  private fetched: Fetched | undefined;

  /**
   * @param description - of the table, for people
   * @param send - to the monitor
   */
  constructor(
    readonly description: string,
    private readonly send: (message: EngineRequest | EngineEvent) => void,
  ) {}

  add(prefixes: readonly PrefixText[], seconds?: readonly number[]): Promise<TableReply> {
    return this.reply({ request: 'add', prefixes, seconds });
  }

  delete(prefixes: readonly PrefixText[]): Promise<TableReply> {
    return this.reply({ request: 'delete', prefixes });
  }

  flush(): Promise<TableReply> {
    return this.reply({ request: 'flush' });
  }

  async count(): Promise<TableCount> {
    const answer = await this.ask({ request: 'count' });
    return answer?.kind === 'counted' ? answer.count : undefined;
  }

  fetch(): void {
    const lines: string[] = [];
    const reply = this.reply({ request: 'show' }, (text) => fetched.take(text));
    const fetched: Fetched = { lines, take: (text) => void lines.push(text), reply };
    this.fetched = fetched;
  }

  async show(entry: (entry: ShownEntry) => void): Promise<TableReply> {
    const parser = new ShowParser(entry);
    const reply = await (this.takeFetched(parser) ??
      this.reply({ request: 'show' }, (text) => parser.push(text)));
    if (reply.ok) parser.finish();
    return reply;
  }

  /** Reads what has come of the list that was asked for beforehand, and what is still to come. */
  private takeFetched(parser: ShowParser): Promise<TableReply> | undefined {
    const { fetched } = this;
    this.fetched = undefined;
    if (fetched === undefined) return undefined;
    for (const text of fetched.lines) parser.push(text);
    fetched.take = (text) => parser.push(text);
    return fetched.reply;
  }

  /** Says which networks may be added although they are wider than a sender's prefix. @returns those that may not */
  async grant(prefixes: readonly PrefixText[]): Promise<readonly RefusedNetwork[]> {
    const answer = await this.ask({ request: 'grant', prefixes });
    return answer?.kind === 'granted' ? answer.refused : [];
  }

  async limits(): Promise<TableLimits | undefined> {
    const answer = await this.ask({ request: 'limits' });
    return answer?.kind === 'limits' ? answer.limits : undefined;
  }

  async inspect(): Promise<FirewallTexts> {
    const answer = await this.ask({ request: 'inspect' });
    return answer?.kind === 'texts'
      ? answer.texts
      : { info: undefined, rules: undefined, entries: undefined, unanswered: undefined };
  }

  /** Asks the monitor to read the configuration again; it may read what the engine may not. */
  async reload(): Promise<Reconfiguration | undefined> {
    const answer = await this.ask({ request: 'reload' });
    return answer?.kind === 'reloaded' ? answer.configuration : undefined;
  }

  abort(): void {
    this.send({ event: 'abort' });
  }

  /** Takes what the monitor has answered. */
  handle(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    if (answer.kind !== 'lines') this.waiting.delete(answer.id);
    waiting?.(answer);
  }

  /** The monitor has gone: nothing will be answered any more. */
  lost(): void {
    for (const [id, waiting] of this.waiting) {
      this.waiting.delete(id);
      waiting(undefined);
    }
  }

  private async reply(question: Question, lines?: (lines: string) => void): Promise<TableReply> {
    const answer = await this.ask(question, lines);
    return answer?.kind === 'reply' ? answer.reply : LOST;
  }

  private ask(question: Question, lines?: (lines: string) => void): Promise<Answer | undefined> {
    const id = ++this.lastId;
    this.send({ ...question, id });
    return new Promise((resolve) => {
      this.waiting.set(id, (answer) => {
        if (answer?.kind === 'lines') lines?.(answer.lines);
        else resolve(answer);
      });
    });
  }
}

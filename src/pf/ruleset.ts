// Rules with their anchors.
import { systemClock } from '../clock.js';
import { runChild } from '../table/child.js';
import { reply } from '../table/pfctl.js';
import type { TableReply } from '../table/table.js';

/** Names in the rules may have to be looked up in DNS. */
const TIMEOUT_MS = 60_000;

/** What pf itself says. */
export type PfState =
  { readonly ok: true; readonly isEnabled: boolean } | (TableReply & { readonly ok: false });

/** pf's rules, checked and loaded with pfctl(8). */
export class Ruleset {
  /**
   * @param pfctl - absolute path of pfctl or of a wrapper
   */
  constructor(private readonly pfctl: string) {}

  /** Whether pfctl accepts a file (`-nf`); nothing is loaded. */
  async check(file: string): Promise<TableReply> {
    return (await this.run(['-n', '-f', file])).reply;
  }

  /** Loads a file as the main rule set. */
  async load(file: string): Promise<TableReply> {
    return (await this.run(['-f', file])).reply;
  }

  /** Whether pf can be talked to, and looks at packets at all. */
  async state(): Promise<PfState> {
    const { reply: said, stdout } = await this.run(['-s', 'info']);
    return said.ok ? { ok: true, isEnabled: /^Status: Enabled/m.test(stdout) } : said;
  }

  /** Whether a table has entries. */
  async hasEntries(table: string): Promise<boolean> {
    const { reply: said, stdout } = await this.run(['-t', table, '-T', 'show']);
    return said.ok && stdout.trim() !== '';
  }

  private async run(args: readonly string[]): Promise<{ reply: TableReply; stdout: string }> {
    let stdout = '';
    const { ended } = runChild({
      path: this.pfctl,
      args,
      environment: {},
      stdin: '',
      timeoutMs: TIMEOUT_MS,
      clock: systemClock,
      stdout: (lines) => (stdout += lines),
    });
    return { reply: reply(this.pfctl, await ended), stdout };
  }
}

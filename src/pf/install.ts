// Installs the rules: files, check by pfctl, load, and back again.
import { rmSync } from 'node:fs';
import { Exit } from '../sysexits.js';
import { systemWords } from '../words.js';
import type { TableReply } from '../table/table.js';
import { codeOf, keepBackup, readBytes, removeFile, replaceFile, takeLock, writeNew } from './files.js';
import { pointInclude } from './include.js';
import type { Files } from './plan.js';
import type { Ruleset } from './ruleset.js';

/** A change of the two files. */
export interface Change {
  readonly before: Files;
  readonly after: Files;
  /** pf.conf itself, behind symbolic links */
  readonly main: string;
  /** the rules file itself, behind symbolic links */
  readonly rules: string;
  /** as pf.conf includes it */
  readonly includedAs: string;
}

/** What came of a change: what to tell, and the exit status. */
export interface Outcome {
  readonly status: number;
  /** unescaped */
  readonly lines: readonly string[];
}

/**
 * Carries a change out: checks it with pfctl before anything is touched, replaces the files, and loads them. When they
 * cannot be loaded the old files come back, and are loaded. At no moment does pf.conf include a file that is not
 * there, so that a crash leaves something that pf takes.
 */
export async function carryOut(change: Change, ruleset: Ruleset): Promise<Outcome> {
  const { main, rules } = change;
  const lock = `${main}.mxallowd-lock`;
  try {
    const owner = takeLock(lock);
    if (owner !== undefined) return lockedBy(owner, lock);
  } catch (error) {
    return systemFailure(error);
  }
  const installation = new Installation(change, ruleset);
  try {
    return await installation.run();
  } catch (error) {
    return systemFailure(error);
  } finally {
    const names = WORK_NAMES.filter((name) => name !== KEPT || !installation.keepsOld);
    const leftovers = [main, rules].flatMap((path) => names.map((name) => path + name));
    for (const path of [...leftovers, lock]) rmSync(path, { force: true });
  }
}

const CHECKED = '.mxallowd-check';
const FRESH = '.mxallowd-new';
const KEPT = '.mxallowd-old';
const WORK_NAMES = [CHECKED, FRESH, KEPT];

class Installation {
  private readonly undo: (() => void)[] = [];
  private backup: string | undefined;
  /** the old files could not be put back: what is left of them is all that there is */
  keepsOld = false;

  constructor(
    private readonly change: Change,
    private readonly ruleset: Ruleset,
  ) {}

  async run(): Promise<Outcome> {
    const { main, rules, before, after } = this.change;
    if (readBytes(main) !== before.main || readBytes(rules) !== before.rules) {
      const lines = [`${main} or ${rules} has just been changed by somebody else: nothing has been done`];
      return { status: Exit.UNAVAILABLE, lines };
    }
    const rejected = await this.check();
    if (rejected !== undefined) return rejected;
    const isInstall = after.rules !== undefined;
    if (isInstall && after.main !== before.main) {
      this.backup = keepBackup(`${main}.before-mxallowd`, before.main, main);
    }
    const loaded = await this.replaceAndLoad();
    if (loaded !== undefined) return this.putBack(loaded);
    if (!isInstall && before.rules !== undefined) removeFile(rules);
    return { status: Exit.OK, lines: this.report() };
  }

  /** Asks pfctl about files beside the real ones. */
  private async check(): Promise<Outcome | undefined> {
    const { main, rules, after, includedAs } = this.change;
    let text = after.main;
    if (after.rules !== undefined) {
      writeNew(rules + FRESH, after.rules, main);
      text = pointInclude(text, includedAs, rules + FRESH);
    }
    writeNew(main + CHECKED, text, main);
    const reply = await this.ruleset.check(main + CHECKED);
    if (reply.ok) return undefined;
    const words = reply.message.replaceAll(rules + FRESH, rules).replaceAll(main + CHECKED, main);
    const isOldBad = reply.failure === 'refused' && !(await this.ruleset.check(main)).ok;
    const why = isOldBad ? `pfctl rejects ${main} as it is, without our lines` : 'pfctl rejects the result';
    return {
      status: reply.failure === 'refused' ? Exit.DATAERR : statusOf(reply),
      lines: [`${why}: nothing has been changed`, words],
    };
  }

  /** @returns what went wrong */
  private async replaceAndLoad(): Promise<Outcome | undefined> {
    const { main, rules, before, after } = this.change;
    try {
      if (after.main !== before.main) writeNew(main + FRESH, after.main, main);
      // what pf.conf includes has to be there first
      if (after.rules !== undefined && after.rules !== before.rules) this.replace(rules);
      if (after.main !== before.main) this.replace(main);
    } catch (error) {
      const { status, lines } = systemFailure(error);
      return { status, lines: ['the files could not be replaced:', ...lines] };
    }
    const reply = await this.ruleset.load(main);
    if (reply.ok) return undefined;
    const lines = [`${main} could not be loaded:`, reply.message, ...hints(reply)];
    return { status: statusOf(reply), lines };
  }

  private replace(path: string): void {
    this.undo.unshift(replaceFile(path, path + FRESH, path + KEPT));
  }

  private async putBack({ status, lines: told }: Outcome): Promise<Outcome> {
    const { main } = this.change;
    try {
      for (const step of this.undo) step();
    } catch (error) {
      this.keepsOld = true;
      const where = ` (as they were: ${[this.backup, `*${KEPT}`].filter((name) => name !== undefined).join(', ')})`;
      return {
        status,
        lines: [...told, `and the old files could not be put back${where}: ${systemWords(error)}`],
      };
    }
    const reply = await this.ruleset.load(main);
    const loaded = reply.ok ? 'they are loaded' : `but could not be loaded either: ${reply.message}`;
    return { status, lines: [...told, `the old files are back, ${loaded}`] };
  }

  private report(): string[] {
    const { main, rules, before, after } = this.change;
    if (after.rules === undefined) return [`${main} no longer has our lines, and is loaded`];
    const lines: string[] = [];
    if (before.rules !== after.rules) lines.push(`${rules} is written`);
    if (before.main !== after.main) lines.push(`${main} includes it; as it was before: ${this.backup}`);
    return [...lines, `${main} is loaded`];
  }
}

function lockedBy(owner: number, lock: string): Outcome {
  const line = `process ${owner} is changing the rules (if that is no mxallowd: remove ${lock})`;
  return { status: Exit.UNAVAILABLE, lines: [line] };
}

/** What to add where pfctl's words say little to somebody who does not know pf. */
export function hints(reply: TableReply & { readonly ok: false }): string[] {
  const { message } = reply;
  if (message.includes('Operation not permitted')) {
    return ['(at securelevel 2 on OpenBSD, 3 on FreeBSD, rules cannot be changed until the next boot)'];
  }
  if (message.includes('/dev/pf: No such file')) return ['(pf is not loaded: on FreeBSD "service pf start")'];
  return [];
}

function statusOf({ failure }: TableReply & { readonly ok: false }): number {
  return failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
}

/**
 * What a failed system call means for who called us.
 * @throws the error itself if it is none of the system's
 */
export function systemFailure(error: unknown): Outcome {
  const code = codeOf(error);
  if (code === undefined) throw error;
  const status: Readonly<Record<string, number>> = {
    EACCES: Exit.NOPERM,
    EPERM: Exit.NOPERM,
    ENOENT: Exit.NOINPUT,
  };
  const { path } = error as NodeJS.ErrnoException;
  const hint = code === 'EACCES' || code === 'EPERM' ? ' (this is for root)' : '';
  const where = path === undefined ? '' : `${path}: `;
  return { status: status[code] ?? Exit.CANTCREAT, lines: [where + systemWords(error) + hint] };
}

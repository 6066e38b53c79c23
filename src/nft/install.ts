// Puts our table into the kernel, and its file where the boot finds it; and takes both away again.
import { rmSync } from 'node:fs';
import { keepBackup, readBytes, replaceFile, takeLock, writeNew } from '../pf/files.js';
import { systemFailure } from '../pf/install.js';
import { Exit } from '../sysexits.js';
import type { NftProgram } from '../table/nft-program.js';
import type { EntryLengths } from '../table/nft-sets.js';
import type { TableReply } from '../table/table.js';
import { amount, systemWords } from '../words.js';
import { removalText } from './conf.js';
import { checkText, keptEntries, keptText } from './kernel.js';

/** A file that changes. */
export interface FileChange {
  /** the file itself, behind symbolic links */
  readonly path: string;
  readonly before: string | undefined;
  /** undefined: it is removed */
  readonly after: string | undefined;
  /** what was there is kept beside it */
  readonly isKept?: true;
}

/** What is to be done. */
export interface NftChange {
  /** our file comes first */
  readonly files: readonly FileChange[];
  /** what is loaded; undefined: our table goes, if it is there */
  readonly table: string | undefined;
  /** whose lengths entries have from now on */
  readonly lengths: EntryLengths;
  /** more that goes in the same moment */
  readonly alsoGone: readonly string[];
}

/** What came of a change: what to tell, and the exit status. */
export interface NftOutcome {
  readonly status: number;
  /** unescaped */
  readonly lines: readonly string[];
}

const FRESH = '.mxallowd-new';
const KEPT = '.mxallowd-old';

/**
 * Carries a change out. nft and the kernel are asked before anything is touched; then the files are replaced, and the
 * table is loaded as one transaction, with the entries that are in it. When it cannot be loaded the old files come back.
 */
export async function changeTable(change: NftChange, nft: NftProgram): Promise<NftOutcome> {
  const [first] = change.files;
  const lock = `${first?.path ?? ''}.mxallowd-lock`;
  try {
    const owner = takeLock(lock);
    if (owner !== undefined) {
      const line = `process ${owner} is changing the rules (if that is no mxallowd: remove ${lock})`;
      return { status: Exit.UNAVAILABLE, lines: [line] };
    }
  } catch (error) {
    return systemFailure(error);
  }
  try {
    return await carryOut(change, nft);
  } catch (error) {
    return systemFailure(error);
  } finally {
    const leftovers = change.files.flatMap(({ path }) => [path + FRESH, path + KEPT]);
    for (const path of [...leftovers, lock]) rmSync(path, { force: true });
  }
}

async function carryOut(change: NftChange, nft: NftProgram): Promise<NftOutcome> {
  const { files, table, lengths, alsoGone } = change;
  for (const { path, before } of files) {
    if (readBytes(path) === before) continue;
    const lines = [`${path} has just been changed by somebody else: nothing has been done`];
    return { status: Exit.UNAVAILABLE, lines };
  }
  const gone = alsoGone.map((name) => `table ${name}\ndelete table ${name}\n`).join('');
  const kept = table === undefined ? undefined : await keptEntries(nft);
  if (kept?.ok === false) return failed('the entries that are there cannot be read', kept);
  const entries = kept?.entries ?? [];
  const text = table === undefined ? removalText() + gone : table + keptText(entries, lengths) + gone;
  const checked = await checkText(nft, text);
  if (!checked.ok) return failed('nft rejects the result: nothing has been changed', checked);
  const undo: (() => void)[] = [];
  const lines: string[] = [];
  try {
    for (const file of files) {
      if (file.before === file.after) continue;
      if (file.isKept === true && file.before !== undefined) {
        const backup = keepBackup(`${file.path}.before-mxallowd`, file.before, file.path);
        lines.push(`${file.path} as it was before: ${backup}`);
      }
      undo.unshift(replace(file));
      lines.push(`${file.path} is ${file.after === undefined ? 'removed' : 'written'}`);
    }
  } catch (error) {
    for (const step of undo) step();
    const { status, lines: why } = systemFailure(error);
    return { status, lines: ['the files could not be replaced:', ...why] };
  }
  const loaded = await nft.load(text, entries.length);
  if (!loaded.ok) return putBack(failed('the rules could not be loaded', loaded), undo);
  if (entries.length > 0) {
    lines.push(`${amount(entries.length, 'entry has', 'entries have')} been taken along, with the time left`);
  }
  return { status: Exit.OK, lines };
}

/** @returns puts things back */
function replace({ path, before, after }: FileChange): () => void {
  if (after === undefined) {
    rmSync(path, { force: true });
    return () => {
      if (before !== undefined) writeNew(path, before, undefined);
    };
  }
  writeNew(path + FRESH, after, before === undefined ? undefined : path);
  return replaceFile(path, path + FRESH, path + KEPT);
}

function putBack({ status, lines }: NftOutcome, undo: readonly (() => void)[]): NftOutcome {
  try {
    for (const step of undo) step();
  } catch (error) {
    return { status, lines: [...lines, `and the old files could not be put back: ${systemWords(error)}`] };
  }
  return { status, lines: [...lines, 'the old files are back; the kernel still has what it had'] };
}

function failed(what: string, { failure, message }: TableReply & { ok: false }): NftOutcome {
  return { status: statusOfNft(failure), lines: [what, message] };
}

/** The exit status for a call of nft that has failed. */
export function statusOfNft(failure: (TableReply & { ok: false })['failure']): number {
  if (failure === 'permission') return Exit.NOPERM;
  return failure === 'refused' ? Exit.DATAERR : Exit.UNAVAILABLE;
}

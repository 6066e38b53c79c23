// Writes snapshots and the journal behind them.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.js';
import {
  allowedBodies,
  countersBody,
  entryBodies,
  headerText,
  removedBody,
  saidBody,
  sealed,
  seedOf,
  timeBody,
} from './format.js';
import type { KeptDomain } from '../names/domain-networks.js';
import type { PrefixText } from '../packet/address.js';
import { noteBody } from './notes.js';
import { domainBodies } from './domains.js';
import { errorCode } from './problem.js';
import type { SavedEntry, StateChange, StateSource } from './source.js';

/**
 * Lines that are made at a time: so long the event loop is held up (under a millisecond), and so much text is in
 * memory.
 */
export const SLICE = 500;

/** A journal shorter than this is never worth another snapshot. */
const SHORT_JOURNAL = 1024 * 1024;

/** Notes that go out with a write of the journal; the others wait. */
const NOTES_OF_A_WRITE = 100;

const FILE_MODE = 0o600;
const NOTHING: readonly never[] = [];
const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/** A file that is open for its journal. */
interface OpenFile {
  readonly handle: FileHandle;
  /** what its checksums begin with */
  readonly seed: number;
  readonly device: number;
  readonly inode: number;
  size: number;
  /** its size without the journal */
  snapshotSize: number;
  /** the last line of counters */
  counters: string;
  /** what `allow` has put into the table, as it was last written */
  allowed: readonly PrefixText[];
  /** the networks of domains, likewise */
  domains: readonly KeptDomain[];
}

/**
 * Writes one state file: snapshots of everything, and what changes afterwards to their end. One call at a time; what
 * fails is thrown as the file system's error, and leaves the file that was there.
 */
export class StateWriter {
  private file: OpenFile | undefined;

  constructor(
    private readonly path: string,
    private readonly source: StateSource,
    private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>,
  ) {}

  /**
   * Writes everything to PATH.new, and puts that in the place of the file.
   *
   * What the source has changed before is not needed any more: it is taken and thrown away. An entry is written as it
   * is when its turn comes; what changes after that is a change that the source has not handed out yet, and is written
   * behind the entries, so the last line about each prefix is as new as the end of the call, or the beginning of the
   * last lines at least.
   * @param isWorthless - asked at the end: whether changes have been lost meanwhile
   * @returns false when it was worthless, and the file is as before
   */
  async snapshot(isWorthless: () => boolean): Promise<boolean> {
    await this.close();
    const { path } = this;
    const temporary = `${path}.new`;
    await removeIfThere(temporary);
    const file = await create(temporary);
    try {
      await this.drain();
      await write(file, [...this.head(file), saidBody()]);
      await this.writeEntries(file);
      await this.writeNotes(file);
      file.snapshotSize = file.size;
      // a second time line: one that is damaged must not cost everything
      await this.writeChanges(file, this.head(file));
      await file.handle.sync();
      if (isWorthless()) {
        await discard(file.handle, temporary);
        return false;
      }
      await rename(temporary, path);
    } catch (error) {
      await discard(file.handle, temporary);
      throw error;
    }
    this.file = file;
    await syncFolder(dirname(path));
    return true;
  }

  /**
   * Writes what has changed to the end of the file; after an error only a snapshot may follow.
   * @param always - write what time it is, even when nothing has changed
   */
  async append(always: boolean): Promise<void> {
    const { file } = this;
    if (file === undefined) throw new Error('no snapshot has been written');
    const counters = countersBody(this.source.counters());
    const isSame =
      counters === file.counters &&
      this.source.allowed() === file.allowed &&
      this.source.domains() === file.domains;
    if (!always && isSame && this.source.changes === 0) return;
    const notes = this.source.notes.takeChanges(always ? Infinity : NOTES_OF_A_WRITE, always);
    await this.writeChanges(file, [...this.head(file), ...notes.map(noteBody)]);
    await file.handle.datasync();
  }

  /**
   * Whether the next write should, or must, be a snapshot: the journal has become long, most entries have changed, or
   * the file is not what we have written (somebody has moved it away, cut it, or put another one there).
   */
  async needsSnapshot(): Promise<boolean> {
    const { file, source } = this;
    if (file === undefined) return true;
    if (file.size - file.snapshotSize > Math.max(SHORT_JOURNAL, file.snapshotSize)) return true;
    if (source.changes > Math.max(SLICE, source.size / 2)) return true;
    try {
      const { dev, ino, size } = await lstat(this.path);
      return dev !== file.device || ino !== file.inode || size !== file.size;
    } catch {
      return true;
    }
  }

  /** Lets go of the file; never throws. */
  async close(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    await file?.handle.close().catch(() => undefined);
  }

  private async writeNotes(file: OpenFile): Promise<void> {
    const notes = this.source.notes.all();
    for (let at = 0; at < notes.length; at += SLICE) {
      await write(file, notes.slice(at, at + SLICE).map(noteBody));
    }
  }

  /** Takes what has changed so far, to no use. */
  private async drain(): Promise<void> {
    this.source.notes.takeChanges(Infinity, true);
    for (let left = this.source.changes; left > 0; left -= SLICE) {
      if (this.source.takeChanges(SLICE).length < SLICE) return;
      await nextTurn();
    }
  }

  /** What time it is, and what is not an entry's, if it is another than was last written. */
  private head(file: OpenFile): string[] {
    const counters = countersBody(this.source.counters());
    const lines = [timeBody(this.clock.wallMs(), this.clock.monotonicMs())];
    if (counters !== file.counters) lines.push(counters);
    file.counters = counters;
    const allowed = this.source.allowed();
    const isNone = allowed.length === 0 && file.allowed.length === 0;
    if (allowed !== file.allowed && !isNone) lines.push(...allowedBodies(allowed));
    file.allowed = allowed;
    const domains = this.source.domains();
    const hasNone = domains.length === 0 && file.domains.length === 0;
    if (domains !== file.domains && !hasNone) lines.push(...domainBodies(domains));
    file.domains = domains;
    return lines;
  }

  private async writeEntries(file: OpenFile): Promise<void> {
    const entries: Iterator<SavedEntry, unknown> = this.source.entries()[Symbol.iterator]();
    for (;;) {
      const lines: string[] = [];
      while (lines.length < SLICE) {
        const step = entries.next();
        if (step.done === true) return write(file, lines);
        lines.push(...entryBodies(step.value));
      }
      await write(file, lines);
    }
  }

  /**
   * As many changes as there are at the start of it, so that it ends however fast others follow.
   * @param head - goes before them, in one write with the first ones
   */
  private async writeChanges(file: OpenFile, head: readonly string[]): Promise<void> {
    let before = head;
    for (let left = Math.max(this.source.changes, 1); left > 0; left -= SLICE) {
      const changes = this.source.takeChanges(SLICE);
      await write(file, [...before, ...changes.flatMap(changeBodies)]);
      before = [];
      if (changes.length < SLICE) return;
    }
  }
}

function changeBodies(change: StateChange): string[] {
  return change.kind === 'entry' ? entryBodies(change.entry) : [removedBody(change.prefix)];
}

async function create(path: string): Promise<OpenFile> {
  const handle = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
  try {
    const { dev, ino } = await handle.stat();
    const header = headerText(randomBytes(4).readUInt32BE());
    await handle.appendFile(`${header}\n`);
    const size = header.length + 1;
    return {
      handle,
      seed: seedOf(header),
      device: dev,
      inode: ino,
      size,
      snapshotSize: size,
      counters: '',
      allowed: NOTHING,
      domains: NOTHING,
    };
  } catch (error) {
    await discard(handle, path);
    throw error;
  }
}

async function write(file: OpenFile, bodies: readonly string[]): Promise<void> {
  if (bodies.length === 0) return;
  const text = bodies.map((body) => sealed(body, file.seed)).join('');
  await file.handle.appendFile(text, 'latin1');
  file.size += text.length;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** Gets rid of a file that has come to nothing: on a full disk its room is needed. */
async function discard(handle: FileHandle, path: string): Promise<void> {
  await handle.close().catch(() => undefined);
  await unlink(path).catch(() => undefined);
}

/** Makes a rename last through a power failure. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await folder.sync();
  } catch (error) {
    // file systems that cannot do it
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errorCode(error))) throw error;
  } finally {
    await folder.close();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

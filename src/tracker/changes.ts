// What has changed since it was last written, for the state file.
import type { PrefixText } from '../packet/address.js';

const FIRST_CAPACITY = 64;

const CHANGED = 1;
/** added since changes were last taken: nobody knows of it yet */
const NEW = 2;
const STATE = CHANGED | NEW;
const QUEUED = 4;

/**
 * Notes which entries have changed, by their numbers, and which have gone, until somebody takes it. An entry that came
 * and went in between is not told. Needs no more room than there were entries, however long nobody takes anything.
 */
export class Changes {
  private begun = false;
  /** entries are being told apart from their changes, new ones among them */
  private isTold = false;
  private marks = new Uint8Array(FIRST_CAPACITY);
  private queue: number[] = [];
  private readonly gone = new Set<PrefixText>();

  /** number of changes, about */
  get size(): number {
    return this.queue.length + this.gone.size;
  }

  /** Begins to note; nothing is noted before. */
  begin(): void {
    this.begun = true;
  }

  /** Somebody begins to read all entries. Until all changes are taken again he may have seen those that are new, too. */
  tellAll(): void {
    this.isTold = true;
  }

  added(id: number): void {
    if (this.begun) this.mark(id, NEW);
  }

  changed(id: number): void {
    if (this.begun && ((this.marks[id] ?? 0) & STATE) === 0) this.mark(id, CHANGED);
  }

  /** @param prefix - of the entry that had this number */
  removed(id: number, prefix: () => PrefixText): void {
    if (!this.begun) return;
    const mark = this.marks[id] ?? 0;
    if ((mark & NEW) === 0 || this.isTold) this.gone.add(prefix());
    if (mark !== 0) this.marks[id] = mark & QUEUED;
  }

  takeGone(most: number): PrefixText[] {
    const taken: PrefixText[] = [];
    for (const prefix of this.gone) {
      if (taken.length >= most) break;
      this.gone.delete(prefix);
      taken.push(prefix);
    }
    return taken;
  }

  /** @returns numbers of entries, each once */
  takeChanged(most: number): number[] {
    const taken: number[] = [];
    while (taken.length < most) {
      const id = this.queue.pop();
      if (id === undefined) break;
      if (((this.marks[id] ?? 0) & STATE) !== 0) taken.push(id);
      this.marks[id] = 0;
    }
    if (this.size === 0) this.isTold = false;
    return taken;
  }

  private mark(id: number, state: number): void {
    while (id >= this.marks.length) this.grow();
    const mark = this.marks[id] ?? 0;
    if ((mark & QUEUED) === 0) this.queue.push(id);
    this.marks[id] = state | QUEUED;
  }

  private grow(): void {
    const bigger = new Uint8Array(this.marks.length * 2);
    bigger.set(this.marks);
    this.marks = bigger;
  }
}

// How entries were used, and in which order they go when there is no room. Pure.

/** Why an entry is there, as far as it matters for who goes first. */
export const Rank = {
  /** came by an attempt of its own, or was in the table */
  OWN: 0,
  /** came by somebody else's attempt */
  COMPANION: 1,
  /** an operator let it in */
  MANUAL: 2,
} as const;
/** One of {@link Rank}. */
export type Rank = (typeof Rank)[keyof typeof Rank];

/** What is known of an entry's admissions. Times are monotonic milliseconds; without an admission they are undefined. */
export interface Use {
  readonly admissions: number;
  readonly firstAdmissionMs: number | undefined;
  readonly lastAdmissionMs: number | undefined;
  /** whether it is a regular: admitted again {@link REGULAR_AFTER_MS} after the first time, when there was room */
  readonly isRegular: boolean;
}

/** Never admitted. */
export const NO_USE: Use = {
  admissions: 0,
  firstAdmissionMs: undefined,
  lastAdmissionMs: undefined,
  isRegular: false,
};

/** An admission so long after the first one makes a known sender a regular: what a forger cannot have is time. */
export const REGULAR_AFTER_MS = 600_000;

/** Of the room, what regulars may have: of more none becomes one, so nobody can push them out by becoming one. */
const REGULARS_SHARE = 0.8;

/** The lines of entries, by who goes first; in each, who goes first is at the head. */
const LINES = {
  /** came by somebody else's attempt, and were never admitted; the oldest first */
  idleCompanions: 0,
  /** never admitted; least recently tried first */
  unused: 1,
  /** admitted; least recently admitted first */
  known: 2,
  /** admitted at least twice, with time in between; least recently admitted first */
  regulars: 3,
  /** let in by hand; least recently tried first */
  manual: 4,
} as const;
type Line = (typeof LINES)[keyof typeof LINES];

const ALL_LINES = Object.values(LINES);
const NONE = -1;
const FIRST_CAPACITY = 64;

/**
 * What an admission changes, in flat arrays: how often an entry was used and when, until when that lets it live, and its
 * neighbours in the order in which entries are given up. Apart from the entries, so that a flood of admissions does not
 * go through all of memory.
 */
export class Uses {
  private admissions = new Uint32Array(FIRST_CAPACITY);
  private firstMs = new Float64Array(FIRST_CAPACITY);
  private lastMs = new Float64Array(FIRST_CAPACITY);
  private untilMs = new Float64Array(FIRST_CAPACITY);
  private ranks = new Uint8Array(FIRST_CAPACITY);
  private lines = new Uint8Array(FIRST_CAPACITY);
  private older = new Int32Array(FIRST_CAPACITY);
  private newer = new Int32Array(FIRST_CAPACITY);
  private readonly heads = ALL_LINES.map(() => NONE);
  private readonly tails = ALL_LINES.map(() => NONE);
  private readonly sizes = ALL_LINES.map(() => 0);
  /** entries of an earlier run have come in no order */
  private isUnordered = false;

  /** How often it was admitted. */
  count(id: number): number {
    return this.admissions[id] ?? 0;
  }

  /** Until when its admissions let it live, monotonic milliseconds; minus infinity: they do not. */
  until(id: number): number {
    return this.untilMs[id] ?? Number.NEGATIVE_INFINITY;
  }

  /** All that is known of its admissions. */
  of(id: number): Use {
    const admissions = this.count(id);
    if (admissions === 0) return NO_USE;
    return {
      admissions,
      firstAdmissionMs: this.firstMs[id],
      lastAdmissionMs: this.lastMs[id],
      isRegular: this.lines[id] === LINES.regulars,
    };
  }

  /** number of entries that were admitted, regulars among them; those that were let in by hand are not counted */
  get known(): number {
    return this.size(LINES.known) + this.size(LINES.regulars);
  }

  /** number of regulars */
  get regulars(): number {
    return this.size(LINES.regulars);
  }

  /**
   * Begins with an entry.
   * @param untilMs - until when its admissions let it live
   * @param most - entries that there may be
   */
  add(id: number, rank: Rank, use: Use, untilMs: number, most: number): void {
    if (id >= this.admissions.length) this.grow();
    this.admissions[id] = use.admissions;
    this.firstMs[id] = use.firstAdmissionMs ?? 0;
    this.lastMs[id] = use.lastAdmissionMs ?? 0;
    this.untilMs[id] = untilMs;
    this.ranks[id] = rank;
    if (use.admissions > 0) this.isUnordered = true;
    this.append(
      use.isRegular && this.hasRoom(most) && rank !== Rank.MANUAL ? LINES.regulars : this.home(id),
      id,
    );
  }

  /** Gives it another rank, as the last of its kind. */
  rank(id: number, rank: Rank): void {
    this.ranks[id] = rank;
    const isRegular = this.lines[id] === LINES.regulars && rank !== Rank.MANUAL;
    this.move(id, isRegular ? LINES.regulars : this.home(id));
  }

  /**
   * Notes an admission.
   * @param lifeMs - how long it lets the entry live from now on; 0: it does not
   * @param most - entries that there may be
   */
  use(id: number, nowMs: number, lifeMs: number, most: number): void {
    const before = this.count(id);
    this.admissions[id] = before + 1;
    if (before === 0) this.firstMs[id] = nowMs;
    this.lastMs[id] = nowMs;
    if (lifeMs > 0) this.untilMs[id] = Math.max(this.until(id), nowMs + lifeMs);
    const line = this.lines[id];
    if (line === LINES.manual) return;
    const isRegular =
      line === LINES.regulars || (nowMs - (this.firstMs[id] ?? 0) >= REGULAR_AFTER_MS && this.hasRoom(most));
    this.move(id, isRegular ? LINES.regulars : LINES.known);
  }

  /** One entry takes another one's place: it has been admitted as both were. */
  inherit(id: number, from: number): void {
    const [own, other] = [this.count(id), this.count(from)];
    if (other === 0) return;
    this.admissions[id] = own + other;
    const first = this.firstMs[from] ?? 0;
    this.firstMs[id] = own === 0 ? first : Math.min(first, this.firstMs[id] ?? 0);
    this.lastMs[id] = Math.max(this.lastMs[from] ?? 0, own === 0 ? 0 : (this.lastMs[id] ?? 0));
    this.untilMs[id] = Math.max(this.until(id), this.until(from));
    if (this.lines[id] !== LINES.regulars) this.move(id, this.home(id));
  }

  /** It has tried again: the last one to go of those who were not admitted, or were let in by hand. */
  touch(id: number): void {
    const line = this.lines[id] as Line;
    if (line !== LINES.known && line !== LINES.regulars) this.move(id, line);
  }

  /** Takes it out of the order; what is known of it can be read until another entry has its number. */
  remove(id: number): void {
    this.unlink(id);
  }

  /** The oldest companion that was never admitted; -1 when there is none. */
  firstCompanion(): number {
    return this.heads[LINES.idleCompanions] ?? NONE;
  }

  /**
   * The one that goes first: the oldest companion that was never admitted, else the oldest never admitted, else the
   * known one that was used longest ago, else the regular, else the oldest that was let in by hand; -1: there is none.
   */
  first(): number {
    if (this.isUnordered) this.order();
    return this.heads.find((head) => head !== NONE) ?? NONE;
  }

  /** Puts those that were admitted into the order of their last admissions, after entries of an earlier run have come. */
  private order(): void {
    this.isUnordered = false;
    for (const line of [LINES.known, LINES.regulars]) {
      const ids = new Uint32Array(this.size(line));
      for (let id = this.heads[line] ?? NONE, at = 0; id !== NONE; id = this.newer[id] ?? NONE)
        ids[at++] = id;
      ids.sort((a, b) => (this.lastMs[a] ?? 0) - (this.lastMs[b] ?? 0));
      this.heads[line] = this.tails[line] = NONE;
      this.sizes[line] = 0;
      for (const id of ids) this.append(line, id);
    }
  }

  private size(line: Line): number {
    return this.sizes[line] ?? 0;
  }

  private hasRoom(most: number): boolean {
    return this.size(LINES.regulars) < most * REGULARS_SHARE;
  }

  /** Where it belongs that is no regular. */
  private home(id: number): Line {
    if (this.ranks[id] === Rank.MANUAL) return LINES.manual;
    if (this.count(id) > 0) return LINES.known;
    return this.ranks[id] === Rank.COMPANION ? LINES.idleCompanions : LINES.unused;
  }

  /** Makes it the last one of a line. */
  private move(id: number, line: Line): void {
    if (this.lines[id] === line && this.tails[line] === id) return;
    this.unlink(id);
    this.append(line, id);
  }

  private append(line: Line, id: number): void {
    const tail = this.tails[line] ?? NONE;
    this.lines[id] = line;
    this.older[id] = tail;
    this.newer[id] = NONE;
    if (tail === NONE) this.heads[line] = id;
    else this.newer[tail] = id;
    this.tails[line] = id;
    this.sizes[line] = this.size(line) + 1;
  }

  private unlink(id: number): void {
    const line = this.lines[id] as Line;
    const older = this.older[id] ?? NONE;
    const newer = this.newer[id] ?? NONE;
    if (older === NONE) this.heads[line] = newer;
    else this.newer[older] = newer;
    if (newer === NONE) this.tails[line] = older;
    else this.older[newer] = older;
    this.sizes[line] = this.size(line) - 1;
  }

  private grow(): void {
    const capacity = this.admissions.length * 2;
    this.admissions = copied(this.admissions, new Uint32Array(capacity));
    this.firstMs = copied(this.firstMs, new Float64Array(capacity));
    this.lastMs = copied(this.lastMs, new Float64Array(capacity));
    this.untilMs = copied(this.untilMs, new Float64Array(capacity));
    this.ranks = copied(this.ranks, new Uint8Array(capacity));
    this.lines = copied(this.lines, new Uint8Array(capacity));
    this.older = copied(this.older, new Int32Array(capacity));
    this.newer = copied(this.newer, new Int32Array(capacity));
  }
}

function copied<T extends Uint32Array | Float64Array | Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

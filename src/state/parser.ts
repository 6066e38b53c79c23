// The lines of a state file, read. Pure.
import { checksumOf } from './checksum.js';
import { Contents } from './contents.js';
import { CHECKSUM_DIGITS, FORMAT, MAGIC, MOST_LINE, seedOf } from './format.js';

/** What the first line says: `none`: there is no whole one; `foreign`: it is not a state file's. */
export type Header =
  | { readonly kind: 'none' | 'foreign' | 'ours' }
  /** a later format, which has changed what lines mean */
  | { readonly kind: 'newer'; readonly format: number };

/** Why a line does not count. */
export type Damage = 'its checksum is wrong' | 'it is too long' | 'it makes no sense';

/** What a file holds, and what is wrong with it. */
export interface ParsedState {
  readonly header: Header;
  readonly contents: Contents;
  /** whole lines that count, after the first one */
  readonly goodLines: number;
  readonly damagedLines: number;
  /** the first damaged one, counted from 1 */
  readonly firstDamage: { readonly line: number; readonly why: Damage } | undefined;
  /** lines of kinds that a later version has added */
  readonly unknownLines: number;
  /** bytes after the last line feed: of a line that was being written */
  readonly cutBytes: number;
}

const LINE_FEED = 10;
const HEADER = new RegExp(`^${MAGIC} ([1-9]\\d{0,8})( [0-9a-f]{8})?`);
const NOTHING = Buffer.alloc(0);

/** Reads a state file piece by piece. Never throws, whatever the bytes. */
export class StateParser {
  private readonly contents: Contents;
  private header: Header = { kind: 'none' };
  private seed = 0;
  private line = 0;
  private goodLines = 0;
  private damagedLines = 0;
  private firstDamage: ParsedState['firstDamage'];
  private unknownLines = 0;
  /** the beginning of the line whose end has not come yet */
  private rest: Buffer = NOTHING;
  /** bytes of a line that is too long to be kept */
  private passedOver = 0;

  /** @param most - entries, and removals, that are kept at the most */
  constructor(most: number) {
    this.contents = new Contents(most);
  }

  /** @param piece - the next bytes; may be reused afterwards */
  push(piece: Buffer): void {
    const bytes = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, start);
      if (end < 0) break;
      this.takeLine(bytes, start, end);
      start = end + 1;
    }
    this.rest = NOTHING;
    if (bytes.length - start > MOST_LINE) this.passedOver += bytes.length - start;
    else this.rest = Buffer.from(bytes.subarray(start));
  }

  /** What it was, when all has been pushed. */
  end(): ParsedState {
    const { contents, goodLines, damagedLines, firstDamage, unknownLines } = this;
    const cutBytes = this.rest.length + this.passedOver;
    const header = this.line === 0 && !isCutHeader(this.rest) ? ({ kind: 'foreign' } as const) : this.header;
    return { header, contents, goodLines, damagedLines, firstDamage, unknownLines, cutBytes };
  }

  private takeLine(bytes: Buffer, start: number, end: number): void {
    this.line++;
    const tooLong = this.passedOver > 0 || end - start > MOST_LINE;
    this.passedOver = 0;
    if (this.line === 1) this.takeHeader(tooLong ? '' : bytes.toString('latin1', start, end));
    else if (this.header.kind === 'ours') this.takeBody(tooLong, bytes, start, end);
  }

  private takeHeader(text: string): void {
    const match = HEADER.exec(text);
    const format = Number(match?.[1]);
    if (match === null) this.header = { kind: 'foreign' };
    else if (format > FORMAT) this.header = { kind: 'newer', format };
    else this.header = { kind: match[0] === text && match[2] !== undefined ? 'ours' : 'foreign' };
    this.seed = seedOf(text);
  }

  private takeBody(tooLong: boolean, bytes: Buffer, start: number, end: number): void {
    if (tooLong) return this.damaged('it is too long');
    const body = start + CHECKSUM_DIGITS + 1;
    const sum = checksumAt(bytes, start);
    if (body > end || sum !== checksumOf(bytes, body, end, this.seed)) {
      return this.damaged('its checksum is wrong');
    }
    const reception = this.contents.take(bytes, body, end);
    if (reception === 'invalid') return this.damaged('it makes no sense');
    if (reception === 'unknown') this.unknownLines++;
    else this.goodLines++;
  }

  private damaged(why: Damage): void {
    this.damagedLines++;
    this.firstDamage ??= { line: this.line, why };
  }
}

/** Whether a first line may have been ours, had it been written to its end. */
function isCutHeader(bytes: Buffer): boolean {
  return MAGIC.startsWith(bytes.toString('latin1', 0, MAGIC.length));
}

const BLANK = 32;

/** The checksum that a line begins with: eight digits and a blank; -1 when it does not. */
function checksumAt(bytes: Buffer, start: number): number {
  let sum = 0;
  for (let at = start; at < start + CHECKSUM_DIGITS; at++) {
    const digit = hexDigit(bytes[at] ?? 0);
    if (digit < 0) return -1;
    sum = sum * 16 + digit;
  }
  return bytes[start + CHECKSUM_DIGITS] === BLANK ? sum : -1;
}

/** Small letters only: a byte has one way to be right. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

// The words of a state file, and their checks. Pure.
import { MOST_DIGITS } from './format.js';

const BLANK = 0x20;
const MINUS = 0x2d;
const ZERO = 0x30;

/**
 * The words of a line, one after the other, without a string for each: those would be most of the work when a large
 * file is read. Words are separated by one blank.
 */
export class Words {
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  private end = 0;

  /** Goes to the beginning of a line. */
  begin(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** whether all words have been read */
  get done(): boolean {
    return this.at > this.end;
  }

  /** The next word; empty when there is none. */
  text(): string {
    const { bytes, at } = this;
    const end = this.step();
    return end <= at ? '' : bytes.toString('latin1', at, end);
  }

  /** The next word if it is one of these; -1 when it is none, else its index. */
  oneOf(words: readonly Buffer[]): number {
    const { bytes, at } = this;
    const end = this.step();
    for (let index = 0; index < words.length; index++) {
      if (isThere(words[index] as Buffer, bytes, at, end)) return index;
    }
    return -1;
  }

  /** The next word as a whole number in decimal; NaN when it is none. */
  number(): number {
    const { bytes } = this;
    let { at } = this;
    const end = this.step();
    const isNegative = bytes[at] === MINUS && at < end;
    if (isNegative) at++;
    if (at >= end || end - at > MOST_DIGITS) return NaN;
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) return NaN;
      value = value * 10 + digit;
    }
    // no -0
    return isNegative && value !== 0 ? -value : value;
  }

  /** The next word as a number that is not negative; NaN when it is none. */
  count(): number {
    const value = this.number();
    return value >= 0 ? value : NaN;
  }

  /** Goes behind the next word. @returns where it ends */
  private step(): number {
    let end = this.at;
    while (end < this.end && this.bytes[end] !== BLANK) end++;
    this.at = end + 1;
    return Math.min(end, this.end);
  }
}

function isThere(word: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let index = 0; index < word.length; index++) {
    if (word[index] !== bytes[start + index]) return false;
  }
  return true;
}

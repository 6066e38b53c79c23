// Where the daemon tells what happened.
import type { Level } from './line.js';

/** Structured fields beside the sentence. Values from outside are escaped by whoever passes them. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>> & {
  readonly event: string;
};

/** Where the daemon tells what happened. */
export interface Log {
  write(level: Level, message: string, fields: Fields): void;
  /** Whether lines of this level go anywhere: saves making them. */
  isEnabled(level: Level): boolean;
  setLevel(level: Level): void;
  /** where lines go, for people */
  readonly description: string;
  /** lines that were lost so far, as far as that can be known */
  readonly lost: number;
  /** Hands over what is waiting, and ends; takes a second or two at the most. */
  close(): Promise<void>;
}

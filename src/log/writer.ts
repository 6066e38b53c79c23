// Who takes finished lines.
import type { Level } from './line.js';

/** Takes finished lines. Nobody waits for it: what waits for a reader is bounded, and what is lost is counted. */
export interface LineWriter {
  /** for people */
  readonly description: string;
  /** lines lost so far, as far as that can be known */
  readonly lost: number;
  /** Takes a line, given without its end. */
  write(level: Level, line: string): void;
  /** Hands over what is waiting, as far as that goes within a second or two; nothing is taken afterwards. */
  close(): Promise<void>;
}
